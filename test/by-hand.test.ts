// Jobs without a trigger: they run by hand only, and otherwise as any other.
import Fastify from 'fastify'
import { Registry } from 'prom-client'
import t from 'tap'
import scheduler, { createScheduler, type JobOptions, type TriggerInput } from '../lib/index.js'
import { VirtualClock } from '../lib/testing/virtual-clock.js'
import { Timetable } from '../lib/timetable/timetable.js'
import { BY_HAND } from '../lib/triggers/index.js'
import { nextEvent } from './fixtures/next-event.js'
import { job, withFleet } from './fixtures/simulated-fleet.js'
import { type VirtualScheduler, withVirtualScheduler } from './fixtures/virtual-scheduler.js'
import { withRedis } from './fixtures/with-redis.js'

const DAY = 86_400_000
const MINUTE = 60_000
const START = Date.parse('2027-01-01T00:00:00Z')
const TICK_OPTIONS = {
  misfireGraceTime: '1m',
  coalesce: 'all',
  onRedisError: 'run',
  jitter: '1s'
} as const

const names = ({ events }: VirtualScheduler): string[] => events.map(({ name }) => name)

t.test('it is never due and never removed, and runs by hand', async (t) => {
  const register = new Registry()
  await withVirtualScheduler(
    async (parts) => {
      const { clock, scheduler } = parts
      const seen: unknown[] = []
      scheduler.add({ id: 'left-out', handler: ({ data, run }) => void seen.push([data, run.trigger]), data: 7 })
      scheduler.add({ id: 'null', trigger: null, handler() {} })
      t.equal(scheduler.get('left-out')?.trigger, null)
      t.strictSame(JSON.parse(JSON.stringify(scheduler.get('null'))).trigger, null)
      await scheduler.start()
      await clock.advance(2 * DAY)
      t.strictSame(names(parts), ['added', 'added'])
      t.strictSame(
        scheduler.list().map(({ id, nextRun, lastRun }) => [id, nextRun, lastRun]),
        [
          ['left-out', null, null],
          ['null', null, null]
        ]
      )
      const run = scheduler.trigger('left-out', { wait: true })
      await clock.advance(100)
      t.equal((await run)?.outcome, 'success')
      t.strictSame(seen, [[7, 'manual']])
      await clock.advance(2 * DAY)
      t.equal(scheduler.list().length, 2, 'not even after a run')
      const text = await register.metrics()
      t.match(text, /job_next_run_timestamp_seconds\{[^}]*"left-out"[^}]*\} 0\n/)
      t.match(text, /job_success_total\{[^}]*"left-out"[^}]*\} 1\n/)
      t.match(text, /jobs_total 2\n/)
      t.strictSame(
        parts.lines.filter(({ level }) => level === 'warn' || level === 'error'),
        []
      )
    },
    { metrics: { register } }
  )
})

t.test('the timetable has nothing to do for it', async (t) => {
  const clock = new VirtualClock()
  const told: string[] = []
  const tell = (what: string) => () => void told.push(what)
  const timetable = new Timetable({
    clock,
    now: () => clock.now(),
    onDue: tell('due'),
    onWoken: tell('woken'),
    onFinished: tell('finished'),
    maxSleep: MINUTE
  })
  const timed = {
    id: 'job',
    trigger: BY_HAND,
    jitter: 0,
    lookBack: 0,
    hasEnded: false,
    place: -1,
    begin: tell('begin')
  }
  timetable.add(timed)
  timetable.start()
  await clock.advance(MINUTE)
  t.strictSame(told, ['begin'])
  t.equal(timetable.nextOf(timed), null)
  t.equal(timetable.isOver(timed), false)
  timetable.remove(timed)
  timetable.stop()
})

