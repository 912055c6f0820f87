import t from 'tap'
import { MINUTE } from '../../lib/base/duration.js'
import type { Scheduler } from '../../lib/index.js'
import type { JobOptions } from '../../types/job-options.js'
import { resume } from '../fixtures/contract/requests.js'
import { withHeldAnswers } from '../fixtures/held-answers.js'

const NOOP = { id: 'job', trigger: { cron: '* * * * *' }, handler() {} } as const

/** Half a second before a tick. */
const START = '2027-01-01T00:00:59.500Z'

function add(scheduler: Scheduler<undefined>, options: Partial<JobOptions<undefined>> = {}): void {
  scheduler.add({ ...NOOP, ...options })
}

t.test('an answer that was asked for before a pause does not undo it', (t) =>
  withHeldAnswers(async ({ clock, answers, scheduler }) => {
    add(scheduler)
    answers.hold('claim')
    await clock.advance(600)
    t.equal(answers.held('claim'), 1, 'the tick was asked for')
    await scheduler.pause('job')
    await answers.letGo('claim')
    t.equal(scheduler.get('job')?.paused, true)
    await resume(answers.replica(), 'job')
    await clock.advance(MINUTE)
    t.equal(scheduler.get('job')?.paused, false, 'one that was asked for later counts')
  }, START)
)

t.test('nor one that was asked for before a resumption', (t) =>
  withHeldAnswers(async ({ clock, answers, scheduler }) => {
    add(scheduler)
    await scheduler.pause('job')
    answers.hold('claim')
    await clock.advance(600)
    t.equal(answers.held('claim'), 1)
    await scheduler.resume('job')
    await answers.letGo('claim')
    t.equal(scheduler.get('job')?.paused, false)
  }, START)
)

t.test('nor what the store remembered before', (t) =>
  withHeldAnswers(async ({ clock, answers, scheduler }) => {
    answers.hold('survey')
    add(scheduler)
    await clock.advance(1)
    t.equal(answers.held('survey'), 1)
    await scheduler.pause('job')
    await answers.letGo('survey')
    t.equal(scheduler.get('job')?.paused, true)

    answers.hold('survey')
    scheduler.remove('job')
    add(scheduler)
    await clock.advance(1)
    await scheduler.resume('job')
    await answers.letGo('survey')
    t.equal(scheduler.get('job')?.paused, false, 'also of a job that was removed and added again')
  }, START)
)

t.test('a job that is removed and added, modified or rescheduled while it is being paused is paused', (t) =>
  withHeldAnswers(async ({ clock, answers, scheduler }) => {
    const changes = [
      (): void => {
        scheduler.remove('job')
        add(scheduler)
      },
      (): void => void scheduler.modify('job', { name: 'another' }),
      (): void => void scheduler.reschedule('job', { interval: '1h' })
    ]
    add(scheduler)
    for (const change of changes) {
      for (const operation of ['pause', 'resume'] as const) {
        answers.hold('change', true)
        const done = scheduler[operation]('job')
        await clock.advance(1)
        change()
        await clock.advance(1)
        await answers.letGo('change')
        await done
        t.equal(scheduler.get('job')?.paused, operation === 'pause')
      }
    }
  }, START)
)

t.test('an answer of before does not say of another trigger what it has to do', (t) =>
  withHeldAnswers(async ({ clock, answers, scheduler }) => {
    const runs: number[] = []
    const counted: [number, string][] = []
    add(scheduler, { handler: ({ run }) => void runs.push(run.scheduledTime), misfireGraceTime: '5m' })
    scheduler.on('skipped', ({ scheduledTime, reason }) => void counted.push([scheduledTime, reason]))
    const tick = clock.now() + 500
    answers.hold('claim')
    await clock.advance(600)
    // Its next tick comes while the last one's answer is under way, and is taken with no other.
    scheduler.reschedule('job', { interval: '1m', offset: '1s' })
    await clock.advance(1000)
    await answers.letGo('claim')
    await clock.advance(1000)
    t.same(runs, [tick, tick + 1000])
    t.same(counted, [])
  }, START)
)
