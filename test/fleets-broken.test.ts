import { constants, setPriority } from 'node:os'
import fc from 'fast-check'
import t from 'tap'
import type { ClaimAnswer, Coordination, HeldLock } from '../types/coordination.js'
import { deployPlan, type FleetPlan, fleetPlan } from './fixtures/fleet-plan.js'
import { type Mutation, simulateFleet } from './fixtures/fleet-simulation.js'

// The simulation can fail: faults that are put in are seen within a few fleets.

t.setTimeout(600_000)
// It computes and waits for nothing: it takes what time the processors have left, beside tests that are about time.
setPriority(constants.priority.PRIORITY_LOW)

/** Replaces methods of a coordination, as a fault in it would. */
function broken(change: (target: Coordination) => Partial<Coordination>): Mutation {
  return (target) => {
    const changed = change(target)
    return new Proxy(target, {
      get(_, property) {
        const own: unknown = Reflect.get(changed, property)
        if (own !== undefined) return own
        const value: unknown = Reflect.get(target, property, target)
        return typeof value === 'function' ? value.bind(target) : value
      }
    })
  }
}

const MUTATIONS: Record<string, Mutation> = {
  'a claim that is granted to everybody': broken((target) => ({
    claim: async (requests, callId, blocks) => {
      const answers = await target.claim(requests, callId, blocks)
      return answers.map((answer, index) => {
        const { jobId, kind, runId, ttl, scheduledTime } = requests[index] as (typeof requests)[number]
        if (answer.status !== 'claimed_elsewhere' || kind !== 'tick') return answer
        const lock = { name: jobId, kind: 'job', token: runId, ttl, validUntil: Number.POSITIVE_INFINITY } as const
        const granted = { status: 'granted', lock, fencingToken: Date.now() * 1000, attempt: 1 } as const
        return { ...granted, previous: null, resumedAt: null, scheduledTime }
      })
    }
  })),
  'a lock that excludes nobody': broken((target) => ({
    claim: async (requests, callId, blocks) => {
      const answers = await target.claim(requests, callId, blocks)
      for (const each of answers) if (each.status === 'granted' && each.lock !== null) await target.release(each.lock)
      return answers
    },
    extend: async (lock) => {
      lock.validUntil += lock.ttl
      return 'extended'
    }
  })),
  'an extension that does nothing': broken(() => ({
    extend: async (lock) => {
      lock.validUntil += lock.ttl
      return 'extended'
    }
  })),
  'a recovery that never comes': broken((target) => ({
    claim: async (requests, callId, blocks) => {
      const isRecovery = requests[0]?.kind === 'recover'
      return isRecovery
        ? requests.map(() => ({ status: 'claimed_elsewhere', last: null, by: '', previous: null }) as const)
        : target.claim(requests, callId, blocks)
    }
  })),
  'a hand-back that is forgotten': broken(() => ({
    handBack: async (claims) => claims.map(() => 'free' as const)
  })),
  'an account that misses what was there before': broken((target) => ({
    claim: async (requests, callId, blocks) => {
      const answers = await target.claim(requests, callId, blocks)
      return answers.map((answer) => (answer.status === 'granted' ? { ...answer, previous: null } : answer))
    }
  }))
}

/** The store's mark that a block is taken refuses also what was handed back. */
function markThatOverrides(): Mutation {
  const marked = new Set<string>()
  return broken((target) => ({
    claim: async (requests, callId, blocks) => {
      let at = 0
      const refused = new Set<number>()
      for (const { name, size } of blocks?.asked ?? []) {
        const key = `${name} ${blocks?.scheduledTime}`
        for (let index = at; index < at + size; index++) if (marked.has(key)) refused.add(index)
        marked.add(key)
        at += size
      }
      if (refused.size === 0) return target.claim(requests, callId, blocks)
      const left = requests.filter((_request, index) => !refused.has(index))
      const answers = [...(left.length === 0 ? [] : await target.claim(left, callId))]
      return requests.map((_request, index) => {
        if (refused.has(index)) return { status: 'claimed_elsewhere', last: null, by: '', previous: null } as const
        return answers.shift() as ClaimAnswer
      })
    }
  }))
}

/** A lock that is taken by hand or by name is believed in however late its answer is read. */
const belief: Mutation = broken((target) => {
  const believed = (lock: HeldLock | null): void => {
    if (lock !== null) lock.validUntil += 600_000
  }
  return {
    claim: async (requests, callId, blocks) => {
      const answers = await target.claim(requests, callId, blocks)
      if (requests[0]?.kind === 'manual') for (const each of answers) if (each.status === 'granted') believed(each.lock)
      return answers
    },
    acquire: async (name, ttl, token) => {
      const answer = await target.acquire(name, ttl, token)
      if (answer.status === 'granted') believed(answer.lock)
      return answer
    }
  }
})

const CONTROLS: readonly (readonly [what: string, plans: fc.Arbitrary<FleetPlan>, mutation: () => Mutation])[] = [
  ...Object.entries(MUTATIONS).map(([what, mutation]) => [what, fleetPlan, () => mutation] as const),
  ['a lock by hand or by name that is believed in too long', fleetPlan, () => belief],
  ['a mark of a block that refuses what was handed back', deployPlan, markThatOverrides]
]

for (const [what, from, mutation] of CONTROLS) {
  t.test(`control: ${what} is seen`, async (t) => {
    const plans: readonly FleetPlan[] = fc.sample(from, { seed: 7, numRuns: 40 })
    for (const [index, plan] of plans.entries()) {
      const { violations } = await simulateFleet(plan, mutation())
      if (violations.length === 0) continue
      t.pass(`in the fleet ${index + 1}: ${violations[0]}`)
      return
    }
    t.fail('no fleet saw it')
  })
}
