import { setTimeout as sleep } from 'node:timers/promises'
import type { Redis } from 'ioredis'
import t from 'tap'
import { createScheduler, type Run, type Scheduler, type SchedulerOptions } from '../../lib/index.js'
import type { Coordination, HeldLock, HistoryFact, RunReport } from '../../types/coordination.js'
import { reportOf } from '../fixtures/contract/history-contract.js'
import { redisReplica } from '../fixtures/redis-replicas.js'
import { withRedis } from '../fixtures/with-redis.js'

// What the history costs in a real Redis: how many keys and bytes, for how long, and that no run waits for it.

const MINUTE = 60_000

/** Redis keeps entries in nodes of 4,096 bytes, and the memory of a node is rounded up: of one more node there may be a part. */
const STREAM_NODE = 6144

async function withScheduler(
  body: (scheduler: Scheduler<undefined>, client: Redis) => Promise<void>,
  options: SchedulerOptions<undefined> = {}
): Promise<void> {
  await withRedis(async ({ url, client }) => {
    const scheduler = createScheduler({ redis: url, prefix: 'bounds', logger: false, ...options })
    try {
      await body(scheduler, client)
    } finally {
      await scheduler.close()
    }
  })
}

/** All keys, by name, with the bytes that each takes. */
async function sizesOf(client: Redis): Promise<Map<string, number>> {
  const keys = (await client.keys('*')).sort()
  const sizes = await Promise.all(keys.map((key) => client.memory('USAGE', key, 'SAMPLES', '0')))
  return new Map(keys.map((key, index) => [key, Number(sizes[index])]))
}

t.test('ten times as many runs as are kept leave as many keys and bytes as those', (t) =>
  withScheduler(
    async (scheduler, client) => {
      const handler = (): object => ({ rows: 5 })
      scheduler.add({ id: 'job', handler })
      scheduler.add({ id: 'free', lock: false, handler })
      await scheduler.start()
      const run = async (count: number): Promise<void> => {
        let last: Run | null = null
        for (let index = 0; index < count; index++) {
          await scheduler.trigger('job', { wait: true })
          last = await scheduler.trigger('free', { wait: true })
        }
        // Runs without a lock are told together, within a quarter of a second.
        await told(scheduler, last)
      }
      await run(20)
      const before = await sizesOf(client)
      const first = (await scheduler.history('job')).at(-1)
      await run(180)
      const after = await sizesOf(client)
      t.same([...after.keys()], [...before.keys()], 'the same keys')
      for (const [key, size] of after) {
        t.ok(size <= (before.get(key) as number) + STREAM_NODE, `${key}: ${size} bytes, ${before.get(key)} before`)
      }
      for (const id of ['job', 'free']) {
        t.equal(await client.xlen(`rls:{bounds}:history:${id}`), 20)
        const runs = await scheduler.history(id, { limit: 1000 })
        t.equal(runs.length, 20)
        t.ok(first?.kind === 'run' && runs.every((each) => each.kind === 'run' && each.startedAt > first.startedAt))
      }
    },
    { history: { runs: 20 } }
  )
)

t.test('a run that has succeeded takes 400 bytes at most', (t) =>
  withScheduler(async (scheduler, client) => {
    scheduler.add({ id: 'a job with quite a long id of its own', handler: () => {} })
    await scheduler.start()
    const key = 'rls:{bounds}:history:a job with quite a long id of its own'
    for (let count = 0; count < 100; count++) {
      await scheduler.trigger('a job with quite a long id of its own', { wait: true })
    }
    t.equal(await client.xlen(key), 100)
    const size = Number(await client.memory('USAGE', key, 'SAMPLES', '0'))
    t.comment(`${size / 100} bytes a run`)
    t.ok(size / 100 <= 400)
  })
)

t.test('a history whose first entry was lost goes with its time all the same', (t) =>
  withRedis(async ({ url, client }) => {
    const replica = redisReplica(url, { prefix: 'bounds', history: { runs: 20, retention: 2 * MINUTE } })
    await replica.open()
    const lock: HeldLock = { name: 'job', kind: 'job', token: 'one', ttl: 0, validUntil: 0 }
    // Its reply comes too late, and so does that of the one that tells it again.
    await client.call('CLIENT', 'PAUSE', '2500', 'ALL')
    t.equal(await note(replica, reportOf(lock)), false)
    await sleep(700)
    await client.del('rls:{bounds}:history:job')
    t.equal(await note(replica, reportOf({ ...lock, token: 'two' })), true)
    const left = await client.pttl('rls:{bounds}:history:job')
    t.ok(left >= 2 * MINUTE, `it goes in ${left} ms`)
    await replica.close()
  })
)

