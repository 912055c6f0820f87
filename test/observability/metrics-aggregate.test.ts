import prometheus from 'prom-client'
import t from 'tap'
import { createScheduler, type Scheduler } from '../../lib/index.js'
import { createStats, type JobStats } from '../../lib/jobs/stats.js'
import { METRIC_NAMES } from '../../lib/observability/metrics/metrics.js'
import { VirtualClock } from '../../lib/testing/virtual-clock.js'
import { type Exposition, parsePrometheus, type Sample } from '../fixtures/prometheus-text.js'

const START = Date.parse('2027-01-01T00:00:00Z')
const SECOND = 1000

interface Parts {
  readonly clock: VirtualClock
  readonly scheduler: Scheduler<undefined>
  scrape(): Promise<Exposition>
}

/** Runs `body` with a scheduler in memory under simulated time, by default with all jobs' numbers together. */
async function withScheduler(body: (parts: Parts) => Promise<void>, perJob = false): Promise<void> {
  const clock = new VirtualClock(START)
  const scheduler = createScheduler({ clock, metrics: { perJob } })
  try {
    await body({
      clock,
      scheduler,
      scrape: async () => parsePrometheus((await scheduler.register?.metrics()) as string)
    })
  } finally {
    const closed = scheduler.close()
    await clock.advance(60 * SECOND)
    await closed
  }
}

/** A series without the labels of a job. */
function seriesOf({ name, labels }: Sample): string {
  const { job_id: _id, job_name: _name, ...others } = labels
  return `${name} ${JSON.stringify(Object.entries(others).sort())}`
}

function allSamples({ families }: Exposition): Sample[] {
  return [...families.values()].flatMap(({ samples }) => samples)
}

t.test('each series is there once, at 0, from the start and whatever the jobs are', async (t) => {
  await withScheduler(async ({ scheduler, scrape }) => {
    const empty = await scrape()
    t.same(
      [...empty.families.keys()],
      METRIC_NAMES.map((name) => `apscheduler_${name}`)
    )
    for (const { name, labels, value } of allSamples(empty)) {
      const known = /^apscheduler_start_timestamp_seconds$/.test(name) ? START / SECOND : 0
      t.equal(value, /_(redis_up|info)$/.test(name) ? 1 : known, name)
      t.notMatch(Object.keys(labels).join(), /job/, name)
    }
    for (let job = 0; job < 100; job++) scheduler.interval(`job ${job}`, '1h', () => {})
    const full = await scrape()
    t.same(allSamples(full).map(seriesOf), allSamples(empty).map(seriesOf))
    t.equal(full.value('apscheduler_jobs_total'), 100)

    // They are those of one job, but for its labels.
    await withScheduler(async (one) => {
      one.scheduler.interval('a', '1h', () => {})
      t.same(allSamples(await one.scrape()).map(seriesOf), allSamples(empty).map(seriesOf))
    }, true)
  })
})

