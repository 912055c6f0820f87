import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { systemClock } from '../lib/base/clock.js'
import { createScheduler, type Run, type Scheduler, type SchedulerOptions } from '../lib/index.js'
import { nextEvent } from './fixtures/next-event.js'
import { withVirtualScheduler } from './fixtures/virtual-scheduler.js'
import { type TestRedis, withRedis } from './fixtures/with-redis.js'

const SECOND = 1000
const MINUTE = 60 * SECOND

async function over(
  redis: TestRedis,
  body: (scheduler: Scheduler<undefined>) => Promise<void>,
  options: SchedulerOptions<undefined> = {}
): Promise<void> {
  const scheduler = createScheduler<undefined>({ redis: redis.url, prefix: 'app', ...options })
  try {
    await scheduler.start()
    await body(scheduler)
  } finally {
    await scheduler.close()
  }
}

for (const lock of [{}, false] as const) {
  t.test(
    `after: 'completion' goes on after a handler that returns at once, lock: ${JSON.stringify(lock)}`,
    async (t) => {
      await withVirtualScheduler(async ({ clock, scheduler }) => {
        let runs = 0
        scheduler.add({ id: 'a', trigger: { interval: '1s', after: 'completion' }, lock, handler: () => void runs++ })
        await scheduler.start()
        await clock.advance(10 * SECOND)
        t.ok(runs >= 8, `${runs} runs`)
      })
    }
  )
}

t.test("rescheduling an after: 'completion' job during its run takes the new interval", async (t) => {
  await withVirtualScheduler(async ({ clock, scheduler }) => {
    const starts: number[] = []
    let end = (): void => {}
    const handler = ({ run }: { run: Run }): Promise<void> => {
      starts.push(run.startedAt)
      return new Promise((resolve) => {
        end = resolve
      })
    }
    scheduler.add({ id: 'a', trigger: { interval: '1m', after: 'completion' }, handler })
    await scheduler.start()
    await clock.advance(MINUTE + SECOND)
    t.equal(starts.length, 1)
    scheduler.reschedule('a', { interval: '1s', after: 'completion' })
    end()
    await clock.advance(5 * SECOND)
    t.equal(starts.length, 2, 'it did not wait a minute')
  })
})

t.test('a handler that removes, adds and changes jobs while ticks are handed out breaks nothing', async (t) => {
  await withVirtualScheduler(async ({ clock, scheduler }) => {
    const ran: string[] = []
    const trigger = { interval: '1s' } as const
    const add = (id: string, handler: () => unknown): void => void scheduler.add({ id, trigger, lock: false, handler })
    add('first', () => {
      ran.push('first')
      scheduler.remove('second')
      if (scheduler.get('late') === undefined) add('late', () => ran.push('late'))
    })
    add('second', () => t.fail('it was removed'))
    await scheduler.start()
    await clock.advance(SECOND)
    t.same(ran, ['first'], 'a job that is added has its first tick later')
    await clock.advance(SECOND)
    t.same(ran, ['first', 'first', 'late'])
  })
})

t.test('jobs that are removed and changed while they wait for Redis', (t) =>
  withRedis((redis) =>
    over(redis, async (scheduler) => {
      await redis.kill()
      const due = Date.now() + 100
      const unlocked: string[] = []
      for (const id of ['a', 'b', 'c']) scheduler.date(id, due, ({ job }) => void unlocked.push(job.id))
      await nextEvent(scheduler, 'lockFailed', ({ job }) => job.id === 'c')
      scheduler.modify('b', {
        lock: false,
        handler: () => {
          unlocked.push('b, unlocked')
          scheduler.remove('a')
        }
      })
      const executed = nextEvent(scheduler, 'executed', ({ job }) => job.id === 'c')
      await redis.restart()
      await executed
      t.ok(unlocked.includes('b, unlocked') && unlocked.includes('c'), `${unlocked}`)
      await sleep(500)
      t.same(await redis.client.keys('*:lock:*'), [], 'no lock is left behind')
    })
  )
)

