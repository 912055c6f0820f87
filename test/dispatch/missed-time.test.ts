import t from 'tap'
import { createScheduler, type TriggerInput } from '../../lib/index.js'
import { job, type Member, ticksOf, withFleet } from '../fixtures/simulated-fleet.js'

// What becomes of ticks that nobody was there for: after a downtime, a pause, another trigger.

const SECOND = 1000
const MINUTE = 60 * SECOND
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR

t.test('after all replicas were down, each tick of that time is counted once, and the latest runs if it may', (t) =>
  withFleet(async ({ simulation, start, join, missed, runs }) => {
    const before = await join(job({}))
    await simulation.advance(2 * MINUTE + SECOND)
    before.replica.crash()
    await simulation.advance(4 * MINUTE + 10 * SECOND)
    const [one, other] = [await join(job({})), await join(job({}))]
    await simulation.advance(SECOND)
    t.same(
      missed(),
      [3, 4, 5].map((minute) => minute * MINUTE)
    )
    const caughtUp = runs().at(-1)
    t.match(caughtUp, { scheduledTime: start + 6 * MINUTE, trigger: 'catch-up' })
    await simulation.advance(MINUTE)
    t.match(runs().at(-1), { scheduledTime: start + 7 * MINUTE, trigger: 'schedule' })
    t.equal(runs().length, 4)
    t.equal(one.missed.length + other.missed.length, 3)
  })
)

t.test("what was missed is caught up on by `coalesce: 'all'`, within its grace", (t) =>
  withFleet(async ({ simulation, start, join, missed, runs }) => {
    const define = job({ coalesce: 'all', misfireGraceTime: '3m' })
    const before = await join(define)
    await simulation.advance(MINUTE + SECOND)
    before.replica.crash()
    await simulation.advance(5 * MINUTE)
    await Promise.all([join(define), join(define)])
    await simulation.advance(2 * SECOND)
    t.same(missed(), [2 * MINUTE, 3 * MINUTE])
    t.same(
      ticksOf(runs(), start),
      [1, 4, 5, 6].map((minute) => minute * MINUTE)
    )
    t.same(
      runs().map(({ trigger }) => trigger),
      ['schedule', 'catch-up', 'catch-up', 'catch-up']
    )
  })
)

t.test('a first deployment catches up on nothing, nor does another trigger, nor a job that was removed here', (t) =>
  withFleet(async ({ simulation, join, missed, runs }) => {
    const first = await join(job({ misfireGraceTime: '1h' }))
    await simulation.advance(10 * SECOND)
    t.same(runs(), [])
    await simulation.advance(MINUTE)
    first.replica.crash()
    await simulation.advance(10 * MINUTE)
    const other = await join(job({ misfireGraceTime: '1h', trigger: { cron: '* * * * * *' } }))
    await simulation.advance(SECOND)
    t.same(missed(), [])
    t.equal(runs().length, 2, 'one tick of the new trigger')
    other.scheduler.remove('job')
    await simulation.advance(MINUTE)
    job({ misfireGraceTime: '1h', trigger: { cron: '* * * * * *' } })(other)
    await simulation.advance(2 * SECOND)
    t.equal(runs().length, 4)
    t.same(missed(), [])
    t.same(other.skipped, [])
  })
)

for (const [down, outcome] of [
  [HOUR, 'missed'],
  [20 * SECOND, 'run']
] as const) {
  t.test(`the first tick of a job, over which nobody was up for ${down / SECOND} s, is ${outcome}`, (t) =>
    withFleet(async ({ simulation, start, join, missed, runs }) => {
      const define = ({ scheduler }: Member): void => {
        scheduler.cron('daily', '0 0 * * *', () => {})
        scheduler.date('launch', start + DAY, () => {})
        scheduler.add({ id: 'sum', trigger: { any: [{ interval: '7d' }, { cron: '0 0 * * *' }] }, handler: () => {} })
      }
      const first = await join(define)
      await simulation.advance(DAY - 10 * SECOND)
      first.replica.crash()
      await simulation.advance(down)
      const [one, other] = [await join(define), await join(define)]
      await simulation.advance(SECOND)
      t.same(missed(), outcome === 'missed' ? [DAY, DAY, DAY] : [])
      t.same(ticksOf(runs(), start), outcome === 'run' ? [DAY, DAY, DAY] : [])
      for (const member of [one, other]) member.replica.crash()
      await join(define)
      await simulation.advance(SECOND)
      t.equal(missed().length + runs().length, 3, 'and that is known from then on')
    })
  )
}