t.test('lock, timeout, retry and a pause are as for any job', async (t) => {
  await withVirtualScheduler(async (parts) => {
    const { clock, scheduler, events } = parts
    let attempts = 0
    scheduler.add({
      id: 'job',
      timeout: '1m',
      retry: { limit: 1, delay: '1s' },
      paused: true,
      lock: '1m',
      handler: () => {
        if (++attempts === 1) throw new Error('again')
        return clock.sleep(5 * MINUTE)
      }
    })
    await scheduler.start()
    t.equal(scheduler.get('job')?.paused, true)
    const first = await scheduler.trigger('job')
    t.equal(await scheduler.trigger('job'), null, 'its lock is held')
    await clock.advance(2 * MINUTE)
    t.equal(attempts, 2)
    t.equal(first?.outcome, 'timeout')
    t.strictSame(
      events.filter(({ name }) => name === 'lockFailed').map(({ event }) => event.reason),
      ['held']
    )
    await scheduler.resume('job')
    t.equal(scheduler.get('job')?.paused, false)
    scheduler.add({ id: 'everywhere', lock: false, handler() {} })
    await clock.advance(10 * MINUTE)
    const run = await scheduler.trigger('everywhere')
    t.equal(run?.fencingToken, null)
  })
})

t.test('options of ticks are refused where they are given, and taken from the defaults', async (t) => {
  await withVirtualScheduler(
    async ({ scheduler }) => {
      const refused = (call: () => unknown, name: string): void => {
        t.throws(call, {
          code: 'FST_ERR_RLS_OPTION_INVALID',
          message: RegExp(`\`${name}\` to be left out, as the job has no`)
        })
      }
      for (const [name, value] of Object.entries(TICK_OPTIONS)) {
        const options = { id: 'job', handler() {}, [name]: value } as JobOptions<undefined>
        refused(() => scheduler.add(options), name)
        refused(() => scheduler.add({ ...options, trigger: null }), name)
      }
      t.strictSame(scheduler.list(), [], 'nothing has changed')
      refused(() => scheduler.add({ id: 'job', handler() {}, overlap: 'wait' }), 'overlap')
      scheduler.add({ id: 'job', handler() {} })
      for (const [name, value] of Object.entries(TICK_OPTIONS))
        refused(() => scheduler.modify('job', { [name]: value }), name)
      scheduler.modify('job', { ...TICK_OPTIONS, trigger: { interval: '1h' } })
      scheduler.modify('job', { trigger: null })
      scheduler.modify('job', { trigger: '0 9 * * *' })
      t.equal(scheduler.get('job')?.nextRun, START + 9 * 60 * MINUTE, 'they rest while there is no trigger')
    },
    { defaults: TICK_OPTIONS }
  )
})

t.test('`undefined` is no trigger that was left out', async (t) => {
  await withVirtualScheduler(async ({ scheduler }) => {
    const nothing = { trigger: undefined } as unknown as { trigger: null }
    const expected = {
      code: 'FST_ERR_RLS_TRIGGER_INVALID',
      message: /expected one, or null for a job that runs by hand only, got undefined/
    }
    t.throws(() => scheduler.add({ id: 'job', handler() {}, ...nothing }), expected)
    scheduler.add({ id: 'job', trigger: { interval: '1h' }, handler() {} })
    t.throws(() => scheduler.modify('job', nothing), expected)
    t.throws(() => scheduler.reschedule('job', undefined as unknown as null), expected)
    t.match(scheduler.get('job')?.trigger, { interval: '1h' })
    for (const trigger of [false, 0, '', {}]) {
      t.throws(() => scheduler.add({ id: 'other', trigger: trigger as TriggerInput, handler() {} }), {
        code: /INVALID/
      })
    }
  })
})

t.test('a trigger can be given, and taken away again', async (t) => {
  await withVirtualScheduler(async (parts) => {
    const { clock, scheduler, events } = parts
    const ticks: number[] = []
    scheduler.add({ id: 'job', handler: ({ run }) => void ticks.push(run.scheduledTime - START) })
    await scheduler.start()
    await clock.advance(90_000)
    t.equal(scheduler.reschedule('job', { interval: '1m' }).nextRun, START + 2 * MINUTE)
    await clock.advance(2 * MINUTE)
    t.strictSame(ticks, [2 * MINUTE, 3 * MINUTE], 'no tick of the time without it is caught up on')
    t.equal(scheduler.reschedule('job', null).nextRun, null)
    t.equal(scheduler.get('job')?.trigger, null)
    await clock.advance(DAY)
    t.equal(ticks.length, 2)
    scheduler.reschedule('job', { interval: '1m' })
    await clock.advance(MINUTE)
    t.strictSame(ticks.slice(2), [DAY + 4 * MINUTE], 'nor of a day later')

    // A date that has passed would be removed, and is not once the job has no trigger.
    scheduler.reschedule('job', { date: clock.now() + MINUTE })
    await clock.advance(2 * MINUTE)
    t.equal(ticks.length, 4)
    scheduler.reschedule('job', null)
    await clock.advance(DAY)
    t.equal(scheduler.list().length, 1)
    t.strictSame(
      events.filter(({ name }) => ['missed', 'skipped', 'removed'].includes(name)),
      []
    )
    t.strictSame(names(parts).filter((name) => name === 'modified').length, 5)
  })
})

