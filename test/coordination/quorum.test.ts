import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { systemClock } from '../../lib/base/clock.js'
import { QuorumCoordination } from '../../lib/coordination/quorum/coordination.js'
import type { Master } from '../../lib/coordination/quorum/member.js'
import type { CoordinationNode } from '../../types/coordination/node.js'
import type {
  ClaimAnswer,
  ClaimRequest,
  Coordination,
  CoordinationListener,
  HeldLock
} from '../../types/coordination.js'
import { withProxies } from '../chaos/fixtures/tcp-proxy.js'
import { coordinationContract, listen, question, request } from '../fixtures/coordination-contract.js'
import { memoryMaster, quorumOver, redisMaster, TestStore, withMasters } from '../fixtures/quorum-replicas.js'
import type { TestRedis } from '../fixtures/with-redis.js'

let prefixes = 0

for (const nodes of [3, 5]) {
  t.test(`the contract, over ${nodes} masters in memory`, async (t) => {
    coordinationContract(t, async (count, body) => {
      const stores = Array.from({ length: nodes }, () => new TestStore())
      const heard = Array.from({ length: count }, listen)
      const replicas = heard.map((listener) => quorumOver(stores.map(memoryMaster), listener))
      await Promise.all(replicas.map((replica) => replica.open()))
      await body(replicas, heard)
      await Promise.all(replicas.map((replica) => replica.close()))
    })
  })
}

t.test('the contract, over three Redis', (t) =>
  withMasters(3, async (masters) => {
    await t.test('over three Redis', async (t) => {
      coordinationContract(t, async (count, body) => {
        const prefix = `contract-${++prefixes}`
        const heard = Array.from({ length: count }, listen)
        const replicas = heard.map((listener) =>
          quorumOver(
            masters.map(({ url }) => redisMaster(url, prefix)),
            listener
          )
        )
        await Promise.all(replicas.map((replica) => replica.open()))
        await body(replicas, heard)
        await Promise.all(replicas.map((replica) => replica.close()))
      })
    })
  })
)

type Granted = Extract<ClaimAnswer, { status: 'granted' }> & { lock: HeldLock }

/** Asks as the dispatcher does: again, with the same run ids, for what nobody could answer. */
async function ask(replica: Coordination, requests: readonly ClaimRequest[]): Promise<ClaimAnswer[]> {
  const answers: ClaimAnswer[] = []
  let open = requests.map((one, index) => ({ one, index }))
  for (let tries = 0; open.length > 0; tries++) {
    if (tries > 50) throw new Error('no answer')
    const given = await replica.claim(open.map(({ one }) => one))
    for (const [at, { index }] of open.entries()) answers[index] = given[at] as ClaimAnswer
    open = open.filter(({ index }) => answers[index]?.status === 'unavailable')
    if (open.length > 0) await sleep(20)
  }
  return answers
}

async function granted(t: Test, replica: Coordination, changes: Partial<ClaimRequest> = {}): Promise<Granted> {
  const [answer] = await replica.claim([request({ jobId: 'job', ...changes })])
  t.equal(answer?.status, 'granted')
  return answer as Granted
}

async function withMemory(
  body: (stores: [TestStore, TestStore, TestStore], replica: () => QuorumCoordination) => Promise<void>,
  ...ahead: number[]
): Promise<void> {
  const stores: [TestStore, TestStore, TestStore] = [
    new TestStore(ahead[0]),
    new TestStore(ahead[1]),
    new TestStore(ahead[2])
  ]
  await body(stores, () => quorumOver(stores.map(memoryMaster)))
}

t.test('five replicas that ask three nodes for 200 jobs at once: each is granted once, and none is lost', (t) =>
  withMemory(async (_stores, replica) => {
    const scheduledTime = Date.now()
    const wins = new Map<string, number>()
    let split = 0
    const run = async (one: Coordination): Promise<void> => {
      for (let at = 0; at < 200; at += 50) {
        const jobIds = Array.from({ length: 50 }, (_, index) => `job-${at + index}`)
        const answers = await ask(
          one,
          jobIds.map((jobId) => request({ jobId, scheduledTime }))
        )
        for (const [index, { status }] of answers.entries()) {
          const jobId = jobIds[index] as string
          if (status === 'granted') wins.set(jobId, (wins.get(jobId) ?? 0) + 1)
          else t.equal(status, 'claimed_elsewhere')
        }
      }
      split++
    }
    await Promise.all(Array.from({ length: 5 }, () => run(replica())))
    t.equal(split, 5)
    t.equal(wins.size, 200, 'none is lost')
    t.same([...new Set(wins.values())], [1], 'none is run twice')
  })
)

