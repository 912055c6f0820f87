import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { MINUTE } from '../../lib/base/duration.js'
import { createScheduler, type Scheduler } from '../../lib/index.js'
import type { Change, CoordinationListener, HeldLock } from '../../types/coordination.js'
import { makeChanges } from '../fixtures/contract/change-contract.js'
import { change, granted, listen, pause, resume } from '../fixtures/contract/requests.js'
import { withHeldAnswers } from '../fixtures/held-answers.js'
import { redisReplica } from '../fixtures/redis-replicas.js'
import { type Member, withFleet } from '../fixtures/simulated-fleet.js'
import { withRedis } from '../fixtures/with-redis.js'

const noop = (): void => {}

/** One job of each kind that learns nothing of its pause by a claim of its own. */
function addIdle(scheduler: Scheduler<undefined>): void {
  scheduler.cron('yearly', '0 0 1 1 *', noop, { group: 'reports' })
  scheduler.cron('unlocked', '0 0 1 1 *', noop, { lock: false, group: 'reports' })
  scheduler.add({ id: 'by-hand', handler: noop })
}

const pausedIn = (scheduler: Scheduler<undefined>): string[] =>
  scheduler.list().flatMap(({ id, paused }) => (paused ? [id] : []))

async function until(isSo: () => boolean, limit = 5000): Promise<number> {
  const begun = performance.now()
  while (!isSo() && performance.now() - begun < limit) await sleep(5)
  return performance.now() - begun
}

t.test('over Redis an idle replica knows within a second what another has paused', (t) =>
  withRedis(async (redis) => {
    const over = (): Scheduler<undefined> => createScheduler({ redis: redis.url, prefix: 'idle', logger: false })
    const [one, two, web] = [over(), over(), over()]
    for (const scheduler of [one, two, web]) addIdle(scheduler)
    await one.start()
    await two.start()
    // A replica that takes no ticks.
    await web.resume('yearly')
    const targets = [
      ['yearly', ['yearly']],
      [{ group: 'reports' }, ['yearly', 'unlocked']],
      [{ all: true }, ['yearly', 'unlocked', 'by-hand']]
    ] as const
    for (const [target, expected] of targets) {
      await one.pause(target, { note: 'maintenance', by: 'ada' })
      t.same(pausedIn(one), expected, 'at once where it was asked for')
      for (const scheduler of [two, web]) {
        const took = await until(() => pausedIn(scheduler).length === expected.length)
        t.same(pausedIn(scheduler), expected)
        t.ok(took < 1300, `${took} ms`)
        t.match(scheduler.get('yearly')?.pauses.at(-1), { by: 'ada', note: 'maintenance' })
        t.equal(scheduler.get('yearly')?.nextRun, null)
      }
      t.same(await one.resume(target), [])
      for (const scheduler of [two, web]) {
        t.ok((await until(() => pausedIn(scheduler).length === 0)) < 1300)
        t.ok((scheduler.get('yearly')?.nextRun ?? 0) > Date.now())
      }
    }
    await one.pause({ group: 'reports' })
    const later = over()
    addIdle(later)
    later.cron('later', '0 0 1 1 *', noop, { group: 'reports' })
    await later.start()
    await until(() => pausedIn(later).length === 3)
    t.same(pausedIn(later), ['yearly', 'unlocked', 'later'], 'also one that starts later, and jobs that come later')
    later.cron('last', '0 0 1 1 *', noop, { group: 'reports' })
    t.equal(later.get('last')?.paused, true)
    for (const scheduler of [one, two, web, later]) await scheduler.close()
  })
)

