import { readFile, rm } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { Redis as Redis5 } from 'ioredis5'
import t from 'tap'
import { systemClock } from '../../lib/base/clock.js'
import { NotConnectedError } from '../../lib/coordination/redis/availability.js'
import { isReplyError, RefusalError } from '../../lib/coordination/redis/refusals.js'
import * as scripts from '../../lib/coordination/redis/scripts.js'
import { createScheduler, type Scheduler } from '../../lib/index.js'
import { request } from '../fixtures/contract/requests.js'
import { type LogLine, logLines } from '../fixtures/log-lines.js'
import { nextEvent } from '../fixtures/next-event.js'
import { redisReplica } from '../fixtures/redis-replicas.js'
import { freePort, type TestRedis, withRedis } from '../fixtures/with-redis.js'

// They wait for most of their time: two at a time.
t.jobs = 2

interface Refusal {
  readonly code: string
  /** Settings of the server. */
  readonly args?: readonly string[]
  prepare?(redis: TestRedis): Promise<unknown>
  refuse(redis: TestRedis): Promise<unknown>
  heal(redis: TestRedis): Promise<unknown>
}

const REFUSALS: readonly Refusal[] = [
  {
    code: 'OOM',
    refuse: ({ client }) => client.config('SET', 'maxmemory', '1'),
    heal: ({ client }) => client.config('SET', 'maxmemory', '0')
  },
  {
    code: 'NOREPLICAS',
    refuse: ({ client }) => client.config('SET', 'min-replicas-to-write', '1'),
    heal: ({ client }) => client.config('SET', 'min-replicas-to-write', '0')
  },
  {
    code: 'READONLY',
    refuse: async ({ client }) => client.replicaof('127.0.0.1', await freePort()),
    heal: ({ client }) => client.replicaof('NO', 'ONE')
  },
  {
    code: 'MASTERDOWN',
    args: ['--replica-serve-stale-data', 'no'],
    refuse: async ({ client }) => client.replicaof('127.0.0.1', await freePort()),
    heal: ({ client }) => client.replicaof('NO', 'ONE')
  },
  {
    code: 'MISCONF',
    refuse: async ({ client }) => {
      await rm(((await client.config('GET', 'dir')) as string[])[1] as string, { recursive: true })
      await client.config('SET', 'save', '3600 1')
      await client.bgsave()
      while (!/rdb_last_bgsave_status:err/.test(await client.info('persistence'))) await sleep(10)
    },
    heal: ({ client }) => client.config('SET', 'stop-writes-on-bgsave-error', 'no')
  },
  {
    code: 'NOPERM .*: hgetall, smismember',
    refuse: ({ client }) => client.acl('SETUSER', 'default', '-smismember', '-hgetall'),
    heal: ({ client }) => client.acl('SETUSER', 'default', '+@all')
  },
  {
    code: 'NOPERM',
    refuse: ({ client }) => client.acl('SETUSER', 'default', '-evalsha', '-eval'),
    heal: ({ client }) => client.acl('SETUSER', 'default', '+@all')
  },
  {
    code: 'BUSY',
    args: ['--lua-time-limit', '50'],
    refuse: async ({ port, client }) => {
      const busy = new Redis(port)
      busy.on('error', () => {})
      busy.eval('while true do end', 0).catch(() => busy.disconnect())
      while (
        !(await client.ping().then(
          () => false,
          () => true
        ))
      );
    },
    heal: ({ client }) => client.script('KILL')
  },
  {
    code: 'CLUSTERDOWN',
    args: ['--cluster-enabled', 'yes'],
    prepare: async ({ client }) => {
      await client.cluster('ADDSLOTS', ...Array.from({ length: 16_384 }, (_, slot) => slot))
      while (!/cluster_state:ok/.test(`${await client.cluster('INFO')}`)) await sleep(20)
    },
    refuse: ({ client }) => client.cluster('DELSLOTS', 0),
    heal: ({ client }) => client.cluster('ADDSLOTS', 0)
  }
]

/** Ten times as fast. */
const fast = {
  ...systemClock,
  setTimeout: (fn: () => void, ms: number) => systemClock.setTimeout(fn, ms / 10),
  monotonic: () => 10 * systemClock.monotonic()
}

const upIs = async (scheduler: Scheduler<undefined>, up: 0 | 1): Promise<void> => {
  while (!new RegExp(`^apscheduler_redis_up ${up}$`, 'm').test(`${await scheduler.register?.metrics()}`))
    await sleep(20)
}