t.test('a thousand ranges of ticks are kept, and all that is kept goes with its time', (t) =>
  withRedis(async ({ url, client }) => {
    const history = { runs: 20, retention: 2 * MINUTE }
    const replica = redisReplica(url, { prefix: 'bounds', history })
    await replica.open()
    // Every other tick has a run, so that no two ranges become one.
    const at = Date.now()
    const start = at - 3000
    const facts: HistoryFact[] = Array.from({ length: 1200 }, (_, index) => {
      const first = start + 2 * index
      const ticks = {
        jobId: 'job',
        first,
        last: first,
        count: 1,
        next: first + 1,
        reason: 'overlap' as const,
        by: 'replica',
        at
      }
      return { kind: 'ticks', ticks }
    })
    for (let from = 0; from < facts.length; from += 400) await replica.note(facts.slice(from, from + 400))
    t.equal(await client.zcard('rls:{bounds}:ticks:job'), 1000)
    const { ticks, forgottenUntil } = await replica.readHistory('job')
    t.equal(ticks.length, 1000)
    t.equal(ticks[0]?.first, start + 2 * 1199, 'the newest are kept')
    t.equal(forgottenUntil, start + 2 * 200 - 1)

    const lock: HeldLock = { name: 'job', kind: 'job', token: 'run', ttl: 0, validUntil: 0 }
    await note(replica, reportOf(lock))
    for (const key of ['history:job', 'ticks:job']) {
      const left = await client.pttl(`rls:{bounds}:${key}`)
      t.ok(left >= 2 * MINUTE && left <= 2 * MINUTE + 26 * 60 * MINUTE, `${key} goes in ${left} ms`)
    }

    // What has become too old is not read, and not kept beside what is new.
    const old = at - 2 * MINUTE - 1000
    await note(replica, reportOf({ ...lock, token: 'old' }, 'success', { startedAt: old - 100, finishedAt: old }))
    t.same(
      (await replica.readHistory('job')).runs.map(({ id }) => id),
      ['run']
    )
    await replica.close()
  })
)

t.test('an entry that corrects another does not make forgotten ticks be known', (t) =>
  withRedis(async ({ url }) => {
    const replica = redisReplica(url, { prefix: 'bounds', history: { runs: 10, retention: 10 * MINUTE } })
    await replica.open()
    const start = Date.now() - 5 * MINUTE
    const tell = async (index: number, outcome: 'success' | 'lock_lost'): Promise<void> => {
      const startedAt = start + index * 1000
      const lock: HeldLock = { name: 'job', kind: 'job', token: `run-${index}`, ttl: 0, validUntil: 0 }
      await note(replica, reportOf(lock, outcome, { startedAt, scheduledTime: startedAt, finishedAt: startedAt + 13 }))
    }
    for (let index = 1; index <= 30; index++) await tell(index, 'success')
    await tell(30, 'lock_lost')
    const { runs, forgottenUntil } = await replica.readHistory('job')
    t.equal(runs.length, 9)
    t.match(runs[0], { id: 'run-30', outcome: 'lock_lost' })
    t.ok(forgottenUntil >= start + 21_000 && forgottenUntil < start + 23_000, 'all before run 22 may be forgotten')
    await replica.close()
  })
)

t.test('a run does not wait for a Redis that is slow with its history, nor for one that refuses it', (t) =>
  withScheduler(async (scheduler, client) => {
    const runs: Run[] = []
    scheduler.add({ id: 'free', trigger: { interval: 100 }, lock: false, handler: ({ run }) => void runs.push(run) })
    scheduler.add({ id: 'held', handler: () => {} })
    await scheduler.start()
    await client.call('CLIENT', 'PAUSE', '1000', 'ALL')
    // It is time itself that is to pass.
    await sleep(1500)
    const ticks = runs.map(({ scheduledTime }) => scheduledTime)
    t.ok(ticks.length >= 13, `${ticks.length} runs in 1.5 s`)
    t.same(
      ticks.slice(1).map((tick, index) => tick - (ticks[index] as number)),
      ticks.slice(1).map(() => 100),
      'none is missing'
    )
    t.ok(
      runs.every(({ scheduledTime, startedAt }) => startedAt - scheduledTime < 500),
      'or late'
    )
    await scheduler.trigger('held', { wait: true })
    await client.del('rls:{bounds}:history:held')
    await client.set('rls:{bounds}:history:held', 'of another type')
    t.match(await scheduler.trigger('held', { wait: true }), { outcome: 'success' })
    t.match(await scheduler.status('held'), { consecutiveFailures: 0, running: [], lastRun: { finishedAt: Number } })
    await t.rejects(scheduler.history('held'), { code: 'FST_ERR_RLS_REDIS_UNAVAILABLE' })
  })
)

function note(replica: Coordination, report: RunReport): Promise<boolean> {
  return replica.note([{ kind: 'run', jobId: 'job', report, isCorrection: false }])
}

/** Resolves when the store has been told of a run without a lock. */
async function told(scheduler: Scheduler<undefined>, run: Run | null): Promise<void> {
  for (const end = performance.now() + 3000; performance.now() < end; await sleep(20)) {
    const [last] = await scheduler.history('free', { limit: 1 })
    if (last?.kind === 'run' && last.id === run?.id) return
  }
}
