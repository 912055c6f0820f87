import prometheus from 'prom-client'
import t from 'tap'
import { createScheduler, type Run } from '../../lib/index.js'
import { METRIC_NAMES } from '../../lib/observability/metrics/metrics.js'
import { VirtualClock } from '../../lib/testing/virtual-clock.js'
import { type Exposition, parsePrometheus } from '../fixtures/prometheus-text.js'
import { withVirtualScheduler } from '../fixtures/virtual-scheduler.js'

const START = Date.parse('2027-01-01T00:00:00Z')
const SECOND = 1000
const REASONS = [
  'claimed_elsewhere',
  'overlap',
  'misfire',
  'coalesced',
  'paused',
  'redis_error',
  'condition',
  'operator',
  'shutdown'
]

async function scrape(scheduler: { readonly register: { metrics(): Promise<string> } | null }): Promise<Exposition> {
  return parsePrometheus((await scheduler.register?.metrics()) as string)
}

t.test('the parser refuses what the format forbids', async (t) => {
  const head = '# HELP a_total x\n# TYPE a_total counter\n'
  const histogram = '# HELP h x\n# TYPE h histogram\n'
  const good = [
    `${head}a_total 1\n`,
    `${head}a_total{x="\\"\\\\\\n",y="2"} 1e3 123\n`,
    `${histogram}h_bucket{le="1"} 1\nh_bucket{le="+Inf"} 2\nh_sum 3\nh_count 2\n`
  ]
  for (const text of good) t.doesNotThrow(() => parsePrometheus(text), text)
  const bad = [
    'a_total 1\n',
    `${head}a_total 1`,
    `${head}a_total -1\n`,
    `${head}a_total 1\na_total 2\n`,
    `${head}a_total{x="\\q"} 1\n`,
    `${head}a_total{x="1" y="2"} 1\n`,
    `${head}a_total{x="1",x="2"} 1\n`,
    `${head}a_total one\n`,
    `${head}b_total 1\n`,
    `${head}${head}`,
    `${histogram}h_bucket{le="1"} 1\nh_sum 3\nh_count 1\n`,
    `${histogram}h_bucket{le="1"} 3\nh_bucket{le="+Inf"} 2\nh_sum 3\nh_count 2\n`,
    `${histogram}h_bucket{le="2"} 1\nh_bucket{le="1"} 1\nh_bucket{le="+Inf"} 1\nh_sum 3\nh_count 1\n`,
    `${histogram}h_bucket{le="+Inf"} 2\nh_sum 3\nh_count 1\n`
  ]
  for (const text of bad) t.throws(() => parsePrometheus(text), text)
})

t.test('every series is there when a job is added, at 0 but for what is known', async (t) => {
  await withVirtualScheduler(async ({ clock, scheduler }) => {
    const empty = await scrape(scheduler)
    t.same(
      [...empty.families.keys()].sort(),
      METRIC_NAMES.map((name) => `apscheduler_${name}`).sort(),
      'every family is there before the first job'
    )
    t.equal(empty.value('apscheduler_jobs_total'), 0)
    scheduler.interval('a', '10s', () => {}, { name: 'The job' })
    const { families } = await scrape(scheduler)
    const single = new Map([
      ['apscheduler_jobs_total', 1],
      // Before the start too: another replica may run it.
      ['apscheduler_jobs_active', 1],
      ['apscheduler_job_next_run_timestamp_seconds', clock.now() / 1000 + 10],
      ['apscheduler_redis_up', 1],
      ['apscheduler_start_timestamp_seconds', clock.now() / 1000],
      ['apscheduler_info', 1]
    ])
    const isSingle =
      /^apscheduler_(jobs_total|jobs_active|backlog_size|event_loop_delay_seconds|throttled|definition_conflict|takes_ticks|start_timestamp_seconds|info|clock_skew_seconds|redis_up)$/
    for (const [name, { type, samples, help }] of families) {
      t.ok(help.length > 5, `${name} has a HELP`)
      t.equal(type, /_total$/.test(name) && name !== 'apscheduler_jobs_total' ? 'counter' : type)
      const reasons = samples.map(({ labels }) => labels.reason)
      if (name === 'apscheduler_run_skipped_total') t.same(reasons, REASONS)
      else if (name === 'apscheduler_redis_lock_failed_total') t.same(reasons, ['held', 'error'])
      else if (type !== 'histogram') t.equal(samples.length, 1, name)
      for (const { value, labels } of samples) {
        t.equal(value, single.get(name) ?? 0, name)
        const { reason: _reason, status: _status, le: _le, version: _version, ...others } = labels
        t.same(others, isSingle.test(name) ? {} : { job_id: 'a', job_name: 'The job' }, name)
      }
    }
    const buckets = families.get('apscheduler_job_duration_seconds')?.samples.filter(({ name }) => /bucket$/.test(name))
    const bounds = ['0.1', '0.5', '1', '2', '5', '10', '30', '60', '+Inf']
    t.same(
      buckets?.map(({ labels }) => `${labels.status} ${labels.le}`),
      ['success', 'failure'].flatMap((status) => bounds.map((bound) => `${status} ${bound}`))
    )
    scheduler.remove('a')
    t.equal((await scrape(scheduler)).samples('apscheduler_jobs_fired_total').length, 0)
  })
})

