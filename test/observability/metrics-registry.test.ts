import { setTimeout as sleep } from 'node:timers/promises'
import prometheus from 'prom-client'
import t from 'tap'
import { systemClock } from '../../lib/base/clock.js'
import { createScheduler, type Scheduler } from '../../lib/index.js'
import { METRIC_NAMES } from '../../lib/observability/metrics/metrics.js'
import { VirtualClock } from '../../lib/testing/virtual-clock.js'
import { NEVER_DUE } from '../fixtures/never-due.js'
import { nextEvent } from '../fixtures/next-event.js'
import { type Exposition, parsePrometheus } from '../fixtures/prometheus-text.js'
import { freePort, withRedis } from '../fixtures/with-redis.js'

const SECOND = 1000

async function scrape(scheduler: { readonly register: { metrics(): Promise<string> } | null }): Promise<Exposition> {
  return parsePrometheus((await scheduler.register?.metrics()) as string)
}

t.test('a name of quotes, backslashes and other letters is escaped', async (t) => {
  const scheduler = createScheduler()
  const names = ['"quoted"', 'C:\\new\\', '\\"', '{a="b",} 1', 'Übergrößenträger 時計 🕰', ' # HELP ', "it's, so"]
  for (const name of names) scheduler.interval(name, NEVER_DUE, () => {}, { name: `${name}!` })
  const { families } = await scrape(scheduler)
  for (const [name, { samples, type }] of families) {
    if (samples.length === 1 || type === 'histogram') continue
    const ids = new Set(samples.map(({ labels }) => labels.job_id))
    t.same([...ids], names, name)
    t.ok(samples.every(({ labels }) => labels.job_name === `${labels.job_id}!`))
  }
  await scheduler.close()
})

t.test("the prefix, the registry and the client are the app's choice", async (t) => {
  const register = new prometheus.Registry()
  new prometheus.Counter({ name: 'own_total', help: 'Own.', registers: [register] }).inc(3)
  register.setDefaultLabels({ service: 'billing' })
  const scheduler = createScheduler({ metrics: { register, prefix: 'billing_', durationBuckets: [1, 2] } })
  t.equal(scheduler.register, register)
  scheduler.interval('a', NEVER_DUE, () => {})
  const now = await scrape(scheduler)
  t.equal(now.value('own_total'), 3)
  t.equal(now.value('billing_jobs_total', { service: 'billing' }), 1)
  t.equal(now.families.size, METRIC_NAMES.length + 1)
  t.same(
    now.samples('billing_job_duration_seconds_bucket').map(({ labels }) => labels.le),
    ['1', '2', '+Inf', '1', '2', '+Inf']
  )

  class Registry extends prometheus.Registry {}
  const other = createScheduler({ metrics: { client: { Registry } } })
  t.ok(other.register instanceof Registry)
  const none = createScheduler({ metrics: false })
  t.equal(none.register, null)
  none.interval('a', NEVER_DUE, () => {})
  t.equal(prometheus.register.getMetricsAsArray().length, 0, 'nothing is in the global registry unless it is given')
  for (const each of [scheduler, other, none]) await each.close()
  t.same(
    register.getMetricsAsArray().map(({ name }) => name),
    ['own_total'],
    'close removes what was registered, and nothing else'
  )
})

t.test('schedulers have registries of their own, or prefixes', async (t) => {
  const one = createScheduler()
  const two = createScheduler()
  one.interval('a', NEVER_DUE, () => {})
  t.equal((await scrape(one)).value('apscheduler_jobs_total'), 1)
  t.equal((await scrape(two)).value('apscheduler_jobs_total'), 0)

  const register = new prometheus.Registry()
  const first = createScheduler({ metrics: { register } })
  const before = await register.metrics()
  t.throws(() => createScheduler({ metrics: { register } }), {
    code: 'FST_ERR_RLS_METRIC_TAKEN',
    message: /'apscheduler_jobs_fired_total'/
  })
  t.equal(await register.metrics(), before)
  const second = createScheduler({ metrics: { register, prefix: 'other_' } })
  second.interval('a', NEVER_DUE, () => {})
  const both = await scrape(second)
  t.equal(both.value('apscheduler_jobs_total'), 0)
  t.equal(both.value('other_jobs_total'), 1)
  await second.close()
  t.equal(await register.metrics(), before)
  await first.close()

  new prometheus.Gauge({ name: 'apscheduler_redis_up', help: 'Taken.', registers: [register] })
  t.throws(() => createScheduler({ metrics: { register } }), {
    code: 'FST_ERR_RLS_METRIC_TAKEN',
    message: /'apscheduler_redis_up'/
  })
  t.equal(register.getMetricsAsArray().length, 1, 'then none is registered')
  await one.close()
  await two.close()
})

