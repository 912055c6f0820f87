import t from 'tap'
import { mixedBuilds } from './scenarios/mixed-builds.js'
import { scenarios } from './scenarios.js'

// Each scenario in its short form, on servers and ports of its own. They wait for most of their time, for what their faults take:
// so several are played at a time, and the longest is the first.

t.jobs = 4
t.setTimeout(900_000)

const [longest] = mixedBuilds
for (const scenario of [...scenarios].sort((one, other) => Number(other === longest) - Number(one === longest))) {
  t.test(scenario.name, { buffered: true, timeout: 180_000 }, async (t) => {
    const { verdict, recovery, failures } = await scenario.run({ scale: 'short' })
    const { ticks, ran, missed, reasons, outcomes } = verdict
    t.comment({ ticks, ran, missed: missed.length, recovery, reasons, outcomes })
    t.same(failures, [], scenario.promise)
  })
}