for (const [what, fault] of Object.entries({
  'is killed': (master: TestRedis): Promise<void> => master.kill(),
  hangs: async (master: TestRedis): Promise<void> => master.hang(),
  'is wiped': async (master: TestRedis): Promise<void> => void (await master.client.flushall()),
  'restarts empty': (master: TestRedis): Promise<void> => master.restart(),
  'hangs, and comes back': async (master: TestRedis) => {
    master.hang()
    await sleep(500)
    master.resume()
  }
})) {
  t.test(`three replicas over three Redis, of which one ${what}: each tick once, tokens increase`, (t) =>
    withMasters(3, async (masters) => {
      const prefix = `fault-${++prefixes}`
      const replicas = Array.from({ length: 3 }, () => quorumOver(masters.map(({ url }) => redisMaster(url, prefix))))
      await Promise.all(replicas.map((replica) => replica.open()))
      const start = Date.now() - 1000
      const wins: number[] = new Array(100).fill(0)
      let last = 0
      let pending: Promise<void> = Promise.resolve()
      for (let tick = 0; tick < 100; tick++) {
        if (tick === 30) pending = fault(masters[tick % 3] as TestRedis)
        const begun = performance.now()
        const answers = await Promise.all(
          replicas.map(async (replica) => {
            const [answer] = await ask(replica, [request({ jobId: 'job', scheduledTime: start + tick, ttl: 10_000 })])
            return { replica, answer: answer as ClaimAnswer }
          })
        )
        for (const { replica, answer } of answers) {
          if (answer.status !== 'granted') continue
          wins[tick] = (wins[tick] ?? 0) + 1
          if (answer.fencingToken <= last) t.fail(`the token ${answer.fencingToken} follows ${last}`)
          last = answer.fencingToken
          const [released] = await replica.finish([{ lock: answer.lock as HeldLock, finished: true }])
          if (released !== 'released') t.fail(`${released} instead of released`)
        }
        if (performance.now() - begun > 1500) t.fail(`tick ${tick} took ${performance.now() - begun} ms`)
      }
      await pending
      t.same(
        wins.flatMap((count, tick) => (count === 1 ? [] : [`tick ${tick}: ${count} runs`])),
        []
      )
      await Promise.all(replicas.map((replica) => replica.close()))
    })
  )
}

/** A master whose acquisitions take a while longer. */
function further(master: Master, delay: number): Master {
  return {
    address: master.address,
    connect(listener) {
      const node = master.connect(listener)
      const acquire: CoordinationNode['acquire'] = async (...args) => {
        await sleep(delay)
        return node.acquire(...args)
      }
      const vote: CoordinationNode['vote'] = async (...args) => {
        await sleep(delay)
        return node.vote(...args)
      }
      return Object.assign(Object.create(node), { acquire, vote }) as CoordinationNode
    }
  }
}

t.test('of replicas that each reach another master first one has the lock, however often they meet', (t) =>
  withMemory(async (stores) => {
    const replicas = Array.from({ length: 5 }, (_, of) => {
      const masters = stores.map((store, at) => further(memoryMaster(store), 20 * ((at + of) % 3)))
      // They wait for the same time after a split.
      return new QuorumCoordination({ masters, clock: systemClock, listener: listen(), random: () => 0.5 })
    })
    for (const tokens of ['abcde', 'edcba', 'cbaed', 'bedca']) {
      const answers = await Promise.all(
        replicas.map((one, index) => one.acquire(tokens, 10_000, tokens[index] as string))
      )
      const statuses = answers.map(({ status }) => status)
      t.equal(statuses.filter((status) => status === 'granted').length, 1, `${tokens}: ${statuses}`)
      t.ok(statuses.every((status) => status === 'granted' || status === 'held'))
    }
    await Promise.all(replicas.map((one) => one.close()))
  })
)