t.test('all ticks since a job is there are accounted for, also when none was ever claimed', (t) =>
  withFleet(async ({ simulation, join, missed }) => {
    const define = job({ trigger: { interval: '1h' } })
    for (const wait of [30 * MINUTE, 10 * SECOND]) {
      const member = await join(define)
      await simulation.advance(wait)
      member.replica.crash()
      await simulation.advance(2 * HOUR)
    }
    await join(define)
    await simulation.advance(SECOND)
    t.same(missed(), [HOUR, 2 * HOUR, 3 * HOUR, 4 * HOUR])
  })
)

t.test('a first tick during an outage that began before the first start is accounted for', (t) =>
  withFleet(async ({ simulation, start, join, missed, runs }) => {
    simulation.store.kill()
    const joined = [await join(job({})), await join(job({}))]
    await simulation.advance(3 * MINUTE + 10 * SECOND)
    simulation.store.start()
    await simulation.advance(2 * SECOND)
    t.same(missed(), [MINUTE, 2 * MINUTE])
    t.same(ticksOf(runs(), start), [3 * MINUTE])
    t.equal(joined.length, 2)
  })
)

t.test('a rollback leaves nothing to catch up on, whether the trigger in between had a tick or not', (t) =>
  withFleet(async ({ simulation, start, join, missed, runs }) => {
    const define = (between: TriggerInput | null): ((member: Member) => void) =>
      job({ trigger: between ?? { interval: '1m' }, misfireGraceTime: '1h', coalesce: 'all' })
    let last = 0
    for (const between of [{ cron: '0 5 * * *' }, { interval: '7m' }, { date: start + 400 * DAY }] as const) {
      const before = await join(define(null))
      await simulation.advance(MINUTE + 5 * SECOND)
      before.replica.crash()
      const other = await join(define(between))
      await simulation.advance(8 * MINUTE)
      other.replica.crash()
      last = runs().length
      const after = await join(define(null))
      await simulation.advance(SECOND)
      t.equal(runs().length, last, 'nothing is run that was not due')
      after.replica.crash()
    }
    t.same(missed(), [])
    const again = await join(define(null))
    await simulation.advance(MINUTE)
    again.replica.crash()
    await simulation.advance(10 * MINUTE)
    await join(define(null))
    await simulation.advance(SECOND)
    t.ok(runs().length >= last + 10, 'a downtime after it is caught up on')
  })
)

t.test('a trigger that is changed at run time, and changed back, leaves nothing to catch up on', (t) =>
  withFleet(async ({ simulation, join, missed, runs }) => {
    const { scheduler } = await join(job({ misfireGraceTime: '1h', coalesce: 'all' }))
    await simulation.advance(MINUTE + SECOND)
    scheduler.reschedule('job', { cron: '0 5 * * *' })
    await simulation.advance(5 * MINUTE)
    scheduler.reschedule('job', { interval: '1m' })
    await simulation.advance(MINUTE)
    t.equal(runs().length, 2)
    t.same(missed(), [])
  })
)

