// What people do at run time: who, what and why is told by an event, in the log, and to the whole fleet.
import { setTimeout as sleep } from 'node:timers/promises'
import type { Redis } from 'ioredis'
import t from 'tap'
import { Allowance } from '../../lib/base/allowance.js'
import { createScheduler, type FleetChange, type Scheduler } from '../../lib/index.js'
import type { Change } from '../../types/coordination.js'
import { logLines } from '../fixtures/log-lines.js'
import { NEVER_DUE } from '../fixtures/never-due.js'
import { withMasters } from '../fixtures/quorum-replicas.js'
import { withFleet } from '../fixtures/simulated-fleet.js'
import { withRedis } from '../fixtures/with-redis.js'

const WHO = { by: 'ada', note: 'because "so"' }

/** What has been changed by a scheduler, as its event says. */
function changesOf(scheduler: Scheduler<undefined>): FleetChange[] {
  const changes: FleetChange[] = []
  scheduler.on('changed', ({ change }) => void changes.push(change))
  return changes
}

function untilAborted({ signal }: { signal: AbortSignal }): Promise<unknown> {
  return new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason)))
}

/** The feed, without changes that are not known to be made yet, once it has so many. */
async function feedOf(client: Redis, prefix: string, count: number): Promise<Change[]> {
  for (let tries = 0; ; tries++) {
    const entries = await client.xrange(`rls:{${prefix}}:changes`, '-', '+')
    if (entries.length >= count || tries > 200) return entries.map(([, fields]) => JSON.parse(fields[1] ?? ''))
    await sleep(10)
  }
}

const stores = {
  memory: (body: (redis: string | string[] | undefined, client: Redis | null) => Promise<void>) =>
    body(undefined, null),
  Redis: (body) => withRedis(({ url, client }) => body(url, client)),
  'three masters': (body) =>
    withMasters(3, (masters) =>
      body(
        masters.map(({ url }) => url),
        null
      )
    )
} satisfies Record<
  string,
  (body: (redis: string | string[] | undefined, client: Redis | null) => Promise<void>) => Promise<void>
>

for (const [name, withStore] of Object.entries(stores)) {
  t.test(`each thing that somebody does is told once, by an event, with who and why: ${name}`, (t) =>
    withStore(async (redis, client) => {
      const { logger, lines } = logLines()
      const common = redis === undefined ? {} : { redis, prefix: 'audit' }
      const scheduler = createScheduler({ ...common, logger, replicaId: 'me', closeTimeout: 200 })
      const changes = changesOf(scheduler)
      scheduler.add({
        id: 'job',
        trigger: { interval: NEVER_DUE },
        group: 'a:b',
        maxInstances: 1,
        handler: untilAborted
      })
      await scheduler.start()
      const tick = scheduler.get('job')?.nextRun ?? 0
      const pause = await scheduler.pause('job', { ...WHO, until: tick })
      await scheduler.resume('job', WHO)
      await scheduler.pause({ group: 'a:b' })
      await scheduler.resume({ group: 'a:b' }, WHO)
      await scheduler.pause({ all: true }, 'a string is the note')
      await scheduler.resume({ all: true })
      await scheduler.override('job', { timeout: '1m' })
      await scheduler.override('job', { priority: 'high' }, WHO)
      await scheduler.reset('job', WHO)
      await scheduler.skip('job', tick, WHO)
      t.same(await scheduler.release('job', WHO), [], 'nothing was done')
      const run = await scheduler.trigger('job', { ...WHO, scheduledTime: 5 })
      await scheduler.cancel(run?.id ?? '', WHO)
      const [, free] = [await settled(run), await scheduler.trigger('job')]
      t.same(await scheduler.release('job', WHO), [{ slot: 1, runId: free?.id }])
      const none = {
        jobId: null,
        group: null,
        runIds: [],
        requestId: null,
        scheduledTime: null,
        until: null,
        options: []
      }
      const ofJob = { ...none, of: 'job', jobId: 'job', ...WHO }
      const ofGroup = { ...none, of: 'group', group: 'a:b' }
      const ofAll = { ...none, of: 'all', by: 'me' }
      t.same(
        changes.map(({ id: _, at: __, ...each }) => each),
        [
          { ...ofJob, action: 'pause', until: tick },
          { ...ofJob, action: 'resume' },
          { ...ofGroup, action: 'pause', by: 'me', note: null },
          { ...ofGroup, action: 'resume', ...WHO },
          { ...ofAll, action: 'pause', note: 'a string is the note' },
          { ...ofAll, action: 'resume', note: null },
          { ...ofJob, action: 'override', options: ['timeout'], by: 'me', note: null },
          { ...ofJob, action: 'override', options: ['priority'] },
          { ...ofJob, action: 'reset' },
          { ...ofJob, action: 'skip', scheduledTime: tick },
          { ...ofJob, action: 'trigger', runIds: [run?.id], scheduledTime: 5 },
          { ...ofJob, action: 'cancel', runIds: [run?.id] },
          { ...ofJob, action: 'release', runIds: [free?.id] }
        ]
      )
      t.equal(changes[0]?.id, pause.version)
      t.ok(changes.every(({ at }) => Math.abs(at - Date.now()) < 60_000))
      t.equal(new Set(changes.map(({ id }) => id)).size, changes.length)
      const logged = lines.filter(({ fields }) => fields.by === 'ada')
      t.same(
        logged.map(({ fields: { note } }) => note),
        Array.from({ length: 9 }, () => WHO.note)
      )
      t.match(logged.map(({ fields, message }) => [message, fields]).slice(-3), [
        [
          /a run of the job 'job' was asked for/,
          { jobId: 'job', runId: run?.id, scheduledTime: '1970-01-01T00:00:00.005Z' }
        ],
        [/a run is to be cancelled/, { jobId: 'job', runId: run?.id }],
        [/was released/, { jobId: 'job', runIds: [free?.id] }]
      ])
      if (client !== null) {
        const feed = await feedOf(client, 'audit', changes.length)
        t.same(
          feed.map(({ id }) => id),
          changes.map(({ id }) => id),
          'the fleet is told the same'
        )
      }
      await scheduler.close()
    })
  )
}

