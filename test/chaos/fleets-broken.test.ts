import fc from 'fast-check'
import t from 'tap'
import { deployPlan, type FleetPlan, fleetPlan } from './fixtures/fleet-plan.js'
import { MUTATION_OF } from './fixtures/mutations.js'
import { Simulator } from './fixtures/simulator.js'

// The simulation can fail: faults that are put in are seen within a few fleets.

t.setTimeout(600_000)

/** The one fault that only deploys show. */
const BY_DEPLOYS = 'a mark of a block that refuses what was handed back'

const simulator = new Simulator()
t.teardown(() => simulator.close())

for (const mutation of Object.keys(MUTATION_OF)) {
  t.test(`control: ${mutation} is seen`, async (t) => {
    const from = mutation === BY_DEPLOYS ? deployPlan : fleetPlan
    const plans: readonly FleetPlan[] = fc.sample(from, { seed: 7, numRuns: 40 })
    for (const [index, plan] of plans.entries()) {
      const { violations } = await simulator.simulate(plan, mutation)
      if (violations.length === 0) continue
      t.pass(`in the fleet ${index + 1}: ${violations[0]}`)
      return
    }
    t.fail('no fleet saw it')
  })
}