t.test('all numbers are those of the single jobs, put together', async (t) => {
  const seen: [number, Exposition, Exposition][] = []
  await withScheduler(async (apart) => {
    await withScheduler(async (together) => {
      const both = [apart, together]
      for (const { scheduler, clock } of both) addJobs(scheduler, clock)
      for (const { scheduler } of both) await scheduler.start()
      for (const seconds of [7, 20, 53, 80, 111]) {
        if (seconds === 80) for (const { scheduler } of both) await scheduler.pause('quick')
        // A frozen process, so that ticks are late.
        for (const { clock } of both)
          await (seconds === 53 ? clock.freeze(seconds * SECOND) : clock.advance(seconds * SECOND))
        seen.push([seconds, await apart.scrape(), await together.scrape()])
        for (const id of ['quick', 'slow', 'broken', 'once']) {
          // Who has paused, and by which change, is another one.
          const [one, other] = both.map(({ scheduler }) =>
            JSON.stringify({ ...JSON.parse(JSON.stringify(scheduler.get(id) ?? {})), pauses: [] })
          )
          t.equal(other, one, 'what users see of a job is the same')
        }
      }
    })
  }, true)

  const last = seen.at(-1)?.[2] as Exposition
  for (const name of [
    'jobs_fired',
    'job_success',
    'job_failure',
    'missed_runs',
    'job_retries',
    'redis_lock_extended'
  ]) {
    t.ok(last.value(`apscheduler_${name}_total`) > 0, `${name} was counted at all`)
  }
  t.ok(last.value('apscheduler_run_skipped_total', { reason: 'overlap' }) > 0)
  t.equal(last.value('apscheduler_job_paused'), 1)
  t.ok(
    Math.max(...seen.map(([, , each]) => each.value('apscheduler_job_running'))) >= 2,
    'runs of several jobs at once'
  )

  for (const [seconds, apart, together] of seen) {
    const values = new Map<string, number[]>()
    for (const sample of allSamples(apart)) {
      const series = seriesOf(sample)
      values.set(series, [...(values.get(series) ?? []), sample.value])
    }
    for (const sample of allSamples(together)) {
      const all = values.get(seriesOf(sample)) as number[]
      const others = all.filter((value) => value > 0)
      const sum = all.reduce((sum, value) => sum + value, 0)
      const isEarliest = /next_run|expected_success|oldest_run|paused_since/.test(sample.name)
      const most = Math.max(...all)
      const wanted = isEarliest
        ? Math.min(...others, most || 0)
        : /timestamp|consecutive/.test(sample.name)
          ? most
          : sum
      t.ok(Math.abs(sample.value - wanted) < 1e-6, `${seriesOf(sample)} after ${seconds} s: ${sample.value}, ${wanted}`)
    }
  }

  function addJobs(scheduler: Scheduler<undefined>, clock: VirtualClock): void {
    scheduler.interval('quick', '10s', () => clock.sleep(300))
    scheduler.interval('slow', '15s', () => clock.sleep(20 * SECOND), { lock: { ttl: '30s' } })
    const retry = { limit: 1, delay: '1s' } as const
    const fail = (): never => {
      throw new Error('broken')
    }
    scheduler.interval('broken', '25s', fail, { retry })
    scheduler.date('once', new Date(START + 27 * SECOND), () => clock.sleep(60 * SECOND))
  }
})

t.test('a removed job stays in the sums, and a run of it that ends later comes to them', async (t) => {
  await withScheduler(async ({ clock, scheduler, scrape }) => {
    scheduler.interval('a', '10s', () => clock.sleep(5 * SECOND))
    scheduler.interval('b', '1h', () => {})
    await scheduler.start()
    await clock.advance(21 * SECOND)
    const before = await scrape()
    t.equal(before.value('apscheduler_jobs_fired_total'), 2)
    t.equal(before.value('apscheduler_job_success_total'), 1)
    t.equal(before.value('apscheduler_job_running'), 1)
    t.equal(before.value('apscheduler_job_next_run_timestamp_seconds'), START / SECOND + 30)

    scheduler.remove('a')
    const removed = await scrape()
    for (const { type, samples } of before.families.values()) {
      if (type === 'gauge') continue
      for (const { name, labels, value } of samples) t.equal(removed.value(name, labels), value, name)
    }
    t.equal(removed.value('apscheduler_job_running'), 1, 'it still runs')
    t.equal(removed.value('apscheduler_jobs_total'), 1)
    t.equal(removed.value('apscheduler_job_next_run_timestamp_seconds'), START / SECOND + 3600)

    await clock.advance(10 * SECOND)
    const ended = await scrape()
    t.equal(ended.value('apscheduler_jobs_fired_total'), 2)
    t.equal(ended.value('apscheduler_job_success_total'), 2)
    t.equal(ended.value('apscheduler_job_duration_seconds_sum', { status: 'success' }), 10)
    t.equal(ended.value('apscheduler_job_running'), 0)
    t.equal(ended.value('apscheduler_job_last_run_timestamp_seconds'), START / SECOND + 20)
    t.equal(ended.value('apscheduler_job_last_success_timestamp_seconds'), START / SECOND + 25)

    scheduler.remove('b')
    t.equal((await scrape()).value('apscheduler_job_next_run_timestamp_seconds'), 0)
    // One that comes again under the same id goes on counting.
    scheduler.interval('a', '10s', () => {})
    await clock.advance(10 * SECOND)
    t.equal((await scrape()).value('apscheduler_jobs_fired_total'), 3)
  })
})

