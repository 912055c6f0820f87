import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { createScheduler } from '../../lib/index.js'
import { withProxies } from '../chaos/fixtures/tcp-proxy.js'
import { logLines } from '../fixtures/log-lines.js'
import { nextEvent } from '../fixtures/next-event.js'
import { withMasters } from '../fixtures/quorum-replicas.js'
import type { TestRedis } from '../fixtures/with-redis.js'

const PERIOD = 100

t.test('two replicas over three masters, of which one is killed: each tick runs once, and none is lost', (t) =>
  withMasters(3, async (masters) => {
    const { logger, lines } = logLines()
    const redis = masters.map(({ url }) => url)
    const ticks: number[] = []
    let last = 0
    const schedulers = [logger, undefined].map((logger) => {
      const scheduler = createScheduler({ redis, prefix: 'app', ...(logger === undefined ? {} : { logger }) })
      scheduler.interval('job', `${PERIOD}ms`, ({ run, fencingToken }) => {
        ticks.push(run.scheduledTime)
        if ((fencingToken as number) <= last) t.fail(`the token ${fencingToken} follows ${last}`)
        last = fencingToken as number
      })
      scheduler.on('missed', ({ scheduledTime, reason }) => t.fail(`${scheduledTime} is missed: ${reason}`))
      scheduler.on('skipped', ({ scheduledTime, reason }) => {
        if (reason !== 'claimed_elsewhere' && reason !== 'shutdown') t.fail(`${scheduledTime} is skipped: ${reason}`)
      })
      return scheduler
    })
    await Promise.all(schedulers.map((scheduler) => scheduler.start()))
    await sleep(1500)
    await masters[1]?.kill()
    await sleep(1500)
    await Promise.all(schedulers.map((scheduler) => scheduler.close()))
    t.ok(ticks.length >= 25, `${ticks.length} runs`)
    t.equal(new Set(ticks).size, ticks.length, 'none twice')
    const sorted = [...ticks].sort((a, b) => a - b)
    const wanted = sorted.map((_, index) => (sorted[0] as number) + index * PERIOD)
    t.same(sorted, wanted, 'none is lost')
    const warnings = lines.filter(({ level }) => level === 'warn')
    t.match(warnings, [{ message: /a master is missing, and the others decide without it/ }])
    t.equal(warnings.length, 1)
    for (const { client } of masters.filter((_, index) => index !== 1)) t.same(await client.keys('*:lock:*'), [])
  })
)

t.test('a majority of the masters may be away at the start; jobs begin when it comes', (t) =>
  withMasters(3, async (masters) => {
    await Promise.all([masters[0]?.kill(), masters[1]?.kill()])
    const { logger, lines } = logLines()
    const scheduler = createScheduler({ redis: masters.map(({ url }) => url), prefix: 'app', logger })
    scheduler.interval('job', PERIOD, () => {})
    await scheduler.start()
    await nextEvent(scheduler, 'lockFailed', ({ reason }) => reason === 'error')
    t.equal(lines.filter(({ message }) => /does not answer/.test(message)).length, 1)
    const executed = nextEvent(scheduler, 'executed')
    await masters[1]?.restart()
    t.equal((await executed).run.outcome, 'success')
    t.equal((await scheduler.withLock('name', {}, () => 1)).acquired, true)
    await scheduler.close()
  })
)

t.test('one dead or hung master delays no start', (t) =>
  withMasters(3, async (masters) => {
    await masters[0]?.kill()
    const open = async (): Promise<number> => {
      const scheduler = createScheduler({ redis: masters.map(({ url }) => url), prefix: 'app' })
      const begun = performance.now()
      await scheduler.start()
      const took = performance.now() - begun
      await scheduler.close()
      return took
    }
    const dead = await open()
    t.ok(dead < 1000, `a dead one: ${dead} ms`)
    await masters[0]?.restart()
    masters[0]?.hang()
    const hung = await open()
    t.ok(hung < 1000, `a hung one: ${hung} ms`)
    masters[0]?.resume()
  })
)

t.test('credentials that one master refuses are refused at the start, without the password', (t) =>
  withMasters(3, async (masters) => {
    await masters[2]?.client.config('SET', 'requirepass', 'right')
    const redis = masters.map(({ port }) => `redis://127.0.0.1:${port}`)
    const scheduler = createScheduler({ redis, prefix: 'app' })
    await t.rejects(scheduler.start(), { code: 'FST_ERR_RLS_REDIS_AUTH', message: redis[2]?.slice(8) as string })
    await scheduler.close()
    const right = createScheduler({
      redis: redis.map((url, index) => (index === 2 ? url.replace('//', '//:right@') : url)),
      prefix: 'app'
    })
    await right.start()
    t.equal((await right.withLock('name', {}, () => 1)).acquired, true)
    await right.close()
  })
)

/** Why a master refuses the scheduler's connection, and how that is mended. */
const LATE_REFUSALS = [
  {
    what: 'the credentials',
    path: '//:wrong@',
    end: '',
    refuse: ({ client }: TestRedis) => client.config('SET', 'requirepass', 'right'),
    mend: ({ client }: TestRedis) => client.config('SET', 'requirepass', 'wrong')
  },
  {
    what: 'the user',
    path: '//app:secret@',
    end: '',
    refuse: async () => {},
    mend: ({ client }: TestRedis) => client.acl('SETUSER', 'app', 'on', '>secret', '~*', '+@all')
  },
  { what: 'the database', path: '//', end: '/99', refuse: async () => {}, mend: null }
]

for (const { what, path, end, refuse, mend } of LATE_REFUSALS) {
  t.test(`a master that refuses ${what} too late to stop the start is a master that is down`, (t) =>
    withMasters(3, (masters) =>
      withProxies([masters[2]?.port as number], async ([proxy]) => {
        const [, second, third] = masters as [TestRedis, TestRedis, TestRedis]
        await refuse(third)
        // The others have decided by then.
        proxy?.delay(300)
        const { logger, lines } = logLines()
        const told = (pattern: RegExp): number => {
          const texts = lines.map(({ message, fields: { err } }) => `${message} ${(err as Error | undefined)?.message}`)
          return texts.filter((text) => pattern.test(text)).length
        }
        const until = async (is: () => boolean | Promise<boolean>): Promise<void> => {
          while (!(await is())) await sleep(20)
        }
        const up = async (): Promise<string | undefined> => {
          return /^apscheduler_redis_up (\d)$/m.exec(`${await scheduler.register?.metrics()}`)?.[1]
        }
        const redis = masters.slice(0, 2).map(({ url }) => url)
        const scheduler = createScheduler({
          redis: [...redis, `${proxy?.url.replace('//', path)}${end}`],
          prefix: 'app',
          logger
        })
        await scheduler.start()
        const missing = /a master is missing, and the others decide without it: Redis at \S+ refused/
        await until(() => told(missing) > 0)
        t.equal(told(/wrong|secret/), 0, 'without the password')
        if (mend !== null) {
          proxy?.delay(0)
          await mend(third)
          await until(() => told(/a master is back/) > 0)
          await second.kill()
          await until(() => told(/a master is missing/) === 2)
          t.equal(await up(), '1', 'two of three decide')
          t.equal((await scheduler.withLock('name', {}, () => 1)).acquired, true)
        } else {
          await second.kill()
          await until(async () => (await up()) === '0')
          t.equal(told(/a majority of its masters.* refused the database/), 1, 'two are down: that is told')
          t.equal(told(/a master is missing/), 1)
        }
        await scheduler.close()
      })
    )
  )
}
