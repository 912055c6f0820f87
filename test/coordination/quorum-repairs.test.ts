import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import type { QuorumCoordination } from '../../lib/coordination/quorum/coordination.js'
import type { HeldLock } from '../../types/coordination.js'
import { until } from '../chaos/fixtures/redis-process.js'
import { withProxies } from '../chaos/fixtures/tcp-proxy.js'
import { listen, pause, question, request, resume } from '../fixtures/contract/requests.js'
import {
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

// What the other masters do for one that lacks what they know: locks, ticks and pauses are put where they are missing.

type Known = Partial<NonNullable<ReturnType<TestStore['recordOf']>>>

/** Waits until a node has been told of a job what the others know, which is done beside their work. */
function hasLearnt(node: TestStore, known: Known, jobId = 'job'): Promise<void> {
  const has = (): boolean => {
    const record: Known = node.recordOf(jobId) ?? {}
    return Object.entries(known).every(([key, value]) => record[key as keyof Known] === value)
  }
  return until(`the node knows of ${jobId} ${JSON.stringify(known)}`, has, 5000)
}

t.test('a node that was away and comes back without its data changes nothing', (t) =>
  withMemory(async ([a, b, c], replica) => {
    const scheduledTime = Date.now()
    const one = replica()
    await one.finish([{ lock: (await granted(t, one, { scheduledTime })).lock, finished: true }])
    c.wipe()
    t.match(await replica().claim([request({ jobId: 'job', scheduledTime })]), [{ status: 'claimed_elsewhere' }])
    await hasLearnt(c, { tick: scheduledTime, token: '' })
    a.wipe()
    t.match(await replica().claim([request({ jobId: 'job', scheduledTime })]), [{ status: 'claimed_elsewhere' }])
    await hasLearnt(a, { tick: scheduledTime, token: '' })
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
    await hasLearnt(c, { token: '' })
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
    // An extension finds who lacks it.
    await hasLearnt(c, { token: lock.token })
    a.wipe()
    t.equal(await one.extend(lock), 'extended')
    t.same(await one.finish([{ lock, finished: true }]), ['released'])
    await hasLearnt(c, { token: '' })
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
    }
    await claim('running', false)
    await hasLearnt(c, { tick: scheduledTime, isUnconfirmed: false, endedAt: 0 }, 'running')
    await claim('ended', true)
    await hasLearnt(c, { tick: scheduledTime, isUnconfirmed: false, claimedBy: '' }, 'ended')
    await claim('counted', true)
    await hasLearnt(c, { tick: scheduledTime, isUnconfirmed: false, runId: '' }, 'counted')
    await claim('taken back', true)
    await sleep(30)
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
    await hasLearnt(c, { tick: scheduledTime, isUnconfirmed: false, endedAt: 0 })
  })
)

for (const count of [3, 5]) {
  t.test(
    `the end of a run that fewer than half of ${count} nodes have forgotten is measured from, whoever answers first`,
    async (t) => {
      const stores = Array.from({ length: count }, () => new TestStore())
      const replica = quorumOver(stores.map(memoryMaster))
      const changes = { scheduledTime: 0, afterCompletion: 10_000 }
      // What begins an interval is an end of a run here, as of one by hand.
      const ids = Array.from({ length: 30 }, (_, index) => `job-${index}`)
      for (const jobId of ids) {
        const { lock } = await granted(t, replica, { ...changes, jobId, kind: 'manual' })
        await replica.finish([{ lock, finished: true }])
      }
      const ended = Date.now()
      await sleep(1500)
      for (const store of stores.slice(0, (count - 1) / 2)) store.wipe()
      const answers = await Promise.all(ids.map((jobId) => replica.claim([request({ ...changes, jobId })])))
      const late = answers.flat().filter((answer) => answer.status !== 'early' || answer.due > ended + 10_500)
      t.same(late, [])
    }
  )
}

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
    await hasLearnt(c, { token: lock.token })
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
    const lockOn = async ({ client }: TestRedis) => client.get((await client.keys('*:lock:job'))[0] ?? 'none')
    const allHave = (token: string | null): Promise<void> => {
      const have = async (): Promise<boolean> => (await Promise.all(masters.map(lockOn))).every((own) => own === token)
      return until(`the lock on all masters is ${token}`, have, 5000)
    }
    await allHave(lock.token)
    await masters[0]?.client.flushall()
    t.equal(await replica.extend(lock), 'extended')
    await allHave(lock.token)
    await masters[1]?.client.flushall()
    t.match(await replica.claim([request({ jobId: 'job', kind: 'manual' })]), [{ status: 'overlap' }])
    t.same(await replica.finish([{ lock, finished: true }]), ['released'])
    await allHave(null)
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
    await until('the lock is where it was missing', () => c.store.named.get('kept')?.token === 'ours', 5000)
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
    await hasLearnt(c, { token: lock.token, isUnconfirmed: false })
    c.kill()
    t.same(await one.finish([{ lock, finished: true }]), ['released'])
    t.equal(c.store.jobs.get('job')?.token, lock.token)
    c.wake()
    await hasLearnt(c, { token: '' })
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
    await pause(one, 'job')
    t.equal(await isPaused(), true)
    c.wake()
    await sleep(50)
    a.wipe()
    t.equal(await isPaused(), true)
    t.match(await one.claim([request({ jobId: 'job' })]), [{ status: 'paused', first: true }])
    await resume(one, 'job')
    t.equal(await isPaused(), false)
  })
)