for (const [nodes, count] of [
  [3, 5],
  [3, 3],
  [5, 5]
] as const) {
  t.test(
    `of ${count} replicas that ask for a run by hand, each of another of ${nodes} masters first, one has it`,
    async (t) => {
      const stores = Array.from({ length: nodes }, () => new TestStore())
      const replicas = Array.from({ length: count }, (_, of) => {
        const masters = stores.map((store, at) => further(memoryMaster(store), 20 * ((at + of) % nodes)))
        // They wait for the same time after a split.
        return new QuorumCoordination({ masters, clock: systemClock, listener: listen(), random: () => 0.5 })
      })
      for (const ids of ['abcde', 'edcba', 'cbaed', 'bedca']) {
        const asked = replicas.map((_, index) => request({ jobId: ids, kind: 'manual', runId: `${ids}-${ids[index]}` }))
        const answers = await Promise.all(replicas.map((one, index) => one.claim([asked[index] as ClaimRequest])))
        const statuses = answers.map(([answer]) => answer?.status)
        t.equal(statuses.filter((status) => status === 'granted').length, 1, `${ids}: ${statuses}`)
        t.ok(statuses.every((status) => status === 'granted' || status === 'overlap'))
        const holder = asked[statuses.indexOf('granted')]?.runId
        const held = stores.map(({ store }) => store.jobs.get(ids)?.token)
        t.ok(held.filter((token) => token === holder).length > nodes / 2)
        t.ok(
          held.every((token) => token === holder || token === ''),
          'and nothing of the others stays'
        )
      }
      await Promise.all(replicas.map((one) => one.close()))
    }
  )
}

t.test('a majority that is down is trouble, said at once; when it comes back all goes on', (t) =>
  withMemory(async ([a, b, c], replica) => {
    const told: string[] = []
    const one = quorumOver([a, b, c].map(memoryMaster), {
      onUp: () => void told.push('up'),
      onDown: () => void told.push('down'),
      onNotice: (level, message) => void told.push(`${level}: ${message}`)
    })
    await one.open()
    const { lock } = await granted(t, one, { jobId: 'running' })
    b.kill()
    t.equal(one.state.up, true)
    c.kill()
    t.equal(one.state.up, false)
    const asked = request({ jobId: 'job' })
    t.match(await one.claim([asked]), [
      { status: 'unavailable', maybe: false, error: { code: 'FST_ERR_RLS_REDIS_UNAVAILABLE', message: /no majority/ } }
    ])
    t.equal(a.store.jobs.get('job')?.tick, -1, 'what the minority granted is given back')
    t.equal(a.store.jobs.get('job')?.token, '')
    t.equal(await one.extend(lock), 'unavailable')
    t.same(await one.finish([{ lock, finished: true }]), ['unavailable'])
    t.match(await one.acquire('name', 1000, 'token'), { status: 'unavailable' })
    t.equal(a.store.named.has('name'), false)
    await t.rejects(one.pause('job', undefined), { code: 'FST_ERR_RLS_REDIS_UNAVAILABLE' })
    await t.rejects(one.survey([]), { code: 'FST_ERR_RLS_REDIS_UNAVAILABLE' })
    b.wake()
    c.wake()
    const missing = 'warn: a master is missing, and the others decide without it: it is down'
    const back = 'info: a master is back'
    t.same(
      told,
      ['up', missing, 'down', 'up', back, missing, back],
      'each master that is missing while the others go on is told of'
    )
    t.match(await one.claim([asked]), [{ status: 'granted' }])
    t.same(await one.finish([{ lock, finished: true }]), ['released'], 'the first answers count')
    t.same(await replica().survey([]), [])
  })
)

t.test('a node that has never answered is no part of a majority', (t) =>
  withMemory(async ([a, b, c]) => {
    c.mode = 'hung'
    const told: string[] = []
    const one = quorumOver([a, b, c].map(memoryMaster), {
      onUp: () => void told.push('up'),
      onDown: ({ message }) => void told.push(message),
      onNotice: (_, message) => void told.push(message)
    })
    await one.open()
    b.kill()
    t.equal(one.state.up, false)
    t.match(told, ['up', /a majority of its masters: it is down; the one has not answered yet$/])
    b.wake()
    t.equal(told.at(-1), 'up')
    c.wake()
  })
)