t.test('the latest of all jobs is the latest in whichever order they tell of it', (t) => {
  const { newStats, total } = createStats([1], false)
  const [a, b] = [newStats(), newStats()]
  const ways = [
    ['lastRun', (stats: JobStats, at: number) => stats.started({ scheduledTime: at, startedAt: at })],
    ['lastSuccess', (stats: JobStats, at: number) => stats.succeeded(at, 0)]
  ] as const
  for (const [what, tell] of ways) {
    tell(a, 2000)
    tell(b, 1000)
    t.same([a[what], b[what], total?.[what]], [2000, 1000, 2000], what)
    tell(b, 3000)
    t.equal(total?.[what], 3000)
  }
  t.end()
})

t.test('how many jobs are paused, and each on its own', async (t) => {
  await withScheduler(async ({ clock, scheduler, scrape }) => {
    for (const id of ['a', 'b', 'c']) scheduler.interval(id, '10s', () => {})
    await scheduler.start()
    const paused = async (): Promise<number[]> => {
      const now = await scrape()
      return [now.value('apscheduler_job_paused'), now.value('apscheduler_jobs_active')]
    }
    t.same(await paused(), [0, 3])
    await scheduler.pause('a')
    await scheduler.pause('b')
    t.same(await paused(), [2, 1])
    await clock.advance(10 * SECOND)
    t.equal((await scrape()).value('apscheduler_run_skipped_total', { reason: 'paused' }), 2)
    t.same(
      scheduler.list().map(({ lastRun }) => lastRun),
      [null, null, START + 10 * SECOND]
    )
    await scheduler.resume('b')
    t.same(await paused(), [1, 2])
    scheduler.remove('a')
    t.same(await paused(), [0, 2])
  })
})

t.test('resetMetrics sets what is counted to 0; what is measured stays', async (t) => {
  await withScheduler(async ({ clock, scheduler, scrape }) => {
    scheduler.interval('a', '10s', () => clock.sleep(5 * SECOND))
    await scheduler.start()
    await clock.advance(42 * SECOND)
    const before = await scrape()
    const register = scheduler.register as unknown as prometheus.Registry
    register.resetMetrics()
    const now = await scrape()
    for (const { name, type, samples } of now.families.values()) {
      if (type !== 'gauge') t.same([...new Set(samples.map(({ value }) => value))], [0], name)
      else for (const { value, labels } of samples) t.equal(value, before.value(name, labels), name)
    }
    t.equal(now.value('apscheduler_job_running'), 1)
    await clock.advance(20 * SECOND)
    t.equal((await scrape()).value('apscheduler_job_success_total'), 2)
  })
})

t.test('schedulers of one process keep their sums apart', async (t) => {
  const clock = new VirtualClock(START)
  const register = new prometheus.Registry()
  const one = createScheduler({ clock, metrics: { register, perJob: false } })
  const two = createScheduler({ clock, metrics: { register, prefix: 'two_', perJob: false } })
  for (const scheduler of [one, two]) await scheduler.start()
  one.interval('a', '1s', () => {})
  await clock.advance(3 * SECOND)
  const now = parsePrometheus(await register.metrics())
  t.equal(now.value('apscheduler_jobs_fired_total'), 3)
  t.equal(now.value('two_jobs_fired_total'), 0)
  for (const scheduler of [one, two]) await scheduler.close()
  t.equal(register.getMetricsAsArray().length, 0)
})