t.test('every number after known runs', async (t) => {
  await withVirtualScheduler(
    async ({ clock, scheduler }) => {
      const a = { job_id: 'a', job_name: 'A' }
      // Durations in seconds by run; a negative one fails.
      const script = [0.05, 0.3, 0.5, -0.2, 7, -100]
      const job = scheduler.interval(
        'a',
        '20s',
        async ({ run }) => {
          const seconds = run.trigger === 'manual' ? 0 : (script.shift() as number)
          await clock.sleep(Math.abs(seconds) * SECOND)
          if (seconds < 0) throw new Error('broken')
        },
        { name: 'A', lock: { ttl: '30s' } }
      )
      await scheduler.start()
      await clock.advance(110 * SECOND)
      let now = await scrape(scheduler)
      t.equal(now.value('apscheduler_jobs_fired_total', a), 5)
      t.equal(now.value('apscheduler_job_success_total', a), 4)
      t.equal(now.value('apscheduler_job_failure_total', a), 1)
      t.equal(now.value('apscheduler_redis_lock_acquired_total', a), 5)
      t.equal(now.value('apscheduler_redis_lock_released_total', a), 5)
      t.equal(now.value('apscheduler_redis_lock_extended_total', a), 0)
      t.equal(now.value('apscheduler_job_running', a), 0)
      t.equal(now.value('apscheduler_job_last_run_timestamp_seconds', a), START / SECOND + 100)
      t.equal(now.value('apscheduler_job_last_success_timestamp_seconds', a), START / SECOND + 107)
      t.equal(now.value('apscheduler_job_next_run_timestamp_seconds', a), START / SECOND + 120)
      t.equal(now.value('apscheduler_jobs_active'), 1)
      const duration = 'apscheduler_job_duration_seconds'
      const buckets = (status: string): number[] =>
        now.samples(`${duration}_bucket`).flatMap(({ labels, value }) => (labels.status === status ? [value] : []))
      t.same(buckets('success'), [1, 3, 3, 3, 3, 4, 4, 4, 4], 'a bound belongs to its bucket')
      t.same(buckets('failure'), [0, 1, 1, 1, 1, 1, 1, 1, 1])
      near(now.value(`${duration}_sum`, { status: 'success' }), 7.85)
      near(now.value(`${duration}_sum`, { status: 'failure' }), 0.2)
      t.equal(now.value('apscheduler_schedule_delay_seconds_count', a), 5)
      t.equal(now.value('apscheduler_schedule_delay_seconds_bucket', { le: '0.001' }), 5)

      await clock.advance(15 * SECOND)
      now = await scrape(scheduler)
      t.equal(now.value('apscheduler_job_running', a), 1)
      t.equal(now.value('apscheduler_jobs_fired_total', a), 6, 'a run counts as fired from its start')
      t.equal(now.value('apscheduler_job_failure_total', a), 1)
      t.equal(await scheduler.trigger('a'), null)
      // The run of 120 goes on until 220: the ticks of 140 to 200 overlap, that of 220 may follow it.
      await clock.advance(84 * SECOND)
      now = await scrape(scheduler)
      t.equal(now.value('apscheduler_run_skipped_total', { ...a, reason: 'overlap' }), 4)
      t.equal(now.value('apscheduler_redis_lock_failed_total', { reason: 'held' }), 5, '4 ticks and a run by hand')
      t.ok(now.value('apscheduler_redis_lock_extended_total', a) >= 9, 'extended at every third of its TTL')
      await scheduler.pause('a')
      await clock.advance(42 * SECOND)
      now = await scrape(scheduler)
      t.equal(now.value('apscheduler_job_paused', a), 1)
      t.equal(now.value('apscheduler_jobs_active'), 0)
      t.equal(now.value('apscheduler_run_skipped_total', { ...a, reason: 'paused' }), 2)
      const fired = now.value('apscheduler_jobs_fired_total', a)
      t.equal(
        fired,
        now.value('apscheduler_job_success_total', a) + now.value('apscheduler_job_failure_total', a),
        'idle: all that was fired has ended'
      )
      t.equal(fired, now.value('apscheduler_redis_lock_released_total', a))
      t.equal(job.running, 0)
    },
    { metrics: {} }
  )

  function near(value: number, wanted: number): void {
    t.ok(Math.abs(value - wanted) < 1e-6, `${value} is ${wanted}`)
  }
})

