import { Registry } from 'prom-client'
import t from 'tap'
import type { TriggerInput } from '../../lib/index.js'
import { type VirtualScheduler, withVirtualScheduler } from '../fixtures/virtual-scheduler.js'

const START = Date.parse('2027-01-01T00:00:00Z')
const SECOND = 1000
const MINUTE = 60 * SECOND

const removals = ({ events }: VirtualScheduler): [id: string, reason: unknown][] =>
  events.filter(({ name }) => name === 'removed').map(({ event }) => [(event.job as { id: string }).id, event.reason])

t.test('a job goes five minutes after the last run of its last tick, series and all', async (t) => {
  const register = new Registry()
  await withVirtualScheduler(
    async (parts) => {
      const { clock, scheduler } = parts
      const triggers: Record<string, TriggerInput> = {
        date: { date: START + MINUTE },
        bounded: { interval: '20s', endDate: START + MINUTE },
        cron: { cron: '* * * * *', endDate: START + MINUTE },
        dates: { any: [{ date: START + 20 * SECOND }, { date: START + MINUTE }] },
        goes: { interval: '20s' }
      }
      for (const [id, trigger] of Object.entries(triggers)) scheduler.add({ id, trigger, handler() {} })
      await scheduler.start()
      await clock.advance(6 * MINUTE - 100)
      t.equal(scheduler.list().length, 5)
      t.match(await register.metrics(), /job_success_total\{[^}]*job_id="date"[^}]*\} 1\n/)
      await clock.advance(200)
      t.same(
        scheduler.list().map(({ id }) => id),
        ['goes']
      )
      t.same(
        removals(parts).sort(),
        ['bounded', 'cron', 'date', 'dates'].map((id) => [id, 'finished'])
      )
      const text = await register.metrics()
      t.notMatch(text, /job_id="(date|bounded|cron|dates)"/)
      t.match(text, /jobs_total 1\n/)
      await scheduler.remove('goes')
      t.same(removals(parts).at(-1), ['goes', 'manual'])
      scheduler.add({ id: 'date', trigger: { date: clock.now() + MINUTE }, handler() {} })
      await clock.advance(2 * MINUTE)
      t.equal(scheduler.get('date')?.lastRun, START + 7 * MINUTE + 100, 'its id is free again')
    },
    { metrics: { register } }
  )
})

t.test('a run that goes on, a retry, and a run by hand put it off', async (t) => {
  await withVirtualScheduler(async (parts) => {
    const { clock, scheduler } = parts
    scheduler.date('long', new Date(START + MINUTE), () => clock.sleep(17 * MINUTE))
    let attempts = 0
    const failing = (): void => {
      attempts++
      throw new Error('again')
    }
    scheduler.date('retried', new Date(START + MINUTE), failing, { retry: { limit: 1, delay: '8m', maxDelay: '8m' } })
    scheduler.date('asked', new Date(START + MINUTE), () => {})
    await scheduler.start()
    await clock.advance(5 * MINUTE)
    await scheduler.trigger('asked')
    await clock.advance(4 * MINUTE + 30 * SECOND)
    t.equal(scheduler.list().length, 3)
    await clock.advance(MINUTE)
    t.equal(scheduler.get('asked'), undefined)
    await clock.advance(3 * MINUTE)
    t.equal(attempts, 2)
    t.ok(scheduler.get('retried'))
    await clock.advance(2 * MINUTE)
    t.equal(scheduler.get('retried'), undefined, 'five minutes after its second attempt')
    await clock.advance(7 * MINUTE)
    t.ok(scheduler.get('long'), '22.5 minutes: it ended 4.5 minutes ago')
    await clock.advance(MINUTE)
    t.equal(scheduler.get('long'), undefined)
  })
})