t.test('what a node grants when it is too late is given back', (t) =>
  withMemory(async ([a, b, c], replica) => {
    const scheduledTime = Date.now()
    // Two nodes are of two minds, and the third one hangs.
    const elsewhere = memoryMaster(b).connect(listen())
    await elsewhere.vote([request({ jobId: 'job', scheduledTime, runId: 'other' })])
    c.mode = 'hung'
    const one = replica()
    const asked = request({ jobId: 'job', scheduledTime, runId: 'late' })
    t.match(await one.claim([asked]), [{ status: 'unavailable', maybe: false }], 'one alone is no majority')
    t.equal(a.store.jobs.get('job')?.claimedBy, '')
    c.wake()
    await sleep(50)
    t.match(c.store.jobs.get('job'), { claimedBy: '', tick: -1, token: '' })

    // A majority has it elsewhere: the lock is given back, and the tick stays taken there too.
    c.mode = 'hung'
    const other = replica()
    const first = other.claim([request({ jobId: 'second', scheduledTime, runId: 'winner' })])
    t.match(await first, [{ status: 'granted' }])
    const again = new TestStore()
    const loser = quorumOver([a, b, again].map(memoryMaster))
    again.mode = 'hung'
    t.match(await loser.claim([request({ jobId: 'second', scheduledTime, runId: 'loser' })]), [
      { status: 'claimed_elsewhere', by: 'winner' }
    ])
    again.wake()
    await sleep(50)
    t.match(again.recordOf('second'), { tick: scheduledTime, token: '', isUnconfirmed: true })

    // By name.
    for (const held of [a, b]) await memoryMaster(held).connect(listen()).acquire('name', 5000, 'other')
    again.mode = 'hung'
    t.equal((await loser.acquire('name', 5000, 'mine')).status, 'held')
    again.wake()
    await sleep(50)
    t.equal(again.store.named.has('name'), false)
  })
)

t.test('a later tick that is granted before an earlier one is confirmed comes first, and counts it', (t) =>
  withMemory(async (stores, replica) => {
    const scheduledTime = Date.now() - 1000
    const early = replica()
    await granted(t, early, { scheduledTime: scheduledTime - 1 })
    const [later, asked] = [replica(), request({ jobId: 'job', scheduledTime, runId: 'overtaken' })]
    let overtake: Promise<readonly ClaimAnswer[]> | null = null
    const masters = stores.map(memoryMaster).map((master) => ({
      ...master,
      connect: (listener: CoordinationListener): CoordinationNode => {
        const node = master.connect(listener)
        const confirm: CoordinationNode['confirm'] = async (claims, token) => {
          overtake ??= later.claim([request({ jobId: 'job', scheduledTime: scheduledTime + 1, runId: 'later' })])
          await overtake
          return node.confirm(claims, token)
        }
        return Object.assign(Object.create(node) as CoordinationNode, { confirm })
      }
    }))
    t.match(await quorumOver(masters).claim([asked]), [{ status: 'claimed_elsewhere' }])
    t.match(await overtake, [{ status: 'overlap', taken: true, previous: scheduledTime - 1 }])
    for (const store of stores) t.match(store.recordOf('job'), { claimedBy: 'later', isUnconfirmed: false })
  })
)

t.test('a node that may still hear that a claim is given back is not asked for it again until it has', (t) =>
  withMemory(async ([a, b, c]) => {
    const scheduledTime = Date.now()
    await memoryMaster(b)
      .connect(listen())
      .vote([request({ jobId: 'job', scheduledTime, runId: 'other' })])
    let asked = 0
    let isStuck = true
    const stuck: (() => Promise<unknown>)[] = []
    const slow = memoryMaster(c)
    const masters = [memoryMaster(a), memoryMaster(b)]
    masters.push({
      ...slow,
      connect: (listener: CoordinationListener): CoordinationNode => {
        const node = slow.connect(listener)
        const vote: CoordinationNode['vote'] = async (requests) => {
          asked++
          const answers = await node.vote(requests)
          if (!isStuck) return answers
          return requests.map(() => ({ status: 'unavailable', error: new Error('too late'), maybe: true }))
        }
        const handBack: CoordinationNode['handBack'] = async (claims, callId) => {
          if (!isStuck) return node.handBack(claims, callId)
          stuck.push(() => node.handBack(claims, callId))
          return claims.map(() => 'unavailable')
        }
        return Object.assign(Object.create(node) as CoordinationNode, { vote, handBack })
      }
    })
    const one = quorumOver(masters)
    const ours = request({ jobId: 'job', scheduledTime, runId: 'ours' })
    t.match(
      await one.claim([ours]),
      [{ status: 'unavailable', maybe: false }],
      'two are split, and one does not answer'
    )
    t.equal(asked, 1)
    t.match(await one.claim([ours]), [{ status: 'unavailable', maybe: false }])
    t.equal(asked, 1, 'else it could let go of what it is asked for')
    for (const late of stuck) await late()
    isStuck = false
    const answers = await ask(one, [ours, request({ jobId: 'another', scheduledTime })])
    t.match(answers, [{ status: 'granted' }, { status: 'granted' }], 'now it has heard')
    t.match(c.recordOf('job'), { claimedBy: 'ours', isUnconfirmed: false })
  })
)

