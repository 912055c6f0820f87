import { mock } from 'node:test'
import FakeTimers from '@sinonjs/fake-timers'
import t from 'tap'
import { createScheduler, type Scheduler } from '../../lib/index.js'

// What docs say of fake timers: sinon's, on which those of vitest and jest stand, and those of node:test.

const START = Date.UTC(2027, 0, 1)
const MINUTE = 60_000
const realImmediate = setImmediate

/** Lets promises settle, whatever is faked. */
async function turns(): Promise<void> {
  for (let count = 0; count < 20; count++) await new Promise<void>((resolve) => realImmediate(resolve))
}

interface Observed {
  readonly scheduler: Scheduler<undefined>
  readonly ticks: number[]
  /** The outcomes of a job of every minute that takes 5 s, with a timeout of 2 s. */
  readonly outcomes: (string | null)[]
  readonly missed: number[]
}

function observed(): Observed {
  const scheduler = createScheduler()
  const seen: Observed = { scheduler, ticks: [], outcomes: [], missed: [] }
  scheduler.interval('job', '1m', ({ run }) => void seen.ticks.push((run.scheduledTime - START) / MINUTE))
  const work = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 5000))
  scheduler.interval('slow', '1m', work, { timeout: '2s' })
  const end = ({ run }: { run: { jobId: string; outcome: string | null } }): void => {
    if (run.jobId === 'slow') seen.outcomes.push(run.outcome)
  }
  scheduler.on('executed', end)
  scheduler.on('error', end)
  scheduler.on('missed', ({ job, scheduledTime }) => {
    if (job.id === 'job') seen.missed.push((scheduledTime - START) / MINUTE)
  })
  return seen
}

t.test(
  'sinon: with all faked, and time passed by the asynchronous methods, ticks, timeouts and closing work',
  async (t) => {
    const clock = FakeTimers.install({ now: START })
    t.teardown(() => clock.uninstall())
    const { scheduler, ticks, outcomes, missed } = observed()
    await scheduler.start()
    await clock.tickAsync(3 * MINUTE + 10_000)
    t.same(ticks, [1, 2, 3])
    t.same(outcomes, ['timeout', 'timeout', 'timeout'])
    t.same(missed, [])
    const closed = scheduler.close()
    await clock.tickAsync(20_000)
    await closed
  }
)

t.test('sinon: the synchronous methods let no promise settle: nothing runs until one does', async (t) => {
  const clock = FakeTimers.install({ now: START })
  t.teardown(() => clock.uninstall())
  const { scheduler, ticks, missed } = observed()
  await scheduler.start()
  clock.tick(3 * MINUTE)
  t.same(ticks, [])
  await clock.tickAsync(MINUTE)
  t.same(ticks, [3, 4], 'the latest of them stands for all')
  t.same(missed, [1, 2])
  const closed = scheduler.close()
  await clock.tickAsync(20_000)
  await closed
})

t.test('without `performance` faked ticks come, and what lasts does not end: timeouts', async (t) => {
  const clock = FakeTimers.install({ now: START, toFake: ['Date', 'setTimeout', 'clearTimeout'] })
  t.teardown(() => clock.uninstall())
  const { scheduler, ticks, outcomes } = observed()
  await scheduler.start()
  for (let second = 0; second < 130; second++) {
    clock.tick(1000)
    await turns()
  }
  t.same(ticks, [1, 2])
  t.same(outcomes, ['success', 'success'])
  const closed = scheduler.close()
  for (let second = 0; second < 20; second++) {
    clock.tick(1000)
    await turns()
  }
  await closed
})

t.test('node:test: in small steps, with turns of the event loop between them', async (t) => {
  mock.timers.enable({ apis: ['setTimeout', 'Date'], now: START })
  t.teardown(() => mock.timers.reset())
  const { scheduler, ticks, missed } = observed()
  await scheduler.start()
  for (let second = 0; second < 130; second++) {
    mock.timers.tick(1000)
    await turns()
  }
  t.same(ticks, [1, 2])
  t.same(missed, [])
  mock.timers.tick(5 * MINUTE)
  await turns()
  t.same(ticks, [1, 2, 7], 'a large step is a process that stood still')
  t.same(missed, [3, 4, 5, 6])
  const closed = scheduler.close()
  for (let second = 0; second < 20; second++) {
    mock.timers.tick(1000)
    await turns()
  }
  await closed
})
