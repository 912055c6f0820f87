import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import type { HistoryEntry, TickStory } from '../../lib/index.js'
import { type Exposition, parsePrometheus } from '../fixtures/prometheus-text.js'
import { withFleet } from './fixtures/fleet.js'
import { type RunFacts, ticksBetween } from './fixtures/judge.js'
import type { PlannedJob, ReplicaPlan } from './fixtures/protocol.js'
import { until } from './fixtures/redis-process.js'
import type { Replica } from './fixtures/replica.js'
import { withSingle } from './fixtures/topologies.js'
import { trueNow } from './fixtures/wrong-clock.js'

// One story with real processes: whatever happens to replicas and Redis, two replicas say the same of every tick, nothing stays
// open, and what they say adds up to what the metrics of all replicas have counted.

const LOCK = { ttl: 1000 }

const JOBS: readonly PlannedJob[] = [
  { id: 'plain', interval: 1000, duration: 50, options: { lock: LOCK } },
  { id: 'paused', interval: 1000, duration: 50, options: { lock: LOCK } },
  { id: 'overlapping', interval: 1000, duration: 1300, options: { lock: LOCK } },
  {
    id: 'failing',
    interval: 1000,
    duration: 20,
    fails: true,
    options: { lock: LOCK, retry: { limit: 1, delay: 50, jitter: false } }
  },
  { id: 'slots', interval: 1000, duration: 2300, options: { lock: LOCK, maxInstances: 2 } },
  { id: 'waiting', interval: 1000, duration: 1300, options: { lock: LOCK, overlap: 'wait' } },
  { id: 'free', interval: 1000, duration: 50, options: { lock: false } }
]

/** When in a second the replica is killed: no tick is due then, and those of that second have been told. */
const KILL_AT = 600

/** What a job's ticks came to, by outcome and by reason. */
interface Sum {
  success: number
  failure: number
  readonly reasons: Record<string, number>
}

const REASONS = ['overlap', 'misfire', 'coalesced', 'paused', 'redis_error', 'condition']

