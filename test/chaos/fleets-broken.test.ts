import fc from 'fast-check'
import t from 'tap'
import { deployPlan, type FleetPlan, fleetPlan, slotPlan } from './fixtures/fleet-plan.js'
import { MUTATION_OF } from './fixtures/mutations.js'
import { Simulator } from './fixtures/simulator.js'
import { SEEN_AS, SLOT_MUTATION_OF } from './fixtures/slot-mutations.js'

// The simulation can fail: faults that are put in are seen within a few fleets.

t.setTimeout(600_000)

/** The one fault that only deploys show. */
const BY_DEPLOYS = 'a mark of a block that refuses what was handed back'

const simulator = new Simulator()
t.teardown(() => simulator.close())

for (const mutation of Object.keys(MUTATION_OF)) {
  t.test(`control: ${mutation} is seen`, async (t) => {
    const ofSlots = mutation in SLOT_MUTATION_OF ? slotPlan : fleetPlan
    const from = mutation === BY_DEPLOYS ? deployPlan : ofSlots
    const plans: readonly FleetPlan[] = fc.sample(from, { seed: 7, numRuns: 40 })
    for (const [index, plan] of plans.entries()) {
      const { violations } = await simulator.simulate(plan, mutation)
      const seen = violations.find((violation) => SEEN_AS[mutation]?.test(violation) ?? true)
      if (seen === undefined) continue
      t.pass(`in the fleet ${index + 1}: ${seen}`)
      return
    }
    t.fail('no fleet saw it')
  })
}