for (const [what, away] of [
  ['removed and added again', SECOND / 100],
  ['removed for a while', 2 * MINUTE]
] as const) {
  t.test(`a job that is ${what} after an outage: the outage is accounted for, the time without it is not`, (t) =>
    withFleet(async ({ simulation, start, join, missed, runs }) => {
      const define = job({ misfireGraceTime: '20s', coalesce: 'all' })
      const member = await join(define)
      const { scheduler } = member
      await simulation.advance(MINUTE + SECOND)
      simulation.store.kill()
      await simulation.advance(4 * MINUTE + 10 * SECOND)
      scheduler.remove('job')
      await simulation.advance(away)
      define(member)
      simulation.store.start()
      await simulation.advance(2 * SECOND)
      const isShort = away < SECOND
      t.same(
        missed(),
        isShort ? [2, 3, 4].map((minute) => minute * MINUTE) : [2, 3, 4, 5].map((minute) => minute * MINUTE)
      )
      t.same(ticksOf(runs(), start), isShort ? [MINUTE, 5 * MINUTE] : [MINUTE])
      await simulation.advance(3 * MINUTE)
      t.equal(missed().length + runs().length, 8)
    })
  )
}

t.test('a job that comes and goes during an outage is accounted for as long as it was there', (t) =>
  withFleet(async ({ simulation, join, missed, runs }) => {
    const define = job({ misfireGraceTime: '1s' })
    const member = await join(define)
    const { scheduler } = member
    await simulation.advance(30 * SECOND)
    simulation.store.kill()
    for (let count = 0; count < 3; count++) {
      await simulation.advance(MINUTE)
      scheduler.remove('job')
      await simulation.advance(MINUTE)
      define(member)
    }
    await simulation.advance(10 * SECOND)
    scheduler.reschedule('job', { interval: '7m' })
    await simulation.advance(MINUTE)
    scheduler.reschedule('job', { interval: '1m' })
    simulation.store.start()
    await simulation.advance(MINUTE)
    t.same(missed(), [MINUTE, 3 * MINUTE, 5 * MINUTE])
    t.equal(runs().length, 1)
  })
)

t.test(
  'a claim that is under way as its job is rescheduled is accounted for by the trigger it was asked for with',
  (t) =>
    withFleet(async ({ simulation, start, join, missed, runs }) => {
      const { replica, scheduler } = await join(job({ trigger: { interval: '1h' }, misfireGraceTime: '10m' }))
      await simulation.advance(HOUR + SECOND)
      replica.freeze(2 * HOUR + 5 * SECOND)
      await simulation.advance(2 * HOUR)
      simulation.store.disturb({ delay: [500, 500] })
      await simulation.advance(5 * SECOND + 100)
      scheduler.modify('job', { trigger: { interval: '1s' }, misfireGraceTime: '5s', coalesce: 'all' })
      await simulation.advance(2 * SECOND)
      t.same(missed(), [2 * HOUR])
      t.same(ticksOf(runs(), start).slice(0, 2), [HOUR, 3 * HOUR])
      t.ok(
        ticksOf(runs(), start)
          .slice(2)
          .every((tick) => tick > 3 * HOUR + 5 * SECOND)
      )
    })
)

t.test(
  'ticks that ran are not counted as missed when the store forgets them, or another trigger is there as well',
  (t) =>
    withFleet(async ({ simulation, join, missed }) => {
      const [first, second] = [await join(job({})), await join(job({}))]
      await simulation.advance(5 * MINUTE)
      simulation.store.wipe()
      await simulation.advance(5 * MINUTE)
      first.scheduler.reschedule('job', { interval: '3m' })
      await simulation.advance(10 * MINUTE)
      second.scheduler.reschedule('job', { cron: '*/2 * * * *' })
      await simulation.advance(20 * MINUTE)
      t.same(missed(), [])
    })
)

t.test('of a trigger that another one was claimed after only the ticks of the downtime are caught up on', (t) =>
  withFleet(async ({ simulation, start, join, missed, runs }) => {
    const old = await join(job({ trigger: { interval: '10s' } }))
    await simulation.advance(5 * MINUTE + 5 * SECOND)
    const young = await join(job({}))
    await simulation.advance(3 * MINUTE + 28 * SECOND)
    for (const { replica } of [young, old]) replica.crash()
    await simulation.advance(MINUTE + 30 * SECOND)
    await join(job({}))
    await simulation.advance(SECOND)
    t.same(missed(), [9 * MINUTE])
    t.match(runs().at(-1), { scheduledTime: start + 10 * MINUTE, trigger: 'catch-up' })
  })
)

