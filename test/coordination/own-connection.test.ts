import { setTimeout as sleep } from 'node:timers/promises'
import { Cluster, Redis, type RedisOptions } from 'ioredis'
import { Redis as Redis5 } from 'ioredis5'
import t from 'tap'
import { DEFAULT_OPTIONS, duplicate } from '../../lib/coordination/redis/own-connection.js'
import { createScheduler } from '../../lib/index.js'
import type { RedisInput } from '../../types/redis.js'
import { withProxies } from '../chaos/fixtures/tcp-proxy.js'
import { request } from '../fixtures/contract/requests.js'
import { NEVER_DUE } from '../fixtures/never-due.js'
import { nextEvent } from '../fixtures/next-event.js'
import { redisReplica } from '../fixtures/redis-replicas.js'
import { type TestRedis, withRedis } from '../fixtures/with-redis.js'

/** Runs a job by hand with a client of the app's, and a scheduler that is closed afterwards. */
async function runsOver(redis: RedisInput): Promise<string | null | undefined> {
  const scheduler = createScheduler({ redis, prefix: 'own' })
  scheduler.interval('job', NEVER_DUE, () => {})
  try {
    await scheduler.start()
    return (await scheduler.trigger('job', { wait: true }))?.outcome
  } finally {
    await scheduler.close()
  }
}

async function connectionsOf({ client }: TestRedis): Promise<number> {
  return ((await client.client('LIST')) as string).split('\n').filter((line) => line !== '').length
}

/** Options that an app may have for reasons of its own. */
const OF_APPS: readonly RedisOptions[] = [
  { maxRetriesPerRequest: null },
  { enableOfflineQueue: false },
  { lazyConnect: true },
  { commandTimeout: 1 },
  { stringNumbers: true },
  { readOnly: true },
  { enableAutoPipelining: true },
  { enableReadyCheck: false },
  { retryStrategy: () => null },
  { reconnectOnError: () => 2 },
  { replyMapping: 'resp3' } as RedisOptions,
  { protocol: 2 } as RedisOptions,
  { connectionName: 'app', disableClientInfo: true }
]

t.test('an app may have its client with any options: the scheduler has its own', (t) =>
  withRedis(async (redis) => {
    for (const options of OF_APPS) {
      const client: Redis = Reflect.construct(Redis, [{ port: redis.port, ...options }])
      client.on('error', () => {})
      const { status } = client
      t.equal(await runsOver(client), 'success', JSON.stringify(options))
      t.equal(client.listenerCount('error'), 1, 'no listener on it')
      if (status === 'wait') t.equal(client.status, 'wait', 'it is not even connected')
      client.disconnect()
    }
  })
)

t.test('a client may be in any state: closed, before its connection, with subscriptions, in another database', (t) =>
  withRedis(async (redis) => {
    const before = await connectionsOf(redis)
    const closed = new Redis(redis.port)
    await closed.quit()
    t.equal(await runsOver(closed), 'success')
    t.equal(closed.status, 'end', 'it is left closed')

    const subscriber: Redis = Reflect.construct(Redis, [{ port: redis.port, protocol: 2 }])
    await subscriber.subscribe('news')
    t.equal(await runsOver(subscriber), 'success')
    t.equal(subscriber.mode, 'subscriber')
    subscriber.disconnect()

    const elsewhere = new Redis({ port: redis.port, db: 3, keyPrefix: 'app:' })
    t.equal(await runsOver(elsewhere), 'success')
    t.ok(await elsewhere.exists('rls:{own}:fence'), 'its database and its prefix count')
    await elsewhere.select(5)
    t.equal(await runsOver(elsewhere), 'success')
    t.ok(await elsewhere.exists('rls:{own}:fence'), 'also the database it has selected since')
    elsewhere.disconnect()
    while ((await connectionsOf(redis)) > before) await sleep(10)
  })
)

t.test('a client may be closed by the app before the scheduler: its run ends, and its lock is released', (t) =>
  withRedis(async (redis) => {
    const client = new Redis(redis.port)
    const scheduler = createScheduler({ redis: client, prefix: 'own' })
    let end = (): void => {}
    scheduler.interval('job', NEVER_DUE, () => new Promise<void>((resolve) => (end = resolve)))
    await scheduler.start()
    const executed = nextEvent(scheduler, 'executed')
    await scheduler.trigger('job')
    await client.quit()
    end()
    t.equal((await executed).run.outcome, 'success')
    await scheduler.close()
    t.equal(await redis.client.exists('rls:{own}:lock:job'), 0)
  })
)

t.test('wrong credentials of a client are told as such, also by ioredis 5', (t) =>
  withRedis(
    async ({ port }) => {
      for (const Client of [Redis, Redis5]) {
        for (const wrong of [{ password: 'wrong' }, { username: 'nobody', password: 'wrong' }, {}]) {
          const client: Redis = Reflect.construct(Client, [{ port, ...wrong }])
          client.on('error', () => {})
          await t.rejects(runsOver(client), { code: 'FST_ERR_RLS_REDIS_AUTH' })
          client.disconnect()
        }
      }
    },
    ['--requirepass', 'right']
  )
)