t.test('jitter, a new trigger and an interval from the last end', async (t) => {
  await withVirtualScheduler(async (parts) => {
    const { clock, scheduler } = parts
    const runs: string[] = []
    scheduler.date('late', new Date(START + MINUTE), () => void runs.push('late'), { jitter: '40m' })
    scheduler.date('moved', new Date(START + MINUTE), () => void runs.push('moved'))
    scheduler.date('gone', new Date(START - 86_400_000), () => void runs.push('gone'))
    scheduler.date('paused', new Date(START + MINUTE), () => void runs.push('paused'), { paused: true })
    for (const lock of [{}, false] as const) {
      const trigger = { interval: '1m', after: 'completion', endDate: START + 3 * MINUTE } as const
      scheduler.add({ id: `after-${lock === false}`, trigger, lock, handler() {} })
    }
    await scheduler.start()
    await clock.advance(2 * MINUTE)
    scheduler.reschedule('moved', { date: START + 30 * MINUTE })
    await clock.advance(4 * MINUTE + SECOND)
    t.same(removals(parts).sort(), [
      ['gone', 'finished'],
      ['paused', 'finished']
    ])
    await clock.advance(10 * MINUTE)
    t.same(
      removals(parts).map(([id]) => id),
      ['gone', 'paused', 'after-true', 'after-false'].sort(
        (a, b) => removals(parts).findIndex(([id]) => id === a) - removals(parts).findIndex(([id]) => id === b)
      )
    )
    await clock.advance(60 * MINUTE)
    t.same(runs.sort(), ['late', 'moved', 'moved'])
    t.same(scheduler.list(), [])
  })
})

t.test('15,000 one-off jobs leave nothing behind', async (t) => {
  await withVirtualScheduler(
    async ({ clock, scheduler }) => {
      await scheduler.start()
      let runs = 0
      for (let index = 0; index < 15_000; index++) {
        scheduler.date(`once-${index}`, new Date(START + MINUTE + (index % 100) * SECOND), () => void runs++)
      }
      await clock.advance(4 * MINUTE)
      t.equal(runs, 15_000)
      t.equal(scheduler.list().length, 15_000)
      await clock.advance(5 * MINUTE)
      t.equal(scheduler.list().length, 0)
      const text = await scheduler.register?.metrics()
      t.notMatch(text, /job_id/)
      t.ok(clock.pending < 5, `${clock.pending} timers`)
    },
    { concurrency: 1000 }
  )
})

t.test('the next run: the tick that jitter puts off, and none while it is paused', async (t) => {
  const register = new Registry()
  await withVirtualScheduler(
    async ({ clock, scheduler }) => {
      const next = async (): Promise<number> => {
        const text = await register.metrics()
        return Number(/^apscheduler_job_next_run_timestamp_seconds\{[^}]*\} (.*)$/m.exec(text)?.[1])
      }
      const starts: number[] = []
      const job = scheduler.interval('a', '1h', () => void starts.push(clock.now()), { jitter: '59m' })
      t.equal(job.nextRun, START + 60 * MINUTE, 'also before the start')
      await scheduler.start()
      t.equal(job.nextRun, START + 60 * MINUTE)
      await clock.advance(60 * MINUTE + 1)
      t.same(starts, [], 'jitter puts it off')
      t.equal(job.nextRun, START + 60 * MINUTE)
      t.equal(await next(), (START + 60 * MINUTE) / 1000)
      await scheduler.pause('a')
      t.equal(job.nextRun, null)
      t.equal(await next(), 0)
      t.equal(JSON.parse(JSON.stringify(job)).nextRun, null)
      await scheduler.resume('a')
      t.equal(job.nextRun, START + 60 * MINUTE)
      await clock.advance(59 * MINUTE)
      t.equal(starts.length, 1)
      t.equal(job.nextRun, START + 120 * MINUTE)
      t.equal(await next(), (START + 120 * MINUTE) / 1000)
    },
    { metrics: { register } }
  )
  await withVirtualScheduler(
    async ({ clock, scheduler }) => {
      scheduler.interval('a', '1m', () => {})
      scheduler.interval('b', '1h', () => {})
      await scheduler.start()
      await scheduler.pause('a')
      await clock.advance(1)
      const text = await scheduler.register?.metrics()
      t.match(
        text,
        new RegExp(`job_next_run_timestamp_seconds ${(START + 60 * MINUTE) / 1000}\n`),
        'of all jobs together'
      )
      t.match(text, /jobs_active 1\n/)
    },
    { metrics: { perJob: false } }
  )
})
