import t from 'tap'
import { errors } from '../../lib/index.js'
import { type Member, withFleet } from '../fixtures/simulated-fleet.js'

// Runs whose replica dies, stands still or is shut down: `recovery: 'rerun'`, lost locks, claims handed back.

const SECOND = 1000
const MINUTE = 60 * SECOND

/** Adds a job each minute that takes `work`, under a lock of ten seconds. */
function slow(work: number | '25s', recovery: 'none' | 'rerun' = 'rerun'): (member: Member) => void {
  return ({ scheduler, replica }) =>
    void scheduler.interval('job', '1m', () => replica.sleep(work), { recovery, lock: { ttl: '10s' } })
}

t.test('the run of a replica that dies is taken over within its TTL and a second, as the second attempt', (t) =>
  withFleet(async ({ simulation, start, join, runs }) => {
    const define = slow(4 * SECOND)
    const members = [await join(define), await join(define), await join(define)]
    await simulation.advance(MINUTE + SECOND)
    const [first] = runs()
    const holder = members.find((member) => member.runs.length > 0) as Member
    const diedAt = simulation.now
    holder.replica.crash()
    await simulation.advance(11 * SECOND)
    const second = runs()[1]
    t.match(second, { scheduledTime: start + MINUTE, attempt: 2, trigger: 'recovery' })
    t.not(second?.replicaId, first?.replicaId)
    t.ok((second?.fencingToken as number) > (first?.fencingToken as number))
    t.ok((second?.startedAt as number) - diedAt <= 11 * SECOND)
    t.ok((second?.startedAt as number) - (first?.startedAt as number) >= 10 * SECOND, 'not before its lock is free')
    await simulation.advance(10 * SECOND)
    t.equal(second?.outcome, 'success')
    t.equal(runs().length, 2, 'and only once')
    await simulation.advance(MINUTE)
    t.match(runs()[2], { scheduledTime: start + 2 * MINUTE, attempt: 1, trigger: 'schedule' })
  })
)

t.test('a run whose holder lives is not taken over, however slow it is', (t) =>
  withFleet(async ({ simulation, join, runs }) => {
    for (let count = 0; count < 3; count++) await join(slow(50 * SECOND))
    await simulation.advance(MINUTE + 55 * SECOND)
    t.equal(runs().length, 1)
    t.equal(runs()[0]?.outcome, 'success')
  })
)

t.test('without recovery a run is left, and the next tick comes in its time', (t) =>
  withFleet(async ({ simulation, start, join, runs }) => {
    const first = await join(slow(4 * SECOND, 'none'))
    await simulation.advance(MINUTE + SECOND)
    await join(slow(4 * SECOND, 'none'))
    first.replica.crash()
    await simulation.advance(58 * SECOND)
    t.equal(runs().length, 1)
    await simulation.advance(2 * SECOND)
    t.equal(runs()[1]?.scheduledTime, start + 2 * MINUTE)
  })
)

t.test('after all replicas have died the next to start takes the run over', (t) =>
  withFleet(async ({ simulation, start, join, runs }) => {
    const first = await join(slow(4 * SECOND))
    await simulation.advance(MINUTE + SECOND)
    first.replica.crash()
    await simulation.advance(30 * SECOND)
    await join(slow(4 * SECOND))
    await simulation.advance(2 * SECOND)
    t.match(runs()[1], { scheduledTime: start + MINUTE, attempt: 2, trigger: 'recovery' })
  })
)

t.test(
  'a process that stood still beyond its TTL: lock_lost, its work is taken over, its late release hurts nobody',
  (t) =>
    withFleet(async ({ simulation, start, join, runs }) => {
      let reason: unknown
      const frozen = await join(({ scheduler, replica }) => {
        scheduler.interval(
          'job',
          '1m',
          async ({ signal }) => {
            await replica.sleep('5s')
            reason = signal.reason
          },
          { recovery: 'rerun', lock: { ttl: '10s' } }
        )
      })
      await simulation.advance(MINUTE + SECOND)
      await join(slow('25s'))
      frozen.replica.freeze('20s')
      await simulation.advance(19 * SECOND)
      const [first, second] = runs()
      t.match(second, { scheduledTime: start + MINUTE, attempt: 2, outcome: null })
      await simulation.advance(3 * SECOND)
      t.equal(first?.outcome, 'lock_lost')
      t.ok(reason instanceof errors.LockLostError)
      t.equal(second?.outcome, null, 'the successor goes on')
      await simulation.advance(20 * SECOND)
      t.equal(second?.outcome, 'success')
      t.equal(runs().length, 2)
    })
)

t.test('a run that is cancelled at shutdown is taken over by another replica', (t) =>
  withFleet(async ({ simulation, start, join, runs }) => {
    const leaving = await join(slow('25s'), { closeTimeout: '2s' })
    await simulation.advance(MINUTE + SECOND)
    await join(slow('25s'))
    const closed = leaving.scheduler.close()
    await simulation.advance(15 * SECOND)
    await closed
    t.match(runs()[1], { scheduledTime: start + MINUTE, attempt: 2, trigger: 'recovery' })
  })
)

