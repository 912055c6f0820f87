import t from 'tap'
import { FailurePauses } from '../../lib/dispatch/failure-pauses.js'
import { createScheduler, type Scheduler } from '../../lib/index.js'
import { logLines } from '../fixtures/log-lines.js'
import { NEVER_DUE } from '../fixtures/never-due.js'
import { withRedis } from '../fixtures/with-redis.js'

t.test('a job is paused once so many of its runs have failed in a row, on whichever replicas', (t) =>
  withRedis(async ({ url }) => {
    const { logger, lines } = logLines()
    let fails = true
    const [one, two] = ['one', 'two'].map((replicaId) => {
      const scheduler = createScheduler({ redis: url, prefix: 'app', replicaId, logger })
      scheduler.add({
        id: 'sync',
        trigger: { interval: NEVER_DUE },
        pauseAfterFailures: 3,
        handler: () => {
          if (fails) throw new Error('broken')
        }
      })
      return scheduler
    }) as [Scheduler<undefined>, Scheduler<undefined>]
    await Promise.all([one.start(), two.start()])
    const run = async (scheduler: Scheduler<undefined>): Promise<void> => {
      await scheduler.trigger('sync', { wait: true })
    }
    await run(one)
    await run(two)
    fails = false
    await run(one)
    fails = true
    await run(one)
    await run(two)
    t.same((await one.status('sync')).pauses, [], 'a success in between begins the count anew')
    const paused = new Promise<void>((resolve) => two.once('paused', () => resolve()))
    await run(two)
    await paused
    const { pauses, consecutiveFailures } = await two.status('sync')
    t.equal(consecutiveFailures, 3)
    t.match(pauses, [{ of: 'job', by: 'two', note: 'its last 3 runs failed', until: null }])
    t.equal(lines.filter(({ message }) => /the job 'sync' was paused/.test(message)).length, 1)
    const warned = lines.filter(({ level, message }) => level === 'warn' && /paused/.test(message))
    t.match(warned, [{ fields: { jobId: 'sync' }, message: /3/ }], 'somebody is to look at it')

    // Once it was resumed, the next failure pauses it again.
    await two.resume('sync', { by: 'anna' })
    const again = new Promise<void>((resolve) => one.once('paused', () => resolve()))
    await run(one)
    await again
    t.match((await one.status('sync')).pauses, [{ by: 'one', note: 'its last 4 runs failed' }])
    await Promise.all([one.close(), two.close()])
  })
)

t.test('without Redis, too; and it is refused where nobody counts', async (t) => {
  const scheduler = createScheduler({ logger: false })
  t.throws(() => scheduler.add({ id: 'a', pauseAfterFailures: 0, handler: () => {} }), {
    code: 'FST_ERR_RLS_OPTION_INVALID',
    message: /pauseAfterFailures.*0 \(number\)/
  })
  t.throws(() => scheduler.add({ id: 'a', pauseAfterFailures: 1, lock: false, handler: () => {} }), {
    code: 'FST_ERR_RLS_OPTION_INVALID',
    message: /lock: false/
  })
  scheduler.add({
    id: 'a',
    pauseAfterFailures: 1,
    timeout: 5,
    handler: () => new Promise((resolve) => setTimeout(resolve, 50))
  })
  await scheduler.start()
  const paused = new Promise<void>((resolve) => scheduler.once('paused', () => resolve()))
  const run = await scheduler.trigger('a', { wait: true })
  t.equal(run?.outcome, 'timeout')
  await paused
  t.match(scheduler.get('a')?.pauses, [{ note: 'its last run failed' }])
  await scheduler.close()
})

t.test('a job is paused once, and only where nobody else has paused it', async (t) => {
  const asked: unknown[] = []
  let asks = 0
  const pauses = new FailurePauses({
    coordination: { readStatus: async () => [{ failures: asks++ < 2 ? 3 : 4 }] } as never,
    log: {} as never,
    journal: { pausedAfterFailures() {} } as never,
    pause: async (_job, pause) => asked.push(pause)
  })
  const job = { id: 'job', paused: false, definition: { pauseAfterFailures: 3, group: null } } as never
  await Promise.all([pauses.note(job), pauses.note(job)])
  t.equal(asks, 1, 'the second failure asks nothing while the first does')
  t.strictSame(asked, [{ by: undefined, expectedVersion: null, note: 'its last 3 runs failed', until: null }])
})
