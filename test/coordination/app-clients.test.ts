// Clients of the app's: @fastify/redis 7 and many apps have ioredis 5, whose clients are taken as they are.
import { Redis } from 'ioredis'
import { Redis as Redis5, type RedisOptions as RedisOptions5 } from 'ioredis5'
import t from 'tap'
import { createScheduler, type RedisInput, type Run, type SchedulerOptions } from '../../lib/index.js'
import { NEVER_DUE } from '../fixtures/never-due.js'
import { nextEvent } from '../fixtures/next-event.js'
import { withRedis } from '../fixtures/with-redis.js'

function replica(redis: RedisInput, options: Partial<SchedulerOptions<undefined>> = {}) {
  return createScheduler({
    redis,
    prefix: 'ioredis5',
    closeTimeout: 1000,
    defaults: { lock: { ttl: 300 } },
    ...options
  })
}

t.test('jobs of replicas whose clients are of ioredis 5 and 6 have one run a tick', async (t) => {
  await withRedis(async ({ port, url, client: observer }) => {
    const client = new Redis5(port)
    const replicas = [replica(client), replica(url), replica(client, { replicaId: 'third' })]
    const runs: Run[] = []
    for (const each of replicas) {
      each.interval('tick', 100, async ({ run }) => void runs.push(run))
      each.interval('hand', NEVER_DUE, async ({ signal }) => {
        // Longer than the lock's TTL, so that it is extended.
        await new Promise((resolve) => setTimeout(resolve, 450))
        return signal.aborted
      })
      await each.start()
    }
    const [first, second] = replicas as [(typeof replicas)[0], (typeof replicas)[0]]
    const ended = first.trigger('hand', { wait: true })
    await nextEvent(first, 'submitted', ({ job }) => job.id === 'hand')
    t.equal(await second.trigger('hand'), null)
    t.match(await ended, { outcome: 'success', result: false })
    t.match(await first.withLock('named', { ttl: '1s' }, ({ fencingToken }) => fencingToken > 0), { value: true })
    await first.pause('tick', 'maintenance')
    t.equal((await nextEvent(second, 'skipped', ({ reason }) => reason === 'paused')).job.id, 'tick')
    await first.resume('tick')
    await nextEvent(first, 'executed', ({ job }) => job.id === 'tick').catch(() => null)
    for (const each of replicas) await each.close()
    const ticks = runs.map(({ scheduledTime }) => scheduledTime)
    t.ok(ticks.length > 3)
    t.equal(new Set(ticks).size, ticks.length, 'no tick has two runs')
    t.equal(client.status, 'ready', "the app's client is the app's to close")
    t.equal(await observer.exists('rls:{ioredis5}:lock:tick'), 0)
    await client.quit()
  })
})

t.test('options, and the masters of a quorum, may be of ioredis 5', async (t) => {
  await withRedis(async ({ port }) => {
    await withRedis(async ({ url }) => {
      await withRedis(async ({ port: third }) => {
        const client = new Redis5(port)
        const own = replica([client, url, { port: third } satisfies RedisOptions5])
        own.interval('a', NEVER_DUE, () => 'ran')
        await own.start()
        t.match(await own.trigger('a', { wait: true }), { outcome: 'success' })
        await own.close()
        await client.quit()
      })
    })
  })
})

t.test('losing the lock is noticed by a client of ioredis 5', async (t) => {
  await withRedis(async ({ port, client: observer }) => {
    const client = new Redis5(port)
    const own = replica(client)
    own.interval('a', NEVER_DUE, ({ signal }) => new Promise((resolve) => signal.addEventListener('abort', resolve)))
    await own.start()
    const ended = own.trigger('a', { wait: true })
    await nextEvent(own, 'submitted')
    await observer.del('rls:{ioredis5}:lock:a')
    t.match(await ended, { outcome: 'lock_lost', error: { code: 'FST_ERR_RLS_LOCK_LOST' } })
    await own.close()
    await client.quit()
  })
})

t.test('a dozen schedulers on one client give no warning of a leak', async (t) => {
  await withRedis(async ({ port }) => {
    const warnings: string[] = []
    const onWarning = ({ name, message }: Error): void => void warnings.push(`${name}: ${message}`)
    process.on('warning', onWarning)
    for (const client of [new Redis5(port), new Redis(port)]) {
      const own = Array.from({ length: 12 }, (_, index) => replica(client, { prefix: `app-${index}` }))
      for (const each of own) {
        each.interval('a', NEVER_DUE, () => 'ran')
        await each.start()
        t.match(await each.trigger('a', { wait: true }), { outcome: 'success' })
      }
      await Promise.all(own.map((each) => each.close()))
      await client.quit()
    }
    await new Promise((resolve) => setImmediate(resolve))
    process.off('warning', onWarning)
    t.same(warnings, [])
  })
})
