import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
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
import { coordinationContract } from '../fixtures/contract/coordination-contract.js'
import { listen, pause, request } from '../fixtures/contract/requests.js'
import {
  ask,
  type Granted,
  granted,
  memoryMaster,
  quorumOver,
  redisMaster,
  TestStore,
  withMasters,
  withMemory
} from '../fixtures/quorum-replicas.js'
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

t.test(
  'a change counts although the clocks of the masters, or of who asks for it, are behind that of the last one',
  (t) =>
    withMemory(async (stores, replica) => {
      const [one, two] = [replica(), replica()]
      await Promise.all([one.open(), two.open()])
      for (const store of stores) store.ahead = 60_000
      await pause(one, 'job')
      t.equal((await one.standing()).pauses.length, 1)
      for (const store of stores) store.ahead = 0
      const { change } = (await two.change({ id: 'back', kind: 'resume', scope: 'job:job', by: 'me', note: null })) as {
        readonly change: { readonly at: number }
      }
      t.ok(change.at > Date.now() + 50_000, 'it follows the last one')
      t.same((await one.standing()).pauses, [])
      await Promise.all([one.close(), two.close()])
    })
)

t.test('an override that was reset does not come back with a master that has missed it', (t) =>
  withMemory(async (stores, replica) => {
    const one = replica()
    await one.open()
    const override = { kind: 'override', jobId: 'job', changes: { timeout: '1m' }, note: null, by: 'me' } as const
    await one.change({ ...override, id: 'made' })
    const [first, , last] = stores as [TestStore, TestStore, TestStore]
    last.mode = 'down'
    await one.change({ kind: 'reset', jobId: 'job', by: 'me', note: null, id: 'reset' })
    // Who has made it is no more, so that nobody tells the master.
    await one.close()
    last.mode = 'up'
    first.mode = 'down'
    const later = replica()
    await later.open()
    t.match((await later.standing()).overrides, [{ jobId: 'job', changes: null }])
    t.match(await later.change({ ...override, id: 'again', expected: 'made' }), { status: 'conflict', by: 'me' })
    t.match(await later.change({ ...override, id: 'anew', expected: null }), { status: 'made' })
    await later.close()
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
    await t.rejects(pause(one, 'job'), { code: 'FST_ERR_RLS_REDIS_UNAVAILABLE' })
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

t.test('news of one master does not fail on another that is not open yet', async (t) => {
  const quorum = quorumOver([1, 2, 3].map((port) => redisMaster(`redis://127.0.0.1:${port}`, 'app')))
  await t.resolves(quorum.reconcile('run-0-0', [], []))
  await quorum.close()
})
