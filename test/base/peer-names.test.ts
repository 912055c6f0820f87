import Fastify from 'fastify'
import { Redis } from 'ioredis'
import t from 'tap'
import * as peers from '../../lib/base/peer-names.js'
import { plainName } from '../../lib/base/peer-names.js'
import plugin, { createScheduler } from '../../lib/index.js'
import { DEFAULT_KEYS, JOB_KEYS, RETRY_KEYS } from '../../lib/jobs/options.js'
import { METRICS_KEYS, SCHEDULER_KEYS } from '../../lib/options.js'

const handler = (): void => {}
const CODE = 'FST_ERR_RLS_OPTION_UNKNOWN'
const scheduler = createScheduler()
t.teardown(() => scheduler.close())

const job = (extra: object) => () => scheduler.add({ id: 'a', trigger: { interval: '1h' }, handler, ...extra } as never)
const trigger = (input: object) => () => scheduler.preview(input as never)
const options = (extra: object) => () => createScheduler(extra as never)
const over = (redis: unknown) => options({ redis, prefix: 'app' })

const CASES: readonly (readonly [what: () => unknown, peer: string, ours: RegExp])[] = [
  [job({ every: '5m' }), 'every', /trigger: \{ interval: '5m' \}/],
  [job({ interval: 5 }), 'interval', /trigger: \{ interval/],
  [job({ cron: '* * * * *' }), 'cron', /trigger: \{ cron/],
  [job({ cronTime: '* * * * *' }), 'cronTime', /trigger: \{ cron/],
  [job({ schedule: '* * * * *' }), 'schedule', /trigger: \{ cron/],
  [job({ tz: 'Europe/Vienna' }), 'tz', /`timezone` in the trigger/],
  [job({ timeZone: 'Europe/Vienna' }), 'timeZone', /`timezone` in the trigger/],
  [job({ run_date: 5 }), 'run_date', /trigger: \{ date \}/],
  [job({ start_date: 5 }), 'start_date', /`startDate` in the trigger/],
  [job({ onTick: handler }), 'onTick', /`handler`/],
  [job({ kwargs: {} }), 'kwargs', /`data`/],
  [job({ attempts: 3 }), 'attempts', /`retry: \{ limit, delay \}`/],
  [job({ backoff: 3 }), 'backoff', /`retry/],
  [job({ lockAtMostFor: '5m' }), 'lockAtMostFor', /`lock: \{ ttl \}`/],
  [job({ max_instances: 1 }), 'max_instances', /`maxInstances`/],
  [job({ noOverlap: true }), 'noOverlap', /`overlap`/],
  [job({ runOnInit: true }), 'runOnInit', /`runOnStart: true`/],
  [job({ limit: 3 }), 'limit', /`maxRuns`/],
  [job({ startingDeadlineSeconds: 3 }), 'startingDeadlineSeconds', /`misfireGraceTime`/],
  [job({ retry: { attempts: 3 } }), 'attempts', /`limit`/],
  [job({ retry: { limit: 1, minTimeout: 3 } }), 'minTimeout', /`delay`/],
  [job({ lock: { duration: 3 } }), 'duration', /`ttl`/],
  [job({ trigger: { minutes: 5 } }), 'minutes', /`interval: \{ minutes: 5 \}`/],
  [trigger({ cron: '* * * * *', tz: 'UTC' }), 'tz', /`timezone`/],
  [trigger({ any: [{ pattern: '* * * * *' }] }), 'pattern', /`cron/],
  [trigger({ hour: 3, minute: 30 }), 'hour', /`cron: \{ hour: 3, minute: 30 \}`/],
  [trigger({ interval: '5m', jitter: 3 }), 'jitter', /option of the job/],
  [options({ client: {} }), 'client', /`redis`/],
  [options({ tz: 'UTC' }), 'tz', /`timezone`/],
  [over({ url: 'redis://:secret@example.com/2' }), 'url', /in `redis`: here it is `redis: 'redis:.*'`$/],
  [over({ socket: { host: 'example.com' } }), 'socket', /`host` and `port`/],
  [over({ host: 'example.com', database: 2 }), 'database', /`db`/],
  [over({ host: 'example.com', auth_pass: 'secret' }), 'auth_pass', /`password`$/],
  [over({ rootNodes: [] }), 'rootNodes', /an ioredis Cluster/],
  [over(['redis://a', 'redis://b', { url: 'redis://c' }]), 'url', /`redis: 'redis:.*'`$/],
  [options({ job_defaults: {} }), 'job_defaults', /`defaults`/],
  [options({ retry: 3 }), 'retry', /in `defaults`/],
  [options({ defaults: { attempts: 3 } }), 'attempts', /`retry/],
  [options({ metrics: { registry: {} } }), 'registry', /`register`/],
  [() => scheduler.cron('a', '* * * * *', handler, { tz: 'UTC' } as never), 'tz', /`timezone`/]
]

for (const [what, peer, ours] of CASES) {
  t.test(`${peer} is an error that says ${ours.source}`, async (t) => {
    t.throws(what, { code: CODE, message: new RegExp(`\`${peer}\``) })
    t.throws(what, { message: ours })
    t.same(scheduler.list(), [], 'and nothing has changed')
  })
}

t.test('also of what is asked for later, and of the plugin', async (t) => {
  scheduler.add({ id: 'b', trigger: '@daily', handler })
  t.throws(() => scheduler.modify('b', { every: '5m' } as never), { code: CODE, message: /`every`.*interval/ })
  await t.rejects(scheduler.trigger('b', { payload: 1 } as never), { code: CODE, message: /`data`/ })
  await t.rejects(scheduler.withLock('b', { duration: 5 } as never, handler), { code: CODE, message: /`ttl`/ })
  scheduler.remove('b')
  const app = Fastify()
  const registered = app.register(plugin, { metrics: { path: '/x' } } as never)
  await t.rejects(Promise.resolve(registered), { code: CODE, message: /`endpoint`/ })
})

t.test("no name of a peer's is one of ours, and none has two meanings", async (t) => {
  const tables: readonly (readonly [readonly string[], peers.PeerNames])[] = [
    [JOB_KEYS, peers.PEER_JOB_NAMES],
    [DEFAULT_KEYS, peers.PEER_DEFAULT_NAMES],
    [SCHEDULER_KEYS, peers.PEER_SCHEDULER_NAMES],
    [[...METRICS_KEYS, 'endpoint'], peers.PEER_METRICS_NAMES],
    [RETRY_KEYS, peers.PEER_RETRY_NAMES],
    [Object.keys(new Redis({ lazyConnect: true }).options), peers.PEER_REDIS_NAMES],
    [['ttl'], peers.PEER_LOCK_NAMES],
    [['data', 'wait'], peers.PEER_TRIGGER_CALL_NAMES],
    [['cron', 'interval', 'date', 'any', 'all', 'timezone', 'startDate', 'endDate'], peers.PEER_TRIGGER_NAMES]
  ]
  for (const [ours, table] of tables) {
    const all = Object.values(table).flat()
    t.same(
      all.filter((name) => ours.includes(name)),
      []
    )
    const plain = all.map(plainName)
    t.same(
      plain.filter((name, index) => plain.indexOf(name) !== index),
      []
    )
  }
})
