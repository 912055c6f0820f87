import { setTimeout as sleep } from 'node:timers/promises'
import { isDeepStrictEqual } from 'node:util'
import t from 'tap'
import { MINUTE } from '../../lib/base/duration.js'
import { createScheduler, type OverrideChanges, type Scheduler } from '../../lib/index.js'
import { logLines } from '../fixtures/log-lines.js'
import { NEVER_DUE } from '../fixtures/never-due.js'
import { type Fleet, type Member, withFleet } from '../fixtures/simulated-fleet.js'
import { withRedis } from '../fixtures/with-redis.js'

const noop = (): void => {}

/** The minutes of the beginning at which the runs of a job were due. */
function minutesOf({ runs, start }: Fleet, id = 'job'): number[] {
  return runs().flatMap(({ jobId, scheduledTime }) => (jobId === id ? [(scheduledTime - start) / MINUTE] : []))
}

/** Lets simulated time pass until a call is settled. */
async function settled<Value>({ simulation }: Fleet, call: Promise<Value>): Promise<Value> {
  let isSettled = false
  const end = (): void => {
    isSettled = true
  }
  call.then(end, end)
  for (let tries = 0; !isSettled && tries < 1000; tries++) await simulation.advance('10ms')
  return await call
}

/** Waits up to four seconds until something is so. */
async function until(isSo: () => boolean): Promise<void> {
  for (let tries = 0; tries < 200 && !isSo(); tries++) await sleep(20)
}

for (const masters of [1, 3]) {
  const stores = `${masters} store(s)`

  t.test(`the fleet follows an override until it is reset, and one that joins later does, too: ${stores}`, (t) =>
    withFleet(
      async (fleet) => {
        const { simulation } = fleet
        const add = ({ scheduler }: Member): void => {
          scheduler.cron('job', '* * * * *', noop)
          scheduler.cron('other', '* * * * *', noop)
          scheduler.cron('tuned', '* * * * *', noop)
        }
        const members = [await fleet.join(add), await fleet.join(add)]
        await simulation.advance('90s')
        await settled(fleet, members[0]!.scheduler.override('job', { trigger: { cron: '*/3 * * * *' } }, { by: 'ada' }))
        await settled(fleet, members[1]!.scheduler.override('tuned', { timeout: '10s' }))
        await simulation.advance('5m')
        members.push(await fleet.join(add))
        for (const member of members.splice(0, 2)) member.replica.crash()
        await simulation.advance('3m')
        t.match(members[0]?.scheduler.get('job')?.override, {
          by: 'ada',
          changes: { trigger: { cron: '*/3 * * * *' } }
        })
        for (const id of ['job', 'tuned']) await settled(fleet, members[0]!.scheduler.reset(id))
        await simulation.advance('2m')
        t.same(minutesOf(fleet), [1, 3, 6, 9, 10, 11])
        for (const id of ['other', 'tuned']) t.same(minutesOf(fleet, id), [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11])
        t.same(fleet.missed(), [])
        t.equal(members[0]?.scheduler.get('job')?.override, null)
        const texts = members.flatMap(({ lines }) => lines.map(({ message }) => message))
        t.notOk(
          texts.some((text) => text.includes('defines')),
          'none of them defines it otherwise'
        )
      },
      { masters }
    )
  )

  t.test(`a tick just after an override is run by the new definition alone, whoever claims it: ${stores}`, (t) =>
    withFleet(
      async (fleet) => {
        const { simulation } = fleet
        const data: unknown[] = []
        const add = ({ scheduler }: Member): void => {
          for (const id of ['retimed', 'left', 'given']) scheduler.cron(id, '* * * * *', noop)
          scheduler.cron('options', '* * * * *', ({ data: seen }) => void data.push(seen), { data: 'code' })
        }
        const members = [await fleet.join(add), await fleet.join(add), await fleet.join(add)]
        // One that takes no ticks: it makes the change, and the others have to hear of it.
        const web = await fleet.join(add)
        web.scheduler.stop()
        await simulation.advance('59.9s')
        const changes: [string, OverrideChanges][] = [
          ['retimed', { trigger: { cron: '*/2 * * * *' } }],
          ['left', { trigger: null }],
          ['given', { trigger: { any: ['* * * * *', '30 3 * * *'] } }],
          ['options', { data: 'operator' }]
        ]
        await Promise.all(changes.map(([id, change]) => settled(fleet, web.scheduler.override(id, change))))
        t.ok(simulation.now < fleet.start + MINUTE, 'before the tick')
        const hasHeard = members.filter(({ scheduler }) => scheduler.get('left')?.override !== null)
        t.ok(hasHeard.length < members.length, 'not all have heard of it')
        await simulation.advance('2m')
        t.same(minutesOf(fleet, 'retimed'), [2])
        t.same(minutesOf(fleet, 'left'), [])
        t.same(minutesOf(fleet, 'given'), [1, 2], 'its tick is one of the new trigger, too')
        t.same(minutesOf(fleet, 'options'), [1, 2])
        t.same([...new Set(data)], ['operator'])
        t.same(fleet.missed(), [])
        for (const member of members) t.match(member.scheduler.get('left'), { trigger: null, nextRun: null })
      },
      { masters, seed: 5 }
    )
  )
}

