import type { Change, ChangeEffect, PauseScope, StandingOverride } from '../../types/coordination.js'

/** The scope of a job's own pause. */
export function jobScope(jobId: string): PauseScope {
  return `job:${jobId}`
}

/** The scope of a group's pause. */
export function groupScope(group: string): PauseScope {
  return `group:${group}`
}

/** The scope of a job's override. */
export function overrideScope(jobId: string): string {
  return `override:${jobId}`
}

/** What a change is of, so that a later one of the same takes its place; `''` for a command. */
export function scopeOf(effect: ChangeEffect): string {
  if ('scope' in effect) return effect.scope
  return effect.kind === 'override' || effect.kind === 'reset' ? overrideScope(effect.jobId) : ''
}

/** What a change leaves in force of a job's override. */
export function overrideBy(change: Extract<Change, { kind: 'override' | 'reset' }>): StandingOverride {
  const { jobId, by, at, id } = change
  const { changes, note } = change.kind === 'override' ? change : { changes: null, note: null }
  return { jobId, changes, note, by, at, version: id }
}

/** What a change does, for an error. */
export function nameOfChange(effect: ChangeEffect): string {
  switch (effect.kind) {
    case 'cancel':
      return `cancel the run '${effect.runId}'`
    case 'request':
    case 'trigger':
      return `tell of a request for the job '${effect.jobId}'`
    case 'skip':
      return `skip a tick of the job '${effect.jobId}'`
    case 'release':
      return `release the lock of the job '${effect.jobId}'`
    case 'override':
    case 'reset':
      return `${effect.kind} the job '${effect.jobId}'`
    default: {
      const { kind, scope } = effect
      if (scope === 'all') return `${kind} all jobs`
      const [what, ...id] = scope.split(':')
      return `${kind} the ${what} '${id.join(':')}'`
    }
  }
}
