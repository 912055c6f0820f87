import t from 'tap'
import { createScheduler, type Run, type SchedulerOptions } from '../lib/index.js'
import { logLines } from './fixtures/log-lines.js'
import { NEVER_DUE } from './fixtures/never-due.js'
import { nextEvent } from './fixtures/next-event.js'
import { freePort, type TestRedis, withRedis } from './fixtures/with-redis.js'

const noop = (): void => {}
let prefixes = 0

/** A scheduler over a Redis, under a prefix of its own. */
function over({ url }: Pick<TestRedis, 'url'>, options: SchedulerOptions<undefined> = {}) {
  return createScheduler({ redis: url, prefix: `scheduler-${prefixes++}`, ...options })
}

async function connections({ client }: TestRedis): Promise<number> {
  return ((await client.client('LIST')) as string).split('\n').filter((line) => line !== '').length
}

t.test('the whole path of a tick over Redis', async (t) => {
  await withRedis(async (redis) => {
    const scheduler = over(redis)
    const names: string[] = []
    for (const name of ['lockAcquired', 'submitted', 'executed'] as const)
      scheduler.on(name, () => void names.push(name))
    const tokens: number[] = []
    scheduler.interval('a', 100, ({ fencingToken }) => void tokens.push(fencingToken as number))
    await scheduler.start()
    await nextEvent(scheduler, 'executed')
    await nextEvent(scheduler, 'executed')
    await scheduler.close()
    t.same(names.slice(0, 6), Array(2).fill(['lockAcquired', 'submitted', 'executed']).flat())
    t.ok((tokens[1] as number) > (tokens[0] as number))
    t.same(await redis.client.keys('*:lock:*'), [], 'no lock is left')
  })
})

t.test('a run by hand asked for before close is drained, or refused', async (t) => {
  await withRedis(async (redis) => {
    const scheduler = over(redis)
    let ended = 0
    scheduler.interval('a', NEVER_DUE, async () => {
      await new Promise((resolve) => setImmediate(resolve))
      ended++
    })
    await scheduler.start()
    let run: Run | null = null
    const asked = scheduler.trigger('a').then(
      (started) => {
        run = started
      },
      (error: { code: string }) => t.equal(error.code, 'FST_ERR_RLS_NOT_RUNNING')
    )
    await scheduler.close()
    const endedAtClose = ended
    await asked
    if (run !== null) {
      t.equal(endedAtClose, 1, 'its handler had ended when close resolved')
      t.equal((run as Run).outcome, 'success')
    }
    t.same(await redis.client.keys('*:lock:*'), [], 'no lock is left')
  })
})

t.test('a withLock asked for before close is drained, or refused', async (t) => {
  await withRedis(async (redis) => {
    const scheduler = over(redis)
    await scheduler.start()
    let ended = 0
    const asked = scheduler
      .withLock('report', {}, async () => {
        await new Promise((resolve) => setImmediate(resolve))
        ended++
      })
      .catch((error: { code: string }) => t.equal(error.code, 'FST_ERR_RLS_NOT_RUNNING'))
    await scheduler.close()
    const endedAtClose = ended
    await asked
    t.equal(ended, endedAtClose, 'nothing runs after close')
    t.same(await redis.client.keys('*:named:*'), [], 'no lock is left')
  })
})

t.test('a lock by name without a ttl has the default one, also where jobs have none', async (t) => {
  await withRedis(async (redis) => {
    for (const [lock, ttl] of [
      [undefined, 30_000],
      ['5s', 5000],
      [false, 30_000]
    ] as const) {
      const scheduler = over(redis, { prefix: 'ttl', defaults: lock === undefined ? {} : { lock } })
      await scheduler.start()
      await scheduler.withLock('report', {}, async () => {
        const left = await redis.client.pttl('rls:{ttl}:named:report')
        t.ok(left > ttl - 2000 && left <= ttl, `${left} ms of ${ttl}`)
      })
      await scheduler.close()
    }
  })
})

t.test('nothing is opened after close', async (t) => {
  await withRedis(async (redis) => {
    const before = await connections(redis)
    for (const what of ['pause', 'resume'] as const) {
      const scheduler = over(redis)
      scheduler.interval('a', NEVER_DUE, noop)
      await scheduler.close()
      await t.rejects(scheduler[what]('a') as Promise<unknown>, { code: 'FST_ERR_RLS_NOT_RUNNING' }, what)
      await scheduler.close()
    }
    t.equal(await connections(redis), before)
  })
})

