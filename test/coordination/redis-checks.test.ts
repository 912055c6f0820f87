import t from 'tap'
import { findUnsafe, runIdOf } from '../../lib/coordination/redis-checks.js'
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