t.test('a replica that was cut off catches up; where nobody remembers what it has missed, it reads anew', (t) =>
  withRedis(async (redis) => {
    const heard: [changes: readonly Change[], isComplete: boolean][] = []
    const listener: Partial<CoordinationListener> = { onChanges: (...told) => void heard.push(told) }
    const [replica, other] = [redisReplica(redis.url, { listener }), redisReplica(redis.url)]
    await replica.open()
    await other.open()
    t.same(heard.splice(0), [[[], false]], 'the first contact')
    await makeChanges(other, 5)
    await until(() => heard.flatMap(([changes]) => changes).length === 5)
    const changes = heard.splice(0).flatMap(([changes]) => changes)
    t.same(
      changes.map(({ after }) => after),
      [0, ...changes.slice(0, 4).map(({ version }) => version)],
      'each once, without a gap'
    )

    await replica.close()
    await makeChanges(other, 1010)
    const entries = await redis.client.xrange('rls:{test}:changes', '-', '+')
    t.equal(entries.length, 1000, 'no more are kept')
    t.equal(entries.at(-1)?.[0], `${await redis.client.get('rls:{test}:version')}-0`, 'the last are')
    await redis.client.xtrim('rls:{test}:changes', 'MAXLEN', 3)
    const late = redisReplica(redis.url, { listener })
    await late.open()
    heard.length = 0
    // What it knows is older than all that is remembered.
    await redis.client.incrby('rls:{test}:version', 20)
    await until(() => heard.length > 0)
    t.same(heard.splice(0), [[[], false]], 'a gap')
    await redis.client.flushall()
    await until(() => heard.length > 0)
    t.same(heard.splice(0, 1), [[[], false]], 'all is lost')
    await pause(other, 'job')
    await until(() => heard.some(([changed]) => changed.length > 0))
    t.match(heard.at(-1), [[{ kind: 'pause', after: 0 }], true], 'and it goes on')
    await late.close()
    await other.close()
  })
)

t.test('an idle replica hears within a second of what another has handed back', (t) =>
  withRedis(async (redis) => {
    const heard = listen()
    const [idle, other] = [redisReplica(redis.url, { listener: heard }), redisReplica(redis.url)]
    await idle.open()
    await other.open()
    for (let tick = 1; tick <= 3; tick++) {
      const scheduledTime = Date.now()
      const { lock } = await granted(t, other, { jobId: 'job', scheduledTime })
      t.same(await other.handBack([{ lock, scheduledTime, tell: true, afterCompletion: 0 }], `call-${tick}`), ['free'])
      const took = await until(() => heard.handedBack.some(([, handed]) => handed === scheduledTime))
      t.ok(took < 1300, `${took} ms`)
      await sleep(100 * tick)
    }
    await idle.close()
    await other.close()
  })
)

t.test('a replica that does nothing but take locks by name, all the time, hears of it as soon', (t) =>
  withRedis(async (redis) => {
    const heard = listen()
    const [busy, other] = [redisReplica(redis.url, { listener: heard }), redisReplica(redis.url)]
    await busy.open()
    await other.open()
    let isDone = false
    const taking = (async () => {
      while (!isDone) {
        const { lock } = (await busy.acquire('name', 5000, 'token')) as { lock: HeldLock }
        await busy.release(lock)
        await sleep(50)
      }
    })()
    for (let round = 1; round <= 3; round++) {
      const scheduledTime = Date.now()
      const { lock } = await granted(t, other, { jobId: 'job', scheduledTime })
      t.same(await other.handBack([{ lock, scheduledTime, tell: true, afterCompletion: 0 }], `call-${round}`), ['free'])
      await pause(other, 'paused')
      const took = await until(
        () => heard.handedBack.some(([, handed]) => handed === scheduledTime) && heard.changes.length === round
      )
      t.ok(took < 1300, `${took} ms`)
    }
    isDone = true
    await taking
    await busy.close()
    await other.close()
  })
)

t.test('a Redis that has lost changes is believed, whatever has been changed in it since', (t) =>
  withRedis(async (redis) => {
    const over = (): Scheduler<undefined> => {
      const scheduler = createScheduler({ redis: redis.url, prefix: 'lost', logger: false })
      for (const id of ['a', 'b']) scheduler.interval(id, '200ms', noop)
      return scheduler
    }
    const [one, two] = [over(), over()]
    for (const scheduler of [one, two]) await scheduler.start()
    for (let round = 0; round < 3; round++) {
      await one.override('a', { timeout: '1m' })
      await one.pause('a')
      await until(() => two.get('a')?.override != null)
      await redis.client.flushall()
      // As many as before, and at once: a claim between the loss and the next look hides that the store was wiped.
      await sleep(20 * round)
      await one.override('b', { timeout: '2m' })
      await one.pause('b')
      const fresh = over()
      await fresh.start()
      await until(() => fresh.get('b')?.override != null)
      const stands = (scheduler: Scheduler<undefined>): unknown =>
        ['a', 'b'].map((id) => [scheduler.get(id)?.paused, scheduler.get(id)?.override?.version ?? null])
      for (const scheduler of [one, two]) {
        await until(() => JSON.stringify(stands(scheduler)) === JSON.stringify(stands(fresh)), 2000)
        t.same(stands(scheduler), stands(fresh), 'each replica sees what is there, and nothing that was')
      }
      await fresh.close()
    }
    for (const scheduler of [one, two]) await scheduler.close()
  })
)

