import t from 'tap'
import { createScheduler } from '../lib/index.js'
import { VirtualClock } from '../lib/testing/virtual-clock.js'
import type { JobOptions } from '../types/job-options.js'
import { HeldAnswers, withHeldAnswers } from './fixtures/held-answers.js'

// What was due, asked for, or on its way when `stop()` came: `start()` goes on with it.

const SECOND = 1000
const START = Date.parse('2027-01-01T00:00:00Z')

type Trigger = NonNullable<JobOptions<undefined>['trigger']>

/** Triggers which have no tick after the one that is dropped; with the number of runs in the ten seconds from `start()` on. */
const LAST_TICKS: readonly (readonly [what: string, trigger: Trigger, runs: number])[] = [
  ['an interval from the last end', { interval: '1m', after: 'completion' }, 1],
  ['a date', { date: new Date(START + 60 * SECOND) }, 1],
  ['the last tick before an endDate', { interval: '1m', endDate: new Date(START + 61 * SECOND) }, 1]
]

for (const [what, trigger, runs] of LAST_TICKS) {
  t.test(`${what}, waiting for a free place at stop(), runs after start()`, async (t) => {
    const clock = new VirtualClock(START)
    const scheduler = createScheduler({ clock, concurrency: 1 })
    const ran: string[] = []
    scheduler.add({
      id: 'job',
      trigger,
      misfireGraceTime: '5m',
      handler: () => void ran.push('job')
    } as JobOptions<undefined>)
    let end = (): void => {}
    scheduler.date('long', new Date(START + 59 * SECOND), () => new Promise<void>((resolve) => (end = resolve)))
    await scheduler.start()
    await clock.advance(59.5 * SECOND)
    const before = ran.length
    await clock.advance(5 * SECOND)
    t.equal(ran.length, before, 'there is no room')
    scheduler.stop()
    end()
    await clock.advance(SECOND)
    await scheduler.start()
    await clock.advance(10 * SECOND)
    t.equal(ran.length, before + runs)
    const closed = scheduler.close()
    await clock.advance(10 * SECOND)
    await closed
  })

  t.test(`${what}, asked for at stop(), runs after start()`, (t) =>
    withHeldAnswers(async ({ clock, answers, scheduler }) => {
      const ran: number[] = []
      scheduler.add({
        id: 'job',
        trigger,
        misfireGraceTime: '5m',
        handler: ({ run }) => void ran.push(run.startedAt)
      } as JobOptions<undefined>)
      await clock.advance(59.5 * SECOND)
      const before = ran.length
      answers.hold('claim')
      await clock.advance(2 * SECOND)
      t.equal(ran.length, before)
      scheduler.stop()
      await clock.advance(SECOND)
      await answers.letGo('claim')
      await clock.advance(SECOND)
      await scheduler.start()
      await clock.advance(10 * SECOND)
      t.equal(ran.length, before + runs)
    }, new Date(START).toISOString())
  )
}

t.test('a job whose record cannot be read at stop() is asked for again after start()', async (t) => {
  const clock = new VirtualClock(START)
  const answers = new HeldAnswers(clock)
  let unreadable = true
  const scheduler = createScheduler({
    clock,
    coordination: (parts) => {
      const target = answers.coordination(parts)
      return new Proxy(target, {
        get: (_, property) => {
          if (property === 'claim' && unreadable)
            return async (requests: readonly unknown[]) =>
              requests.map(() => ({
                status: 'unavailable',
                error: new Error('unreadable'),
                maybe: false,
                unreadable: true
              }))
          return Reflect.get(target, property, target)
        }
      })
    }
  })
  let ran = 0
  const date = (at: number): void => {
    scheduler.date(`at-${at}`, new Date(at), () => void ran++, { misfireGraceTime: '10m' })
  }
  date(START + SECOND)
  await scheduler.start()
  await clock.advance(3 * SECOND)
  scheduler.stop()
  await scheduler.start()
  date(clock.now() + SECOND)
  await clock.advance(3 * SECOND)
  t.equal(ran, 0)
  unreadable = false
  await clock.advance(10 * SECOND)
  t.equal(ran, 2)
  const closed = scheduler.close()
  await clock.advance(10 * SECOND)
  await closed
})