t.test('votes that are split are asked for again within the call, and by a random delay', (t) =>
  withMemory(async ([, b, c], replica) => {
    const scheduledTime = Date.now()
    const others = [b, c].map((store) => memoryMaster(store).connect(listen()))
    const asked = [request({ jobId: 'job', scheduledTime }), request({ jobId: 'job', scheduledTime })]
    const given = await Promise.all(others.map((node, index) => node.vote([asked[index] as ClaimRequest])))
    const answer = replica().claim([request({ jobId: 'job', scheduledTime, runId: 'mine' })])
    await sleep(15)
    t.match(given, [[{ status: 'granted' }], [{ status: 'granted' }]])
    for (const [index, node] of others.entries()) {
      const [answer] = given[index] as [Granted]
      const { lock } = answer
      await node.handBack([{ lock, scheduledTime, tell: false, afterCompletion: 0 }], lock.token)
    }
    t.match(await answer, [{ status: 'granted', lock: { token: 'mine' } }])
  })
)

t.test('a node that was away and comes back without its data changes nothing', (t) =>
  withMemory(async ([a, b, c], replica) => {
    const scheduledTime = Date.now()
    const one = replica()
    await one.finish([{ lock: (await granted(t, one, { scheduledTime })).lock, finished: true }])
    c.wipe()
    t.match(await replica().claim([request({ jobId: 'job', scheduledTime })]), [{ status: 'claimed_elsewhere' }])
    await sleep(20)
    t.match(c.store.jobs.get('job'), { tick: scheduledTime, token: '' }, 'and it has learnt of the tick')
    a.wipe()
    t.match(await replica().claim([request({ jobId: 'job', scheduledTime })]), [{ status: 'claimed_elsewhere' }])
    await sleep(20)
    b.wipe()
    t.match(await replica().claim([request({ jobId: 'job', scheduledTime })]), [{ status: 'claimed_elsewhere' }])
  })
)

t.test('tokens increase whatever the clocks of the nodes say, and when the node with the greatest dies', (t) =>
  withMemory(
    async (stores, replica) => {
      const [one, two] = [replica(), replica()]
      let last = 0
      for (let count = 0; count < 40; count++) {
        // Each time another one is away.
        const away = stores[count % 3] as TestStore
        away.mode = 'down'
        const kind = count % 4 === 3 ? 'manual' : 'tick'
        const scheduledTime = Date.now() - 600 + count
        const holder = count % 2 === 0 ? one : two
        const { lock, fencingToken } = await granted(t, holder, { kind, scheduledTime })
        if (fencingToken <= last) t.fail(`${fencingToken} follows ${last}`)
        last = fencingToken
        t.same(await holder.finish([{ lock, finished: true }]), ['released'])
        const named = await two.acquire('name', 1000, `token-${count}`)
        if (named.status !== 'granted' || named.fencingToken <= last) t.fail(`${JSON.stringify(named)} follows ${last}`)
        else {
          last = named.fencingToken
          await two.release(named.lock)
        }
        away.mode = 'up'
      }
      t.ok(last > 0)
    },
    -500,
    0,
    500
  )
)

t.test('the time is what a majority of the clocks has reached', (t) =>
  withMemory(
    async (stores, replica) => {
      const one = replica()
      const ahead = (): number => Math.round((one.now() - Date.now()) / 10) * 10
      t.equal(ahead(), 40)
      t.equal(Math.round(one.state.skew / 10) * 10, -40)
      stores[2].mode = 'down'
      t.equal(ahead(), -500, 'that of the second of two')
      stores[0].mode = 'down'
      stores[1].mode = 'down'
      t.equal(ahead(), 0)
      stores[0].mode = stores[1].mode = stores[2].mode = 'up'
      const due = Date.now() + 1300
      t.match(await one.claim([request({ jobId: 'job', scheduledTime: due })]), [{ status: 'early', due }])
      t.same(
        stores.map(({ store }) => store.jobs.get('job')?.tick ?? -1),
        [-1, -1, -1],
        'what the node ahead has granted is given back'
      )
    },
    -500,
    40,
    500
  )
)