/** What Redis was said to have answered. */
function reasonIn(lines: readonly LogLine[]): string | undefined {
  const { err } = lines.find(({ message }) => /^Redis refuses/.test(message))?.fields ?? {}
  return (err as Error | undefined)?.message
}

for (const { code, args = [], prepare, refuse, heal } of REFUSALS) {
  t.test(`a Redis that refuses (${code}) is down, told once an outage, until a claim can be had`, (t) =>
    withRedis(async (redis) => {
      await prepare?.(redis)
      const { logger, lines } = logLines()
      const told = (pattern: RegExp): number => lines.filter(({ message }) => pattern.test(message)).length
      const scheduler = createScheduler({ redis: redis.url, prefix: 'app', logger, closeTimeout: 500 })
      scheduler.interval('job', 200, () => {})
      await scheduler.start()
      await nextEvent(scheduler, 'executed')
      for (const outage of [1, 2]) {
        await refuse(redis)
        await upIs(scheduler, 0)
        await sleep(1500)
        t.equal(told(/^Redis refuses what jobs need/), outage, 'told once, however often it is asked')
        t.equal(told(/answers again/), outage - 1, 'and not that it answers')
        // A lock by name needs less than a claim.
        if (!code.includes(':')) {
          await t.rejects(
            scheduler.withLock('name', {}, () => 1),
            { code: 'FST_ERR_RLS_REDIS_UNAVAILABLE' }
          )
        }
        const missed = nextEvent(scheduler, 'missed', ({ reason }) => reason === 'redis_error')
        await heal(redis)
        await missed
        await nextEvent(scheduler, 'executed')
        await upIs(scheduler, 1)
        t.equal(told(/answers again/), outage)
        if (code !== 'OOM') break
      }
      t.match(reasonIn(lines), new RegExp(code))
      t.equal(told(/^Redis (refuses|does not)/), code === 'OOM' ? 2 : 1, 'nothing else is said of it')
      await scheduler.close()
    }, args)
  )
}

t.test(
  'a reply of Redis is told from other errors, also where a minifier has renamed the classes of ioredis',
  async (t) => {
    class Renamed extends Error {
      override get name(): string {
        return this.constructor.name
      }
    }
    const answered = (message: string): Error =>
      Object.assign(new Renamed(message), { command: { name: 'evalsha', args: [] } })
    t.ok(isReplyError(answered('NOPERM this user has no permissions')))
    t.ok(isReplyError(answered("OOM command not allowed when used memory > 'maxmemory'.")))
    t.ok(isReplyError(new RefusalError('NOPERM this user may not run it')))
    t.notOk(isReplyError(answered('Command aborted due to connection close')), 'nobody has replied to that command')
    // What was said before is the reason why nothing is sent, and no reply to it.
    t.notOk(isReplyError(new NotConnectedError('ERR DB index is out of range')))
    t.notOk(isReplyError(new Error('connect ECONNREFUSED 127.0.0.1:6379')))
    t.notOk(isReplyError('ERR'))
  }
)

