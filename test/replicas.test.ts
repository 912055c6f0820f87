import t from 'tap'
import type { PlannedJob, ReplicaPlan, RunReport } from './fixtures/replica-process.js'
import { countTicks, runReplicas } from './fixtures/run-replicas.js'
import { withRedis } from './fixtures/with-redis.js'

// The promise of the whole package, on real processes and a real redis-server: three replicas whose clocks are off by
// -300, 0 and +400 ms, 150 jobs each second or every other second with handlers of 0 to 120 ms, for 20 seconds.

const SECONDS = 20
const OFFSETS = [-300, 0, 400]

const JOBS: readonly PlannedJob[] = Array.from({ length: 150 }, (_, index) => ({
  id: `job-${index}`,
  cron: index % 2 === 0 ? '* * * * * *' : '*/2 * * * * *',
  duration: index % 3 === 0 ? 0 : 120
}))

function plans(kind: ReplicaPlan['kind'], port: number): ReplicaPlan[] {
  return OFFSETS.map((offset, index) => ({ kind, name: `replica-${index}`, port, prefix: kind, offset, jobs: JOBS }))
}

/** The ticks that lie well within the time all replicas were up, computed from the expressions by hand. */
function expectedTicks(from: number, until: number): Map<string, number[]> {
  const first = Math.ceil(from / 1000) * 1000 + 1000
  const expected = new Map<string, number[]>()
  for (const { id, cron } of JOBS) {
    const step = cron.startsWith('*/2') ? 2000 : 1000
    const ticks: number[] = []
    for (let tick = Math.ceil(first / step) * step; tick <= until - 1000; tick += step) ticks.push(tick)
    expected.set(id, ticks)
  }
  return expected
}

function shares(runs: readonly RunReport[]): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const { replica } of runs) counts[replica] = (counts[replica] ?? 0) + 1
  return counts
}

t.test('three replicas with wrong clocks run every tick once', (t) =>
  withRedis(async ({ port }) => {
    const { runs, from, until } = await runReplicas(plans('scheduler', port), SECONDS * 1000)
    const expected = expectedTicks(from, until)
    const total = [...expected.values()].reduce((sum, ticks) => sum + ticks.length, 0)
    const { ran, doubled, lost } = countTicks(runs, expected)
    const everyTick = new Set(runs.map(({ jobId, scheduledTime }) => `${jobId} @ ${scheduledTime}`))
    t.ok(total > 150 * 0.75 * (SECONDS - 4), `${total} ticks were due`)
    t.same(lost, [], 'none was lost')
    t.same(doubled, [], 'none ran twice')
    t.equal(runs.length, everyTick.size, 'nor did any tick outside of the window')
    t.equal(ran, total)
    const early = runs.filter(({ scheduledTime, startedAt }) => startedAt < scheduledTime - 20)
    t.same(early, [], 'none ran before its time, by the true clock')
    const counts = shares(runs)
    t.comment(counts)
    t.equal(Object.keys(counts).length, 3)
    for (const count of Object.values(counts))
      t.ok(count / runs.length <= 0.7, `${count} of ${runs.length} by one replica`)
  })
)

t.test('control: the same with croner and redlock does run ticks twice, and this test sees it', (t) =>
  withRedis(async ({ port }) => {
    const { runs, from, until } = await runReplicas(plans('classic', port), SECONDS * 1000)
    const { doubled } = countTicks(runs, expectedTicks(from, until))
    t.comment(`${doubled.length} ticks ran more than once`)
    t.ok(doubled.length > 0)
  })
)
