import t from 'tap'
import { HOUR, MINUTE } from '../lib/duration.js'
import { createScheduler, type Scheduler } from '../lib/index.js'
import { VirtualClock } from '../lib/testing/virtual-clock.js'
import type { Coordination, CoordinationListener } from '../types/coordination.js'
import { HeldAnswers } from './fixtures/held-answers.js'
import { type LogLine, logLines } from './fixtures/log-lines.js'

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

for (const back of [5 * MINUTE, HOUR, 26 * HOUR]) {
  t.test(
    `Redis' clock goes back by ${back / MINUTE} minutes: said once, with the time until which jobs stand`,
    async (t) => {
      const clock = new VirtualClock('2027-01-01T12:00:30Z')
      const answers = new HeldAnswers(clock)
      let ahead = 0
      const { scheduler, lines, listener } = replica(clock, answers, () => ahead)
      await scheduler.start()
      listener().onClockStep()
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
