import { setTimeout as sleep } from 'node:timers/promises'
import { Cluster } from 'ioredis'
import t from 'tap'
import { systemClock } from '../../lib/base/clock.js'
import { MemoryCoordination } from '../../lib/coordination/memory/coordination.js'
import { MemoryStore } from '../../lib/coordination/memory/store.js'
import { RedisOpenRuns } from '../../lib/coordination/redis/open-runs.js'
import { MemoryNode } from '../../lib/testing/memory-node.js'
import { VotingStore } from '../../lib/testing/voting-store.js'
import type { Coordination, CoordinationListener } from '../../types/coordination.js'
import { openRunContract, reconcileContract } from '../fixtures/contract/open-run-contract.js'
import { listen, type WithReplicas } from '../fixtures/contract/requests.js'
import { memoryMaster, quorumOver, redisMaster, TestStore, withMasters } from '../fixtures/quorum-replicas.js'
import { redisReplica } from '../fixtures/redis-replicas.js'
import { withRedis } from '../fixtures/with-redis.js'

// They wait for most of their time: two at a time.
t.jobs = 2

let prefixes = 0

/** Replicas over one store, opened and closed. */
function replicasOf(connect: (listener: CoordinationListener, prefix: string) => Coordination): WithReplicas {
  return async (count, body) => {
    const prefix = `open-${++prefixes}`
    const heard = Array.from({ length: count }, listen)
    const replicas = heard.map((listener) => connect(listener, prefix))
    await Promise.all(replicas.map((replica) => replica.open()))
    await body(replicas, heard)
    await Promise.all(replicas.map((replica) => replica.close()))
  }
}

t.test('in memory', async (t) => {
  openRunContract(t, async (count, body) => {
    const store = new MemoryStore()
    await replicasOf((listener) => new MemoryCoordination(systemClock, store, 1000, listener))(count, body)
  })
})

t.test('over a simulated Redis', async (t) => {
  const withReplicas: WithReplicas = async (count, body) => {
    const store = new VotingStore()
    await replicasOf((listener) => new MemoryNode(systemClock, store, 1000, listener))(count, body)
  }
  openRunContract(t, withReplicas)
  reconcileContract(t, withReplicas)
})

t.test('over three masters in memory', async (t) => {
  const withReplicas: WithReplicas = async (count, body) => {
    const stores = Array.from({ length: 3 }, () => new TestStore())
    await replicasOf((listener) => quorumOver(stores.map(memoryMaster), listener))(count, body)
  }
  openRunContract(t, withReplicas)
  reconcileContract(t, withReplicas)
})

t.test('over Redis', (t) =>
  withRedis(async ({ url }) => {
    await t.test('one', async (t) => {
      const withReplicas = replicasOf((listener, prefix) => redisReplica(url, { prefix, listener }))
      openRunContract(t, withReplicas)
      reconcileContract(t, withReplicas)
    })
  })
)

t.test('over a Cluster', (t) =>
  withRedis(
    async ({ port, client }) => {
      await client.call('CLUSTER', 'ADDSLOTSRANGE', '0', '16383')
      while (!/cluster_state:ok/.test(String(await client.call('CLUSTER', 'INFO')))) await sleep(20)
      const clients: Cluster[] = []
      await t.test('of one node', async (t) => {
        const withReplicas = replicasOf((listener, prefix) => {
          const own = new Cluster([{ host: '127.0.0.1', port }])
          clients.push(own)
          return redisReplica(own, { prefix, listener })
        })
        openRunContract(t, withReplicas)
        reconcileContract(t, withReplicas)
      })
      for (const each of clients) each.disconnect()
    },
    ['--cluster-enabled', 'yes', '--cluster-announce-ip', '127.0.0.1']
  )
)

t.test('over several masters', (t) =>
  withMasters(3, async (masters) => {
    await t.test('three', async (t) => {
      const withReplicas = replicasOf((listener, prefix) =>
        quorumOver(
          masters.map(({ url }) => redisMaster(url, prefix)),
          listener
        )
      )
      openRunContract(t, withReplicas)
      reconcileContract(t, withReplicas)
    })
  })
)

t.test('where the record of abandoned runs was lost, it is told anew how long their history is kept', async (t) => {
  const lost: string[] = []
  const runs = new RedisOpenRuns({
    link: { exchange: () => Promise.reject(new Error('lost')), unavailable() {} },
    records: { bounds: ['1', '1'], noteLost: (jobIds: string[]) => lost.push(...jobIds), writeEntry: () => '' }
  } as never)
  const run = { jobId: 'job', runId: 'run', scheduledTime: 1, slot: 1, attempt: 1, replicaId: 'one', entry: null }
  t.same(await runs.abandon([run as never], 'call'), ['unavailable'])
  t.same(lost, ['job'])
})