t.test(
  'a claim that is answered after the replica has begun to close is handed back, and another replica runs it',
  (t) =>
    withFleet(async ({ simulation, start, join, runs, missed }) => {
      const define = ({ scheduler }: Member): void => void scheduler.interval('job', '1m', () => {})
      const [leaving, staying] = [await join(define), await join(define)]
      simulation.store.disturb({ delay: [50, 50] })
      // The other one stands still for a moment, so that the one that leaves asks first.
      await simulation.advance(MINUTE - 10)
      staying.replica.freeze(50)
      await simulation.advance(70)
      const closed = leaving.scheduler.close()
      await simulation.advance(5 * SECOND)
      await closed
      t.match(runs(), [{ scheduledTime: start + MINUTE, replicaId: staying.scheduler.replicaId, outcome: 'success' }])
      t.same(leaving.skipped, [[MINUTE, 'shutdown']])
      t.same(missed(), [])
    })
)

t.test('three replicas are replaced one after the other under load: nothing twice, nothing lost', (t) =>
  withFleet(async ({ simulation, start, join, runs, missed }) => {
    simulation.store.disturb({ delay: [0, 5] })
    const define = ({ scheduler, replica }: Member): void => {
      for (let index = 0; index < 20; index++) scheduler.interval(`job-${index}`, '1s', () => replica.sleep(index * 20))
    }
    const joined = async (): Promise<Member> => {
      const joining = join(define)
      await simulation.advance(200)
      return joining
    }
    const members = [await joined(), await joined(), await joined()]
    await simulation.advance(5 * SECOND)
    for (const [index, old] of members.entries()) {
      await joined()
      const closed = old.scheduler.close()
      await simulation.advance(1400 + index * 333)
      await closed
    }
    await simulation.advance(3 * SECOND)
    const counts = new Map<string, number>()
    for (const { jobId, scheduledTime } of runs()) {
      const key = `${jobId} ${scheduledTime - start}`
      counts.set(key, (counts.get(key) ?? 0) + 1)
    }
    t.same(
      [...counts.values()].filter((count) => count !== 1),
      []
    )
    const seconds = Math.floor((simulation.now - start) / SECOND) - 1
    t.ok(counts.size >= 20 * seconds, `${counts.size} runs in ${seconds} seconds`)
    t.same(missed(), [])
  })
)

t.test(
  'a job that the new version has no more is run by the old replicas as long as they live, and starves nobody',
  (t) =>
    withFleet(async ({ simulation, join, runs, missed }) => {
      const old = await join(({ scheduler }) => {
        scheduler.interval('kept', '1s', () => {})
        scheduler.interval('removed', '1s', () => {}, { recovery: 'rerun' })
      })
      await join(({ scheduler }) => void scheduler.interval('kept', '1s', () => {}))
      await simulation.advance(5 * SECOND)
      t.equal(runs().filter(({ jobId }) => jobId === 'removed').length, 5)
      old.replica.crash()
      await simulation.advance(10 * SECOND)
      t.equal(runs().filter(({ jobId }) => jobId === 'removed').length, 5)
      t.equal(runs().filter(({ jobId }) => jobId === 'kept').length, 15)
      t.same(missed(), [])
    })
)

t.test('a run that has ended while Redis was away is not run again, also when its lock is over by then', (t) =>
  withFleet(async ({ simulation, join, runs }) => {
    await join(slow(20 * SECOND))
    await simulation.advance(MINUTE + 15 * SECOND)
    simulation.store.kill()
    await simulation.advance(25 * SECOND)
    simulation.store.start()
    await simulation.advance(15 * SECOND)
    t.equal(runs().length, 1)
    t.equal(runs()[0]?.outcome, 'success')
  })
)

t.test('closing takes no longer for many locks that Redis did not answer for', (t) =>
  withFleet(async ({ simulation, join }) => {
    const { scheduler } = await join(() => {})
    simulation.store.hang()
    const failed = Promise.allSettled(
      Array.from({ length: 20 }, (_, index) => scheduler.withLock(`lock-${index}`, {}, () => {}))
    )
    await simulation.advance(3 * SECOND)
    await failed
    let isClosed = false
    void scheduler.close().then(() => {
      isClosed = true
    })
    await simulation.advance(10 * SECOND)
    t.ok(isClosed)
  })
)

t.test('a process may sleep and stand still for longer than a timer takes', (t) =>
  withFleet(async ({ simulation, join, runs }) => {
    const { replica } = await join(({ scheduler }) => void scheduler.interval('job', '1d', () => {}))
    let isAwake = false
    void replica.sleep('60d').then(() => {
      isAwake = true
    })
    replica.freeze('30d')
    await simulation.advance('45d')
    t.ok(runs().length >= 14)
    t.notOk(isAwake)
    await simulation.advance('25d')
    t.ok(isAwake)
  })
)
