import { setTimeout as sleep } from 'node:timers/promises'
import { Cluster, Redis } from 'ioredis'
import t from 'tap'
import { systemClock } from '../../lib/base/clock.js'
import type { HeldLock } from '../../types/coordination.js'
import { blockContract } from '../fixtures/contract/block-contract.js'
import { coordinationContract } from '../fixtures/contract/coordination-contract.js'
import { listen, pause, question, request, type WithReplicas } from '../fixtures/contract/requests.js'
import { runCountContract } from '../fixtures/contract/run-count-contract.js'
import { slotContract } from '../fixtures/contract/slot-contract.js'
import { startInSlotContract } from '../fixtures/contract/start-run-contract.js'
import { confirming, voteContract } from '../fixtures/contract/vote-contract.js'
import { waitingContract } from '../fixtures/contract/waiting-contract.js'
import { redisReplica } from '../fixtures/redis-replicas.js'
import { type TestRedis, withRedis } from '../fixtures/with-redis.js'

let prefixes = 0

t.test('the contract', (t) =>
  withRedis(async ({ url }) => {
    await t.test('over one Redis', async (t) => {
      const withReplicas: WithReplicas = async (count, body) => {
        const prefix = `contract-${++prefixes}`
        const heard = Array.from({ length: count }, listen)
        const replicas = heard.map((listener) => redisReplica(url, { prefix, listener }))
        await Promise.all(replicas.map((replica) => replica.open()))
        await body(replicas, heard)
        await Promise.all(replicas.map((replica) => replica.close()))
      }
      coordinationContract(t, withReplicas)
      blockContract(t, withReplicas)
      slotContract(t, withReplicas)
      waitingContract(t, withReplicas)
      runCountContract(t, withReplicas)
      startInSlotContract(t, withReplicas)
    })
    await t.test('as one of several masters, when all is confirmed', async (t) => {
      coordinationContract(t, async (count, body) => {
        const prefix = `contract-${++prefixes}`
        const heard = Array.from({ length: count }, listen)
        const replicas = heard.map((listener) => redisReplica(url, { prefix, listener, isNode: true }))
        await Promise.all(replicas.map((replica) => replica.open()))
        await body(replicas.map(confirming), heard)
        await Promise.all(replicas.map((replica) => replica.close()))
      })
    })
    await t.test('as one of several masters', async (t) => {
      voteContract(t, async (count, body) => {
        const prefix = `contract-${++prefixes}`
        const nodes = Array.from({ length: count }, () => redisReplica(url, { prefix, isNode: true }))
        await Promise.all(nodes.map((node) => node.open()))
        await body(nodes)
        await Promise.all(nodes.map((node) => node.close()))
      })
    })
  })
)

t.test('the contract, over a Cluster client of the app', (t) =>
  withRedis(
    async ({ port, client }) => {
      // One node that holds all slots: it refuses a script whose keys are not in one slot, as any Cluster does.
      await client.call('CLUSTER', 'ADDSLOTSRANGE', '0', '16383')
      while (!/cluster_state:ok/.test(String(await client.call('CLUSTER', 'INFO')))) await sleep(20)
      const clients: Cluster[] = []
      await t.test('over a Cluster', async (t) => {
        const withReplicas: WithReplicas = async (count, body) => {
          const prefix = `contract-${++prefixes}`
          const own = Array.from({ length: count }, () => new Cluster([{ host: '127.0.0.1', port }]))
          clients.push(...own)
          const heard = own.map(listen)
          const replicas = own.map((cluster, index) => redisReplica(cluster, { prefix, listener: heard[index] ?? {} }))
          await Promise.all(replicas.map((replica) => replica.open()))
          await body(replicas, heard)
          await Promise.all(replicas.map((replica) => replica.close()))
        }
        coordinationContract(t, withReplicas)
        blockContract(t, withReplicas)
        slotContract(t, withReplicas)
        waitingContract(t, withReplicas)
        runCountContract(t, withReplicas)
        startInSlotContract(t, withReplicas)
      })
      t.ok(
        clients.every(({ status }) => status === 'ready'),
        'the clients of the app are left open'
      )
      for (const cluster of clients) cluster.disconnect()
    },
    ['--cluster-enabled', 'yes', '--cluster-announce-ip', '127.0.0.1']
  )
)

async function withReplica(
  redis: TestRedis,
  body: (replica: ReturnType<typeof redisReplica>) => Promise<void>
): Promise<void> {
  const replica = redisReplica(redis.url)
  await replica.open()
  try {
    await body(replica)
  } finally {
    await replica.close()
  }
}