t.test('twelve schedulers on one client leave nothing on it', (t) =>
  withRedis(async (redis) => {
    const warned: Error[] = []
    const note = (warning: Error): void => void warned.push(warning)
    process.on('warning', note)
    const client = new Redis(redis.port)
    const schedulers = Array.from({ length: 12 }, (_, index) => createScheduler({ redis: client, prefix: `${index}` }))
    await Promise.all(schedulers.map((scheduler) => scheduler.start()))
    await Promise.all(schedulers.map((scheduler) => scheduler.close()))
    process.off('warning', note)
    t.same(warned, [])
    t.equal(await client.ping(), 'PONG')
    client.disconnect()
  })
)

t.test('a Cluster that reads from replicas, and queues, is asked as claims need it', async (t) => {
  const cluster = new Cluster([{ host: '127.0.0.1', port: 7000 }], {
    lazyConnect: true,
    scaleReads: 'slave',
    retryDelayOnFailover: 500,
    clusterRetryStrategy: () => null,
    redisOptions: { keyPrefix: 'app:', password: 'secret', commandTimeout: 5 }
  })
  const own = duplicate(cluster) as Cluster
  t.match(own.options, { scaleReads: 'master', enableOfflineQueue: false, retryDelayOnFailover: 0, keyPrefix: 'app:' })
  t.match(own.options.redisOptions, { password: 'secret', keyPrefix: 'app:', socketTimeout: Number })
  t.equal(own.options.redisOptions?.commandTimeout, undefined)
  t.equal(cluster.options.scaleReads, 'slave', 'its own options are as they were')
  for (const each of [cluster, own]) each.disconnect()
})

t.test('what the query of a URL says does not change what a connection needs', (t) =>
  withRedis(async (redis) => {
    const before = await connectionsOf(redis)
    const scheduler = createScheduler({
      redis: `${redis.url}?enableOfflineQueue=true&lazyConnect=&maxRetriesPerRequest=20`,
      prefix: 'own'
    })
    await sleep(50)
    t.equal(await connectionsOf(redis), before, 'nothing is connected before the start')
    await scheduler.close()
  })
)

t.test('a client that cannot be duplicated is used as it is, and renewed when it is silent again and again', (t) =>
  withRedis((redis) =>
    withProxies([redis.port], async ([proxy]) => {
      if (proxy === undefined) throw new Error('a proxy was asked for')
      const client = new Redis({ port: proxy.port, retryStrategy: () => 50 })
      client.on('error', () => {})
      client.duplicate = () => {
        throw new Error('not this one')
      }
      const told: string[] = []
      const listener = { onUp: () => void told.push('up'), onDown: () => void told.push('down') }
      const replica = redisReplica(client, { prefix: 'own', listener })
      await replica.open()
      proxy.forget()
      const end = performance.now() + 15_000
      while (told.join() !== 'up,down,up' && performance.now() < end) {
        await replica.claim([request({ jobId: 'job' })])
        await sleep(100)
      }
      t.same(told, ['up', 'down', 'up'], 'the connection that was dead was replaced')
      await replica.close()
      t.equal(client.status, 'ready', 'the client is left open')
      t.equal(client.listenerCount('error'), 1)
      client.disconnect()
    })
  )
)

t.test('a server that is no master any more is left, also where Redis 6.2 wraps what it says', async (t) => {
  const refused = [
    "READONLY You can't write against a read only replica. script: 01, on @user_script:5.",
    'NOREPLICAS Not enough good replicas to write.',
    "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'."
  ]
  const wrapped = refused.map(
    (text) => `ERR Error running script (call to f_01): @user_script:5: @user_script: 5: -${text}`
  )
  for (const text of [...refused, ...wrapped]) t.ok(DEFAULT_OPTIONS.reconnectOnError(new Error(text)), text)
  for (const text of ['OOM command not allowed', 'ERR no READONLY here', 'NOPERM this user']) {
    t.notOk(DEFAULT_OPTIONS.reconnectOnError(new Error(text)), text)
  }
})

t.test('a replica that does nothing notices within three seconds that Redis hangs', (t) =>
  withRedis(async (redis) => {
    let downAt = 0
    const onDown = (): void => {
      downAt ||= performance.now()
    }
    const replica = redisReplica(redis.url, { listener: { onDown } })
    await replica.open()
    // Its looks are those of an idle replica by now.
    await sleep(1500)
    const hungAt = performance.now()
    redis.hang()
    while (downAt === 0 && performance.now() - hungAt < 6000) await sleep(20)
    t.equal(replica.state.up, false)
    t.ok(downAt > hungAt && downAt - hungAt < 4000, `${downAt - hungAt} ms`)
    await replica.close()
  })
)
