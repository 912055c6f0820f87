import t from 'tap'
import { MemoryCoordination } from '../../lib/coordination/memory/coordination.js'
import { MemoryStore } from '../../lib/coordination/memory/store.js'
import { Finisher } from '../../lib/runs/finisher.js'
import { VirtualClock } from '../../lib/testing/virtual-clock.js'
import type { Coordination, Ending, HandBackAnswer, HeldLock } from '../../types/coordination.js'
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

t.test('what was handed back and not answered for comes before what is handed back meanwhile', async (t) => {
  const clock = new VirtualClock()
  const memory = new MemoryCoordination(clock, new MemoryStore(), 1000, listen())
  const called: string[] = []
  let answer: (value: readonly HandBackAnswer[]) => void = () => {}
  const coordination: Coordination = Object.assign(Object.create(memory) as Coordination, {
    handBack: (_claims: readonly unknown[], callId: string) => {
      called.push(callId)
      return new Promise<readonly HandBackAnswer[]>((resolve) => {
        answer = resolve
      })
    }
  })
  let calls = 0
  const finisher = new Finisher(coordination, clock, () => `call-${++calls}`)
  const handBack = (token: string): void => {
    const lock: HeldLock = { name: 'job', kind: 'job', token, ttl: 1000, validUntil: clock.monotonic() + 1000 }
    void finisher.handBack([{ lock, scheduledTime: 0, afterCompletion: 0, tell: true, onHandedBack() {} }])
  }
  handBack('one')
  await clock.advance(10)
  handBack('two')
  answer(['unavailable'])
  await clock.advance(1000)
  t.same(called, ['call-1', 'call-1'], 'a store remembers its reply to the last call alone')
  answer(['free'])
  await clock.advance(1000)
  t.same(called, ['call-1', 'call-1', 'call-2'])
  answer(['free'])
  await clock.advance(1000)
  t.equal(called.length, 3)
})