t.test('resetMetrics sets what is counted to 0', async (t) => {
  const clock = new VirtualClock()
  const register = new prometheus.Registry()
  const scheduler = createScheduler({ clock, metrics: { register } })
  scheduler.interval('a', '1s', () => {})
  await scheduler.start()
  await clock.advance(5 * SECOND)
  t.equal((await scrape(scheduler)).value('apscheduler_jobs_fired_total'), 5)
  register.resetMetrics()
  const now = await scrape(scheduler)
  for (const { name, type, samples } of now.families.values()) {
    if (type !== 'gauge') t.same([...new Set(samples.map(({ value }) => value))], [0], name)
  }
  t.equal(now.value('apscheduler_jobs_total'), 1, 'what is measured stays')
  await clock.advance(SECOND)
  t.equal((await scrape(scheduler)).value('apscheduler_job_success_total'), 1)
  await scheduler.close()
})

t.test('a registry of OpenMetrics', async (t) => {
  const clock = new VirtualClock()
  const register = new prometheus.Registry<prometheus.OpenMetricsContentType>()
  register.setContentType(prometheus.Registry.OPENMETRICS_CONTENT_TYPE)
  const scheduler = createScheduler({ clock, metrics: { register: register as never } })
  scheduler.interval('a', '1s', () => {})
  await scheduler.start()
  await clock.advance(2 * SECOND)
  t.match(scheduler.register?.contentType, /openmetrics/)
  for (const scrapes of [1, 2]) {
    const now = parsePrometheus(await register.metrics(), { openMetrics: true })
    t.equal(now.families.get('apscheduler_jobs_fired')?.type, 'counter', `scrape ${scrapes}`)
    t.equal(now.value('apscheduler_jobs_fired_total', { job_id: 'a' }), 2)
    t.equal(now.value('apscheduler_run_skipped_total', { reason: 'overlap' }), 0)
    t.equal(now.value('apscheduler_job_duration_seconds_count', { status: 'success' }), 2)
    t.equal(now.value('apscheduler_jobs_total'), 1)
  }
  await scheduler.close()
  t.equal(register.getMetricsAsArray().length, 0)
})

t.test('two replicas: each tick is fired by one and claimed elsewhere for the other', async (t) => {
  await withRedis(async ({ url }) => {
    const make = () => createScheduler({ redis: url, prefix: 'metrics', maxClockSkew: 0 })
    const replicas = [make(), make()] as const
    for (const replica of replicas) {
      replica.interval('a', '100ms', () => {})
      await replica.start()
      t.equal((await scrape(replica)).value('apscheduler_redis_up'), 1)
    }
    const last = (await nextEvent(replicas[0], 'skipped', ({ reason }) => reason === 'claimed_elsewhere')).scheduledTime
    const until = last + 1000
    const reached = (replica: Scheduler<undefined>): Promise<void> =>
      new Promise((resolve) => {
        replica.on('executed', ({ run }) => run.scheduledTime >= until && resolve())
        replica.on('skipped', ({ scheduledTime }) => scheduledTime >= until && resolve())
      })
    await Promise.all(replicas.map(reached))
    for (const replica of replicas) replica.stop()
    // Both have seen the same ticks up to one at either end.
    let [one, two] = await Promise.all(replicas.map(scrape))
    const fired = (now: Exposition | undefined): number => now?.value('apscheduler_jobs_fired_total') as number
    const elsewhere = (now: Exposition | undefined): number =>
      now?.value('apscheduler_run_skipped_total', { reason: 'claimed_elsewhere' }) as number
    t.ok(fired(one) + fired(two) >= 10)
    t.ok(elsewhere(one) > 0)
    // What one has lost the other runs, once the answer has reached it.
    while (elsewhere(one) > fired(two) || elsewhere(two) > fired(one)) {
      await sleep(20)
      ;[one, two] = await Promise.all(replicas.map(scrape))
    }
    for (const now of [one, two]) {
      t.equal(
        now?.value('apscheduler_redis_lock_failed_total', { reason: 'held' }),
        0,
        'a lost claim is no failed lock'
      )
      t.ok(Math.abs(now?.value('apscheduler_clock_skew_seconds') as number) < 0.1)
    }
    for (const replica of replicas) await replica.close()
  })
})

t.test('redis_up is 0 while Redis cannot be reached, and the error is counted', async (t) => {
  const scheduler = createScheduler({ redis: `redis://127.0.0.1:${await freePort()}`, prefix: 'metrics' })
  scheduler.interval('a', '100ms', () => t.fail('ran'))
  await scheduler.start()
  t.equal((await scrape(scheduler)).value('apscheduler_redis_up'), 0)
  await nextEvent(scheduler, 'lockFailed', ({ reason }) => reason === 'error')
  const now = await scrape(scheduler)
  t.ok(now.value('apscheduler_redis_lock_failed_total', { reason: 'error' }) >= 1)
  t.equal(now.value('apscheduler_missed_runs_total'), 0, 'what is missed is counted once, when Redis answers')
  t.equal(now.value('apscheduler_jobs_fired_total'), 0)
  await scheduler.close()
})

t.test("clock_skew is how far this machine's clock is ahead of Redis'", async (t) => {
  await withRedis(async ({ url }) => {
    const clock = { ...systemClock, now: () => Date.now() + 1500 }
    const scheduler = createScheduler({ redis: url, prefix: 'metrics', clock })
    await scheduler.start()
    const skew = (await scrape(scheduler)).value('apscheduler_clock_skew_seconds')
    t.ok(Math.abs(skew - 1.5) < 0.1, `${skew} is 1.5`)
    await scheduler.close()
  })
})
