import t from 'tap'
import { createScheduler, type JobOptions } from '../../lib/index.js'
import { job, type Member, withFleet } from '../fixtures/simulated-fleet.js'

// `runOnStart`: a run as a replica starts.

const SECOND = 1000
const MINUTE = 60 * SECOND
const HOUR = 60 * MINUTE

const atStart = (options: Partial<JobOptions<undefined>> = {}): ((member: Member) => void) => {
  return job({ trigger: { interval: '1h' }, runOnStart: true, ...options })
}

t.test('of replicas that start at once one has the run', (t) =>
  withFleet(async ({ simulation, join, runs }) => {
    const joining = Array.from({ length: 5 }, () => join(atStart()))
    await simulation.advance(SECOND)
    await Promise.all(joining)
    t.equal(runs().length, 1)
    t.match(runs()[0], { trigger: 'start', outcome: 'success' })
  })
)

t.test('a rolling start of any speed has one run in a period, with the ticks', async (t) => {
  for (const pause of [SECOND, 5 * MINUTE, 50 * MINUTE, 3 * HOUR]) {
    await withFleet(async ({ simulation, start, join, runs }) => {
      const members: Member[] = []
      for (let count = 0; count < 6; count++) {
        members.push(await join(atStart()))
        await simulation.advance(pause)
        if (count < 3) continue
        const closed = members.shift()?.scheduler.close()
        await simulation.advance(SECOND)
        await closed
      }
      const begun = runs().map(({ startedAt }) => startedAt)
      t.equal(runs().filter(({ trigger }) => trigger === 'start').length, 1, `one each ${pause} ms`)
      const ticks = Math.floor(simulation.now / HOUR) - Math.floor(start / HOUR)
      t.equal(begun.length, 1 + ticks, 'and each tick')
    })
  }
})

t.test('after longer than a period without a run there is one', (t) =>
  withFleet(async ({ simulation, join, runs }) => {
    const daily = atStart({ trigger: { cron: '0 9 * * mon-fri', timezone: 'UTC' } })
    const first = await join(daily)
    t.equal(runs().length, 1)
    const closed = first.scheduler.close()
    await simulation.advance(4 * 24 * HOUR)
    await closed
    await join(daily)
    t.equal(runs().length, 2)
    t.match(runs()[1], { trigger: 'start' })
    await join(daily)
    t.equal(runs().length, 2)
  })
)

t.test('a job that is added later starts with a run, and one that is stopped and started has no second one', (t) =>
  withFleet(async ({ simulation, join, runs }) => {
    const { scheduler } = await join(() => {})
    await simulation.advance(MINUTE)
    scheduler.add({ id: 'later', trigger: { interval: '1h' }, runOnStart: true, handler() {} })
    await simulation.advance(SECOND)
    t.equal(runs().length, 1)
    scheduler.remove('later')
    scheduler.add({ id: 'later', trigger: { interval: '1h' }, runOnStart: true, handler() {} })
    scheduler.stop()
    const started = scheduler.start()
    await simulation.advance(SECOND)
    await started
    t.equal(runs().length, 1)
  })
)

t.test('while the store does not answer it waits, and then it is one run still', (t) =>
  withFleet(async ({ simulation, join, runs }) => {
    simulation.stores[0]?.kill()
    const joining = [join(atStart()), join(atStart()), join(atStart())]
    await simulation.advance(20 * MINUTE)
    t.equal(runs().length, 0)
    simulation.stores[0]?.start()
    await simulation.advance(MINUTE)
    await Promise.all(joining)
    t.equal(runs().length, 1)
  })
)

t.test('replies that are lost make no second run', async (t) => {
  for (let seed = 1; seed <= 40; seed++) {
    await withFleet(
      async ({ simulation, join, runs }) => {
        simulation.stores[0]?.disturb({ delay: [1, 50], lostReplies: 0.3, lostRequests: 0.1 })
        const joining = [join(atStart()), join(atStart()), join(atStart())]
        await simulation.advance(5 * MINUTE)
        await Promise.all(joining)
        t.equal(runs().length, 1, `seed ${seed}`)
      },
      { seed }
    )
  }
})

t.test('a replica that dies, or is killed as it starts, leaves the run to the next period or takeover', (t) =>
  withFleet(async ({ simulation, join, runs }) => {
    const long = (member: Member): void => {
      const handler = (): Promise<void> => member.replica.sleep(MINUTE)
      member.scheduler.add({
        id: 'job',
        trigger: { interval: '1h' },
        runOnStart: true,
        lock: '10s',
        recovery: 'rerun',
        handler
      })
    }
    const first = await join(long)
    await simulation.advance(SECOND)
    first.replica.crash()
    await join(long)
    await simulation.advance(30 * SECOND)
    t.match(
      runs().map(({ trigger }) => trigger),
      ['start', 'recovery']
    )
  })
)

