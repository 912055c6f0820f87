// The fleet, and who reads.
import type { AdminFleet } from '../../types/admin.js'
import { get } from './api.js'
import { Loader } from './loader.js'
import { fleet, replicas, store } from './store.js'

/** How often it is read while it is shown, in milliseconds. */
export const FLEET_EVERY = 5000

export const fleetLoader = new Loader(async (stop) => {
  const answer = await get<AdminFleet>('fleet', {}, stop)
  if (stop.aborted) return
  fleet.value = answer
  store.value = answer.store
  replicas.value = {
    all: answer.replicas.length,
    takeTicks: answer.replicas.filter(({ takesTicks }) => takesTicks).length
  }
})
