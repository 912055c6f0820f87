import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { HOUR, MINUTE, SECOND } from '../../lib/base/duration.js'
import { FleetClock } from '../../lib/coordination/fleet-clock.js'
import { createScheduler, type Scheduler } from '../../lib/index.js'
import { VirtualClock } from '../../lib/testing/virtual-clock.js'
import type { Coordination, CoordinationListener } from '../../types/coordination.js'
import { HeldAnswers } from '../fixtures/held-answers.js'
import { type LogLine, logLines } from '../fixtures/log-lines.js'
import { nextEvent } from '../fixtures/next-event.js'
import { withFleet } from '../fixtures/simulated-fleet.js'
import { withRedis } from '../fixtures/with-redis.js'

/** A replica whose store's clock is `ahead` of its own. */
function replica(
  clock: VirtualClock,
  answers: HeldAnswers,
  ahead: () => number
): { scheduler: Scheduler<undefined>; lines: LogLine[]; runs: number[]; listener: () => CoordinationListener } {
  const { logger, lines } = logLines()
  const runs: number[] = []
  let told: CoordinationListener | null = null
  const scheduler = createScheduler({
    clock,
    logger,
    coordination: (parts) => {
      told = parts.listener
      const target = answers.coordination(parts)
      return new Proxy<Coordination>(target, {
        get: (_, property) => {
          if (property === 'now') return () => clock.now() + ahead()
          const value: unknown = Reflect.get(target, property, target)
          return typeof value === 'function' ? value.bind(target) : value
        }
      })
    }
  })
  scheduler.cron('job', '* * * * *', ({ run }) => void runs.push(run.scheduledTime))
  return { scheduler, lines, runs, listener: () => told as CoordinationListener }
}

function warnings(lines: readonly LogLine[]): string[] {
  return lines.flatMap(({ level, message }) => (level === 'warn' && /gone back/.test(message) ? [message] : []))
}

async function close(clock: VirtualClock, ...schedulers: Scheduler<undefined>[]): Promise<void> {
  const closed = schedulers.map((scheduler) => scheduler.close())
  await clock.advance(20_000)
  await Promise.all(closed)
}

/** What all stores say is the time is off by so much, until the test has ended. */
function shiftStores(t: Test): { by: number } {
  const shift = { by: 0 }
  const { sample } = FleetClock.prototype
  FleetClock.prototype.sample = function (sent, storeTime) {
    sample.call(this, sent, storeTime + shift.by)
  }
  t.teardown(() => {
    FleetClock.prototype.sample = sample
  })
  return shift
}

for (const back of [5 * MINUTE, HOUR, 26 * HOUR]) {
  t.test(
    `Redis' clock goes back by ${back / MINUTE} minutes: said once, with the time until which jobs stand`,
    async (t) => {
      const clock = new VirtualClock('2027-01-01T12:00:30Z')
      const answers = new HeldAnswers(clock)
      let ahead = 0
      const { scheduler, lines, listener } = replica(clock, answers, () => ahead)
      await scheduler.start()
      await clock.advance(MINUTE)
      t.same(warnings(lines), [])
      const until = new Date(clock.now()).toISOString()
      ahead = -back
      for (let count = 0; count < 3; count++) listener().onClockStep()
      await clock.advance(1000)
      t.same(warnings(lines), [`Redis' clock has gone back: jobs have no ticks until ${until}, as those are taken`])
      ahead += 300
      listener().onClockStep()
      ahead -= 600
      listener().onClockStep()
      t.equal(warnings(lines).length, 1, 'corrections of less than a second are no news')
      await close(clock, scheduler)
    }
  )
}

t.test('a replica that starts afterwards says so as well: by what is taken', async (t) => {
  const clock = new VirtualClock('2027-01-01T12:00:30Z')
  const answers = new HeldAnswers(clock)
  const first = replica(clock, answers, () => 0)
  await first.scheduler.start()
  await clock.advance(2 * MINUTE)
  t.equal(first.runs.length, 2)
  const second = replica(clock, answers, () => -HOUR)
  await second.scheduler.start()
  await clock.advance(1000)
  t.match(warnings(second.lines), [/until 2027-01-01T12:02:00.000Z/])
  t.same(warnings(first.lines), [])
  await close(clock, first.scheduler, second.scheduler)
})

t.test('the clock of one Redis goes back for the first time: said once', async (t) => {
  const shift = shiftStores(t)
  await withRedis(async ({ url }) => {
    const { logger, lines } = logLines()
    const scheduler = createScheduler({ redis: url, prefix: 'back', logger })
    scheduler.interval('job', 100, () => {})
    await scheduler.start()
    const { run } = await nextEvent(scheduler, 'executed')
    shift.by = -HOUR
    const giveUpAt = Date.now() + 10 * SECOND
    while (warnings(lines).length === 0 && Date.now() < giveUpAt) await sleep(20)
    t.equal(warnings(lines).length, 1)
    const until = Date.parse(/until (\S+),/.exec(warnings(lines)[0] ?? '')?.[1] ?? '')
    t.ok(until >= run.scheduledTime && until < giveUpAt, 'with the time where the clock was')
    await scheduler.close()
    t.equal(warnings(lines).length, 1)
  })
})

for (const [outage, isWarned] of [
  [2 * MINUTE, true],
  [10 * MINUTE, false]
] as const) {
  const what = isWarned ? 'said as far as ticks are taken' : 'not said, as none of them is taken'
  t.test(`a clock that goes back by 5 minutes in an outage of ${outage / MINUTE}: ${what}`, async (t) => {
    const shift = shiftStores(t)
    await withFleet(async ({ simulation, join, runs }) => {
      const { lines } = await join(({ scheduler }) => void scheduler.interval('job', '10s', () => {}))
      shift.by = 20
      await simulation.advance(MINUTE)
      simulation.store.kill()
      await simulation.advance(outage)
      const until = new Date(runs().at(-1)?.scheduledTime ?? 0).toISOString()
      shift.by = -5 * MINUTE
      simulation.store.start()
      await simulation.advance(20 * SECOND)
      const told = `Redis' clock has gone back: jobs have no ticks until ${until}, as those are taken`
      t.same(warnings(lines), isWarned ? [told] : [])
      shift.by -= 20
      await simulation.advance(5 * MINUTE)
      t.equal(warnings(lines).length, isWarned ? 1 : 0, 'and nothing at the next, small step')
    })
  })
}

t.test('clocks that drift apart are none that go back', async (t) => {
  const clock = new VirtualClock('2027-01-01T12:00:30Z')
  let ahead = 0
  const { scheduler, lines, listener } = replica(clock, new HeldAnswers(clock), () => ahead)
  await scheduler.start()
  listener().onClockStep()
  for (let count = 0; count < 200; count++) {
    await clock.advance(10 * SECOND)
    ahead -= 50
  }
  listener().onClockStep()
  t.same(warnings(lines), [])
  await close(clock, scheduler)
})