t.test('the lock is a Redlock: a key with the run id, an expiry, and nothing of it after the release', (t) =>
  withRedis((redis) =>
    withReplica(redis, async (replica) => {
      const [answer] = await replica.claim([request({ jobId: 'job', runId: 'the-run', ttl: 5000, retention: 60_000 })])
      t.equal(await redis.client.get('rls:{test}:lock:job'), 'the-run')
      const left = await redis.client.pttl('rls:{test}:lock:job')
      t.ok(left > 4000 && left <= 5000)
      const { lock } = answer as { lock: HeldLock }
      await replica.finish([{ lock, finished: true }])
      t.equal(await redis.client.exists('rls:{test}:lock:job'), 0)
      t.match(
        await redis.client.get('rls:{test}:claim:job'),
        /^\d+ -1 - [1-9]\d+ the-run \d+ \d+ replica-\w+;v=2 \d+ 0 every-second\.usual$/
      )
      const kept = await redis.client.pttl('rls:{test}:claim:job')
      t.ok(kept > 50_000 && kept <= 60_000, 'the claim is remembered for as long as was asked')
      await replica.claim([request({ jobId: 'job', kind: 'manual', retention: 1000 })])
      t.ok((await redis.client.pttl('rls:{test}:claim:job')) > 50_000, 'and a run by hand does not change that')
    })
  )
)

t.test('two apps of other prefixes share nothing', (t) =>
  withRedis(async ({ url }) => {
    const one = redisReplica(url, { prefix: 'one' })
    const two = redisReplica(url, { prefix: 'two' })
    await Promise.all([one.open(), two.open()])
    const scheduledTime = Date.now()
    for (const replica of [one, two]) {
      t.match(await replica.claim([request({ jobId: 'job', scheduledTime })]), [{ status: 'granted' }])
      t.match(await replica.acquire('name', 1000, 'token'), { status: 'granted' })
    }
    await Promise.all([one.close(), two.close()])
  })
)

t.test('two processes under one replica id do not get the replies of each other', (t) =>
  withRedis(async ({ url }) => {
    const replicas = ['one', 'two'].map(() => redisReplica(url, { replicaId: 'same' }))
    await Promise.all(replicas.map((replica) => replica.open()))
    const [one, two] = replicas
    const scheduledTime = Date.now()
    const call = ['a', 'b', 'c', 'd'].map((jobId) => request({ jobId, scheduledTime, kind: 'miss' }))
    const first = await one!.claim(call, 'call')
    const lock = { name: 'a', kind: 'job', token: 'nobody', ttl: 1000, validUntil: 0 } as const
    await one!.handBack([{ lock, scheduledTime, afterCompletion: 0, tell: true }], 'back')
    await two!.claim([request({ jobId: 'e', scheduledTime })], 'another')
    const stranger = { ...lock, name: 'e' }
    await two!.handBack([{ lock: stranger, scheduledTime, afterCompletion: 0, tell: true }], 'another')
    // Each job has a later tick by now: executed again, the call would have other answers.
    for (const { jobId } of call) await two!.claim([request({ jobId, scheduledTime: scheduledTime + 1 })])
    t.same(await one!.claim(call, 'call'), first)
    await Promise.all(replicas.map((replica) => replica.close()))
  })
)

t.test('a tick that was handed back and that nobody has come for within a day is forgotten', (t) =>
  withRedis(async (redis) => {
    const heard = listen()
    const replica = redisReplica(redis.url, { prefix: 'app', listener: heard })
    await replica.open()
    const [now, day] = [Date.now(), 86_400_000]
    const handed = { gone: `${now - 2 * day} ${now - day - 1000}`, late: `${now - 2 * day} ${now - 1000}` }
    await redis.client.hset('rls:{app}:handed', handed)
    await replica.claim([request({ jobId: 'job' })])
    t.same(await redis.client.hkeys('rls:{app}:handed'), ['late'])
    await replica.claim([request({ jobId: 'other' })])
    t.match(heard.handedBack.at(-1), ['late', now - 2 * day])
    await replica.close()
  })
)

t.test('tokens still increase when Redis has lost its counter', (t) =>
  withRedis((redis) =>
    withReplica(redis, async (replica) => {
      const [before] = await replica.claim([request({ jobId: 'job' })])
      await redis.client.del('rls:{test}:fence', 'rls:{test}:claim:job', 'rls:{test}:lock:job')
      const [after] = await replica.claim([request({ jobId: 'job' })])
      t.ok((after as { fencingToken: number }).fencingToken > (before as { fencingToken: number }).fencingToken)
    })
  )
)

