import t from 'tap'
import { scenarios } from './scenarios.js'

// Each scenario in its short form, one after the other: they are about time, and need the machine to themselves.

t.setTimeout(900_000)

for (const scenario of scenarios) {
  t.test(scenario.name, { timeout: 180_000 }, async (t) => {
    const { verdict, recovery, failures } = await scenario.run({ scale: 'short' })
    const { ticks, ran, missed, reasons, outcomes } = verdict
    t.comment({ ticks, ran, missed: missed.length, recovery, reasons, outcomes })
    t.same(failures, [], scenario.promise)
  })
}
