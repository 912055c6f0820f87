import { createScheduler } from '../../../dist/index.js'
import type { DispatchPeer } from './main.js'

/** This package, with jobs that are due at another time of the second. */
export const peer: DispatchPeer = {
  tellsTime: true,
  async start(meter) {
    const scheduler = createScheduler()
    const trigger = { interval: '1s', offset: meter.offset }
    for (let job = 0; job < meter.jobs; job++) {
      scheduler.add({ id: `job-${job}`, trigger, handler: async ({ run }) => meter.fire(job, run.scheduledTime) })
    }
    await scheduler.start()
  }
}
