import t from 'tap'
import { createScheduler, type RunContext } from '../../lib/index.js'
import { Simulation } from '../../lib/testing/index.js'
import type { HeldLock } from '../../types/coordination.js'
import type { JobOptions } from '../../types/job-options.js'
import { request } from '../fixtures/contract/requests.js'
import { withHeldAnswers } from '../fixtures/held-answers.js'

// Nothing begins under a lock that is over by the time that the answer which grants it is read: the process stood still,
// its event loop was blocked, or the network was slow.

const TTL = 1000

function byHand(handler: (context: RunContext) => unknown): JobOptions<undefined> {
  return { id: 'job', trigger: { date: '2099-01-01T00:00:00Z' }, lock: { ttl: TTL }, handler } as JobOptions<undefined>
}

t.test('trigger(): the run is asked for again, and begins under a lock that it holds', (t) =>
  withHeldAnswers(async ({ clock, answers, scheduler }) => {
    const begun: { holds: boolean; aborted: boolean }[] = []
    scheduler.add(
      byHand(({ run, signal }) => {
        const { token, expiresAt } = answers.store.jobs.get('job')!
        begun.push({ holds: token === run.id && expiresAt > clock.monotonic(), aborted: signal.aborted })
      })
    )
    answers.hold('claim')
    const triggered = scheduler.trigger('job', { wait: true })
    await clock.advance(TTL)
    await answers.letGo('claim')
    t.match(await triggered, { outcome: 'success', trigger: 'manual' })
    t.same(begun, [{ holds: true, aborted: false }])
  })
)

t.test('trigger(): the next holder of the lock is left alone', (t) =>
  withHeldAnswers(async ({ clock, answers, scheduler }) => {
    scheduler.add(byHand(() => t.fail('it has begun')))
    answers.hold('claim')
    const triggered = scheduler.trigger('job')
    await clock.advance(TTL + 1)
    const other = answers.replica()
    const [next] = await other.claim([request({ jobId: 'job', kind: 'manual', scheduledTime: clock.now() })])
    t.equal(next?.status, 'granted')
    await answers.letGo('claim')
    t.equal(await triggered, null)
    t.equal(await other.extend((next as { lock: HeldLock }).lock), 'extended')
  })
)

