import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { createScheduler, type Scheduler } from '../../lib/index.js'
import { parsePrometheus } from '../fixtures/prometheus-text.js'
import { withVirtualScheduler } from '../fixtures/virtual-scheduler.js'
import { withRedis } from '../fixtures/with-redis.js'

// The metrics that show how jobs stand in the whole fleet.

const NAMES = [
  'job_last_success_timestamp_seconds',
  'job_expected_success_timestamp_seconds',
  'job_consecutive_failures',
  'job_oldest_run_start_timestamp_seconds'
]

/** The four of each job, as one replica shows them. */
async function scrape({ register }: Scheduler<undefined>): Promise<Record<string, number[]>> {
  const text = parsePrometheus((await (register as { metrics(): Promise<string> }).metrics()) as string)
  const jobs: Record<string, number[]> = {}
  for (const name of NAMES) {
    for (const { labels, value } of text.samples(`apscheduler_${name}`)) {
      const { job_id: id = '' } = labels
      jobs[id] = [...(jobs[id] ?? []), value]
    }
  }
  return jobs
}

t.test(
  'they are the same on each replica, at the first scrape after a deploy, and as last known while Redis is away',
  (t) =>
    withRedis(async (redis) => {
      const make = async (): Promise<Scheduler<undefined>> => {
        const scheduler = createScheduler({ redis: redis.url, prefix: 'metrics', logger: false, closeTimeout: 100 })
        scheduler.add({ id: 'works', trigger: { interval: '1h' }, handler: () => {} })
        scheduler.add({
          id: 'fails',
          handler: () => {
            throw new Error('no')
          }
        })
        scheduler.add({
          id: 'goes on',
          handler: ({ signal }) => new Promise((r) => signal.addEventListener('abort', r))
        })
        scheduler.add({ id: 'free', lock: false, handler: () => {} })
        await scheduler.start()
        return scheduler
      }
      const [a, b] = [await make(), await make()]
      await a.trigger('works', { wait: true })
      for (const replica of [a, b, a]) await replica.trigger('fails', { wait: true })
      await b.trigger('goes on')
      await a.trigger('free', { wait: true })
      // Runs without a lock are told within a quarter of a second.
      while ((await b.status('free')).lastSuccess === null) await sleep(20)
      const status = Object.fromEntries((await a.status()).map((each) => [each.id, each]))
      const seconds = (ms: number | null | undefined): number => (ms ?? 0) / 1000
      const first = await scrape(a)
      t.same(first, {
        works: [seconds(status.works?.lastSuccess), seconds(status.works?.expectedSuccess), 0, 0],
        fails: [0, 0, 3, 0],
        'goes on': [0, 0, 0, seconds(status['goes on']?.running[0]?.startedAt)],
        free: [seconds(status.free?.lastSuccess), 0, 0, 0]
      })
      t.ok((first.works?.[1] ?? 0) > Date.now() / 1000, 'the success of the next hour')
      t.same(await scrape(b), first, 'on both')
      const deployed = await make()
      t.same(await scrape(deployed), first, 'at the first scrape')
      await a.pause('works')
      const later = await make()
      const { works } = await scrape(later)
      t.same(works, [first.works?.[0], 0, 0, 0], 'nothing is expected of a paused job')
      await a.resume('works')
      await later.close()

      redis.hang()
      // Until what is known is too old to be shown as it is.
      await sleep(5100)
      const asked = performance.now()
      const shown = await Promise.all([a, b, deployed].map(scrape))
      const waited = performance.now() - asked
      t.ok(waited < 2000, `a scrape took ${Math.round(waited)} ms`)
      t.same(shown, [first, first, first], 'as last known')
      redis.resume()
      await Promise.all([a, b, deployed].map((replica) => replica.close()))
    })
)

t.test('how long the runs of a job usually take, once one has gone on for a minute', async (t) => {
  for (const perJob of [true, false]) {
    await withVirtualScheduler(
      async ({ clock, scheduler }) => {
        // Of 40 successful runs 38 took no longer than 38 s.
        const durations = Array.from({ length: 40 }, (_, index) => index + 1)
        const work = ({ data }: { data: unknown }): Promise<void> => clock.sleep(Number(data) * 1000)
        scheduler.add({ id: 'a', handler: work })
        scheduler.add({ id: 'b', handler: () => clock.sleep(3_600_000) })
        await scheduler.start()
        for (const data of durations) {
          const run = scheduler.trigger('a', { data, wait: true })
          await clock.advance(data * 1000)
          await run
        }
        const usual = async (): Promise<number> => {
          // What was read of the fleet is 5 s old at most.
          await clock.advance(6000)
          const text = parsePrometheus((await scheduler.register?.metrics()) as string)
          return Math.max(...text.samples('apscheduler_job_oldest_run_p95_seconds').map(({ value }) => value))
        }
        t.equal(await usual(), 0, 'no run goes on')
        await scheduler.trigger('a', { data: 300 })
        await clock.advance(40_000)
        t.equal(await usual(), 0, 'a run has gone on for less than a minute')
        await clock.advance(20_000)
        t.equal(await usual(), 38)
        await scheduler.trigger('b')
        await clock.advance(70_000)
        t.equal(await usual(), 38, 'of all jobs together, that whose run is the oldest')
        await clock.advance(300_000)
        t.equal(await usual(), 0, 'a job whose runs have never succeeded has no usual duration')
      },
      { metrics: { perJob } }
    )
  }
})