t.test('a lock lives with a node down: it is extended and released by the others', (t) =>
  withMemory(async ([a, b, c], replica) => {
    const one = replica()
    const { lock } = await granted(t, one, { ttl: 1000 })
    a.kill()
    await sleep(400)
    const before = lock.validUntil
    t.equal(await one.extend(lock), 'extended')
    t.ok(lock.validUntil > before && lock.validUntil < performance.now() + 1000)
    await sleep(800)
    t.match(await replica().claim([request({ jobId: 'job', kind: 'manual' })]), [{ status: 'overlap' }])
    t.equal(await one.extend(lock), 'extended')
    a.wake()
    b.wipe()
    t.not(await one.extend(lock), 'extended', 'one node is no majority')
    t.same(await one.finish([{ lock, finished: true }]), ['lost'])
    await sleep(20)
    t.equal(c.store.jobs.get('job')?.token, '')
  })
)

t.test('a lock that two of three nodes gave is put on the third one: then one of the two may forget it', (t) =>
  withMemory(async ([a, , c], replica) => {
    const scheduledTime = Date.now()
    const other = memoryMaster(c).connect(listen())
    const [vote] = await other.vote([request({ jobId: 'job', scheduledTime, runId: 'other' })])
    const one = replica()
    const { lock } = await granted(t, one, { scheduledTime })
    await sleep(500)
    t.equal(c.store.jobs.get('job')?.token, 'other', 'it is not taken from who holds it')
    await other.handBack([{ lock: (vote as Granted).lock, scheduledTime, tell: false, afterCompletion: 0 }], 'back')
    t.equal(await one.extend(lock), 'extended')
    await sleep(20)
    t.equal(c.store.jobs.get('job')?.token, lock.token, 'an extension finds who lacks it')
    a.wipe()
    t.equal(await one.extend(lock), 'extended')
    t.same(await one.finish([{ lock, finished: true }]), ['released'])
    await sleep(20)
    t.equal(c.store.jobs.get('job')?.token, '')
  })
)

t.test('a tick that two of three nodes confirmed is told to the third one: then one of the two may forget it', (t) =>
  withMemory(async ([a, , c], replica) => {
    const scheduledTime = Date.now() - 10
    const one = replica()
    const claim = async (jobId: string, isLate: boolean): Promise<void> => {
      const other = memoryMaster(c).connect(listen())
      await other.vote([request({ jobId, scheduledTime, runId: 'other', ttl: 10 })])
      if (isLate) c.mode = 'hung'
      const kind = jobId === 'counted' ? 'miss' : 'tick'
      const { lock } = await granted(t, one, { jobId, scheduledTime, kind })
      if (jobId === 'ended') t.same(await one.finish([{ lock, finished: true }]), ['released'])
      if (jobId === 'taken back') {
        t.same(await one.handBack([{ lock, scheduledTime, tell: false, afterCompletion: 0 }], jobId), ['free'])
      }
      if (isLate) c.wake()
      await sleep(30)
    }
    await claim('running', false)
    t.match(c.recordOf('running'), { tick: scheduledTime, isUnconfirmed: false, endedAt: 0 })
    await claim('ended', true)
    t.match(c.recordOf('ended'), { tick: scheduledTime, isUnconfirmed: false, claimedBy: '' })
    await claim('counted', true)
    t.match(c.recordOf('counted'), { tick: scheduledTime, isUnconfirmed: false, runId: '' })
    await claim('taken back', true)
    t.match(c.recordOf('taken back'), { claimedBy: 'other', isUnconfirmed: true })
    a.wipe()
    for (const [jobId, previous] of Object.entries({
      ended: scheduledTime,
      counted: scheduledTime,
      'taken back': null
    })) {
      t.equal((await granted(t, replica(), { jobId, scheduledTime: scheduledTime + 1 })).previous, previous, jobId)
    }
  })
)

t.test('a node that was wiped learns of an interval from the last end when it began', (t) =>
  withMemory(async ([, , c], replica) => {
    const one = replica()
    const asked = request({ jobId: 'job', scheduledTime: Date.now() - 1000, afterCompletion: 50 })
    t.match(await one.claim([asked]), [{ status: 'early' }])
    await sleep(80)
    c.wipe()
    const { scheduledTime } = await granted(t, one, asked)
    t.ok(scheduledTime > asked.scheduledTime)
    await sleep(30)
    t.match(c.recordOf('job'), { tick: scheduledTime, isUnconfirmed: false, endedAt: 0 })
  })
)

