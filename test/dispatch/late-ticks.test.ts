import t from 'tap'
import { job, type Member, ticksOf, withFleet } from '../fixtures/simulated-fleet.js'

// What becomes of ticks that come late: `misfireGraceTime`, `coalesce`.

const SECOND = 1000
const MINUTE = 60 * SECOND
const HOUR = 60 * MINUTE

for (const [coalesce, ran, coalesced] of [
  ['latest', [5], [3, 4]],
  ['earliest', [3], [4, 5]],
  ['all', [3, 4, 5], []]
] as const) {
  t.test(`several late ticks within their grace, coalesce: '${coalesce}'`, (t) =>
    withFleet(async ({ simulation, start, join }) => {
      const { replica, runs, skipped } = await join(job({ coalesce, misfireGraceTime: '150s' }))
      await simulation.advance(MINUTE)
      replica.freeze(4 * MINUTE)
      await simulation.advance(4 * MINUTE + 10)
      t.same(
        ticksOf(runs, start),
        [1, ...ran].map((minute) => minute * MINUTE)
      )
      t.same(skipped, [[2 * MINUTE, 'misfire'], ...coalesced.map((minute) => [minute * MINUTE, 'coalesced'])])
      await simulation.advance(MINUTE)
      t.equal(runs.at(-1)?.scheduledTime, start + 6 * MINUTE, 'and it goes on')
    })
  )
}

t.test("`coalesce: 'all'` runs late ticks one after the other, under the lock", (t) =>
  withFleet(async ({ simulation, start, join }) => {
    const define = ({ scheduler, replica }: Member): void =>
      void scheduler.interval('job', '1m', () => replica.sleep('20s'), { coalesce: 'all', misfireGraceTime: '1h' })
    const first = await join(define)
    const second = await join(define)
    for (const { replica } of [first, second]) replica.freeze(5 * MINUTE + SECOND)
    await simulation.advance(8 * MINUTE)
    const runs = [...first.runs, ...second.runs].sort((a, b) => a.startedAt - b.startedAt)
    t.same(
      ticksOf(runs, start).slice(0, 6),
      [1, 2, 3, 4, 5, 6].map((minute) => minute * MINUTE)
    )
    for (const [index, run] of runs.entries()) {
      const before = runs[index - 1]
      t.ok(before === undefined || run.startedAt >= (before.finishedAt ?? 0), 'no two at a time')
    }
    t.same(
      [...first.skipped, ...second.skipped].filter(([, reason]) => reason !== 'claimed_elsewhere'),
      []
    )
  })
)

for (const [interval, grace, waits] of [
  ['10s', null, 1],
  ['10s', '60s', 6],
  ['1m', '1s', 0]
] as const) {
  const settings = grace === null ? {} : { misfireGraceTime: grace }
  t.test(`\`coalesce: 'all'\` behind a run that hangs, every ${interval}, grace: ${grace ?? 'the default'}`, (t) =>
    withFleet(async ({ simulation, join, missed, runs }) => {
      let hangs = true
      const define = ({ scheduler, replica }: Member): void => {
        const handler = async (): Promise<void> => {
          while (hangs) await replica.sleep('1s')
        }
        scheduler.interval('job', interval, handler, { coalesce: 'all', ...settings })
      }
      const members = [await join(define), await join(define)]
      await simulation.advance(10 * MINUTE + SECOND + 500)
      const due = interval === '10s' ? 60 : 10
      t.equal(runs().length, 1)
      const counted = missed()
      t.equal(counted.length, due - 1 - waits, 'counted as it hangs')
      t.equal(new Set(counted).size, counted.length)
      t.ok(members.every(({ skipped }) => skipped.every(([, reason]) => reason !== 'coalesced')))
      hangs = false
      await simulation.advance(5 * SECOND)
      t.equal(runs().length + missed().length, due, 'the rest runs')
      t.equal(runs().length, 1 + waits)
    })
  )
}

t.test("late ticks behind a first one that hangs are counted when their grace is over (`coalesce: 'all'`)", (t) =>
  withFleet(async ({ simulation, join, missed, runs }) => {
    const define = ({ scheduler, replica }: Member): void => {
      const options = { coalesce: 'all', misfireGraceTime: '20m' } as const
      scheduler.cron('job', '0,10 1 * * *', () => replica.sleep('5h'), options)
    }
    const first = await join(define)
    await simulation.advance(30 * MINUTE)
    first.replica.crash()
    await simulation.advance(42 * MINUTE)
    await join(define)
    await simulation.advance(17 * MINUTE)
    t.equal(runs().length, 1)
    t.same(missed(), [], 'the second may still run')
    await simulation.advance(2 * MINUTE)
    t.same(missed(), [70 * MINUTE])
    await simulation.advance(6 * HOUR)
    t.equal(runs().length + missed().length, 2)
  })
)

t.test("`coalesce: 'all'` runs the last thousand of very many late ticks", (t) =>
  withFleet(async ({ simulation, start, join }) => {
    const { replica, runs, scheduler } = await join(
      job({ trigger: { interval: '1s' }, coalesce: 'all', misfireGraceTime: '1d' })
    )
    replica.freeze(HOUR)
    await simulation.advance(HOUR)
    t.equal(runs.length, 1000)
    t.equal(runs[0]?.scheduledTime, start + HOUR - 999 * SECOND)
    const metrics = await scheduler.register?.metrics()
    t.match(metrics, /run_skipped_total\{reason="coalesced",job_id="job",job_name="job"\} 2600\n/)
  })
)

t.test('lateness is measured at the start: a tick that waits for room beyond its grace is missed', (t) =>
  withFleet(async ({ simulation, join, missed }) => {
    const { runs, missed: own } = await join(
      ({ scheduler, replica }) => {
        scheduler.interval('long', '1m', () => replica.sleep('40s'))
        scheduler.interval('other', '1m', () => replica.sleep('40s'))
      },
      { concurrency: 1 }
    )
    await simulation.advance(MINUTE + 45 * SECOND)
    t.equal(runs.length, 1)
    t.same(missed(), [MINUTE])
    t.same(own, [[MINUTE, 'misfire']])
  })
)

t.test('with jitter too a tick within its grace is found among late ones', (t) =>
  withFleet(async ({ simulation, join, runs }) => {
    const settings = {
      trigger: { interval: '10s' },
      jitter: '9s',
      misfireGraceTime: '60s',
      coalesce: 'earliest'
    } as const
    for (let index = 0; index < 20; index++) {
      await join(({ scheduler }) => void scheduler.add({ id: `job-${index}`, handler: () => {}, ...settings }))
    }
    await simulation.advance(5 * SECOND)
    simulation.store.kill()
    await simulation.advance(305 * SECOND)
    const before = runs().length
    simulation.store.start()
    await simulation.advance(2500)
    t.equal(
      new Set(
        runs()
          .slice(before)
          .map(({ jobId }) => jobId)
      ).size,
      20
    )
  })
)