t.test('trigger(): a store that always answers too late is trouble, and nothing begins', async (t) => {
  const simulation = new Simulation()
  simulation.stores[0]!.disturb({ delay: [600, 700] })
  const scheduler = createScheduler(simulation.replica().options)
  scheduler.add(byHand(() => t.fail('it has begun')))
  const started = scheduler.start()
  await simulation.advance('10s')
  await started
  const error = scheduler.trigger('job').catch((reason: unknown) => reason)
  const named = scheduler
    .withLock('name', { ttl: TTL }, () => t.fail('it has begun'))
    .catch((reason: unknown) => reason)
  await simulation.advance('10s')
  for (const reason of await Promise.all([error, named])) {
    t.match(reason, { code: 'FST_ERR_RLS_REDIS_UNAVAILABLE', message: /later than the lock's TTL, 1000 ms/ })
  }
  const closed = scheduler.close()
  await simulation.advance('10s')
  await closed
})

t.test('withLock(): the lock is asked for again, and held when the function begins', (t) =>
  withHeldAnswers(async ({ clock, answers, scheduler }) => {
    answers.hold('acquire')
    const taken = scheduler.withLock('name', { ttl: TTL }, ({ signal }) => {
      t.notOk(signal.aborted)
      return (answers.store.named.get('name')?.expiresAt ?? 0) - clock.monotonic()
    })
    await clock.advance(TTL - 11)
    await answers.letGo('acquire')
    t.same(await taken, { acquired: true, value: TTL }, 'also where only the drift of clocks is left of it')
    t.equal(answers.store.named.size, 0, 'and released')
  })
)

t.test('withLock(): the next holder is left alone', (t) =>
  withHeldAnswers(async ({ clock, answers, scheduler }) => {
    answers.hold('acquire')
    const taken = scheduler.withLock('name', { ttl: TTL }, () => t.fail('it has begun'))
    await clock.advance(TTL + 1)
    const other = answers.replica()
    const next = await other.acquire('name', TTL, 'next')
    await answers.letGo('acquire')
    t.same(await taken, { acquired: false })
    t.equal(await other.extend((next as { lock: HeldLock }).lock), 'extended')
  })
)

t.test('a takeover: it is had again, and what never began was no attempt', (t) =>
  withHeldAnswers(async ({ clock, answers, scheduler }) => {
    const attempts: [attempt: number, trigger: string, aborted: boolean][] = []
    const dead = answers.replica()
    const scheduledTime = clock.now()
    await dead.claim([request({ jobId: 'job', scheduledTime, ttl: TTL, rerun: true })])
    answers.hold('claim')
    scheduler.add({
      ...byHand(({ run, signal }) => attempts.push([run.attempt, run.trigger, signal.aborted])),
      recovery: 'rerun'
    })
    await clock.advance(TTL + 200)
    t.equal(answers.held('claim'), 1)
    for (let count = 0; count < 12; count++) {
      await clock.advance(TTL)
      const before = answers.held('claim')
      await answers.letGo('claim')
      t.equal(before, 1)
      answers.hold('claim')
      await clock.advance(2 * TTL)
    }
    t.same(attempts, [])
    await answers.letGo('claim')
    await clock.advance(2 * TTL)
    t.same(attempts, [[2, 'recovery', false]])
  })
)

t.test('a tick: what it had passed over is counted, also where that is known only after later ticks', (t) =>
  withHeldAnswers(async ({ clock, answers, scheduler }) => {
    const start = clock.now()
    const second = (count: number): number => start + count * 1000
    const ran: number[] = []
    const skipped: [number, string][] = []
    scheduler.interval('job', '1s', ({ run }) => void ran.push(run.scheduledTime), {
      lock: { ttl: TTL },
      recovery: 'rerun'
    })
    scheduler.on('skipped', ({ scheduledTime, reason }) => void skipped.push([scheduledTime, reason]))
    await clock.advance(1500)
    answers.hold('claim', true)
    await clock.advance(2700)
    // The second is counted as missed; the fourth, which has passed over the third, is granted, and nobody hears of it.
    await answers.letGo('claim', true)
    t.equal(answers.held('claim'), 1)
    await clock.advance(TTL + 200)
    const other = answers.replica()
    const recover = { jobId: 'job', kind: 'recover', rerun: true, scheduledTime: -1 } as const
    const [taken] = await other.claim([request({ ...recover, ttl: TTL })])
    t.match(taken, { status: 'granted', scheduledTime: second(4), attempt: 2 })
    await other.finish([{ lock: (taken as { lock: HeldLock }).lock, finished: true }])
    answers.loseHandBack()
    await answers.letGo('claim')
    await clock.advance(1000)
    t.ok(ran.includes(second(5)), 'a later tick was claimed before the hand-back was answered')
    t.match(
      skipped.filter(([tick]) => tick === second(3)),
      [[second(3), String]],
      'counted once'
    )
    t.notOk(ran.includes(second(3)))
  }, '2027-01-01T00:00:00Z')
)

t.test('a retry: it does not begin where the process stood still until the lock was over', (t) =>
  withHeldAnswers(async ({ clock, scheduler }) => {
    let calls = 0
    const failing = byHand(() => {
      calls++
      throw new Error('not yet')
    })
    scheduler.add({ ...failing, lock: { ttl: '1m' }, retry: { limit: 3, delay: '1s', factor: 1 } })
    const triggered = scheduler.trigger('job', { wait: true })
    await clock.advance(10)
    await clock.freeze(90_000)
    t.match(await triggered, { outcome: 'lock_lost', attempt: 1 })
    t.equal(calls, 1)
  })
)
