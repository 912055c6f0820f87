import t from 'tap'
import { MemoryCoordination } from '../../lib/coordination/memory/coordination.js'
import { MemoryStore } from '../../lib/coordination/memory/store.js'
import { Finisher } from '../../lib/runs/finisher.js'
import { VirtualClock } from '../../lib/testing/virtual-clock.js'
import type { Coordination, Ending, HeldLock } from '../../types/coordination.js'
import { listen } from '../fixtures/contract/requests.js'

t.test('so many ends that Redis has not answered for are told all the same, when it answers', async (t) => {
  const clock = new VirtualClock()
  let silent = true
  let [finished, handedBack, released] = [0, 0, 0]
  const memory = new MemoryCoordination(clock, new MemoryStore(), 1000, listen())
  const coordination: Coordination = Object.assign(Object.create(memory) as Coordination, {
    finish: async (endings: readonly Ending[]) => {
      if (!silent) finished += endings.length
      return endings.map(() => (silent ? 'unavailable' : 'released'))
    },
    handBack: async (claims: readonly unknown[]) => {
      if (!silent) handedBack += claims.length
      return claims.map(() => (silent ? 'unavailable' : 'free'))
    },
    release: async () => {
      if (!silent) released++
      return silent ? 'unavailable' : 'released'
    }
  })
  let calls = 0
  const finisher = new Finisher(coordination, clock, () => `call-${++calls}`)
  const validUntil = clock.monotonic() + 600_000
  const count = 150_000
  const lock = (kind: HeldLock['kind'], index: number): HeldLock => {
    return { name: 'job', kind, token: `${index}`, ttl: 600_000, validUntil }
  }
  for (let index = 0; index < count; index++) finisher.giveUp(lock('job', index))
  for (let index = 0; index < count; index++) finisher.giveUpNamed(lock('named', index))
  const back = { scheduledTime: 0, afterCompletion: 0, tell: true, onHandedBack() {} }
  for (let index = 0; index < 3; index++) void finisher.handBack([{ ...back, lock: lock('job', -1 - index) }])
  await clock.advance(5000)
  t.same([finished, handedBack, released], [0, 0, 0])
  silent = false
  await finisher.retryNow()
  t.same([finished, handedBack, released], [count, 3, count])
})