t.test('misfires, late ticks and how late runs start', async (t) => {
  await withVirtualScheduler(async ({ clock, scheduler }) => {
    scheduler.interval('a', '1m', () => {})
    await scheduler.start()
    await clock.advance(30 * SECOND)
    await clock.freeze(152 * SECOND)
    const first = await scrape(scheduler)
    t.equal(first.value('apscheduler_run_skipped_total', { reason: 'misfire' }), 2, 'the ticks of 60 and 120')
    t.equal(first.value('apscheduler_jobs_fired_total'), 1)
    t.equal(first.value('apscheduler_schedule_delay_seconds_sum'), 2, 'the tick of 180 started at 182')
    t.equal(first.value('apscheduler_schedule_delay_seconds_bucket', { le: '1' }), 0)
    t.equal(first.value('apscheduler_schedule_delay_seconds_bucket', { le: '5' }), 1)
    await clock.freeze(100 * SECOND)
    const second = await scrape(scheduler)
    t.equal(second.value('apscheduler_missed_runs_total'), 3, 'the tick of 240 is 42 s late')
    t.equal(second.value('apscheduler_run_skipped_total', { reason: 'misfire' }), 3)
    t.equal(second.value('apscheduler_jobs_fired_total'), 1)
  })
})

t.test('jitter is no lateness', async (t) => {
  for (const perJob of [true, false]) {
    await withVirtualScheduler(
      async ({ clock, scheduler }) => {
        scheduler.interval('a', '1m', () => {}, { jitter: '50s' })
        await scheduler.start()
        await clock.advance(10 * 60 * SECOND)
        const now = await scrape(scheduler)
        t.ok(now.value('apscheduler_schedule_delay_seconds_count') >= 9)
        t.equal(now.value('apscheduler_schedule_delay_seconds_sum'), 0)
        await clock.freeze(70 * SECOND)
        // It began 10 to 60 s after the time at which it was due at the latest.
        const later = await scrape(scheduler)
        const late = later.value('apscheduler_schedule_delay_seconds_count') - 10
        const sum = later.value('apscheduler_schedule_delay_seconds_sum')
        t.ok(late <= 2 && sum < 70 - 50, `${sum} s in ${late} runs`)
      },
      { metrics: { perJob } }
    )
  }
})