t.test('before the start, after stop() and after a start again', async (t) => {
  await withVirtualScheduler(async ({ clock, scheduler }) => {
    const ticks: number[] = []
    scheduler.add({
      id: 'job',
      trigger: { interval: '1m' },
      handler: ({ run }) => void ticks.push(run.scheduledTime - START)
    })
    scheduler.add({ id: 'other', handler() {} })
    scheduler.reschedule('job', null)
    scheduler.reschedule('other', { interval: '1m' })
    scheduler.reschedule('other', null)
    await scheduler.start()
    await clock.advance(5 * MINUTE)
    t.strictSame(ticks, [])
    scheduler.stop()
    scheduler.reschedule('job', { interval: '1m' })
    scheduler.reschedule('job', null)
    await scheduler.start()
    await clock.advance(10 * MINUTE)
    t.strictSame(ticks, [])
    t.equal(scheduler.remove('other'), true)
    scheduler.reschedule('job', { interval: '1m' })
    await clock.advance(MINUTE)
    t.strictSame(ticks, [16 * MINUTE])
  })
})

t.test('in a fleet: one lock, pauses known to all, and replicas of which only one has a trigger', async (t) => {
  await withFleet(async ({ simulation, join, runs, missed }) => {
    const scheduled = await join(job({ handler: () => {} }))
    const byHand = await join(
      ({ scheduler }) => void scheduler.add({ id: 'job', handler: () => simulation.sleep('10s') })
    )
    await simulation.advance('10m')
    t.equal(runs().length, 10)
    t.strictSame(new Set(runs().map(({ replicaId }) => replicaId)), new Set([scheduled.scheduler.replicaId]))

    // Under the same lock.
    await simulation.advance('5s')
    const run = byHand.scheduler.trigger('job')
    await simulation.settle()
    t.equal((await run)?.trigger, 'manual')
    const refused = scheduled.scheduler.trigger('job')
    await simulation.settle()
    t.equal(await refused, null)
    await simulation.advance('55s')

    const paused = scheduled.scheduler.pause('job')
    await simulation.advance('15s')
    await paused
    t.equal(byHand.scheduler.get('job')?.paused, true)
    const resumed = scheduled.scheduler.resume('job')
    await simulation.advance('15s')
    await resumed
    t.equal(byHand.scheduler.get('job')?.paused, false)
    t.strictSame(missed(), [])
    const warnings = byHand.lines.filter(({ level }) => level === 'warn')
    t.strictSame(
      warnings.map(({ fields }) => fields.differs),
      [['trigger']],
      'and it is told that they differ, once'
    )
  })
})

t.test('deployed without a trigger and with it again: what was not scheduled meanwhile is not missed', async (t) => {
  await withFleet(async ({ simulation, start, join, runs, missed }) => {
    const until = async (member: Awaited<ReturnType<typeof join>>): Promise<void> => {
      const closed = member.scheduler.close()
      await simulation.advance('1m')
      await closed
    }
    const grace = { misfireGraceTime: '1d', coalesce: 'earliest' } as const
    const first = await join(job(grace))
    await simulation.advance('3m')
    // Rolled out one after the other.
    const second = await join(({ scheduler }) => void scheduler.add({ id: 'job', handler() {} }))
    await until(first)
    await simulation.advance('2h')
    const before = runs().length
    const third = await join(job(grace))
    await until(second)
    await simulation.advance('3m')
    const ticks = runs()
      .slice(before)
      .map(({ scheduledTime }) => scheduledTime - start)
    t.ok(ticks.length >= 3)
    t.ok(
      ticks.every((tick) => tick > 2 * 60 * MINUTE),
      `${ticks}`
    )
    t.strictSame(missed(), [])
    await until(third)
  })
})