t.test('a change of which Redis refuses a part is not made, and nobody hears of it', (t) =>
  withRedis(async ({ client, url, port }) => {
    const heard = listen()
    const [replica, other] = [redisReplica(url), redisReplica(url, { listener: heard })]
    await replica.open()
    await other.open()
    const key = (name: string): string => `rls:{test}:${name}`
    const effects = [
      { kind: 'pause', scope: 'job:job', note: null, until: null },
      { kind: 'pause', scope: 'all', note: null, until: null },
      { kind: 'override', jobId: 'job', changes: { timeout: '1m' }, note: null },
      { kind: 'skip', jobId: 'job', scheduledTime: Date.now() + MINUTE, note: null }
    ] as const
    let asked = 0
    const make = (by: typeof replica, effect: (typeof effects)[number]) =>
      by.change({ ...effect, id: `change-${++asked}`, by: 'somebody' })
    const refused = async (by: typeof replica): Promise<void> => {
      for (const effect of effects) await t.rejects(make(by, effect), { code: 'FST_ERR_RLS_REDIS_UNAVAILABLE' })
      t.equal(await client.exists(key('changes'), key('version')), 0)
    }
    for (const name of ['changed', 'paused', 'pauses', 'skips', 'overrides']) {
      await client.set(key(name), 'of another type')
      await refused(replica)
      await client.del(key(name))
    }
    t.equal(await client.exists(key('probe:change')), 0)
    const rights = ['reset', 'on', '>secret', '~*', '+@all', '-hset'] as const
    await client.acl('SETUSER', 'limited', ...rights)
    const limited = redisReplica(`redis://limited:secret@127.0.0.1:${port}`)
    await limited.open()
    await refused(limited)
    t.equal(await client.exists(...['paused', 'pauses', 'skips', 'overrides', 'changed'].map(key)), 0)
    t.same(heard.changes, [])
    for (const effect of effects) t.match(await make(replica, effect), { status: 'made' })
    await until(() => heard.changes.length === effects.length)
    t.equal(heard.changes.length, effects.length, 'once it is whole again')
    for (const each of [replica, other, limited]) await each.close()
  })
)

t.test('a Redis that is gone during a change makes none, and says so', (t) =>
  withRedis(async (redis) => {
    const scheduler = createScheduler({ redis: redis.url, prefix: 'gone', logger: false })
    addIdle(scheduler)
    await scheduler.start()
    await redis.kill()
    for (const made of [scheduler.pause({ all: true }), scheduler.resume('yearly')]) {
      await t.rejects(made as Promise<unknown>, { code: 'FST_ERR_RLS_REDIS_UNAVAILABLE' })
    }
    t.same(pausedIn(scheduler), [])
    await scheduler.close()
  })
)

const addAll = ({ scheduler }: Member): void => addIdle(scheduler)

