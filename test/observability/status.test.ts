import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { VERSION } from '../../lib/base/version.js'
import { createScheduler } from '../../lib/index.js'
import { ProgressReports } from '../../lib/runs/progress.js'
import { VirtualClock } from '../../lib/testing/virtual-clock.js'
import type { Coordination } from '../../types/coordination.js'
import type { RunProgress } from '../../types/history.js'
import { logLines } from '../fixtures/log-lines.js'
import { withFleet } from '../fixtures/simulated-fleet.js'
import { withVirtualScheduler } from '../fixtures/virtual-scheduler.js'
import { withRedis } from '../fixtures/with-redis.js'

// How jobs, replicas and this replica stand. By when a run is to have succeeded is in expected-success.test.ts.

const SECOND = 1000
const MINUTE = 60 * SECOND

t.test('the status of a job is the same on each replica', (t) =>
  withFleet(async ({ simulation, join, start }) => {
    let outcome: 'success' | 'error' = 'success'
    const members = await Promise.all(
      [0, 1].map(() =>
        join(({ scheduler, replica }) => {
          scheduler.interval(
            'job',
            '1m',
            async ({ progress }) => {
              progress(0.25)
              await replica.sleep('2s')
              progress(0.5, 'half')
              await replica.sleep('8s')
              if (outcome === 'error') throw new Error('no')
            },
            { name: 'A job', group: 'reports', description: 'What it does' }
          )
        })
      )
    )
    const read = async () => {
      const [one, other] = await Promise.all(members.map(({ scheduler }) => scheduler.status('job')))
      t.same(one, other)
      return one!
    }
    t.match(await read(), {
      id: 'job',
      name: 'A job',
      group: 'reports',
      description: 'What it does',
      lastRun: null,
      lastSuccess: null,
      consecutiveFailures: 0,
      isOverdue: false,
      running: [],
      nextRun: start + MINUTE,
      paused: false,
      pauses: []
    })
    await simulation.advance('64s')
    const [first] = members.flatMap(({ runs }) => runs)
    const run = {
      id: first!.id,
      scheduledTime: start + MINUTE,
      startedAt: first!.startedAt,
      replicaId: first!.replicaId
    }
    const running = await read()
    t.match(running.lastRun, { ...run, finishedAt: null })
    t.equal(running.running.length, 1)
    t.match(running.running[0], { ...run, attempt: 1, slot: 1, progress: { share: 0.5, note: 'half' } })
    const { lockTtl } = running.running[0]!
    t.ok(lockTtl !== null && lockTtl > 20 * SECOND && lockTtl <= 30 * SECOND, `${lockTtl} ms are left`)
    const lists = await Promise.all(members.map(({ scheduler }) => scheduler.status()))
    t.same(lists[0], lists[1])
    t.match(lists[0], [{ id: 'job', running: [{ id: run.id }] }])

    await simulation.advance('56s')
    const finishedAt = first!.finishedAt as number
    t.match(await read(), { lastSuccess: finishedAt, consecutiveFailures: 0 })
    outcome = 'error'
    await simulation.advance('3m')
    const failed = await read()
    t.match(failed, { lastSuccess: Number, consecutiveFailures: 3 })
    t.equal(failed.isOverdue, true)
    const idle = members.find(({ runs }) => runs.at(-1)?.outcome !== 'error') ?? members[1]!
    void idle.scheduler.trigger('job')
    await simulation.advance('20s')
    t.match(await read(), { consecutiveFailures: 4 }, 'of both replicas')
    outcome = 'success'
    await simulation.advance('1m')
    t.match(await read(), { consecutiveFailures: 0, isOverdue: false })
    await members[0]!.scheduler.pause('job', 'a deploy')
    await simulation.advance('1s')
    t.match(await read(), { paused: true, nextRun: null, expectedSuccess: null, isOverdue: false })
    await t.rejects(members[0]!.scheduler.status('other'), { code: 'FST_ERR_RLS_JOB_UNKNOWN' })
  })
)

t.test('the store hears of progress once a second at most, and forgets runs that have ended', async (t) => {
  const clock = new VirtualClock()
  const written: [at: number, news: Map<string, RunProgress | null>][] = []
  const start = clock.now()
  const coordination = {
    state: { up: true },
    now: () => clock.now(),
    writeProgress: async (news: Map<string, RunProgress | null>) => written.push([clock.now() - start, news]) > 0
  }
  const reports = new ProgressReports(clock, coordination as unknown as Coordination)
  for (let index = 0; index < 1000; index++) {
    reports.note('one', reports.read(index / 1000, `row ${index}`))
    if (index % 2 === 0) reports.note('two', reports.read(index / 1000, undefined))
    await clock.advance(5)
  }
  await clock.advance(SECOND)
  t.ok(written.length >= 5 && written.length <= 6, `${written.length} calls in 5 s for 1,500 steps`)
  for (const [index, [at]] of written.slice(1).entries()) t.ok(at - (written[index]?.[0] ?? 0) >= SECOND)
  t.match(written.at(-1)?.[1].get('one'), { share: 0.999, note: 'row 999' })
  reports.end('one')
  reports.end('never told')
  await clock.advance(2 * SECOND)
  t.same([...(written.at(-1)?.[1] ?? [])], [['one', null]])
  const calls = written.length
  await clock.advance(MINUTE)
  t.equal(written.length, calls, 'nothing is told anew')
})

