import Fastify from 'fastify'
import { Redis } from 'ioredis'
import t from 'tap'
import scheduler, { createScheduler, type JobOptions, type SchedulerOptions } from '../lib/index.js'
import { logLines } from './fixtures/log-lines.js'
import { freePort, withRedis } from './fixtures/with-redis.js'

const quick: JobOptions<undefined> = { id: 'quick', trigger: { date: '2099-01-01' }, handler: () => 'ran' }
const REFUSED = { code: 'FST_ERR_RLS_REDIS_DATABASE' }

t.test('a database that Redis does not have is refused, and not exchanged for database 0', async (t) => {
  await withRedis(async ({ url, port, client }) => {
    const cases: NonNullable<SchedulerOptions['redis']>[] = [`${url}/99`, `${url}?db=16`, { port, db: 17 }]
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
