import t from 'tap'
import { systemClock } from '../../lib/clock.js'
import { MemoryCoordination, MemoryStore } from '../../lib/coordination/memory.js'
import { coordinationContract, listen } from '../fixtures/coordination-contract.js'

coordinationContract(t, async (count, body) => {
  const store = new MemoryStore()
  const heard = Array.from({ length: count }, listen)
  await body(
    heard.map((listener) => new MemoryCoordination(systemClock, store, 1000, listener)),
    heard
  )
})