t.test('all commands that a script calls are tried, and docs/deployment.md names them', async (t) => {
  const { PROBE_SCRIPT, ...others } = scripts
  const called = new Set<string>()
  const history = new Set<string>()
  for (const script of Object.values(others)) {
    for (const [, name] of script.matchAll(/call\('([A-Z]+)'/g)) if (name !== 'INFO') called.add(name as string)
    // Jobs run without.
    for (const [, name] of script.matchAll(/tryHistory\('([A-Z]+)'/g)) history.add(name as string)
  }
  t.ok(called.size > 10)
  const page = await readFile(new URL('../../docs/deployment.md', import.meta.url), 'utf8')
  for (const name of called) {
    t.match(PROBE_SCRIPT, `try('${name}'`)
    t.match(page, ` +${name.toLowerCase()} `)
  }
  t.ok(history.has('XTRIM'))
  for (const name of history) t.match(page, ` +${name.toLowerCase()} `)
})

t.test('an answer for which nothing is written does not show that claims can be had', (t) =>
  withRedis(async (redis) => {
    const told: string[] = []
    const listener = { onUp: () => void told.push('up'), onDown: () => void told.push('down') }
    const replica = redisReplica(redis.url, { listener })
    await replica.open()
    t.match(await replica.claim([request({ jobId: 'job' })], 'a'), [{ status: 'granted' }])
    await redis.client.config('SET', 'maxmemory', '1')
    t.match(await replica.claim([request({ jobId: 'other' })], 'b'), [{ status: 'unavailable', maybe: false }])
    t.match(await replica.claim([request({ jobId: 'job', kind: 'manual' })]), [{ status: 'overlap' }])
    t.same(told, ['up', 'down'])
    await replica.close()
  })
)

t.test('a reply that is told again does not show that claims can be had', (t) =>
  withRedis(async (redis) => {
    const told: string[] = []
    const listener = { onUp: () => void told.push('up'), onDown: () => void told.push('down') }
    const replica = redisReplica(redis.url, { listener })
    await replica.open()
    const granted = [request({ jobId: 'job' })]
    const [first] = await replica.claim(granted, 'a')
    await redis.client.config('SET', 'maxmemory', '1')
    await replica.acquire('name', 1000, 'token')
    t.match(await replica.claim(granted, 'a'), [
      { status: 'granted', fencingToken: first?.status === 'granted' ? first.fencingToken : 0 }
    ])
    t.same(told, ['up', 'down'])
    await redis.client.config('SET', 'maxmemory', '0')
    t.match(await replica.claim([request({ jobId: 'other' })], 'b'), [{ status: 'granted' }])
    t.same(told, ['up', 'down', 'up'])
    await replica.close()
  })
)

/** What a claim needs and a foreign key of another type spoils, and whether it can be seen without a claim. */
const SPOILT = [
  { key: 'paused', seen: true },
  { key: 'open', seen: true },
  { key: 'handed', seen: true },
  { key: 'taken:1000', seen: false }
]

for (const { key, seen } of SPOILT) {
  t.test(`a claim that is refused as \`${key}\` is of another type: down for as long as the next would be`, (t) =>
    withRedis(async (redis) => {
      const told: string[] = []
      const listener = {
        onUp: () => void told.push('up'),
        onDown: ({ message }: Error) => {
          // A busy machine may be too slow for a clock that is so fast.
          if (!/no answer within/.test(message)) told.push(`down: ${message.replace(/.*: /, '')}`)
        }
      }
      const replica = redisReplica(redis.url, { listener, prefix: 'app', clock: fast })
      await replica.open()
      const wrong = /^down: WRONGTYPE/
      const blocks = { scheduledTime: 1000, asked: [], waiting: ['block'], onTaken: () => {} }
      // By hand, and so asked for once.
      const claim = async (): Promise<string | undefined> => {
        const kind = key === 'open' ? 'tick' : 'manual'
        return (await replica.claim([request({ jobId: `job-${Math.random()}`, kind })], undefined, blocks))[0]?.status
      }
      for (const outage of [1, 2]) {
        await redis.client.set(`rls:{app}:${key}`, 'x')
        t.equal(await claim(), 'unavailable')
        // Some ten seconds of its clock.
        for (let count = 0; count < 10; count++) {
          await sleep(100)
          if (!seen) t.equal(await claim(), 'unavailable')
        }
        t.equal(told.length, 2 * outage, 'told once')
        t.match(told.at(-1), wrong)
        await redis.client.del(`rls:{app}:${key}`)
        while (told.length === 2 * outage) await sleep(20)
        t.equal(told.at(-1), 'up', 'without a claim')
        t.equal(await claim(), 'granted')
        t.equal(told.length, 2 * outage + 1)
      }
      await replica.close()
    })
  )
}

t.test('what claims need and cannot be had from the start on is an outage too', (t) =>
  withRedis(async (redis) => {
    const { logger, lines } = logLines()
    await redis.client.set('rls:{app}:handed', 'x')
    const scheduler = createScheduler({ redis: redis.url, prefix: 'app', logger, clock: fast })
    scheduler.date('job', '2099-01-01T00:00:00Z', () => {})
    await scheduler.start()
    t.match(reasonIn(lines), /WRONGTYPE/)
    await upIs(scheduler, 0)
    await redis.client.del('rls:{app}:handed')
    await upIs(scheduler, 1)
    // It is seen as soon by one that was up.
    await redis.client.set('rls:{app}:handed', 'x')
    await upIs(scheduler, 0)
    await redis.client.del('rls:{app}:handed')
    await upIs(scheduler, 1)
    await scheduler.close()
  })
)

t.test('a run by hand that Redis refused once keeps no outage going: abandoned runs are looked for', (t) =>
  withRedis(async ({ url, client }) => {
    const scheduler = createScheduler({ redis: url, prefix: 'app', clock: fast })
    scheduler.interval('daily', '1d', () => {})
    await scheduler.start()
    await client.set('rls:{app}:paused', 'x')
    await t.rejects(scheduler.trigger('daily'), { code: 'FST_ERR_RLS_REDIS_UNAVAILABLE', message: /WRONGTYPE/ })
    await client.del('rls:{app}:paused')
    const since = Date.now() - 600_000
    await client.zadd('rls:{app}:open', since, `dead-0-1 5 ${since} dead ${since} 0 daily`)
    while ((await client.zcard('rls:{app}:open')) > 0) await sleep(50)
    await upIs(scheduler, 1)
    await scheduler.close()
  })
)

t.test('a Redis that refuses writes is down also for a replica that has nothing to claim', (t) =>
  withRedis(async (redis) => {
    // A replica without work looks every ten seconds.
    const scheduler = createScheduler({ redis: redis.url, prefix: 'app', clock: fast })
    scheduler.date('job', '2099-01-01T00:00:00Z', () => {})
    await scheduler.start()
    await upIs(scheduler, 1)
    await redis.client.config('SET', 'maxmemory', '1')
    await upIs(scheduler, 0)
    await redis.client.config('SET', 'maxmemory', '0')
    await upIs(scheduler, 1)
    await scheduler.close()
    t.same(await redis.client.keys('*probe*'), [], 'and leaves nothing behind')
  })
)

t.test('a user that may not do all is told what is missing; one that may not ask INFO has its jobs', (t) =>
  withRedis(async (redis) => {
    const { logger, lines } = logLines()
    await redis.client.acl('SETUSER', 'app', 'on', '>secret', '~rls:*', '+@all', '-@dangerous')
    const url = `redis://app:secret@127.0.0.1:${redis.port}`
    const one = createScheduler({ redis: url, prefix: 'app', logger })
    one.interval('job', '200ms', () => {})
    await one.start()
    await nextEvent(one, 'executed')
    await one.close()
    const warnings = (): string[] => lines.filter(({ level }) => level === 'warn').map(({ message }) => message)
    t.match(warnings().at(-1), /may not run INFO.*\+info/)
    await redis.client.acl('SETUSER', 'app', '-hgetall', '-smismember')
    const other = createScheduler({ redis: url, prefix: 'app', logger })
    await other.start()
    t.match(reasonIn(lines), /NOPERM .*: hgetall, smismember$/)
    await other.close()
  })
)

t.test(
  'a Redis that loads its data is waited for, after a restart and at the start of the app, whichever ioredis asks',
  (t) =>
    withRedis(
      async (redis) => {
        await redis.client.eval('for key = 1, 100 do redis.call("SET", key, string.rep("-", 1000)) end', 0)
        for (const Client of [Redis, Redis5]) {
          const { logger, lines } = logLines()
          const told = (): string[] =>
            lines.map(({ message }) => message).filter((message) => /^Redis (refuses|does not|answers)/.test(message))
          const client: Redis = Reflect.construct(Client, [{ port: redis.port, db: 3, lazyConnect: true }])
          const make = () => createScheduler({ redis: client, prefix: `loading-${Client === Redis ? 6 : 5}`, logger })
          const running = make()
          running.interval('job', 100, () => {})
          await running.start()
          await nextEvent(running, 'executed')
          await redis.client.save()
          const loaded = redis.restart()
          while (!/^Redis (refuses|does not)/.test(told().join())) await sleep(20)
          const started = make()
          await started.start()
          await t.rejects(
            started.withLock('name', {}, () => 1),
            { code: 'FST_ERR_RLS_REDIS_UNAVAILABLE' }
          )
          await upIs(started, 0)
          await loaded
          await Promise.all([nextEvent(running, 'executed'), upIs(started, 1)])
          t.equal(told().filter((message) => /answers again/.test(message)).length, 2, 'once for each')
          t.equal(told().length, 4, 'as is the outage')
          await Promise.all([running.close(), started.close()])
        }
      },
      // 4 seconds, in which it answers.
      ['--key-load-delay', '40000', '--loading-process-events-interval-bytes', '1024', '--rdbcompression', 'no']
    )
)