t.test('runs that somebody asks for anywhere are told each, others together', (t) =>
  withRedis(async ({ url, client }) => {
    const replica = (replicaId: string): Scheduler<undefined> => {
      const scheduler = createScheduler({ redis: url, prefix: 'audit', replicaId, logger: false })
      scheduler.add({ id: 'job', handler: ({ run }) => run.by })
      return scheduler
    }
    const [web, worker] = [replica('web'), replica('worker')]
    const changes = changesOf(web)
    await web.start()
    web.stop()
    const waiting = await web.trigger('job', { on: 'any', ...WHO })
    const later = await web.trigger('job', { on: 'any', note: 'only why', scheduledTime: 7 })
    for (let count = 0; count < 5; count++) await web.trigger('job', { on: 'any' })
    const told = { action: 'trigger', jobId: 'job', runIds: [] }
    t.match(changes, [
      { ...told, ...WHO, requestId: waiting?.id, scheduledTime: null },
      { ...told, by: 'web', note: 'only why', requestId: later?.id, scheduledTime: 7 }
    ])
    const feed = await feedOf(client, 'audit', 3)
    t.match(feed.slice(0, 2), [
      { kind: 'request', requestId: waiting?.id, by: 'ada' },
      { kind: 'request', requestId: later?.id, by: 'web' }
    ])
    t.match(feed[2], { kind: 'request', requestId: null })
    t.equal(changes.length, 2)

    // On the replica that runs it the request begins at once, or waits for the run before it.
    const begun = changesOf(worker)
    await worker.start()
    await web.trigger('job', { on: 'any', wait: true })
    const run = await worker.trigger('job', { on: 'any', ...WHO, wait: true })
    t.match(begun, [{ ...told, ...WHO, runIds: [run?.id], requestId: null }])
    await Promise.all([web.close(), worker.close()])
  })
)

t.test('a run that waits is told of as it is kept', async (t) => {
  const scheduler = createScheduler({ logger: false, closeTimeout: 100 })
  const changes = changesOf(scheduler)
  scheduler.add({ id: 'job', handler: untilAborted })
  await scheduler.start()
  await scheduler.trigger('job')
  const waiting = await scheduler.trigger('job', { overlap: 'wait', ...WHO })
  t.match(changes, [{ action: 'trigger', ...WHO, runIds: [], requestId: waiting?.id }])
  t.equal(await scheduler.trigger('job', WHO), null, 'a run that is held is none')
  t.equal(changes.length, 1)
  await scheduler.close()
})