for (const masters of [1, 3]) {
  const stores = `${masters} store(s)`

  t.test(`every replica of a simulated fleet knows what is paused, however many messages are lost: ${stores}`, (t) =>
    withFleet(
      async ({ simulation, join }) => {
        const members = [await join(addAll), await join(addAll), await join(addAll)]
        const [one, two] = members as [Member, Member]
        for (const store of simulation.stores) {
          store.disturb({ delay: [1, 40], lostReplies: 0.2, lostRequests: 0.2 })
        }
        const targets = ['yearly', { group: 'reports' }, 'by-hand', { all: true } as const]
        for (let round = 0; round < 12; round++) {
          const by = round % 2 === 0 ? one : two
          const target = targets[round % targets.length] as string
          const isPause = round % 3 !== 2
          const done = isPause ? by.scheduler.pause(target) : by.scheduler.resume(target)
          const outcome = (done as Promise<unknown>).then(
            () => true,
            () => false
          )
          await simulation.advance('30s')
          await outcome
        }
        for (const store of simulation.stores) store.disturb()
        const settled = members.map(({ scheduler }) => (scheduler as Scheduler<undefined>).pause('by-hand'))
        await simulation.advance('10s')
        await Promise.all(settled)
        const seen = members.map(({ scheduler }) => pausedIn(scheduler))
        for (const each of seen) t.same(each, seen[0])
        const resumed = ['yearly', { group: 'reports' }, { all: true } as const, 'by-hand'].map((target) => {
          return one.scheduler.resume(target)
        })
        await simulation.advance('10s')
        await Promise.all(resumed)
        for (const { scheduler } of members) t.same(pausedIn(scheduler), [])
      },
      { masters, seed: 5 }
    )
  )

  t.test(`one that was cut off for an hour catches up, as does one whose store lost all: ${stores}`, (t) =>
    withFleet(
      async ({ simulation, join }) => {
        const [one, two] = [await join(addAll), await join(addAll)]
        const does = async (made: Promise<unknown>): Promise<void> => {
          await simulation.advance('2s')
          await made
        }
        two.replica.disconnect()
        await does(one.scheduler.pause({ group: 'reports' }, { until: simulation.now + 2 * 60 * MINUTE }))
        await simulation.advance('1h')
        t.same(pausedIn(two.scheduler), [])
        two.replica.connect()
        await simulation.advance('3s')
        t.same(pausedIn(two.scheduler), ['yearly', 'unlocked'])
        await simulation.advance('1h')
        t.same([pausedIn(one.scheduler), pausedIn(two.scheduler)], [[], []], 'over by its own end')
        t.ok((two.scheduler.get('yearly')?.nextRun ?? 0) > simulation.now)

        await does(one.scheduler.pause({ all: true }))
        t.equal(pausedIn(two.scheduler).length, 3)
        for (const store of simulation.stores) store.wipe()
        await does(one.scheduler.pause('by-hand'))
        await simulation.advance('3s')
        t.same([pausedIn(one.scheduler), pausedIn(two.scheduler)], [['by-hand'], ['by-hand']])
      },
      { masters }
    )
  )

  t.test(`ticks run again from the end of a pause on, and each is counted once: ${stores}`, (t) =>
    withFleet(
      async ({ simulation, start, join, runs }) => {
        const add = ({ scheduler }: Member): void => {
          scheduler.cron('each-minute', '* * * * *', noop, { group: 'reports', misfireGraceTime: '5m' })
          scheduler.cron('unlocked', '* * * * *', noop, { group: 'reports', lock: false })
        }
        const members = [await join(add), await join(add)]
        const paused = members[0]!.scheduler.pause({ group: 'reports' }, { until: start + 3 * MINUTE })
        await simulation.advance('5m')
        await paused
        const ranAt = (id: string): number[] => {
          return runs().flatMap(({ jobId, scheduledTime }) => (jobId === id ? [(scheduledTime - start) / MINUTE] : []))
        }
        t.same(ranAt('each-minute'), [3, 4, 5])
        t.same(ranAt('unlocked'), [3, 3, 4, 4, 5, 5])
        const skipped = members.flatMap((member) => member.skipped).filter(([, reason]) => reason === 'paused')
        // Those of the job with a lock once in the fleet, of the other on each replica.
        t.equal(skipped.filter(([tick]) => tick <= 2 * MINUTE).length, skipped.length)
        t.equal(skipped.length, 2 + 4)
      },
      { masters }
    )
  )
}

t.test('what was asked for before a change is learned does not undo it', (t) =>
  withHeldAnswers(async ({ clock, answers, scheduler }) => {
    let runs = 0
    let expected = 0
    scheduler.cron('job', '* * * * *', () => void runs++, { group: 'reports' })
    for (const scope of ['job:job', 'group:reports', 'all'] as const) {
      answers.hold('claim')
      await clock.advance(600)
      t.equal(answers.held('claim'), 1)
      await pause(answers.replica(), '', scope)
      await clock.advance(1)
      t.equal(scheduler.get('job')?.paused, true)
      await answers.letGo('claim')
      await clock.advance(10)
      t.equal(runs, ++expected, 'the tick had been granted')
      t.equal(scheduler.get('job')?.paused, true, scope)
      await resume(answers.replica(), '', scope)
      await clock.advance(1)
      t.equal(scheduler.get('job')?.paused, false)
      // To half a second before the next tick.
      await clock.advance(MINUTE - 612)
    }
  }, '2027-01-01T00:00:59.500Z')
)