t.test('the run of an interval from the last end is taken over with its own tick, whichever nodes tell it', (t) =>
  withMemory(
    async (stores, replica) => {
      const [one, other] = [replica(), replica()]
      for (const [index, away] of stores.entries()) {
        const asked = request({ jobId: `job-${index}`, scheduledTime: 0, afterCompletion: 50, rerun: true, ttl: 300 })
        t.match(await one.claim([asked]), [{ status: 'early' }])
        await sleep(100)
        const { scheduledTime } = await granted(t, one, { ...asked, runId: `first-${index}` })
        await sleep(350)
        away.kill()
        const takeover = { ...asked, kind: 'recover', scheduledTime: -1, runId: `second-${index}`, ttl: 5000 } as const
        t.match(await other.claim([takeover]), [{ status: 'granted', scheduledTime, attempt: 2 }])
        away.wake()
        await sleep(20)
      }
    },
    0,
    17,
    34
  )
)

t.test('a vote that is given back late is asked for again', (t) =>
  withMemory(async ([, , c], replica) => {
    const scheduledTime = Date.now()
    const other = memoryMaster(c).connect(listen())
    const [vote] = await other.vote([request({ jobId: 'job', scheduledTime, runId: 'other' })])
    const { lock } = await granted(t, replica(), { scheduledTime })
    await sleep(60)
    await other.handBack([{ lock: (vote as Granted).lock, scheduledTime, tell: false, afterCompletion: 0 }], 'back')
    await sleep(150)
    t.equal(c.store.jobs.get('job')?.token, lock.token)
  })
)

t.test('a run that has ended, or has none, is not locked again on a node that lacked it', (t) =>
  withMemory(async ([, , c], replica) => {
    const one = replica()
    const given = { tell: false, afterCompletion: 0 }
    for (const how of ['finish', 'handBack'] as const) {
      const scheduledTime = Date.now()
      const other = memoryMaster(c).connect(listen())
      const [vote] = await other.vote([request({ jobId: how, scheduledTime, runId: 'other' })])
      const { lock } = await granted(t, one, { jobId: how, scheduledTime })
      await other.handBack([{ lock: (vote as Granted).lock, scheduledTime, ...given }], how)
      if (how === 'finish') t.same(await one.finish([{ lock, finished: true }]), ['released'])
      else t.same(await one.handBack([{ lock, scheduledTime, ...given }], 'back'), ['free'])
      await sleep(100)
      t.equal(c.store.jobs.get(how)?.token, '', how)
    }
  })
)

t.test('a Redis that has lost its data gets the locks of runs that go on', (t) =>
  withMasters(3, async (masters) => {
    const replica = quorumOver(masters.map(({ url }) => redisMaster(url, 'empty')))
    await replica.open()
    const { lock } = await granted(t, replica)
    const locks = (): Promise<(string | null)[]> => {
      return Promise.all(masters.map(async ({ client }) => client.get((await client.keys('*:lock:job'))[0] ?? 'none')))
    }
    await sleep(20)
    t.same(await locks(), [lock.token, lock.token, lock.token])
    await masters[0]?.client.flushall()
    t.equal(await replica.extend(lock), 'extended')
    await sleep(20)
    t.same(await locks(), [lock.token, lock.token, lock.token])
    await masters[1]?.client.flushall()
    t.match(await replica.claim([request({ jobId: 'job', kind: 'manual' })]), [{ status: 'overlap' }])
    t.same(await replica.finish([{ lock, finished: true }]), ['released'])
    await sleep(20)
    t.same(await locks(), [null, null, null])
    await replica.close()
  })
)

t.test('a lock is soon put where it is missing, and not once it is let go of', (t) =>
  withMemory(async ([a, , c], replica) => {
    const other = memoryMaster(c).connect(listen())
    const one = replica()
    const take = async (name: string): Promise<HeldLock> => {
      await other.acquire(name, 5000, 'other')
      const answer = await one.acquire(name, 5000, 'ours')
      t.equal(answer.status, 'granted')
      await other.release({ name, kind: 'named', token: 'other', ttl: 5000, validUntil: Number.POSITIVE_INFINITY })
      return (answer as Granted).lock
    }
    const kept = await take('kept')
    const short = await take('short')
    t.equal(await one.release(short), 'released')
    await sleep(60)
    t.equal(c.store.named.get('kept')?.token, 'ours')
    t.equal(c.store.named.has('short'), false)

    a.wipe()
    const extended = one.extend(kept)
    t.equal(await one.release(kept), 'released')
    t.equal(await extended, 'extended')
    await sleep(60)
    t.equal(a.store.named.has('kept'), false, 'nor by an extension that was under way')
  })
)

