import { setTimeout as sleep } from 'node:timers/promises'
import Fastify from 'fastify'
import { Redis } from 'ioredis'
import { Redis as Redis5 } from 'ioredis5'
import t from 'tap'
import scheduler, { createScheduler, type SchedulerOptions } from '../../lib/index.js'
import { withProxies } from '../chaos/fixtures/tcp-proxy.js'
import { type LogLine, logLines } from '../fixtures/log-lines.js'
import { nextEvent } from '../fixtures/next-event.js'
import { freePort, type TestRedis, withRedis } from '../fixtures/with-redis.js'

const quick = { id: 'quick', trigger: { date: '2099-01-01' }, handler: () => 'ran' }
const REFUSED = { code: 'FST_ERR_RLS_REDIS_DATABASE' }

t.test('a database that Redis does not have is refused, and not exchanged for database 0', async (t) => {
  await withRedis(async ({ url, port, client }) => {
    const cases: NonNullable<SchedulerOptions['redis']>[] = [
      `${url}/99`,
      `${url}?db=16`,
      { port, db: 17 },
      new Redis({ port, db: 18, lazyConnect: true, disableClientInfo: true }),
      new Redis5({ port, db: 19, lazyConnect: true }),
      new Redis5({ port, db: 20, lazyConnect: true, disableClientInfo: true })
    ]
    for (const redis of cases) {
      const own = createScheduler({ redis, prefix: 'database' })
      const message = /^Redis at \S+ refused the database: .*out of range/
      await t.rejects(own.start(), { ...REFUSED, message })
      await t.rejects(
        own.withLock('a', {}, () => {}),
        REFUSED
      )
      await own.close()
    }
    const app = Fastify()
    app.register(scheduler, { redis: `${url}/99`, prefix: 'database' })
    await t.rejects(async () => void (await app.ready()), REFUSED)
    await app.close()
    t.equal(await client.dbsize(), 0, 'nothing was written to database 0')

    const last = createScheduler({ redis: `${url}/15`, prefix: 'database', jobs: [quick] })
    await last.start()
    t.equal((await last.trigger('quick', { wait: true }))?.outcome, 'success')
    await last.close()
    t.equal(await client.dbsize(), 0)
    await client.select(15)
    t.ok((await client.dbsize()) > 0)
  })
})

t.test('a database that a user may not select is refused too', async (t) => {
  await withRedis(async ({ port, client }) => {
    await client.acl('SETUSER', 'limited', 'on', '>secret-word', '~*', '&*', '+@all', '-select')
    const own = createScheduler({ redis: `redis://limited:secret-word@127.0.0.1:${port}/3`, prefix: 'database' })
    await t.rejects(own.start(), { ...REFUSED, message: /^(?!.*secret).*select/i })
    await own.close()
    t.equal(await client.dbsize(), 0)
    const zero = createScheduler({ redis: `redis://limited:secret-word@127.0.0.1:${port}`, prefix: 'database' })
    await zero.start()
    await zero.close()
  })
})

t.test('a Redis that comes without the database stays down, and says why', async (t) => {
  const { logger, lines } = logLines()
  const port = await freePort()
  const url = `redis://127.0.0.1:${port}`
  const own = createScheduler({ redis: `${url}/15`, prefix: 'database', logger, jobs: [quick] })
  await own.start()
  const other = new Redis(port, { lazyConnect: true })
  await withRedis(async () => {
    const refused = /refused the database/
    const why = async (): Promise<string> => {
      const error = await own.trigger('quick').then(
        () => null,
        (error: Error) => error
      )
      return error?.message ?? 'none'
    }
    while (!refused.test(await why())) await new Promise((resolve) => setTimeout(resolve, 50))
    await t.rejects(own.trigger('quick'), { code: 'FST_ERR_RLS_REDIS_UNAVAILABLE' })
    t.match(await own.register?.metrics(), /^apscheduler_redis_up 0$/m)
    await other.connect()
    t.equal(await other.dbsize(), 0)
  }, ['--port', `${port}`, '--databases', '4'])
  await own.close()
  other.disconnect()
  t.notOk(lines.some(({ message }) => /answers again/.test(message)))
})

/** Somebody's script that goes on until it is killed: Redis refuses whatever else it is asked. */
async function beBusy({ port, client }: TestRedis): Promise<void> {
  const other = new Redis(port)
  other.on('error', () => {})
  other.eval('while true do end', 0).catch(() => other.disconnect())
  const isBusy = (): Promise<boolean> =>
    client.ping().then(
      () => false,
      () => true
    )
  while (!(await isBusy()));
}