t.test('what a new trigger missed first is counted, though the old one was claimed last', (t) =>
  withFleet(async ({ simulation, join, missed }) => {
    const old = await join(job({ trigger: { interval: '1m' } }))
    await simulation.advance(30 * SECOND)
    const young = await join(job({ trigger: { interval: '1h' } }))
    await simulation.advance(2 * MINUTE)
    old.replica.crash()
    await simulation.advance(MINUTE)
    young.replica.crash()
    await simulation.advance(2 * HOUR)
    await join(job({ trigger: { interval: '1h' } }))
    await simulation.advance(SECOND)
    t.same(missed(), [HOUR, 2 * HOUR])
  })
)

t.test('the time a job was paused is not caught up on, also when nobody was there for it', (t) =>
  withFleet(async ({ simulation, join, missed, runs }) => {
    const before = await join(job({ misfireGraceTime: '1h' }))
    await simulation.advance(MINUTE)
    await before.scheduler.pause('job')
    before.replica.crash()
    await simulation.advance(5 * MINUTE + 30 * SECOND)
    const { scheduler, skipped } = await join(job({ misfireGraceTime: '1h' }))
    await scheduler.resume('job')
    await simulation.advance(MINUTE)
    t.equal(runs().length, 2)
    t.same(missed(), [])
    t.same(
      skipped,
      [2, 3, 4, 5, 6].map((minute) => [minute * MINUTE, 'paused'])
    )
  })
)

for (const [grace, dateIs] of [
  ['1s', []],
  ['1h', [[HOUR, 'paused']]]
] as const) {
  t.test(`nor is the first tick of a job, or its only one, with a grace of ${grace}`, (t) =>
    withFleet(async ({ simulation, start, join, missed, runs }) => {
      const define = ({ scheduler }: Pick<Member, 'scheduler'>): void => {
        const options = { misfireGraceTime: grace, handler: () => {} }
        scheduler.add({ id: 'hourly', trigger: { interval: '1h' }, ...options })
        scheduler.add({ id: 'date', trigger: { date: start + HOUR }, ...options })
      }
      const before = await join(define)
      await simulation.advance(30 * MINUTE)
      for (const id of ['hourly', 'date']) await before.scheduler.pause(id)
      before.replica.crash()
      await simulation.advance(HOUR)
      const web = createScheduler({ ...simulation.replica().options, logger: false })
      define({ scheduler: web })
      const resumed = Promise.all([web.resume('hourly'), web.resume('date')])
      await simulation.advance(SECOND)
      await resumed
      const { scheduler, skipped } = await join(define)
      await simulation.advance(SECOND)
      t.equal(scheduler.get('date')?.paused, false)
      t.same(skipped, dateIs)
      await simulation.advance(HOUR)
      t.same(ticksOf(runs(), start), [2 * HOUR])
      t.same(missed(), [])
      t.same(skipped, [...dateIs, [HOUR, 'paused']])
      const closed = web.close()
      await simulation.advance(SECOND)
      await closed
    })
  )
}

for (const reason of ['overlap', 'paused'] as const) {
  t.test(`a tick that ended as ${reason} is not counted again after a failover to data of before it`, (t) =>
    withFleet(async ({ simulation, join }) => {
      const { scheduler, skipped } = await join(({ replica, scheduler }) => {
        scheduler.cron('job', '* * * * *', () => replica.sleep(170 * SECOND))
        // The store is asked every few seconds whether this one is paused, and so found to be away.
        scheduler.interval('unlocked', '1d', () => {}, { lock: false })
      })
      if (reason === 'paused') {
        const paused = scheduler.pause('job')
        await simulation.settle()
        await paused
      }
      await simulation.advance(130 * SECOND)
      const told = (): typeof skipped => skipped.filter(([tick]) => tick >= 2 * MINUTE)
      t.same(told(), [[2 * MINUTE, reason]])
      simulation.store.kill()
      const record = simulation.store.memory.jobs.get('job')
      record!.tick = record!.previous
      record!.previous -= MINUTE
      await simulation.advance(15 * SECOND)
      simulation.store.start()
      await simulation.advance(40 * SECOND)
      t.same(told(), [
        [2 * MINUTE, reason],
        [3 * MINUTE, reason]
      ])
    })
  )
}