t.test('a replica that was cut off for an hour claims nothing by what it knew', (t) =>
  withFleet(async (fleet) => {
    const { simulation } = fleet
    const add = ({ scheduler }: Member): void => void scheduler.cron('job', '* * * * *', noop)
    const [one, two] = [await fleet.join(add), await fleet.join(add)]
    two.replica.disconnect()
    await settled(fleet, one.scheduler.override('job', { trigger: { cron: '0 3 * * *' } }))
    await simulation.advance('1h')
    one.replica.crash()
    two.replica.connect()
    await simulation.advance('5m')
    t.same(minutesOf(fleet), [])
    t.match(two.scheduler.get('job')?.trigger, { cron: '0 3 * * *' })
    await settled(fleet, two.scheduler.reset('job'))
    await simulation.advance('90s')
    t.ok(minutesOf(fleet).length >= 1)
  })
)

t.test('of many overrides at once on several replicas each is made, and none is lost', (t) =>
  withRedis(async ({ url }) => {
    const members = ['one', 'two', 'three'].map((replicaId) => {
      const scheduler = createScheduler({ redis: url, prefix: 'many', replicaId, logger: false })
      scheduler.add({ id: 'job', trigger: { interval: NEVER_DUE }, handler: noop })
      return scheduler
    })
    for (const scheduler of members) await scheduler.start()
    const options = ['timeout', 'misfireGraceTime', 'jitter'] as const
    const made = Array.from({ length: 45 }, (_, index) => {
      const scheduler = members[index % 3] as Scheduler<undefined>
      return scheduler.override('job', { [options[index % 3] as string]: `${index + 1}s` })
    })
    const all = await Promise.all(made)
    t.equal(new Set(all.map(({ version }) => version)).size, 45)
    const last = all.reduce((found, each) => (each.at > found.at ? each : found))
    t.same(Object.keys(last.changes).sort(), [...options].sort(), 'each adds to those before')
    const expected = { timeout: '43s', misfireGraceTime: '44s', jitter: '45s' }
    for (const scheduler of members) {
      // It hears of the last one within a second.
      await until(() => isDeepStrictEqual(scheduler.get('job')?.override?.changes, expected))
      t.same((await scheduler.status('job')).override?.changes, expected)
    }
    for (const scheduler of members) await scheduler.close()
  })
)