t.test('what the history says of each tick, on replicas that are left, and what the metrics have counted', (t) =>
  withSingle(
    (redis) =>
      withFleet(JOBS, async (fleet) => {
        const plan = (index: number): ReplicaPlan => ({
          name: `replica-${index}`,
          redis: redis.proxy.url,
          prefix: 'story',
          jobs: JOBS,
          closeTimeout: 3000,
          schedulerOptions: { history: { runs: 1000 } }
        })
        const [a, b, killed] = (await fleet.start(plan(0), plan(1), plan(2))) as [Replica, Replica, Replica]
        await fleet.steady()
        await a.tell({ type: 'pause', jobId: 'paused' })
        await sleep(2500)
        await b.tell({ type: 'resume', jobId: 'paused' })

        await sleep(1000 + KILL_AT - (trueNow() % 1000))
        const scraped = await metricsOf(killed)
        await killed.kill()

        await sleep(1500)
        await redis.kill()
        await sleep(2500)
        await redis.restart()
        fleet.healed()
        await fleet.recovered()
        await sleep(1000)

        const ticks = ticksBetween(JOBS, fleet.from, trueNow())
        const storiesOf = async (replica: Replica): Promise<(TickStory | null)[]> => {
          const stories = []
          for (const { id } of JOBS) {
            const times = ticks.filter(({ jobId }) => jobId === id).map(({ time }) => time)
            stories.push(...((await replica.ask({ type: 'stories', jobId: id, ticks: times }))?.stories ?? []))
          }
          return stories
        }
        const isOpen = (story: TickStory | null): boolean => {
          return story === null || (story.run === null ? story.reason === null : story.run.outcome === null)
        }
        const showOpen = (stories: readonly (TickStory | null)[]): string[] => {
          return stories.flatMap((story, index) =>
            isOpen(story) ? [`${ticks[index]?.jobId} ${JSON.stringify(story)}`] : []
          )
        }
        // Runs of the dead are found to be abandoned when their locks are long over.
        let stories = await storiesOf(a)
        const isKnown = async (): Promise<boolean> => {
          stories = await storiesOf(a)
          return !stories.some(isOpen)
        }
        await until('it is known what became of each tick', isKnown, 25_000).catch(() => {})
        t.same(showOpen(stories), [], 'nothing is open, or unknown')
        t.same(await storiesOf(b), stories, 'the same on both')
        const isOf = (story: TickStory | null, index: number): boolean => {
          const { jobId, time } = ticks[index]!
          const run = story?.run ?? { jobId, scheduledTime: time }
          return story?.scheduledTime === time && run.jobId === jobId && run.scheduledTime === time
        }
        t.ok(stories.length >= 50 && stories.every(isOf), `${stories.length} ticks`)
        const of = (id: string) => stories.filter((_, index) => ticks[index]?.jobId === id)
        const reasonsIn = (id: string) => new Set(of(id).map((story) => story?.reason ?? story?.run?.outcome))
        t.ok(reasonsIn('paused').has('paused'), 'a pause')
        t.ok(reasonsIn('overlapping').has('overlap'), 'overlaps')
        t.ok(reasonsIn('slots').has('overlap'), 'slots that are taken')
        t.ok(reasonsIn('failing').has('error') && !reasonsIn('failing').has('success'), 'failures')
        t.ok(
          ['misfire', 'redis_error'].some((reason) => reasonsIn('plain').has(reason as never)),
          'an outage'
        )
        t.same(
          of('free').filter((story) => story?.run == null),
          [],
          'a job without a lock needs no Redis'
        )

        for (const replica of [a, b]) await replica.tell({ type: 'rest' })
        const running = async () => {
          const scrapes = await Promise.all([a, b].map(metricsOf))
          return scrapes.flatMap((scrape) => scrape.samples('apscheduler_job_running')).some(({ value }) => value > 0)
        }
        await until('the last runs have ended', async () => !(await running()), 10_000)
        await sleep(500)
        const metrics = await Promise.all([a, b].map(metricsOf))
        const [history, same] = await Promise.all(
          [a, b].map(async (replica) => {
            const entries = new Map<string, readonly HistoryEntry[]>()
            for (const { id } of JOBS)
              entries.set(id, (await replica.ask({ type: 'history', jobId: id }))?.history ?? [])
            return entries
          })
        )
        t.same(same, history)
        for (const { id } of JOBS) {
          const counted = sumOf([...metrics, scraped], id)
          const told = toldOf(history?.get(id) ?? [])
          t.same(told.reasons, counted.reasons, `${id}: ticks without a run`)
          // A run that ended just when its replica was killed may be known to Redis, and not be in that replica's last scrape. Those
          // that were found to be abandoned are in the metrics of whoever has found them.
          const isOrphan = (run: RunFacts): boolean => {
            return run.jobId === id && run.replica === killed.plan.name && run.outcome === null
          }
          const orphans = fleet.runs.filter(isOrphan).length
          const more = told.success + told.failure - counted.success - counted.failure
          t.ok(more >= 0 && more <= orphans, `${id}: ${more} runs more than the metrics have, ${orphans} had no end`)
          t.ok(told.success >= counted.success && told.failure >= counted.failure, `${id}: outcomes`)
        }
        t.same(fleet.crashed, [])
      }),
    ['--appendonly', 'yes', '--appendfsync', 'always']
  )
)

async function metricsOf(replica: Replica): Promise<Exposition> {
  return parsePrometheus((await replica.ask({ type: 'metrics' }))?.metrics ?? '')
}

function sumOf(scrapes: readonly Exposition[], jobId: string): Sum {
  const read = (name: string, labels = {}): number => {
    return scrapes.reduce((sum, scrape) => sum + scrape.value(`apscheduler_${name}`, { job_id: jobId, ...labels }), 0)
  }
  const reasons = REASONS.map((reason) => [reason, read('run_skipped_total', { reason })] as const)
  return {
    success: read('job_success_total'),
    failure: read('job_failure_total'),
    reasons: Object.fromEntries(reasons.filter(([, count]) => count > 0))
  }
}

function toldOf(entries: readonly HistoryEntry[]): Sum {
  const sum: Sum = { success: 0, failure: 0, reasons: {} }
  for (const entry of entries) {
    if (entry.kind === 'ticks') sum.reasons[entry.reason] = (sum.reasons[entry.reason] ?? 0) + entry.count
    else if (entry.outcome === 'success') sum.success++
    else if (entry.outcome !== null) sum.failure++
  }
  return sum
}
