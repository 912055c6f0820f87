import { setImmediate as nextTurn } from 'node:timers/promises'
import type prometheus from 'prom-client'
import t from 'tap'
import { createScheduler, type Scheduler } from '../../lib/index.js'
import { METRIC_NAMES } from '../../lib/observability/metrics/metrics.js'
import { VirtualClock } from '../../lib/testing/virtual-clock.js'
import { NEVER_DUE } from '../fixtures/never-due.js'
import { parsePrometheus } from '../fixtures/prometheus-text.js'

const JOB_METRICS = METRIC_NAMES.length - 11

function withJobs(count: number): { scheduler: Scheduler<undefined>; register: prometheus.Registry } {
  const scheduler = createScheduler({ clock: new VirtualClock() })
  for (let job = 0; job < count; job++) scheduler.interval(`job ${job}`, NEVER_DUE, () => {}, { name: `Job "${job}"` })
  return { scheduler, register: scheduler.register as unknown as prometheus.Registry }
}

/** How many turns the event loop had until a promise was kept. */
async function turnsOf(promise: Promise<unknown>): Promise<number> {
  let ended = false
  const end = (): void => {
    ended = true
  }
  promise.then(end, end)
  let turns = 0
  for (; !ended; turns++) await nextTurn()
  return turns
}

t.test('a scrape of many jobs leaves the event loop to others between metrics; one of few is one turn', async (t) => {
  const few = withJobs(50)
  const many = withJobs(51)
  t.equal(await turnsOf(few.register.metrics()), 1)
  t.ok((await turnsOf(many.register.metrics())) >= METRIC_NAMES.length - 1)
  t.ok((await turnsOf(many.register.getMetricsAsJSON())) >= METRIC_NAMES.length - 1)
  t.equal(
    await turnsOf(many.register.getSingleMetricAsString('apscheduler_jobs_fired_total')),
    1,
    'the first waits for none'
  )
  for (const { scheduler } of [few, many]) await scheduler.close()
})

t.test('all metrics of a scrape show the same jobs, whatever comes and goes meanwhile', async (t) => {
  const { scheduler, register } = withJobs(60)
  const first = register.metrics()
  await nextTurn()
  await nextTurn()
  scheduler.remove('job 1')
  scheduler.interval('late', NEVER_DUE, () => {})
  const second = register.metrics()
  const [then, now] = (await Promise.all([first, second])).map((text) => parsePrometheus(text))
  const ids = (samples: readonly { labels: Readonly<Record<string, string>> }[]): string[] => [
    ...new Set(samples.map(({ labels }) => labels.job_id as string))
  ]
  const old = Array.from({ length: 60 }, (_, job) => `job ${job}`)
  let compared = 0
  for (const [name, { samples }] of then?.families ?? []) {
    if (samples.length === 1) continue
    t.same(ids(samples), old, name)
    t.same(ids(now?.families.get(name)?.samples ?? []), [...old.filter((id) => id !== 'job 1'), 'late'], name)
    compared++
  }
  t.equal(compared, JOB_METRICS)
  await scheduler.close()
})

t.test('as objects the samples have the same labels and values as in the text', async (t) => {
  const { scheduler, register } = withJobs(3)
  const text = parsePrometheus(await register.metrics())
  const json = (await register.getMetricsAsJSON()) as unknown as {
    readonly name: string
    readonly type: string
    readonly values: readonly { metricName?: string; labels: Record<string, string | number>; value: number }[]
  }[]
  t.same(
    json.map(({ name, type, values }) => [name, type, values.length]),
    Array.from(text.families.values(), ({ name, type, samples }) => [name, type, samples.length])
  )
  for (const { name, values } of json) {
    for (const sample of values) {
      t.notOk('sharedLabels' in sample)
      const labels = Object.fromEntries(Object.entries(sample.labels).map(([label, value]) => [label, `${value}`]))
      const same = text.samples(sample.metricName ?? name).filter((other) => {
        return JSON.stringify(Object.entries(other.labels).sort()) === JSON.stringify(Object.entries(labels).sort())
      })
      t.equal(same.length, 1, `${name} ${JSON.stringify(labels)}`)
      t.equal(same[0]?.value, sample.value)
    }
  }
  await scheduler.close()
})