t.test('scripts that Redis has forgotten are sent again', (t) =>
  withRedis((redis) =>
    withReplica(redis, async (replica) => {
      t.match(await replica.claim([request({ jobId: 'job' })]), [{ status: 'granted' }])
      await redis.client.script('FLUSH')
      t.match(await replica.claim([request({ jobId: 'other' })]), [{ status: 'granted' }])
    })
  )
)

t.test('a foreign key in a lock place is a held lock; the rest of the batch is answered', (t) =>
  withRedis((redis) =>
    withReplica(redis, async (replica) => {
      await redis.client.lpush('rls:{test}:lock:bad', 'x')
      const answers = await replica.claim(['good', 'bad'].map((jobId) => request({ jobId })))
      t.same(
        answers.map(({ status }) => status),
        ['granted', 'overlap']
      )
    })
  )
)

t.test('a record that cannot be read permits nothing: it is refused, told, and left as it is', (t) =>
  withRedis(async (redis) => {
    const told: string[] = []
    const listener = { onUnsafe: (reason: string) => void told.push(reason) }
    const replica = redisReplica(redis.url, { listener })
    await replica.open()
    await redis.client.lpush('rls:{test}:claim:list', 'x')
    const texts = {
      empty: '',
      text: 'x',
      cut: '1795687747600 -1 - 0',
      newer: '2 1795687747600 -1 - 0 - 0 0 - -1 0 a.b'
    }
    for (const [id, text] of Object.entries(texts)) await redis.client.set(`rls:{test}:claim:${id}`, text)
    const ids = ['list', ...Object.keys(texts)]
    for (const kind of ['tick', 'miss', 'manual', 'recover'] as const) {
      const answers = await replica.claim(
        [...ids, `good-${kind}`].map((jobId) => request({ jobId, kind, rerun: true }))
      )
      for (const [index, id] of ids.entries()) {
        const answer = answers[index]
        t.match(answer, { status: 'unavailable', maybe: false, unreadable: true }, `${id}, ${kind}`)
        t.match(answer, { error: { message: `the record of the job '${id}' cannot be read` } })
      }
      t.match(answers.at(-1), { status: kind === 'recover' ? 'claimed_elsewhere' : 'granted' })
    }
    t.match(await replica.claim([request({ jobId: 'empty', afterCompletion: 1000, scheduledTime: 0 })]), [
      { status: 'unavailable', unreadable: true }
    ])
    told.length = 0
    await replica.survey(ids.slice(1).map((jobId) => question({ jobId })))
    t.equal(told.length, ids.length - 1, 'also when it is read at the start')
    t.match(told[0], /rls:\{test\}:claim:empty/)
    for (const [id, text] of Object.entries(texts)) t.equal(await redis.client.get(`rls:{test}:claim:${id}`), text)
    t.equal(await redis.client.llen('rls:{test}:claim:list'), 1)
    t.equal(await redis.client.exists('rls:{test}:lock:list'), 0)
    await redis.client.del('rls:{test}:claim:list')
    t.match(await replica.claim([request({ jobId: 'list' })]), [{ status: 'granted' }])
    await replica.close()
  })
)

t.test('a Redis that hangs is trouble within its time limit, and not contention', (t) =>
  withRedis((redis) =>
    withReplica(redis, async (replica) => {
      const [answer] = await replica.claim([request({ jobId: 'job' })])
      const { lock } = answer as { lock: HeldLock }
      redis.hang()
      const [claim, extend, finish, acquire] = await Promise.all([
        replica.claim([request({ jobId: 'other' })]),
        replica.extend(lock),
        replica.finish([{ lock, finished: true }]),
        replica.acquire('name', 5000, 'token')
      ])
      t.match(claim, [{ status: 'unavailable', error: { code: 'FST_ERR_RLS_REDIS_UNAVAILABLE' } }])
      t.equal(extend, 'unavailable')
      t.same(finish, ['unavailable'])
      t.match(acquire, { status: 'unavailable' })
      t.equal(replica.state.up, false)
      await t.rejects(pause(replica, 'job'), { code: 'FST_ERR_RLS_REDIS_UNAVAILABLE' })
      redis.resume()
      await sleep(200)
      // The lock by name was granted after we had given up: by its token it can be released all the same.
      const ghost: HeldLock = { name: 'name', kind: 'named', token: 'token', ttl: 5000, validUntil: 0 }
      t.equal(await replica.release(ghost), 'released')
    })
  )
)

