import type { ChangeEffect, PauseScope } from '../../types/coordination.js'

/** The scope of a job's own pause. */
export function jobScope(jobId: string): PauseScope {
  return `job:${jobId}`
}

/** The scope of a group's pause. */
export function groupScope(group: string): PauseScope {
  return `group:${group}`
}

/** What a change is of, so that a later one of the same takes its place; `''` for a command. */
export function scopeOf(effect: ChangeEffect): string {
  if ('scope' in effect) return effect.scope
  return effect.kind === 'override' || effect.kind === 'reset' ? `override:${effect.jobId}` : ''
}