t.test('what a node could not be told it is told when it comes back', (t) =>
  withMemory(async ([, , c], replica) => {
    const one = replica()
    const { lock } = await granted(t, one, { ttl: 60_000 })
    await sleep(20)
    c.kill()
    t.same(await one.finish([{ lock, finished: true }]), ['released'])
    t.equal(c.store.jobs.get('job')?.token, lock.token)
    c.wake()
    await sleep(50)
    t.equal(c.store.jobs.get('job')?.token, '')
  })
)

t.test('a node that did not hear of a release, and was never down, is told again, also at closing', (t) =>
  withMemory(async ([, , c], replica) => {
    for (const isClosed of [false, true]) {
      const one = replica()
      const { lock } = await granted(t, one, { ttl: 60_000, scheduledTime: Date.now() })
      await sleep(20)
      c.mode = 'down'
      t.same(await one.finish([{ lock, finished: true }]), ['released'])
      c.mode = 'up'
      t.equal(c.store.jobs.get('job')?.token, lock.token)
      if (isClosed) await one.close()
      const end = performance.now() + 5000
      while (!isClosed && c.store.jobs.get('job')?.token !== '' && performance.now() < end) await sleep(20)
      t.equal(c.store.jobs.get('job')?.token, '')
      if (!isClosed) await one.close()
    }
  })
)

t.test('a master that comes back empty is told of with its address, each time', (t) =>
  withMasters(3, async (masters) => {
    const told: string[] = []
    const one = quorumOver(
      masters.map(({ url }) => redisMaster(url, 'empty')),
      { onNotice: (_level, message) => void told.push(message) }
    )
    await one.open()
    const [, , third] = masters as [TestRedis, TestRedis, TestRedis]
    for (let count = 1; count < 3; count++) {
      // It must have known something to lose.
      for (let job = 0; (await third.client.exists('rls:{empty}:fence')) === 0; job++) {
        await granted(t, one, { jobId: `job-${count}-${job}` })
        await sleep(50)
      }
      await third.restart()
      const lost = (): string[] => told.filter((message) => /has lost its data/.test(message))
      const end = performance.now() + 10_000
      while (lost().length < count && performance.now() < end) await sleep(20)
      t.equal(lost().length, count)
      t.match(lost().at(-1), `:${third.port}`)
    }
    await one.close()
  })
)

t.test('two names of one master are refused at the start, or told of when it comes', (t) =>
  withMasters(2, async (masters) => {
    const [first, second] = masters as [TestRedis, TestRedis]
    await withProxies([first.port], async ([proxy]) => {
      if (proxy === undefined) throw new Error('a proxy was asked for')
      const urls = [first.url, second.url, proxy.url]
      const unsafe: string[] = []
      const over = (): QuorumCoordination =>
        quorumOver(
          urls.map((url) => redisMaster(url, 'same')),
          { onUnsafe: (reason) => void unsafe.push(reason) }
        )
      const message = new RegExp(`one server under two names, at .*:${first.port} and at .*:${proxy.port}`)
      await t.rejects(over().open(), { code: 'FST_ERR_RLS_OPTION_INVALID', message })
      proxy.refuse()
      const one = over()
      await one.open()
      proxy.heal()
      const end = performance.now() + 10_000
      while (unsafe.length === 0 && performance.now() < end) await sleep(20)
      t.match(unsafe, [/two of the masters are one server/])
      await one.close()
    })
  })
)

t.test('a pause written with a node down is read after another one was wiped', (t) =>
  withMemory(async ([a, , c], replica) => {
    const one = replica()
    const isPaused = async (): Promise<boolean | undefined> => {
      return (await replica().survey([question({ jobId: 'job' })]))[0]?.paused
    }
    c.kill()
    await one.pause('job', 'a note')
    t.equal(await isPaused(), true)
    c.wake()
    await sleep(50)
    a.wipe()
    t.equal(await isPaused(), true)
    t.match(await one.claim([request({ jobId: 'job' })]), [{ status: 'paused', first: true }])
    await one.resume('job')
    t.equal(await isPaused(), false)
  })
)