t.test('pause holds for the whole fleet, and is remembered', async (t) => {
  await withRedis(async (redis) => {
    const options = { prefix: 'scheduler-pause' }
    const [one, two] = [over(redis, options), over(redis, options)]
    for (const scheduler of [one, two]) {
      scheduler.interval('a', '100ms', noop)
      scheduler.interval('b', 100, noop, { paused: true })
      scheduler.interval('unlocked', NEVER_DUE, noop, { lock: false })
      await scheduler.start()
    }
    await one.pause('a', 'a note')
    t.equal(
      (await nextEvent(two, 'skipped', ({ job, reason }) => job.id === 'a' && reason === 'paused')).job.paused,
      true
    )
    t.match(await redis.client.hget('rls:{scheduler-pause}:paused', 'a'), /a note/)
    t.ok(await two.trigger('a', { wait: true }), 'a run by hand is still possible')
    await one.resume('b')
    await nextEvent(one, 'skipped', ({ job, reason }) => job.id === 'b' && reason !== 'paused').catch(noop)
    await one.close()
    await two.close()

    const later = over(redis, options)
    later.interval('a', 100, noop)
    later.interval('b', 100, noop, { paused: true })
    await later.start()
    await nextEvent(later, 'executed', ({ job }) => job.id === 'b')
    t.equal(later.get('a')?.paused, true, 'a new process knows')
    await later.resume('a')
    await nextEvent(later, 'executed', ({ job }) => job.id === 'a')
    await later.close()
  })
})

t.test('wrong credentials are refused at the start, without the password', async (t) => {
  await withRedis(
    async ({ port }) => {
      const { logger, lines } = logLines()
      for (const [given, code] of [
        [`redis://:wrong-hunter2@127.0.0.1:${port}`, 'FST_ERR_RLS_REDIS_AUTH'],
        [`redis://someone:wrong-hunter2@127.0.0.1:${port}`, 'FST_ERR_RLS_REDIS_AUTH'],
        [`redis://127.0.0.1:${port}`, 'FST_ERR_RLS_REDIS_AUTH']
      ] as const) {
        const scheduler = createScheduler({ redis: given, prefix: 'auth', logger })
        const error = (await scheduler.start().then(noop, (reason) => reason)) as Error & { code?: string }
        t.equal(error?.code, code, given.replace(/\/\/.*@/, '//***@'))
        t.notMatch(`${error?.message} ${error?.stack} ${JSON.stringify(error)}`, /hunter2/)
        await scheduler.close()
      }
      t.notMatch(JSON.stringify(lines), /hunter2/)
      const right = createScheduler({ redis: `redis://:right@127.0.0.1:${port}`, prefix: 'auth', logger })
      await right.start()
      t.equal((await right.withLock('a', {}, () => 1)).acquired, true)
      await right.close()
    },
    ['--requirepass', 'right']
  )
})

t.test('an unreachable Redis does not stop the start; it is said once, and jobs begin when it comes', async (t) => {
  const { logger, lines } = logLines()
  const port = await freePort()
  const scheduler = over({ url: `redis://:hunter2@127.0.0.1:${port}` }, { logger })
  scheduler.interval('a', '100ms', noop)
  await scheduler.start()
  await nextEvent(scheduler, 'lockFailed', ({ reason }) => reason === 'error')
  await t.rejects(scheduler.trigger('a'), { code: 'FST_ERR_RLS_REDIS_UNAVAILABLE', statusCode: 503 })
  await t.rejects(scheduler.pause('a'), { code: 'FST_ERR_RLS_REDIS_UNAVAILABLE' })
  await t.rejects(
    scheduler.withLock('a', {}, () => t.fail('called')),
    { code: 'FST_ERR_RLS_REDIS_UNAVAILABLE' }
  )
  await scheduler.close()
  const warnings = lines.filter(({ level }) => level === 'warn')
  t.equal(warnings.length, 1)
  t.notMatch(JSON.stringify(lines), /hunter2/)

  await withRedis(async (redis) => {
    await redis.kill()
    const waiting = over(redis)
    waiting.interval('a', '100ms', noop)
    await waiting.start()
    await nextEvent(waiting, 'lockFailed', ({ reason }) => reason === 'error')
    const executed = nextEvent(waiting, 'executed')
    await redis.restart()
    t.equal((await executed).run.outcome, 'success')
    await waiting.close()
  })
})