t.test('a run that becomes unlocked while it is claimed still releases its lock', (t) =>
  withRedis((redis) =>
    over(redis, async (scheduler) => {
      scheduler.date('a', Date.now() + 50, () => sleep(100))
      const submitted = nextEvent(scheduler, 'submitted')
      redis.hang()
      await sleep(200)
      scheduler.modify('a', { lock: false })
      redis.resume()
      await submitted
      await nextEvent(scheduler, 'executed')
      t.same(await redis.client.keys('*:lock:*'), [])
    })
  )
)

t.test('withLock releases later when Redis does not answer its release', (t) =>
  withRedis((redis) =>
    over(redis, async (scheduler) => {
      await scheduler.withLock('report', {}, async () => {
        await redis.client.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes')
      })
      const until = Date.now() + 5000
      while ((await redis.client.exists('rls:{app}:named:report')) === 1 && Date.now() < until) await sleep(50)
      t.equal(await redis.client.exists('rls:{app}:named:report'), 0)
    })
  )
)

t.test('a step of the clock over due ticks: they run late, and are not lost', (t) =>
  withRedis(async (redis) => {
    await redis.kill()
    // This process is five seconds behind, and learns it when Redis comes.
    const clock = { ...systemClock, now: () => Date.now() - 5 * SECOND }
    await over(
      redis,
      async (scheduler) => {
        const launch = Date.now() - 2 * SECOND
        scheduler.date('launch', launch, () => {})
        const executed = nextEvent(scheduler, 'executed', ({ job }) => job.id === 'launch')
        await redis.restart()
        t.equal((await executed).run.scheduledTime, launch)
      },
      { clock }
    )
  })
)

t.test('stop ends the ticks alone: what is asked for still works until close', (t) =>
  withRedis((redis) =>
    over(redis, async (scheduler) => {
      let runs = 0
      scheduler.interval('a', 100, () => void runs++)
      await nextEvent(scheduler, 'executed')
      scheduler.stop()
      await sleep(50)
      const before = runs
      await sleep(400)
      t.equal(runs, before, 'no tick')
      t.match(await scheduler.trigger('a', { wait: true }), { outcome: 'success' })
      t.match(await scheduler.withLock('b', {}, () => 1), { acquired: true })
      await scheduler.pause('a')
      await scheduler.close()
      await t.rejects(scheduler.trigger('a'), { code: 'FST_ERR_RLS_NOT_RUNNING' })
    })
  )
)

t.test('what Redis itself says is told, without the name of a script', (t) =>
  withRedis((redis) =>
    over(redis, async (scheduler) => {
      await redis.client.config('SET', 'maxmemory', '1')
      await t.rejects(
        scheduler.withLock('a', {}, () => 1),
        { code: 'FST_ERR_RLS_REDIS_UNAVAILABLE', message: /OOM command not allowed when used memory > 'maxmemory'.$/ }
      )
    })
  )
)

t.test('a claim record that cannot be read holds up no other job', (t) =>
  withRedis((redis) =>
    over(redis, async (scheduler) => {
      await redis.client.mset('rls:{app}:claim:bad', 'garbage', 'rls:{app}:fence', 'x')
      const ran = new Set<string>()
      for (const id of ['bad', 'good']) scheduler.interval(id, '200ms', ({ job }) => void ran.add(job.id))
      let executed = 0
      await nextEvent(scheduler, 'executed', () => ++executed === 5)
      t.same([...ran], ['good'], 'the other one may have run already')
    })
  )
)

t.test('a client that reads numbers as strings is refused', (t) => {
  const redis = { port: 6379, stringNumbers: true }
  t.throws(() => createScheduler({ redis, prefix: 'app' }), {
    code: 'FST_ERR_RLS_OPTION_INVALID',
    message: /stringNumbers/
  })
  t.end()
})