t.test('a program that names itself thousands of times does not flood the fleet', (t) =>
  withRedis(async ({ url, client }) => {
    const { logger, lines } = logLines()
    const scheduler = createScheduler({ redis: url, prefix: 'audit', logger })
    const changes = changesOf(scheduler)
    scheduler.add({ id: 'job', handler() {} })
    await scheduler.start()
    const before = performance.now()
    for (let count = 0; count < 300; count++) await scheduler.trigger('job', { by: 'a program', wait: true })
    const seconds = (performance.now() - before) / 1000
    await scheduler.close()
    const most = 61 + seconds
    const told = await client.xlen('rls:{audit}:changes')
    t.ok(told >= 60 && told <= most, `${told} in ${seconds} s`)
    t.equal(changes.length, 300, 'its event is told of all')
    const levels = lines.flatMap(({ level, message }) => (message.includes('was asked for') ? [level] : []))
    t.equal(levels.length, 300, 'the log has all')
    t.ok(levels.filter((level) => level === 'info').length <= most)
  })
)

t.test('a run does not wait for a Redis that does not keep who asked for it, and does not fail', (t) =>
  withRedis(async ({ url, client }) => {
    const scheduler = createScheduler({ redis: url, prefix: 'audit', logger: false })
    const changes = changesOf(scheduler)
    scheduler.add({ id: 'job', handler: () => 5 })
    await scheduler.start()
    await client.set('rls:{audit}:changed', 'of another type')
    t.match(await scheduler.trigger('job', { ...WHO, wait: true }), { outcome: 'success', result: 5 })
    t.match(changes, [WHO])
    await scheduler.close()
  })
)

t.test('in a simulated fleet that loses messages a trigger is told at most once', (t) =>
  withFleet(async ({ simulation, join }) => {
    const { scheduler } = await join(({ scheduler }) => void scheduler.add({ id: 'job', handler() {} }))
    const changes = changesOf(scheduler)
    for (const store of simulation.stores) store.disturb({ delay: [1, 30], lostReplies: 0.3, lostRequests: 0.3 })
    let begun = 0
    for (let count = 0; count < 10; count++) {
      const asked = scheduler.trigger('job', WHO).then(
        (run) => run !== null && begun++,
        () => {}
      )
      await simulation.advance('20s')
      await asked
    }
    t.ok(begun > 0)
    t.equal(changes.length, begun)
    const [store] = simulation.stores
    const ids = store?.memory.changes.after(0).map(({ id }) => id) ?? []
    t.ok(ids.length > 0 && ids.length <= begun && new Set(ids).size === ids.length)
  })
)

t.test('bad notes', async (t) => {
  const scheduler = createScheduler({ logger: false })
  scheduler.add({ id: 'job', handler() {} })
  await scheduler.start()
  const changes = changesOf(scheduler)
  for (const note of [5, null, 'x'.repeat(501)] as string[]) {
    const calls: (() => Promise<unknown>)[] = [
      () => scheduler.trigger('job', { note }),
      () => scheduler.pause('job', { note }),
      () => scheduler.resume('job', { note }),
      () => scheduler.override('job', { timeout: 5 }, { note }),
      () => scheduler.reset('job', { note }),
      () => scheduler.cancel('a-run', { note }),
      () => scheduler.release('job', { note })
    ]
    for (const call of calls) {
      await t.rejects(call() as Promise<void>, { code: 'FST_ERR_RLS_OPTION_INVALID', message: /note/ })
    }
  }
  t.same(changes, [])
  await scheduler.close()
})

t.test('an allowance', async (t) => {
  let now = 0
  const allowance = new Allowance({ monotonic: () => now } as never, 2, 100)
  const takes = (count: number): boolean[] => Array.from({ length: count }, () => allowance.take())
  t.same(takes(3), [true, true, false])
  now = 99
  t.same(takes(1), [false])
  now = 100
  t.same(takes(2), [true, false])
  now = 10_000
  t.same(takes(3), [true, true, false], 'no more than at first')
})

/** Resolves when a run's outcome is known. */
async function settled(run: { readonly outcome: string | null } | null): Promise<void> {
  for (let tries = 0; tries < 200 && run?.outcome === null; tries++) await sleep(10)
  // Its lock is released.
  await sleep(50)
}
