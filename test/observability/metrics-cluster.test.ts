import { AggregatorRegistry, type MetricObject, Registry } from 'prom-client'
import t from 'tap'
import { createScheduler } from '../../lib/index.js'
import { VirtualClock } from '../../lib/testing/virtual-clock.js'
import { NEVER_DUE } from '../fixtures/never-due.js'
import { parsePrometheus } from '../fixtures/prometheus-text.js'
import { withVirtualScheduler } from '../fixtures/virtual-scheduler.js'
import { freePort } from '../fixtures/with-redis.js'

const SECOND = 1000
const START = Date.parse('2027-01-01T00:00:00Z')

t.test('the metrics of several workers become one, each by an aggregator that makes sense', async (t) => {
  const clock = new VirtualClock()
  const common = { clock, logger: false } as const
  const workers = [createScheduler(common), createScheduler(common), createScheduler(common)]
  for (const [index, worker] of workers.entries()) {
    // What hangs, so that it runs, and fails, in one of them alone.
    worker.interval('a', '10s', () => (index === 0 ? Promise.reject(new Error('broken')) : clock.sleep(6 * SECOND)))
    worker.interval('b', NEVER_DUE, () => {})
  }
  // The last has not started: it has no next run, and never had one.
  await workers[0]?.start()
  await workers[1]?.start()
  await workers[1]?.pause('b')
  await clock.advance(12 * SECOND)
  const all = await Promise.all(
    workers.map(async ({ register }) => (register as unknown as Registry).getMetricsAsJSON())
  )
  const text = await AggregatorRegistry.aggregate(all as unknown as MetricObject[][] as never).metrics()
  const metrics = parsePrometheus(text)
  const value = (name: string, labels = {}): number => metrics.value(`apscheduler_${name}`, labels)
  const a = { job_id: 'a' }
  const at = (seconds: number): number => START / 1000 + seconds
  t.equal(value('jobs_fired_total', a), 2, 'counters are sums')
  t.equal(value('job_failure_total', a), 1)
  t.equal(value('schedule_delay_seconds_count', a), 2, 'and so are histograms')
  t.equal(value('job_running', a), 1)
  t.equal(
    value('job_next_run_timestamp_seconds', a),
    at(20),
    'the next run is no sum, nor that of a worker without one'
  )
  t.equal(value('job_last_run_timestamp_seconds', a), at(10))
  t.equal(value('job_paused', { job_id: 'b' }), 1)
  t.equal(value('jobs_total'), 2)
  t.equal(value('redis_up'), 1)
  t.equal(value('clock_skew_seconds'), 0)
  for (const worker of workers) {
    const closed = worker.close()
    await clock.advance(20 * SECOND)
    await closed
  }
})

t.test('one worker without Redis is seen', async (t) => {
  const down = createScheduler({ redis: `redis://127.0.0.1:${await freePort()}`, prefix: 'cluster', logger: false })
  const up = createScheduler({ logger: false })
  await Promise.all([down.start(), up.start()])
  const all = await Promise.all(
    [up, down, up].map(async ({ register }) => (register as unknown as Registry).getMetricsAsJSON())
  )
  const metrics = parsePrometheus(await AggregatorRegistry.aggregate(all as never).metrics())
  t.equal(metrics.value('apscheduler_redis_up', {}), 0)
  await Promise.all([down.close(), up.close()])
})

t.test('a run that was cancelled or left by drain() can be scraped', (t) =>
  withVirtualScheduler(
    async ({ clock, scheduler }) => {
      scheduler.interval('heeds', NEVER_DUE, ({ signal }) => {
        return new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason)))
      })
      scheduler.interval('hangs', NEVER_DUE, () => new Promise(() => {}))
      await scheduler.start()
      await Promise.all([scheduler.trigger('heeds'), scheduler.trigger('hangs')])
      const drained = scheduler.drain()
      await clock.advance(4 * SECOND)
      await drained
      const metrics = parsePrometheus((await scheduler.register?.metrics()) as string)
      for (const job_id of ['heeds', 'hangs']) {
        t.equal(metrics.value('apscheduler_job_failure_total', { job_id }), 1, job_id)
        t.equal(metrics.value('apscheduler_job_running', { job_id }), 0)
      }
    },
    { closeTimeout: '2s', metrics: { register: new Registry() } }
  )
)