t.test('by a route, and with Redis: two replicas, one run', async (t) => {
  await withRedis(async ({ url, client }) => {
    const apps = await Promise.all(
      ['a', 'b'].map(async (replicaId) => {
        const app = Fastify()
        let release = (): void => {}
        const runs: string[] = []
        await app.register(scheduler, {
          redis: url,
          prefix: 'by-hand',
          replicaId,
          jobs: [
            {
              id: 'import',
              handler: ({ data }) => {
                runs.push(data as string)
                return new Promise<void>((resolve) => {
                  release = resolve
                })
              }
            }
          ]
        })
        app.post('/import', app.jobs.route('import', { data: () => 'by a route' }))
        await app.ready()
        return { app, runs, release: () => release() }
      })
    )
    const [a, b] = apps as [(typeof apps)[0], (typeof apps)[0]]
    t.equal((await a.app.inject({ method: 'POST', url: '/import' })).statusCode, 202)
    t.equal((await b.app.inject({ method: 'POST', url: '/import' })).statusCode, 409, 'its lock is held')
    const ended = nextEvent(a.app.jobs, 'executed')
    a.release()
    await ended
    const [record] = await client.keys('rls:{by-hand}:lock:*')
    t.equal(record, undefined)
    t.strictSame([a.runs, b.runs], [['by a route'], []])
    const again = nextEvent(b.app.jobs, 'executed')
    t.equal((await b.app.inject({ method: 'POST', url: '/import' })).statusCode, 202)
    b.release()
    const { run } = (await again) as { run: { fencingToken: number } }
    t.ok(run.fencingToken >= 2)
    t.match((await b.app.inject('/metrics')).body, /job_success_total\{job_id="import",job_name="import"\} 1\n/)

    // A run that closing finds is drained.
    t.equal((await a.app.inject({ method: 'POST', url: '/import' })).statusCode, 202)
    const closed = Promise.all(apps.map(({ app }) => app.close()))
    a.release()
    await closed
    t.equal(a.runs.length, 2)
    t.strictSame(await client.keys('rls:{by-hand}:lock:*'), [])
  })
})

t.test('with Redis: deployed with a trigger, without, and with it again', async (t) => {
  await withRedis(async ({ url, client }) => {
    const trigger = { interval: 100 }
    const replica = (options: Partial<JobOptions<undefined>>) => {
      const made = createScheduler({ redis: url, prefix: 'deploys', logger: false })
      made.add({ id: 'job', handler() {}, ...options })
      const missed: number[] = []
      made.on('missed', ({ scheduledTime }) => void missed.push(scheduledTime))
      return { made, missed }
    }
    const first = replica({ trigger })
    await first.made.start()
    await nextEvent(first.made, 'executed')
    const second = replica({ trigger: null })
    await second.made.start()
    t.match(await client.get('rls:{deploys}:since:job'), /^\d+ \w+$/)
    await first.made.close()
    const last = Number(/^\d+/.exec((await client.get('rls:{deploys}:claim:job')) ?? '')?.[0])
    t.equal((await second.made.trigger('job', { wait: true }))?.outcome, 'success')
    const now = async (): Promise<number> => 1000 * Number((await client.time())[0])
    while ((await now()) < last + 1000) await new Promise((resolve) => setImmediate(resolve))
    const ended = await now()
    await second.made.close()
    // A later tick than the last one claimed would be caught up on, had the job not been without a trigger since.
    const third = replica({ trigger, misfireGraceTime: '1h', coalesce: 'earliest' })
    await third.made.start()
    const { run } = (await nextEvent(third.made, 'executed')) as { run: { scheduledTime: number } }
    t.ok(run.scheduledTime > ended, `${run.scheduledTime - ended}`)
    t.strictSame(third.missed, [])
    await third.made.close()
  })
})
