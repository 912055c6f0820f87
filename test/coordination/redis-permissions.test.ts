// The Redis user of docs/deployment.md: its rights are enough for all that a scheduler does, and each of them is needed for what the
// page says.
import { readFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { Cluster } from 'ioredis'
import { Redis as Redis5 } from 'ioredis5'
import t from 'tap'
import { systemClock } from '../../lib/base/clock.js'
import { createScheduler, type RedisInput, type Scheduler, type SchedulerOptions } from '../../lib/index.js'
import { anyOf } from '../fixtures/any-of.js'
import { request } from '../fixtures/contract/requests.js'
import { type LogLine, logLines } from '../fixtures/log-lines.js'
import { NEVER_DUE } from '../fixtures/never-due.js'
import { nextEvent } from '../fixtures/next-event.js'
import { redisReplica } from '../fixtures/redis-replicas.js'
import { type TestRedis, withRedis } from '../fixtures/with-redis.js'

// They wait for most of their time: two at a time.
t.jobs = 2

const page = await readFile(new URL('../../docs/deployment.md', import.meta.url), 'utf8')
const [, USER = '', RULES = ''] = /^ACL SETUSER (\S+) (.*)$/m.exec(page) ?? []
const rules = RULES.split(' ')
const rights = rules.flatMap((rule) => (rule.startsWith('+') ? [rule.slice(1)] : []))
/** Without it jobs run, and old runs stay in the history. */
const HISTORY = ['xtrim']

const OPTIONAL = ['info', 'select', 'cluster|slots', ...HISTORY]
const PASSWORD = rules.find((rule) => rule.startsWith('>'))?.slice(1) ?? ''
const PREFIX = /^~rls:\{(.+)\}:\*$/.exec(rules.find((rule) => rule.startsWith('~')) ?? '')?.[1] ?? ''

/** Makes the page's user, without some of its rights. */
async function makeUser({ client }: TestRedis, without: readonly string[] = [], name = USER): Promise<void> {
  const given = rules.filter((rule) => !without.includes(rule.slice(1)))
  await client.acl('SETUSER', name, ...(given as [string]))
  await client.acl('LOG', 'RESET')
}

const urlOf = ({ port }: TestRedis, name = USER): string => `redis://${name}:${PASSWORD}@127.0.0.1:${port}`

/** What Redis has refused since the user was made: of each the command or the key. By `client|setinfo` ioredis tells its name. */
async function refused({ client }: TestRedis): Promise<string[]> {
  const entries = (await client.acl('LOG')) as unknown[][]
  return entries.map((entry) => `${entry[entry.indexOf('object') + 1]}`).filter((object) => object !== 'client|setinfo')
}

/** What Redis was said to have answered, once it has said that a right is missing. */
async function reasonIn(lines: readonly LogLine[]): Promise<string> {
  for (;;) {
    const reasons = lines.map(({ fields }) => (fields.err as Error | undefined)?.message ?? '')
    const reason = reasons.find((message) => message.includes('NOPERM'))
    if (reason !== undefined) return reason
    await sleep(20)
  }
}

/** Ten times as fast: what died is noticed as soon. */
const fast = {
  ...systemClock,
  setTimeout: (fn: () => void, ms: number) => systemClock.setTimeout(fn, ms / 10),
  monotonic: () => 10 * systemClock.monotonic()
}

function schedulerOf(redis: RedisInput, options: Partial<SchedulerOptions<undefined>> = {}): Scheduler<undefined> {
  return createScheduler({ redis, prefix: PREFIX, closeTimeout: 500, logger: logLines().logger, ...options })
}

/** All that a scheduler asks of one Redis, with what came of it. */
async function doAll(redis: RedisInput): Promise<string[]> {
  const did: string[] = []
  const defaults = { lock: { ttl: '1s' } } as const
  const dead = redisReplica(redis, { prefix: PREFIX })
  await dead.open()
  await dead.claim([request({ jobId: 'rerun', ttl: 300, rerun: true }), request({ jobId: 'gone', ttl: 300 })])
  await dead.close()

  const one = schedulerOf(redis, { defaults })
  const two = schedulerOf(redis, { defaults })
  const watcher = schedulerOf(redis, { clock: fast })
  one.on('error', ({ job, run }) => {
    if (run.outcome !== 'abandoned') did.push(`${job.id}: ${run.outcome}`)
  })
  for (const each of [one, two]) {
    each.interval('tick', '200ms', () => {})
    each.add({ id: 'after', trigger: { interval: '100ms', after: 'completion' }, handler: () => {} })
    each.add({
      id: 'dates',
      trigger: { any: [{ date: new Date(Date.now() + 300) }, { interval: '250ms' }] },
      handler: () => {}
    })
    each.interval('long', NEVER_DUE, () => sleep(1500))
  }
  one.add({ id: 'rerun', trigger: { interval: NEVER_DUE }, recovery: 'rerun', handler: ({ run }) => run.attempt })
  watcher.interval('gone', NEVER_DUE, () => {})
  const taken = nextEvent(one, 'executed', ({ job }) => job.id === 'rerun')
  const abandoned = nextEvent(watcher, 'error', ({ run }) => run.outcome === 'abandoned')
  await Promise.all([one, two, watcher].map((each) => each.start()))
  const both = anyOf([one, two])
  for (const id of ['tick', 'after', 'dates']) await nextEvent(both, 'executed', ({ job }) => job.id === id)
  did.push(`taken over: attempt ${(await taken).run.result}`)
  did.push(`abandoned: ${(await abandoned).job.id}`)
  did.push(`extended: ${(await one.trigger('long', { wait: true }))?.outcome}`)
  const waited = [one.trigger('long', { wait: true }), one.trigger('long', { overlap: 'wait', wait: true, data: 1 })]
  did.push(`waited: ${(await Promise.all(waited)).map((run) => run?.outcome)}`)
  const locked = await one.withLock('name', { ttl: '1s' }, async () => {
    await sleep(1500)
    return (await two.withLock('name', {}, () => {})).acquired
  })
  did.push(`lock by name: ${locked.acquired && locked.value}`)
  await one.pause('tick', 'a note')
  await nextEvent(two, 'skipped', ({ reason }) => reason === 'paused')
  await two.resume('tick')
  await nextEvent(both, 'executed', ({ job }) => job.id === 'tick')
  await Promise.all([one, two, watcher].map((each) => each.close()))
  return did
}

const ALL = [
  'taken over: attempt 2',
  'abandoned: gone',
  'extended: success',
  'waited: success,success',
  'lock by name: false'
]

t.test('the page has one line, of which each right is one of Redis', async (t) => {
  t.equal(page.match(/ACL SETUSER/g)?.length, 1)
  t.ok(USER && PASSWORD && PREFIX)
  t.equal(new Set(rights).size, rights.length)
  for (const right of OPTIONAL) t.ok(rights.includes(right))
})

for (const [version, make] of [
  ['6', (redis: TestRedis) => `${urlOf(redis)}/3`],
  [
    '5',
    ({ port }: TestRedis) => new Redis5({ port, username: USER, password: PASSWORD, db: 3, lazyConnect: true }) as never
  ]
] as const) {
  t.test(`its rights are enough for all, by ioredis ${version}: nothing is refused`, (t) =>
    withRedis(async (redis) => {
      await makeUser(redis)
      t.same(await doAll(make(redis)), ALL)
      t.same(await refused(redis), [])
    })
  )
}

t.test('they are enough for several masters, of which one forgets all', (t) =>
  withRedis((a) =>
    withRedis((b) =>
      withRedis(async (c) => {
        const masters = [a, b, c]
        for (const each of masters) await makeUser(each)
        const defaults = { lock: { ttl: '1s' } } as const
        const replicas = [1, 2].map(() =>
          schedulerOf(
            masters.map((each) => urlOf(each)),
            { defaults }
          )
        )
        const [one, two] = replicas as [Scheduler<undefined>, Scheduler<undefined>]
        for (const each of replicas) {
          each.interval('tick', '200ms', () => {})
          each.interval('long', NEVER_DUE, () => sleep(1500))
          await each.start()
        }
        const executed = () => nextEvent(anyOf(replicas), 'executed')
        await executed()
        const locked = one.withLock('name', { ttl: '1s' }, () => sleep(1500))
        t.equal((await two.trigger('long', { wait: true }))?.outcome, 'success')
        t.equal((await locked).acquired, true)
        await one.pause('tick')
        await two.resume('tick')
        await c.client.flushall()
        await executed()
        t.equal((await one.trigger('long', { wait: true }))?.outcome, 'success')
        await executed()
        await Promise.all(replicas.map((each) => each.close()))
        for (const each of masters) t.same(await refused(each), [])
      })
    )
  )
)

t.test('they are enough for a Cluster, and `cluster|slots` is needed there', (t) =>
  withRedis(
    async (redis) => {
      const { client, port } = redis
      await client.call('CLUSTER', 'ADDSLOTSRANGE', '0', '16383')
      while (!/cluster_state:ok/.test(String(await client.call('CLUSTER', 'INFO')))) await sleep(20)
      const cluster = () =>
        new Cluster([{ host: '127.0.0.1', port }], {
          lazyConnect: true,
          redisOptions: { username: USER, password: PASSWORD }
        })
      await makeUser(redis, ['select'])
      t.same(await doAll(cluster()), ALL)
      const costless = ['client|setname']
      t.same(
        (await refused(redis)).filter((right) => !costless.includes(right)),
        [],
        'but for what ioredis can do without'
      )
      await makeUser(redis, ['select', 'cluster|slots'])
      const { logger, lines } = logLines()
      const scheduler = schedulerOf(cluster(), { logger })
      await scheduler.start()
      t.match(await reasonIn(lines), /NOPERM.*cluster/)
      await scheduler.close()
    },
    ['--cluster-enabled', 'yes', '--cluster-announce-ip', '127.0.0.1']
  )
)

t.test('each right that is no option is needed: without it Redis is down for jobs, and the log names it', (t) =>
  withRedis(async (redis) => {
    const needed = rights.filter((right) => !OPTIONAL.includes(right))
    t.ok(needed.length > 20)
    for (const right of needed) {
      await makeUser(redis, [right], right)
      await redis.client.script('FLUSH')
      const { logger, lines } = logLines()
      const scheduler = schedulerOf(urlOf(redis, right), { logger })
      await scheduler.start()
      t.match(await reasonIn(lines), new RegExp(`NOPERM.*\\b${right}\\b`), right)
      t.match(await scheduler.register?.metrics(), /^apscheduler_redis_up 0$/m, right)
      await scheduler.close()
    }
  })
)

t.test('without what the history alone needs there is a warning, and jobs run', (t) =>
  withRedis(async (redis) => {
    await makeUser(redis, HISTORY)
    t.same(await doAll(urlOf(redis)), ALL)
    t.ok((await refused(redis)).every((right) => HISTORY.includes(right)))
    const { logger, lines } = logLines()
    const scheduler = schedulerOf(urlOf(redis), { logger })
    scheduler.interval('kept', NEVER_DUE, () => 'result')
    await scheduler.start()
    for (let count = 0; count < 2; count++)
      t.match(await scheduler.trigger('kept', { wait: true }), { outcome: 'success' })
    t.equal((await scheduler.history('kept')).length, 2)
    t.match(await scheduler.status('kept'), { consecutiveFailures: 0, lastSuccess: Number })
    t.equal(scheduler.health().status, 'ok')
    await scheduler.close()
    const warned = lines.flatMap(({ level, message }) => (level === 'warn' ? [message] : []))
    t.match(warned, [/refuses what the history of jobs needs: XTRIM/])
    t.equal(warned.length, 1)
  })
)

t.test('without `info` there is a warning at the start, and jobs run', (t) =>
  withRedis(async (redis) => {
    await makeUser(redis, ['info'])
    t.same(await doAll(urlOf(redis)), ALL)
    t.same([...new Set(await refused(redis))], ['info'])
    const { logger, lines } = logLines()
    await redis.client.config('SET', 'maxmemory-policy', 'allkeys-lru')
    const told = async (): Promise<string[]> => {
      const scheduler = schedulerOf(urlOf(redis), { logger })
      await scheduler.start()
      await scheduler.close()
      return lines.splice(0).flatMap(({ level, message }) => (level === 'warn' ? [message] : []))
    }
    t.match(await told(), [/may not run INFO.*allow \+info/])
    await makeUser(redis)
    t.match(await told(), [/evicts keys \(maxmemory-policy allkeys-lru\)/], 'what it is for')
  })
)

t.test('without `select` another database than 0 is refused at the start', (t) =>
  withRedis(async (redis) => {
    await makeUser(redis, ['select'])
    const other = schedulerOf(`${urlOf(redis)}/3`)
    await t.rejects(other.start(), { code: 'FST_ERR_RLS_REDIS_DATABASE' })
    await other.close()
    t.same(await doAll(urlOf(redis)), ALL)
  })
)

t.test('another prefix needs another key pattern', (t) =>
  withRedis(async (redis) => {
    await makeUser(redis)
    const { logger, lines } = logLines()
    const scheduler = schedulerOf(urlOf(redis), { prefix: 'other', logger })
    await scheduler.start()
    t.match(await reasonIn(lines), /NOPERM.*key/)
    await scheduler.close()
    t.same(await redis.client.keys('*'), [])
  })
)
