import t from 'tap'
import { systemClock } from '../../lib/clock.js'
import { MemoryCoordination, MemoryStore } from '../../lib/coordination/memory.js'
import { coordinationContract } from '../fixtures/coordination-contract.js'

coordinationContract(t, async (count, body) => {
  const store = new MemoryStore()
  let tokens = 0
  const newToken = (): string => `token-${++tokens}`
  await body(Array.from({ length: count }, () => new MemoryCoordination(systemClock, store, 1000, newToken)))
})