t.test('over Redis: an override outlives all replicas, two operators lose nothing, and Redis gone is an error', (t) =>
  withRedis(async (redis) => {
    const { logger, lines } = logLines()
    const started = async (define: (scheduler: Scheduler<undefined>) => void): Promise<Scheduler<undefined>> => {
      const scheduler = createScheduler({ redis: redis.url, prefix: 'app', logger })
      define(scheduler)
      await scheduler.start()
      return scheduler
    }
    const runs: unknown[] = []
    const add = (scheduler: Scheduler<undefined>): void => {
      scheduler.add({ id: 'job', trigger: { interval: NEVER_DUE }, handler: ({ data }) => void runs.push(data) })
    }
    const [one, two] = [await started(add), await started(add)]
    const [first, second] = await Promise.all([
      one.override('job', { data: { password: 'secret' }, timeout: '1m' }, { by: 'ada', note: 'a new server' }),
      two.override('job', { misfireGraceTime: '5m', timeout: '2m' }, { by: 'grace' })
    ])
    const [earlier, last] = [first, second].sort((a, b) => a.at - b.at)
    await until(() => one.get('job')?.override?.version === last?.version)
    const { override } = await one.status('job')
    t.match(override?.changes, { data: { password: 'secret' }, misfireGraceTime: '5m' }, 'both')
    t.match(last?.changes, override?.changes)
    await t.rejects(two.reset('job', { expectedVersion: earlier?.version ?? '' }), {
      code: 'FST_ERR_RLS_JOB_CHANGED',
      statusCode: 412,
      message: /reset the job 'job'.*changed it at/
    })
    await t.rejects(two.override('job', { timeout: '3m' }, { expectedVersion: null }), {
      code: 'FST_ERR_RLS_JOB_CHANGED'
    })
    const before = await two.override('job', { data: 'plain' }, { expectedVersion: last?.version ?? null })
    t.match(before.changes, { data: 'plain', misfireGraceTime: '5m' })
    await one.close()
    await two.close()

    const three = await started(add)
    t.match(
      three.get('job'),
      { data: 'plain', override: { version: before.version, error: null } },
      'from the start on'
    )
    await three.trigger('job', { wait: true })
    t.same(runs, ['plain'])
    // Code changes what it changes beneath.
    three.modify('job', { data: 'code', jitter: '1s' })
    t.equal(three.get('job')?.data, 'plain')

    // Another version of the app, for which that is not valid.
    const four = await started((scheduler) => {
      scheduler.add({ id: 'job', handler: ({ data }) => void runs.push(data), data: 'by hand' })
    })
    t.match(four.get('job')?.override, { version: before.version, error: /misfireGraceTime/ })
    t.equal(four.get('job')?.data, 'by hand', 'it follows its code')
    const failed = lines.filter(({ message }) => message.includes('not valid here'))
    t.match(failed, [{ level: 'warn', fields: { jobId: 'job', reason: /misfireGraceTime/ } }])
    // What it does not have it can still reset.
    const five = await started(noop)
    await t.rejects(five.reset('none'), { code: 'FST_ERR_RLS_JOB_UNKNOWN' })
    await five.reset('job', { by: 'ada' })
    await until(() => three.get('job')?.override === null)
    t.match(three.get('job'), { data: 'code', override: null })
    t.match(await three.status('job'), { override: null })

    const written = lines.map((line) => JSON.stringify(line)).join('\n')
    t.notOk(written.includes('secret'), 'values are not logged')
    const told = lines.filter(({ message }) => /overridden|follows its code again/.test(message))
    t.match(told.at(-1), { level: 'info', fields: { by: 'ada' }, message: "the job 'job' follows its code again" })
    await redis.kill()
    await t.rejects(three.override('job', { timeout: '1m' }), { code: 'FST_ERR_RLS_REDIS_UNAVAILABLE' })
    t.equal(three.get('job')?.override, null)
    for (const scheduler of [three, four, five]) await scheduler.close()
  })
)

t.test('a replica that could not read what is in force claims nothing by its code', (t) =>
  withRedis(async (redis) => {
    const trigger = { interval: 100 }
    const make = (): Scheduler<undefined> => createScheduler({ redis: redis.url, prefix: 'app', logger: false })
    const runs: unknown[] = []
    const one = make()
    one.add({ id: 'job', trigger: { interval: NEVER_DUE }, handler: noop, data: 'code' })
    await one.start()
    await one.override('job', { data: 'operator' })
    await one.close()
    const two = make()
    two.add({ id: 'job', trigger, handler: ({ data }) => void runs.push(data), data: 'code' })
    await two.start()
    await until(() => runs.length > 2)
    t.same([...new Set(runs)], ['operator'])
    await two.close()
    runs.length = 0
    const three = make()
    three.add({ id: 'job', trigger, handler: ({ data }) => void runs.push(data), data: 'code' })
    three.add({ id: 'other', handler: noop })
    // What is in force cannot be read; all else works.
    const key = 'rls:{app}:overrides'
    await redis.client.rename(key, 'kept')
    await redis.client.set(key, 'no hash')
    await three.start()
    t.equal((await three.trigger('other', { wait: true }))?.outcome, 'success')
    await sleep(700)
    t.same(runs, [])
    await redis.client.rename('kept', key)
    await until(() => runs.length > 2)
    t.same([...new Set(runs)], ['operator'], 'and goes on once it can')
    await three.close()
  })
)

