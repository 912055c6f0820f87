import t from 'tap'
import { jitterOf } from '../../lib/triggers/index.js'
import { job, type Member, ticksOf, withFleet } from '../fixtures/simulated-fleet.js'

// What becomes of ticks that Redis does not answer for: `onRedisError`, and what an outage leaves behind.

const SECOND = 1000
const MINUTE = 60 * SECOND
const HOUR = 60 * MINUTE

t.test('a tick that Redis does not answer for is missed once in the whole fleet', (t) =>
  withFleet(async ({ simulation, join, missed, runs }) => {
    for (let count = 0; count < 3; count++) await join(job({ trigger: { interval: '1s' } }))
    await simulation.advance(2 * SECOND)
    simulation.store.kill()
    await simulation.advance(10 * SECOND)
    t.same(missed(), [], 'nobody can say so while there is no Redis')
    simulation.store.start()
    await simulation.advance(3 * SECOND)
    t.same(
      missed().slice(0, 9),
      [3, 4, 5, 6, 7, 8, 9, 10, 11].map((second) => second * SECOND)
    )
    t.equal(missed().length + runs().length, 15)
  })
)

t.test("`onRedisError: 'run'` runs on every replica what Redis does not answer for, and counts nothing twice", (t) =>
  withFleet(async ({ simulation, start, join, missed, runs }) => {
    const define = job({ onRedisError: 'run', misfireGraceTime: '5s' })
    const [first, second] = [await join(define), await join(define)]
    await simulation.advance(MINUTE)
    simulation.store.kill()
    await simulation.advance(MINUTE + 2 * SECOND)
    t.equal(runs().length, 1, 'the claim is tried until the grace is over')
    await simulation.advance(8 * SECOND)
    for (const member of [first, second]) {
      t.match(member.runs.at(-1), { scheduledTime: start + 2 * MINUTE, fencingToken: null, trigger: 'schedule' })
    }
    simulation.store.start()
    await simulation.advance(MINUTE)
    t.equal(runs().length, 4, 'then there is one run again')
    t.same(missed(), [])
    t.same(
      [...first.skipped, ...second.skipped].filter(([, reason]) => reason !== 'claimed_elsewhere'),
      []
    )
  })
)

t.test('an outage of an hour leaves nothing behind in memory', (t) =>
  withFleet(async ({ simulation, join, missed }) => {
    const { scheduler } = await join(({ scheduler }) => {
      for (let index = 0; index < 50; index++) scheduler.interval(`job-${index}`, '1s', () => {})
    })
    await simulation.advance(2 * SECOND)
    simulation.store.hang()
    await simulation.advance(10 * SECOND)
    const backlog = async (): Promise<number> =>
      Number(/backlog_size (\d+)/.exec((await scheduler.register?.metrics()) ?? '')?.[1])
    const soon = await backlog()
    await simulation.advance(HOUR)
    t.equal(await backlog(), soon, 'no more than the latest ticks wait')
    t.ok(soon <= 100)
    simulation.store.start()
    await simulation.advance(5 * SECOND)
    t.ok(missed().length <= 50 * 1010, 'a thousand of each job are told')
    t.match(await scheduler.register?.metrics(), /missed_runs_total\{job_id="job-0",job_name="job-0"\} 36\d\d\n/)
  })
)

t.test('another definition of a job is warned about once, and only when both are there', (t) =>
  withFleet(async ({ simulation, join }) => {
    const old = await join(job({ trigger: { interval: '1s' } }))
    await simulation.advance(5 * SECOND)
    old.replica.crash()
    const first = await join(job({ trigger: { interval: '1s' }, timeout: '5s' }))
    await simulation.advance(10 * SECOND)
    const warnings = ({ lines }: Member): string[] =>
      lines.filter(({ level }) => level === 'warn').map(({ message }) => message)
    t.same(warnings(first), [], 'the old one is gone')
    const second = await join(job({ trigger: { interval: '1s' }, timeout: '6s' }))
    await simulation.advance(30 * SECOND)
    const all = [...warnings(first), ...warnings(second)]
    t.same([...new Set(all)], ["another replica defines the job 'job' differently: options"])
    for (const each of [warnings(first), warnings(second)])
      t.equal(new Set(each).size, each.length, 'each says it once')
  })
)

for (const [coalesce, grace] of [
  ['latest', '30s'],
  ['latest', '5m'],
  ['earliest', '5m'],
  ['all', '5m']
] as const) {
  t.test(`\`onRedisError: 'run'\` through a long outage, coalesce: '${coalesce}', grace: ${grace}`, (t) =>
    withFleet(async ({ simulation, start, join, runs, missed }) => {
      const { skipped } = await join(job({ coalesce, misfireGraceTime: grace, onRedisError: 'run' }))
      await simulation.advance(MINUTE)
      simulation.store.kill()
      await simulation.advance(20 * MINUTE)
      const before = ticksOf(runs(), start)
      t.same(
        before,
        before.map((_tick, index) => (index + 1) * MINUTE),
        'each tick once, in order'
      )
      t.ok(before.length >= 15)
      simulation.store.start()
      await simulation.advance(MINUTE)
      // What falls out of its grace in the moment in which Redis comes back is missed.
      t.ok(missed().length <= 1)
      t.equal(skipped.length + runs().length, 22)
    })
  )
}

t.test("`onRedisError: 'run'` runs what waits behind a call that Redis never answered", (t) =>
  withFleet(async ({ simulation, join, runs }) => {
    await join(({ scheduler }) => {
      scheduler.interval('often', '1s', () => {})
      scheduler.interval('daily', '1m', () => {}, { onRedisError: 'run', misfireGraceTime: '5s' })
    })
    await simulation.advance(30 * SECOND)
    simulation.store.hang()
    await simulation.advance(45 * SECOND)
    t.equal(runs().filter(({ jobId }) => jobId === 'daily').length, 1)
  })
)

t.test("`onRedisError: 'run'` waits for the grace of a tick from its jittered time", (t) =>
  withFleet(async ({ simulation, join, runs }) => {
    const [jitter, misfireGraceTime, period] = [9 * SECOND, MINUTE, 10 * SECOND]
    await join(({ scheduler }) => {
      for (let index = 0; index < 5; index++) {
        scheduler.interval(`job-${index}`, period, () => {}, { jitter, misfireGraceTime, onRedisError: 'run' })
      }
    })
    await simulation.advance(5 * SECOND)
    simulation.store.kill()
    await simulation.advance(5 * MINUTE)
    const unclaimed = runs().filter(({ fencingToken }) => fencingToken === null)
    t.ok(unclaimed.length > 50)
    const early = unclaimed.filter(({ jobId, scheduledTime, startedAt }) => {
      return startedAt <= scheduledTime + jitterOf(jobId, scheduledTime, jitter, period) + misfireGraceTime
    })
    t.same(early, [])
  })
)