t.test('progress that the store did not answer for is told again, unless there is later news', async (t) => {
  const clock = new VirtualClock()
  const heard: Map<string, RunProgress | null>[] = []
  let answers = false
  const state = { up: true }
  const coordination = {
    state,
    now: () => clock.now(),
    writeProgress: async (news: Map<string, RunProgress | null>) => (answers ? heard.push(news) > 0 : false)
  }
  const reports = new ProgressReports(clock, coordination as unknown as Coordination)
  const note = (runId: string, share: number): void => reports.note(runId, reports.read(share, undefined))
  note('one', 0.1)
  note('two', 0.1)
  await clock.advance(3 * SECOND)
  state.up = false
  note('two', 0.2)
  reports.end('one')
  await clock.advance(3 * SECOND)
  t.same(heard, [])
  state.up = answers = true
  await clock.advance(2 * SECOND)
  t.match(heard, [
    new Map([
      ['one', null],
      ['two', { share: 0.2 }]
    ])
  ])
  await clock.advance(MINUTE)
  t.equal(heard.length, 1)
})

t.test('the fleet: who is there, and whether it takes ticks', (t) =>
  withRedis(async ({ url, client }) => {
    const make = (replicaId: string) => createScheduler({ redis: url, prefix: 'fleet', replicaId, logger: false })
    // One that is not started is what `autostart: false` makes of a plugin's.
    const [worker, stopped, idle] = [make('worker'), make('stopped'), make('idle')]
    worker.add({ id: 'one', handler: () => {} })
    worker.add({ id: 'busy', handler: () => sleep(1000) })
    await worker.start()
    await stopped.start()
    stopped.stop()
    await worker.trigger('busy')
    const seen = await idle.fleet()
    t.same(seen.map(({ replicaId, takesTicks, jobs }) => [replicaId, takesTicks, jobs]).sort(), [
      ['idle', false, 0],
      ['stopped', false, 0],
      ['worker', true, 2]
    ])
    const { version } = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string }
    for (const replica of seen) {
      t.match(replica, { version, appVersion: version, clockSkew: Number, running: Number })
      t.ok(Math.abs(replica.seenAt - Date.now()) < 10_000 && replica.startedAt <= Date.now())
    }
    t.match(
      (await worker.fleet()).find(({ replicaId }) => replicaId === 'worker'),
      { running: 1 },
      'it says so anew'
    )

    // One that was killed a minute ago, and what nobody can read.
    const key = 'rls:{fleet}:replicas'
    const text = String(await client.hget(key, 'worker')).replaceAll('worker', 'killed')
    const saidAt = (ms: number): string => text.replace(/^\d+/, `${Date.now() - ms}`)
    await client.hset(key, 'killed', saidAt(50_000), 'broken', 'no report')
    const ids = async () => (await idle.fleet()).map(({ replicaId }) => replicaId).sort()
    t.same(await ids(), ['idle', 'killed', 'stopped', 'worker'])
    await client.hset(key, 'killed', saidAt(61_000))
    t.same(await ids(), ['idle', 'stopped', 'worker'])
    t.same((await client.hkeys(key)).sort(), ['idle', 'stopped', 'worker'], 'it is forgotten')

    await stopped.close()
    t.same(await ids(), ['idle', 'worker'], 'one that closes says so')
    t.ok((await client.pttl(key)) <= MINUTE)
    await Promise.all([worker.close(), idle.close()])
  })
)

t.test('the version in code is that of the package', async (t) => {
  t.equal(VERSION, (JSON.parse(readFileSync('package.json', 'utf8')) as { version: string }).version)
})

t.test('health says how this replica is, and why', async (t) => {
  await withVirtualScheduler(async ({ clock, scheduler }) => {
    scheduler.add({ id: 'job', handler: () => clock.sleep(MINUTE) })
    t.match(scheduler.health(), { status: 'stopped', coordination: 'memory', redisUp: true, reason: null })
    await scheduler.start()
    await scheduler.trigger('job')
    t.match(scheduler.health(), { status: 'ok', running: 1, backlog: 0, clockSkew: 0 })
    scheduler.stop()
    t.match(scheduler.health(), { status: 'stopped', running: 1 })
    const closed = scheduler.close()
    await clock.settle()
    t.match(scheduler.health(), { status: 'closing' })
    await clock.advance(2 * MINUTE)
    await closed
  })
  await withRedis(async (redis) => {
    const { logger } = logLines()
    const scheduler = createScheduler({ redis: redis.url, prefix: 'health', logger })
    scheduler.interval('job', '1s', () => {})
    await scheduler.start()
    t.match(scheduler.health(), { status: 'ok', coordination: 'redis', redisUp: true, reason: null })
    await redis.kill()
    const becomes = async (status: string): Promise<void> => {
      for (const end = performance.now() + 10_000; performance.now() < end; await sleep(20)) {
        if (scheduler.health().status === status) return
      }
    }
    await becomes('degraded')
    t.match(scheduler.health(), { status: 'degraded', redisUp: false, reason: /\S/ })
    await t.rejects(scheduler.status('job'), { code: 'FST_ERR_RLS_REDIS_UNAVAILABLE' })
    await t.rejects(scheduler.history('job'), { code: 'FST_ERR_RLS_REDIS_UNAVAILABLE' })
    await t.rejects(scheduler.fleet(), { code: 'FST_ERR_RLS_REDIS_UNAVAILABLE' })
    await redis.restart()
    await becomes('ok')
    t.match(scheduler.health(), { status: 'ok', redisUp: true, reason: null })
    await scheduler.close()
  })
})
