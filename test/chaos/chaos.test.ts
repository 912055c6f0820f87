import t from 'tap'
import { scenarios } from './scenarios.js'

// Each scenario in its short form. They wait for most of their time, and are about time all the same: no more at a time than two
// processors bear. With three at a time about every second whole run had one that came too late.

t.setTimeout(900_000)
t.jobs = 2

for (const scenario of scenarios) {
  t.test(scenario.name, { timeout: 180_000 }, async (t) => {
    const { verdict, recovery, failures } = await scenario.run({ scale: 'short' })
    const { ticks, ran, missed, reasons, outcomes } = verdict
    t.comment({ ticks, ran, missed: missed.length, recovery, reasons, outcomes })
    t.same(failures, [], scenario.promise)
  })
}