t.test('nothing waits in a queue while there is no connection, also with a client of the app', (t) =>
  withRedis(async (redis) => {
    const client = new Redis({ port: redis.port, retryStrategy: () => 50, maxRetriesPerRequest: null })
    client.on('error', () => {})
    const replica = redisReplica(client)
    await replica.open()
    await redis.kill()
    const isReady = (): boolean => client.status === 'ready'
    while (isReady()) await sleep(5)
    t.match(await replica.claim([request({ jobId: 'job' })]), [{ status: 'unavailable' }])
    t.match(await replica.acquire('name', 60_000, 'token'), { status: 'unavailable' })
    await redis.restart()
    while (!isReady()) await sleep(20)
    await sleep(100)
    t.same(await redis.client.keys('*'), [], 'neither claim nor lock came late')
    await replica.close()
    t.ok(isReady(), 'the client of the app is left open')
    client.disconnect()
  })
)

t.test('a client of the app that never answers is left as it was', (t) =>
  withRedis(async (redis) => {
    redis.hang()
    const client = new Redis({ port: redis.port, retryStrategy: () => 50, maxRetriesPerRequest: null })
    client.on('error', () => {})
    const replica = redisReplica(client)
    await replica.open()
    await replica.close()
    t.equal(client.listenerCount('error'), 1)
    t.equal(client.listenerCount('ready'), 1, "the client's own, as it connects")
    client.disconnect()
    redis.resume()
  })
)

t.test('the outage and its end are told once each', (t) =>
  withRedis(async (redis) => {
    const told: string[] = []
    const listener = { onUp: () => void told.push('up'), onDown: () => void told.push('down') }
    const replica = redisReplica(redis.url, { listener })
    await replica.open()
    await redis.kill()
    while (told.length < 2) await sleep(10)
    for (let count = 0; count < 5; count++) await replica.claim([request({ jobId: 'job' })])
    await redis.restart()
    while (told.length < 3) await sleep(10)
    t.match(await replica.claim([request({ jobId: 'job' })]), [{ status: 'granted' }])
    t.same(told, ['up', 'down', 'up'])
    await replica.close()
  })
)

t.test('the fleet clock follows Redis, whatever the wall clock of this process says', (t) =>
  withRedis(async ({ url }) => {
    let offset = -3_600_000
    const steps: number[] = []
    const clock = { ...systemClock, now: () => Date.now() + offset }
    const replica = redisReplica(url, { clock, listener: { onClockStep: () => void steps.push(1) } })
    await replica.open()
    t.ok(Math.abs(replica.now() - Date.now()) < 50)
    t.ok(Math.abs(replica.state.skew + 3_600_000) < 50)
    offset = 400
    t.ok(Math.abs(replica.now() - Date.now()) < 50, 'a jump of the wall clock moves nothing')
    t.ok(Math.abs(replica.state.skew - 400) < 50)
    t.equal(steps.length, 1)
    await replica.close()
  })
)

t.test('a password that is wrong or missing is refused at once, and not shown', (t) =>
  withRedis(
    async ({ port }) => {
      for (const url of [`redis://127.0.0.1:${port}`, `redis://:wrong-secret@127.0.0.1:${port}`]) {
        const replica = redisReplica(url)
        const error = await replica.open().then(
          () => null,
          (reason: Error & { code: string }) => reason
        )
        t.equal(error?.code, 'FST_ERR_RLS_REDIS_AUTH')
        t.match(error?.message, `127.0.0.1:${port}`)
        t.notMatch(error?.message, 'wrong-secret')
      }
      const replica = redisReplica(`redis://:right-secret@127.0.0.1:${port}`)
      await replica.open()
      t.equal(replica.state.up, true)
      await replica.close()
    },
    ['--requirepass', 'right-secret']
  )
)

t.test('one that is closed while it opens connects nothing, or closes what it has connected', (t) =>
  withRedis(async ({ url, client }) => {
    // Before its packages are loaded, and while it connects.
    for (const turns of [0, 1, 20, 200]) {
      const replica = redisReplica(url, { prefix: `closed-${turns}` })
      const opened = replica.open().catch(() => {})
      for (let turn = 0; turn < turns; turn++) await new Promise(setImmediate)
      await replica.close()
      await opened
      let others: string[]
      const until = Date.now() + 2000
      do {
        others = `${await client.call('CLIENT', 'LIST')}`.trim().split('\n').slice(1)
      } while (others.length > 0 && Date.now() < until)
      t.strictSame(others, [], `closed after ${turns} turns`)
    }
  })
)