/** What was said of Redis: with `err` where it refuses. */
function told(lines: readonly LogLine[]): string[] {
  return lines
    .filter(({ message }) => /^Redis (refuses|does not|answers)/.test(message))
    .map(({ message, fields }) => `${message}: ${(fields.err as Error | undefined)?.message}`)
}

const BUSY = ['--lua-time-limit', '50']

t.test('a Redis that is busy when it is asked for the database is waited for, whichever ioredis asks', (t) =>
  withRedis(
    (redis) =>
      withProxies([redis.port], async ([proxy]) => {
        for (const Client of [Redis, Redis5]) {
          const { logger, lines } = logLines()
          const template: Redis = Reflect.construct(Client, [{ port: proxy?.port, db: 3, lazyConnect: true }])
          const prefix = `busy-${Client === Redis ? 6 : 5}`
          const own = createScheduler({ redis: template, prefix, logger })
          own.interval('job', 100, () => {})
          await own.start()
          await nextEvent(own, 'executed')
          await beBusy(redis)
          proxy?.cut()
          while (!/BUSY/.test(told(lines).join())) await sleep(20)
          await sleep(1500)
          const executed = nextEvent(own, 'executed')
          await redis.client.script('KILL')
          await executed
          await own.close()
          // A claim may have been on its way as the connection was cut.
          const said = told(lines).filter((line) => !/does not answer/.test(line))
          t.match(said, [/^Redis refuses what jobs need.*BUSY/, /^Redis answers again/], 'said once')
          t.equal(said.length, 2)
        }
        t.equal(await redis.client.dbsize(), 0, 'nothing was written to database 0')
      }),
    BUSY
  )
)

t.test('one that is busy at the start does not stop the app', (t) =>
  withRedis(async (redis) => {
    for (const input of [`${redis.url}/3`, new Redis5({ port: redis.port, db: 3, lazyConnect: true })]) {
      await beBusy(redis)
      const app = Fastify()
      await app.register(scheduler, { redis: input, prefix: 'database', jobs: [{ ...quick, handler: () => 'ran' }] })
      await app.ready()
      t.match(await app.jobs.register?.metrics(), /^apscheduler_redis_up 0$/m)
      await t.rejects(app.jobs.trigger('quick'), { code: 'FST_ERR_RLS_REDIS_UNAVAILABLE', message: /BUSY|connection/ })
      await redis.client.script('KILL')
      const isUp = async () => /^apscheduler_redis_up 1$/m.test(`${await app.jobs.register?.metrics()}`)
      while (!(await isUp())) await sleep(20)
      t.equal((await app.jobs.trigger('quick', { wait: true }))?.outcome, 'success')
      await app.close()
    }
    t.equal(await redis.client.dbsize(), 0)
  }, BUSY)
)

t.test('a user that loses the database, and is given it again, has its jobs again', (t) =>
  withRedis((redis) =>
    withProxies([redis.port], async ([proxy]) => {
      const { logger, lines } = logLines()
      await redis.client.acl('SETUSER', 'app', 'on', '>secret', '~*', '&*', '+@all')
      for (const Client of [Redis, Redis5]) {
        const template: Redis = Reflect.construct(Client, [
          { port: proxy?.port, username: 'app', password: 'secret', db: 3, lazyConnect: true }
        ])
        const own = createScheduler({ redis: template, prefix: 'database', logger })
        own.interval('job', 100, () => {})
        await own.start()
        await nextEvent(own, 'executed')
        await redis.client.acl('SETUSER', 'app', '-select')
        proxy?.cut()
        const before = lines.length
        while (!/refused the database.*NOPERM/.test(told(lines.slice(before)).join())) await sleep(20)
        const executed = nextEvent(own, 'executed')
        await redis.client.acl('SETUSER', 'app', '+select')
        await executed
        await own.close()
      }
      t.equal(await redis.client.dbsize(), 0)
    })
  )
)

t.test('one that takes no more connections for a while is no Redis without the database', (t) =>
  withRedis(async ({ port, url, client }) => {
    for (const redis of [`${url}/3`, new Redis5({ port, db: 3, lazyConnect: true })]) {
      await client.config('SET', 'maxclients', '1')
      const own = createScheduler({ redis, prefix: 'database', jobs: [quick], logger: false })
      await own.start()
      await t.rejects(own.trigger('quick'), { code: 'FST_ERR_RLS_REDIS_UNAVAILABLE' })
      await client.config('SET', 'maxclients', '100')
      while (!/^apscheduler_redis_up 1$/m.test(`${await own.register?.metrics()}`)) await sleep(20)
      t.equal((await own.trigger('quick', { wait: true }))?.outcome, 'success')
      await own.close()
    }
    t.equal(await client.dbsize(), 0)
  })
)
