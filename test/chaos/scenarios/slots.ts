import { setTimeout as sleep } from 'node:timers/promises'
import type { Tick } from '../fixtures/judge.js'
import type { PlannedJob } from '../fixtures/protocol.js'
import { withSingle } from '../fixtures/topologies.js'
import { trueNow } from '../fixtures/wrong-clock.js'
import { compare, type Scenario } from '../scenario.js'
import { openBetween, planOf, scaled, TTL, withReplicas } from './common.js'

/** Jobs whose runs take longer than the time to their next tick, so that there is always one too many for their slots. */
function crowded(count: number, interval: number, options: object): PlannedJob[] {
  return Array.from({ length: count }, (_, index) => {
    const name = `${Object.values(options).join('-')}-${index}`
    return { id: name, interval, duration: 2.5 * interval, options: { lock: { ttl: TTL }, ...options } }
  })
}

/**
 * The ticks that a crash may cost: see `claimedBy` in replica-faults.ts. One that waits may be older: it was begun, or
 * displaced by a later one, by the dead, who had not told of it.
 */
function near(crashes: readonly number[], overlap: string): (tick: Tick) => boolean {
  const waited = overlap === 'skip' ? 0 : 2 * TTL
  return (tick) => crashes.some((crash) => openBetween(crash - waited, crash)(tick))
}

const OVERLAPS = ['skip', 'wait', 'replace'] as const

export const slots: readonly Scenario[] = OVERLAPS.map((overlap) => ({
  name: `Jobs with two slots and overlap '${overlap}', and replicas are killed, one after the other`,
  promise: 'Never three runs at once where two are meant, and every tick has a run or a reason',
  run: ({ scale }) =>
    withSingle((redis) => {
      const jobs = crowded(scaled(scale, 12, 24), 200, { maxInstances: 2, overlap })
      const settings = { jobs, redis: redis.proxy.url }
      return withReplicas(settings, async (fleet) => {
        const crashes: number[] = []
        for (let count = 0; count < scaled(scale, 4, 10); count++) {
          await sleep(scaled(scale, 1000, 4000))
          const victim = fleet.replicas.filter(({ alive }) => alive)[0]
          crashes.push(trueNow())
          await victim?.kill()
          await fleet.start(planOf(settings, 3 + count))
        }
        fleet.healed()
        await fleet.recovered()
        const verdict = await fleet.finish(scaled(scale, 1500, 8000), near(crashes, overlap))
        return compare(fleet, verdict, {
          lost: near(crashes, overlap),
          // Claimed and counted by the dead, who had not told of it.
          missed: 'any',
          recovery: 2500,
          reasons: [{ skip: 'overlap', wait: 'coalesced', replace: 'coalesced' }[overlap]],
          outcomes: overlap === 'replace' ? ['success', 'cancelled'] : ['success'],
          also: [[verdict.ticks > scaled(scale, 250, 4800), `${verdict.ticks} ticks`]]
        })
      })
    })
}))
