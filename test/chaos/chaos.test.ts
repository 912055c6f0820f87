import t from 'tap'
import { groups } from './scenarios.js'

// Each scenario in its short form. They wait for most of their time, and are about time all the same.

t.setTimeout(900_000)

for (const { name, scenarios, atOnce } of groups) {
  t.test(name, { timeout: 900_000 }, async (t) => {
    t.jobs = atOnce
    for (const scenario of scenarios) {
      t.test(scenario.name, { timeout: 180_000 }, async (t) => {
        const { verdict, recovery, failures } = await scenario.run({ scale: 'short' })
        const { ticks, ran, missed, reasons, outcomes } = verdict
        t.comment({ ticks, ran, missed: missed.length, recovery, reasons, outcomes })
        t.same(failures, [], scenario.promise)
      })
    }
  })
}