t.test('since when this process is there, whether it takes ticks, and since when a job is paused', async (t) => {
  for (const perJob of [true, false]) {
    await withVirtualScheduler(
      async ({ clock, scheduler }) => {
        const made = clock.now() / SECOND
        const read = async (): Promise<number[]> => {
          const now = await scrape(scheduler)
          const since = Math.max(
            0,
            ...now.samples('apscheduler_job_paused_since_timestamp_seconds').map((s) => s.value)
          )
          t.equal(now.value('apscheduler_start_timestamp_seconds'), made)
          return [now.value('apscheduler_takes_ticks'), since]
        }
        scheduler.interval('off by code', '1m', () => {}, { paused: true })
        scheduler.add({ id: 'a', trigger: { interval: '1m' }, group: 'reports', handler() {} })
        t.same(await read(), [0, 0])
        await scheduler.start()
        await clock.advance(100 * SECOND)
        t.same(await read(), [1, 0], 'nobody has paused what is off by its code')
        await scheduler.pause('a')
        const first = clock.now() / SECOND
        await clock.advance(10 * SECOND)
        t.same(await read(), [1, first])
        await scheduler.pause({ group: 'reports' })
        const second = clock.now() / SECOND
        t.same(await read(), [1, first], 'the earliest of its pauses')
        await scheduler.resume('a')
        t.same(await read(), [1, second])
        await scheduler.pause({ group: 'reports' }, { until: new Date(clock.now() + 5 * SECOND) })
        t.same(await read(), [1, second])
        await clock.advance(6 * SECOND)
        t.same(await read(), [1, 0], 'it has ended by itself')
        scheduler.stop()
        t.same(await read(), [0, 0])
      },
      { metrics: { perJob } }
    )
  }
})

t.test('retries and lost locks', async (t) => {
  await withVirtualScheduler(async ({ clock, scheduler }) => {
    const retry = { limit: 2, delay: '1s' } as const
    const broken = (): never => {
      throw new Error('broken')
    }
    scheduler.interval('a', '1h', broken, { retry })
    scheduler.interval('b', '1h', () => clock.sleep(30 * SECOND), { lock: { ttl: '10s' } })
    await scheduler.start()
    await scheduler.trigger('a')
    await clock.advance(10 * SECOND)
    const lost = (await scheduler.trigger('b')) as Run
    await clock.freeze(11 * SECOND)
    await clock.advance(30 * SECOND)
    t.equal(lost.outcome, 'lock_lost')
    const now = await scrape(scheduler)
    t.equal(now.value('apscheduler_job_retries_total', { job_id: 'a' }), 2)
    t.equal(now.value('apscheduler_job_failure_total', { job_id: 'a' }), 1, 'one run, whatever its attempts')
    t.equal(now.value('apscheduler_redis_lock_lost_total', { job_id: 'b' }), 1)
    t.equal(now.value('apscheduler_redis_lock_released_total', { job_id: 'b' }), 0)
    t.equal(now.value('apscheduler_job_failure_total', { job_id: 'b' }), 1)
  })
})

t.test('ticks that wait for a free place are the backlog', async (t) => {
  const clock = new VirtualClock()
  const scheduler = createScheduler({ clock, concurrency: 2, metrics: { register: new prometheus.Registry() } })
  for (const id of ['a', 'b', 'c', 'd', 'e']) scheduler.interval(id, '10s', () => clock.sleep(SECOND))
  await scheduler.start()
  await clock.advance(10 * SECOND)
  t.equal((await scrape(scheduler)).value('apscheduler_backlog_size'), 3)
  await clock.advance(SECOND)
  t.equal((await scrape(scheduler)).value('apscheduler_backlog_size'), 1)
  await clock.advance(5 * SECOND)
  const now = await scrape(scheduler)
  t.equal(now.value('apscheduler_backlog_size'), 0)
  t.equal(
    now.samples('apscheduler_jobs_fired_total').reduce((sum, { value }) => sum + value, 0),
    5
  )
  await scheduler.close()
})