t.test('a job whose overridden trigger has ended can be reset', (t) =>
  withFleet(async (fleet) => {
    const { simulation, start } = fleet
    const one = await fleet.join(({ scheduler }) => {
      scheduler.cron('once', '0 3 * * *', noop)
      scheduler.cron('few', '* * * * *', noop)
    })
    await settled(fleet, one.scheduler.override('once', { trigger: { date: start + 2 * MINUTE } }))
    await settled(fleet, one.scheduler.override('few', { maxRuns: 2 }))
    await simulation.advance('30m')
    t.same(minutesOf(fleet, 'once'), [2])
    t.same(minutesOf(fleet, 'few'), [1, 2])
    for (const id of ['once', 'few']) await settled(fleet, one.scheduler.reset(id))
    t.ok((one.scheduler.get('once')?.nextRun ?? 0) > simulation.now)
    await simulation.advance('5m')
    t.ok(minutesOf(fleet, 'few').length >= 6)
  })
)

t.test('a trigger is taken away also where options of ticks are overridden: they rest', async (t) => {
  const scheduler = createScheduler({ logger: false })
  scheduler.add({ id: 'job', trigger: { interval: NEVER_DUE }, handler: noop })
  await scheduler.override('job', { misfireGraceTime: '5m' })
  await scheduler.override('job', { trigger: null })
  t.equal(scheduler.get('job')?.trigger, null)
  await scheduler.override('job', { trigger: '0 3 * * *' })
  t.match(scheduler.get('job')?.override?.changes, { misfireGraceTime: '5m', trigger: '0 3 * * *' })
  await scheduler.close()
})

t.test('code that makes an override invalid says so', async (t) => {
  const { logger, lines } = logLines()
  const scheduler = createScheduler({ logger })
  scheduler.add({ id: 'job', trigger: { interval: NEVER_DUE }, handler: noop })
  await scheduler.override('job', { maxInstances: 3 })
  scheduler.modify('job', { lock: false })
  t.match(scheduler.get('job')?.override?.error, /maxInstances/)
  t.match(lines.at(-1), { level: 'warn', fields: { jobId: 'job', reason: /maxInstances/ } })
  scheduler.modify('job', { lock: '10s' })
  t.equal(scheduler.get('job')?.override?.error, null)
  await scheduler.close()
})

t.test('what is overridden can be counted on: events, views, overlaps with `modify` and `remove`', async (t) => {
  const scheduler = createScheduler({ logger: false })
  const modified: unknown[] = []
  scheduler.on('modified', ({ job }) => void modified.push(job.trigger))
  const add = (): unknown => scheduler.add({ id: 'job', trigger: { interval: NEVER_DUE }, handler: noop })
  add()
  const date = new Date('2099-01-01T09:00:00Z')
  const { version, ...made } = await scheduler.override('job', { trigger: { any: [{ date }] } }, { by: 'ada' })
  const changes = { trigger: { any: [{ date: date.toISOString() }] } }
  t.match(made, { changes, by: 'ada', note: null, error: null })
  t.same(modified, [changes.trigger])
  t.equal(scheduler.get('job')?.nextRun, date.getTime())
  t.match(JSON.parse(JSON.stringify(scheduler.get('job'))), { override: { version, changes } })
  scheduler.reschedule('job', '0 3 * * *')
  t.same(scheduler.get('job')?.trigger, changes.trigger, 'it stays overridden')
  t.throws(() => scheduler.reschedule('job', 'never'), { code: 'FST_ERR_RLS_CRON_INVALID' }, 'and checked')
  scheduler.remove('job')
  add()
  t.equal(scheduler.get('job')?.nextRun, date.getTime(), 'also when it comes back')
  await scheduler.reset('job')
  t.same(scheduler.get('job')?.trigger, { interval: NEVER_DUE })
  await scheduler.override('job', { trigger: null })
  t.equal(scheduler.get('job')?.trigger, null, 'by hand only')
  await scheduler.close()
})

