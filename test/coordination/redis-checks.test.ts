import t from 'tap'
import { findUnsafe, runIdOf } from '../../lib/coordination/redis/checks.js'
import { withRedis } from '../fixtures/with-redis.js'

t.test('a master that takes writes without its replicas is found, and one that is set right is not', (t) =>
  withRedis((master) =>
    withRedis(async (replica) => {
      const info = (): Promise<string> => master.client.info()
      t.same(findUnsafe(await info()), [], 'without replicas nothing can be split')
      await replica.client.replicaof('127.0.0.1', master.port)
      while (!/connected_slaves:1/.test(await info()));
      t.match(findUnsafe(await info()), [/min-replicas-to-write to 1 and min-replicas-max-lag to 3/])
      t.same(findUnsafe(await replica.client.info()), [], 'it is said by the master')
      await master.client.config('SET', 'min-replicas-to-write', '1')
      t.same(findUnsafe(await info()), [])
      t.match(runIdOf(await info()), /^\w{40}$/)
      t.equal(runIdOf(null), null)
    })
  )
)

t.test(
  'of the versions of Redis those are found that are too old, and that forget the replicas in scripts',
  async (t) => {
    const found = (version: string, ...lines: string[]): string[] =>
      findUnsafe([`redis_version:${version}`, 'maxmemory_policy:noeviction', ...lines, ''].join('\r\n'))
    const master = ['role:master', 'connected_slaves:2', 'min_slaves_good_slaves:2']
    for (const version of ['6.2.0', '6.2.6']) {
      t.same(found(version), [], 'without replicas it is no matter')
      t.same(found(version, ...master, 'cluster_enabled:1'), [])
      t.match(found(version, ...master), [
        new RegExp(`^Redis ${version} does not heed min-replicas-to-write.*6\\.2\\.7`)
      ])
      t.match(found(version, ...master.slice(0, 2)), [/set min-replicas-to-write to 1/, /does not heed/])
    }
    for (const version of ['6.2.7', '6.2.16', '7.0.0', '7.2.4', '8.0', '10.0.1']) t.same(found(version, ...master), [])
    for (const version of ['6.0.20', '5.0.14', '2.8']) {
      t.match(found(version), [new RegExp(`^Redis ${version} is older than 6\\.2, `)])
      t.match(found(version, ...master), [/is older/, /does not heed/])
    }
    t.same(findUnsafe(master.join('\r\n')), [], 'one that does not say its version')
  }
)
