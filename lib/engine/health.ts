import type { Coordination } from '../../types/coordination.js'
import type { Health } from '../../types/status.js'
import type { Phases } from './phases.js'

/** What is read of the parts of a scheduler. */
export interface HealthSources {
  readonly phases: Phases
  readonly coordination: Coordination
  readonly guard: { readonly isLate: boolean }
  readonly outages: { readonly reason: string | null }
  readonly runner: { readonly size: number }
  readonly dispatcher: { readonly backlog: number }
}

/** How this replica is, as far as it knows itself. */
export function healthOf({ phases, coordination, guard, outages, runner, dispatcher }: HealthSources): Health {
  const { kind, up, skew } = coordination.state
  let status: Health['status'] = phases.isRunning ? 'ok' : 'stopped'
  if (phases.isEnding) status = 'closing'
  else if (!up || guard.isLate) status = 'degraded'
  return {
    status,
    coordination: kind,
    redisUp: up,
    reason: up ? null : outages.reason,
    clockSkew: skew,
    running: runner.size,
    backlog: dispatcher.backlog
  }
}