t.test('nor does an older change undo a newer one, or what was in force before it', (t) =>
  withHeldAnswers(async ({ clock, answers, scheduler }) => {
    const told = (changes: readonly Partial<Change>[], isComplete = true): void => {
      for (const listener of answers.store.listeners) listener.onChanges(changes as readonly Change[], isComplete)
    }
    scheduler.cron('job', '* * * * *', noop)
    const replica = answers.replica()
    await change(replica, { kind: 'pause', scope: 'job:job', id: 'new' })
    await clock.advance(1)
    told([{ kind: 'resume', scope: 'job:job', id: 'old', by: 'late', version: 0 }])
    t.equal(scheduler.get('job')?.paused, true)
    answers.hold('standing')
    told([], false)
    await clock.advance(1)
    t.equal(answers.held('standing'), 1)
    await resume(replica, 'job')
    await clock.advance(1)
    await answers.letGo('standing')
    t.equal(scheduler.get('job')?.paused, false)
    await pause(replica, '', 'all')
    await resume(replica, '', 'all')
    await clock.advance(1)
    t.equal(scheduler.get('job')?.paused, false, 'nor is it remembered')

    const overridden = (id: string, version: number): Partial<Change> => {
      return { kind: 'override', jobId: 'job', changes: { timeout: '1m' }, note: null, by: 'late', id, version }
    }
    told([overridden('new', 100)])
    told([overridden('old', 99)])
    t.equal(scheduler.get('job')?.override?.version, 'new')
    told([{ kind: 'reset', jobId: 'job', id: 'newest', version: 101 }, overridden('new', 100)])
    t.equal(scheduler.get('job')?.override, null)
  })
)

t.test('bad input changes nothing', async (t) => {
  const heard = listen()
  const scheduler = createScheduler({ logger: false })
  scheduler.cron('job', '* * * * *', noop, { group: 'reports' })
  scheduler.on('paused', () => void heard.waiting.push('paused'))
  const refused: [unknown, unknown, string][] = [
    ['none', {}, 'JOB_UNKNOWN'],
    [{ group: 'none' }, {}, 'GROUP_UNKNOWN'],
    [{ group: '' }, {}, 'OPTION_INVALID'],
    [{ group: 'reports', all: true }, {}, 'OPTION_INVALID'],
    [{ all: false }, {}, 'OPTION_INVALID'],
    [{}, {}, 'OPTION_INVALID'],
    [{ groups: 'reports' }, {}, 'OPTION_UNKNOWN'],
    ['job', { until: Date.now() - 1 }, 'OPTION_INVALID'],
    ['job', { until: 'tomorrow' }, 'DATE_INVALID'],
    ['job', { note: 'x'.repeat(501) }, 'OPTION_INVALID'],
    ['job', { by: '' }, 'OPTION_INVALID'],
    ['job', { by: 'x'.repeat(201) }, 'OPTION_INVALID'],
    ['job', { expectedVersion: 1 }, 'OPTION_INVALID'],
    ['job', { reason: 'why' }, 'OPTION_UNKNOWN'],
    ['job', { expectedVersion: 'another' }, 'JOB_CHANGED']
  ]
  for (const [target, options, code] of refused) {
    await t.rejects(scheduler.pause(target as string, options as object), { code: `FST_ERR_RLS_${code}` })
    if (!('until' in (options as object)) && !('note' in (options as object))) {
      await t.rejects(scheduler.resume(target as string, options as object), { code: `FST_ERR_RLS_${code}` })
    }
  }
  t.equal(scheduler.get('job')?.paused, false)
  t.same(heard.waiting, [])
  const pause = await scheduler.pause('job', { note: 'why', until: new Date(Date.now() + MINUTE), by: 'ada' })
  t.match(scheduler.get('job')?.pauses, [{ of: 'job', note: 'why', by: 'ada', version: pause.version }])
  await scheduler.pause({ all: true })
  t.match(await scheduler.resume('job', { expectedVersion: pause.version }), [{ of: 'all' }], 'what still pauses it')
  await t.rejects(scheduler.resume('job', { expectedVersion: pause.version }), {
    code: 'FST_ERR_RLS_JOB_CHANGED',
    statusCode: 412,
    message: /resume the job 'job'.* has changed it at 20/
  })
  await scheduler.close()
})