t.test('not while the job is paused, nor where its condition refuses; a slot that is free will do', (t) =>
  withFleet(async ({ simulation, join, runs }) => {
    const member = await join(({ scheduler, replica }) => {
      const common = { trigger: { interval: '1h' }, runOnStart: true } as const
      scheduler.add({ id: 'paused', ...common, paused: true, handler() {} })
      scheduler.add({ id: 'refused', ...common, when: () => false, handler() {} })
      scheduler.add({ id: 'allowed', ...common, when: ({ run }) => run.trigger === 'start', handler() {} })
      scheduler.add({ id: 'long', ...common, maxInstances: 2, handler: () => replica.sleep(3 * HOUR) })
      scheduler.add({ id: 'unlocked', ...common, lock: false, handler() {} })
      scheduler.add({ id: 'once', ...common, maxRuns: 1, handler() {} })
    })
    t.same(
      runs()
        .map(({ jobId }) => jobId)
        .sort(),
      ['allowed', 'long', 'once', 'unlocked']
    )
    t.ok(runs().every(({ trigger }) => trigger === 'start'))
    t.same(member.skipped, [], 'it is no tick')
    await simulation.advance(MINUTE)
    t.equal(member.scheduler.get('once')?.nextRun, null)
    const { scheduler } = await join(({ scheduler }) => {
      scheduler.add({ id: 'unlocked', trigger: { interval: '1h' }, runOnStart: true, lock: false, handler() {} })
    })
    t.equal(runs().filter(({ jobId }) => jobId === 'unlocked').length, 2, 'without a lock on each replica')
    t.equal(scheduler.get('unlocked')?.running, 0)
  })
)

t.test('no more run at once than there is room for', (t) =>
  withFleet(async ({ simulation, join, runs }) => {
    let most = 0
    let running = 0
    await join(
      ({ scheduler, replica }) => {
        const handler = async (): Promise<void> => {
          most = Math.max(most, ++running)
          await replica.sleep(SECOND)
          running--
        }
        for (let count = 0; count < 20; count++) {
          scheduler.add({ id: `job-${count}`, trigger: { interval: '1h' }, runOnStart: true, handler })
        }
      },
      { concurrency: 3 }
    )
    await simulation.advance(MINUTE)
    t.equal(runs().length, 20)
    t.equal(most, 3)
  })
)

t.test('an interval from the last end starts with a run', (t) =>
  withFleet(async ({ simulation, join, runs }) => {
    simulation.stores[0]?.disturb({ delay: [200, 400] })
    const joining = [1, 2].map(() => join(atStart({ trigger: { interval: '1h', after: 'completion' } })))
    await simulation.advance(30 * SECOND)
    await Promise.all(joining)
    t.match(
      runs().map(({ trigger }) => trigger),
      ['start']
    )
    await simulation.advance(HOUR)
    t.equal(runs().length, 2)
  })
)

t.test('with several masters too', (t) =>
  withFleet(
    async ({ simulation, join, runs }) => {
      const joining = Array.from({ length: 4 }, () => join(atStart()))
      await simulation.advance(MINUTE)
      await Promise.all(joining)
      t.equal(runs().length, 1)
      await join(atStart())
      await simulation.advance(MINUTE)
      t.equal(runs().length, 1)
    },
    { masters: 5 }
  )
)

t.test('what makes no sense is refused', async (t) => {
  const scheduler = createScheduler()
  const add = (options: object): unknown =>
    scheduler.add({ id: 'job', trigger: { interval: '1m' }, handler() {}, ...options } as JobOptions)
  const code = 'FST_ERR_RLS_OPTION_INVALID'
  for (const runOnStart of [1, 'true', null]) t.throws(() => add({ runOnStart }), { code, message: /`runOnStart`/ })
  t.throws(() => add({ runOnStart: true, trigger: { date: new Date(Date.now() + HOUR) } }), { code, message: /a date/ })
  t.throws(() => scheduler.add({ id: 'job', runOnStart: true, handler() {} }), { code, message: /no trigger/ })
  for (const name of ['runOnInit', 'runImmediately', 'immediate']) {
    t.throws(() => add({ [name]: true }), { code: 'FST_ERR_RLS_OPTION_UNKNOWN', message: /`runOnStart: true`/ })
  }
  t.equal(scheduler.get('job'), undefined)
  await scheduler.close()
})