t.test('a week of missed seconds is counted without counting them one by one', (t) =>
  withFleet(async ({ simulation, join }) => {
    const define = ({ scheduler }: Member): void => {
      scheduler.interval('interval', '1s', () => {})
      scheduler.cron('cron', '* * * * * *', () => {})
    }
    const before = await join(define)
    await simulation.advance(SECOND)
    before.replica.crash()
    await simulation.advance(6 * DAY)
    const started = performance.now()
    const { scheduler, missed } = await join(define)
    await simulation.advance(10)
    t.ok(performance.now() - started < 2000)
    const metrics = (await scheduler.register?.metrics()) ?? ''
    t.match(metrics, /missed_runs_total\{job_id="interval",job_name="interval"\} 518399\n/, 'of an interval all')
    t.match(metrics, /missed_runs_total\{job_id="cron",job_name="cron"\} 11000\n/, 'of others so many at most')
    t.equal(missed.length, 2000, 'and a thousand of each are told one by one')
  })
)

t.test('ticks that ran before a job was removed are not told as missed when it comes back weeks later', (t) =>
  withFleet(async ({ simulation, join, missed, runs }) => {
    const define = job({ trigger: { interval: '1h' } })
    const member = await join(define)
    await simulation.advance(2 * DAY)
    simulation.store.kill()
    await simulation.advance(HOUR)
    simulation.store.start()
    member.scheduler.remove('job')
    await simulation.advance(10 * DAY)
    define(member)
    await simulation.advance(SECOND)
    t.equal(runs().length, 48)
    t.same(missed(), [2 * DAY + HOUR])
  })
)

for (const [what, trigger, ran] of [
  ['of a cron that ends', { cron: '0 9 1,21 * *', endDate: '2027-02-01T00:00:00Z' }, 1],
  ['of dates', (start: number) => ({ any: [{ date: start + 5 * DAY }, { date: start + 20 * DAY }] }), 2],
  ['of an interval that begins late', (start: number) => ({ interval: '1d', startDate: start + 19 * DAY }), 3]
] as const) {
  for (const grace of ['30s', '30d'] as const) {
    t.test(`the last ticks ${what} are not told as missed a week later, nor run again, grace: ${grace}`, (t) =>
      withFleet(
        async (fleet) => {
          const { simulation, start, join, missed, runs } = fleet
          const define = job({
            trigger: (typeof trigger === 'function' ? trigger(start) : trigger) as TriggerInput,
            misfireGraceTime: grace
          })
          let member = await join(define)
          for (const days of [7, 14.5]) {
            await simulation.advance(days * DAY)
            member.replica.crash()
            member = await join(define)
          }
          member.replica.crash()
          t.equal(runs().length, ran)
          await simulation.advance(12 * DAY)
          await join(define)
          await simulation.advance(MINUTE)
          t.equal(runs().length, ran)
          t.same(missed(), [])
        },
        { start: '2027-01-01T12:00:00Z' }
      )
    )
  }
}

t.test('a first tick that a job waited for is told as missed also weeks later', (t) =>
  withFleet(async ({ simulation, start, join, missed }) => {
    const define = job({ trigger: { any: [{ date: start + 20 * DAY }, { date: start + 300 * DAY }] } })
    const first = await join(define)
    await simulation.advance(5 * DAY)
    first.replica.crash()
    await simulation.advance(30 * DAY)
    await join(define)
    await simulation.advance(SECOND)
    t.same(missed(), [20 * DAY])
  })
)

t.test('what Redis forgets after a week is forgotten in a simulation as well', (t) =>
  withFleet(async ({ simulation, join, missed }) => {
    const first = await join(job({ trigger: { interval: '1h' } }))
    await simulation.advance(2 * HOUR)
    first.replica.crash()
    await simulation.advance(30 * DAY)
    await join(job({ trigger: { interval: '1h' } }))
    await simulation.advance(HOUR)
    t.same(missed(), [])
  })
)