t.test('bad input changes nothing', async (t) => {
  const scheduler = createScheduler({ logger: false })
  scheduler.add({ id: 'job', trigger: { interval: NEVER_DUE }, handler: noop })
  scheduler.add({
    id: 'checked',
    trigger: { interval: NEVER_DUE },
    schema: { type: 'object', required: ['to'] },
    data: { to: 'x' },
    handler: noop
  })
  scheduler.add({ id: 'unlocked', trigger: { interval: NEVER_DUE }, lock: false, handler: noop })
  const cyclic: unknown[] = []
  cyclic.push(cyclic)
  const refused: [string, unknown, object, string, RegExp?][] = [
    ['none', { timeout: 1 }, {}, 'JOB_UNKNOWN'],
    ['job', {}, {}, 'OPTION_INVALID', /one option/],
    ['job', undefined, {}, 'OPTION_INVALID'],
    ['job', [], {}, 'OPTION_INVALID'],
    ['job', { handler: noop }, {}, 'OPTION_INVALID', /left to the job's code/],
    ['job', { when: noop }, {}, 'OPTION_INVALID'],
    ['job', { id: 'other' }, {}, 'OPTION_INVALID'],
    ['job', { paused: true }, {}, 'OPTION_INVALID'],
    ['job', { group: 'g' }, {}, 'OPTION_INVALID'],
    ['job', { timeOut: 1 }, {}, 'OPTION_UNKNOWN', /timeout/],
    ['job', { max_instances: 2 }, {}, 'OPTION_UNKNOWN', /maxInstances/],
    ['job', { trigger: 'never' }, {}, 'CRON_INVALID'],
    ['job', { trigger: cyclic }, {}, 'OPTION_INVALID'],
    ['job', { trigger: { date: 'soon' } }, {}, 'DATE_INVALID'],
    ['job', { timeout: -1 }, {}, 'DURATION_INVALID'],
    ['job', { data: () => 1 }, {}, 'OPTION_INVALID', /JSON/],
    ['job', { data: new Date() }, {}, 'OPTION_INVALID', /JSON/],
    ['job', { data: 'x'.repeat(10_001) }, {}, 'OPTION_INVALID', /10,000/],
    ['job', { lock: false }, {}, 'OPTION_INVALID', /lock/],
    ['unlocked', { lock: '10s' }, {}, 'OPTION_INVALID', /lock/],
    ['unlocked', { maxInstances: 2 }, {}, 'OPTION_INVALID'],
    ['checked', { data: {} }, {}, 'DATA_INVALID'],
    ['job', { timeout: 1 }, { note: 5 }, 'OPTION_INVALID'],
    ['job', { timeout: 1 }, { until: 5 }, 'OPTION_UNKNOWN'],
    ['job', { timeout: 1 }, { by: '' }, 'OPTION_INVALID'],
    ['job', { timeout: 1 }, { expectedVersion: 'another' }, 'JOB_CHANGED']
  ]
  for (const [id, changes, options, code, message = /./] of refused) {
    const expected = { code: `FST_ERR_RLS_${code}`, message }
    await t.rejects(scheduler.override(id, changes as OverrideChanges, options), expected, JSON.stringify(expected))
  }
  await t.rejects(scheduler.reset('none'), { code: 'FST_ERR_RLS_JOB_UNKNOWN' })
  await t.rejects(scheduler.reset('job', { why: 'x' } as object), { code: 'FST_ERR_RLS_OPTION_UNKNOWN' })
  await t.rejects(scheduler.reset('job', { expectedVersion: 'another' }), { code: 'FST_ERR_RLS_JOB_CHANGED' })
  for (const { override } of scheduler.list()) t.equal(override, null)
  await scheduler.close()
})
