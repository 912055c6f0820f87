// What becomes of connections that Redis, or a proxy before it, closes before it has answered what they begin with.
import { setTimeout as sleep } from 'node:timers/promises'
import { Cluster, Redis } from 'ioredis'
import { Cluster as Cluster5, Redis as Redis5 } from 'ioredis5'
import t, { type Test } from 'tap'
import { duplicate } from '../../lib/coordination/redis/own-connection.js'
import type { RedisInput } from '../../types/redis.js'
import { type TcpProxy, withProxies } from '../chaos/fixtures/tcp-proxy.js'
import { request } from '../fixtures/contract/requests.js'
import { redisReplica } from '../fixtures/redis-replicas.js'
import { withRedis } from '../fixtures/with-redis.js'

let claims = 0

/** Puts a network before a Redis that takes connections and ends them unanswered for a while: claims go on after it. */
async function outlivesRefusals(t: Test, proxy: TcpProxy, client: RedisInput): Promise<void> {
  let [ups, downs] = [0, 0]
  const replica = redisReplica(client, {
    prefix: 'own',
    listener: { onUp: () => void ups++, onDown: () => void downs++ }
  })
  const until = async (isDone: () => boolean): Promise<boolean> => {
    const end = performance.now() + 10_000
    while (!isDone() && performance.now() < end) await sleep(50)
    return isDone()
  }
  await replica.open()
  proxy.refuse()
  t.ok(await until(() => downs > 0))
  proxy.heal()
  t.ok(await until(() => ups > 1), 'it is up again')
  t.match(await replica.claim([request({ jobId: `job-${++claims}` })]), [{ status: 'granted' }])
  await replica.close()
}

t.test('connections that are closed before they are answered end nothing for ever, and keep their name', (t) =>
  withRedis((redis) =>
    withProxies([redis.port], async ([proxy]) => {
      for (const Client of [Redis5, Redis]) {
        for (const options of [{}, { connectionName: 'app' }, { connectionName: 'app', disableClientInfo: true }]) {
          const client: Redis = Reflect.construct(Client, [
            { port: proxy?.port, db: 1, lazyConnect: true, enableReadyCheck: false, ...options }
          ])
          await outlivesRefusals(t, proxy as TcpProxy, client)
          t.equal((duplicate(client) as Redis).options.connectionName, client.options.connectionName)
        }
      }
    })
  )
)

t.test('so it is with the connections of a Cluster', (t) =>
  withRedis(
    (redis) =>
      withProxies([redis.port], async ([proxy]) => {
        if (proxy === undefined) throw new Error('a proxy was asked for')
        await redis.client.config('SET', 'cluster-announce-port', `${proxy.port}`)
        await redis.client.call('CLUSTER', 'ADDSLOTSRANGE', '0', '16383')
        while (!/cluster_state:ok/.test(String(await redis.client.call('CLUSTER', 'INFO')))) await sleep(20)
        for (const Client of [Cluster5, Cluster]) {
          for (const options of [{}, { clusterNodeRetryStrategy: () => 50, redisOptions: { connectionName: 'app' } }]) {
            const cluster: Cluster = Reflect.construct(Client, [
              [{ host: '127.0.0.1', port: proxy.port }],
              { lazyConnect: true, ...options }
            ])
            await outlivesRefusals(t, proxy, cluster)
          }
        }
      }),
    ['--cluster-enabled', 'yes', '--cluster-announce-ip', '127.0.0.1']
  )
)
