import type { Change } from '../../types/coordination.js'
import type { FleetChange } from '../../types/levers.js'

/** A change as people see it. */
export function toFleetChange(change: Change): FleetChange {
  const { id, kind, by, note, at } = change
  return {
    id,
    action: kind === 'request' ? 'trigger' : kind,
    ...targetOf(change),
    by,
    note,
    at,
    runIds: runIdsOf(change),
    requestId: 'requestId' in change ? change.requestId : null,
    scheduledTime: 'scheduledTime' in change ? change.scheduledTime : null,
    until: change.kind === 'pause' ? change.until : null,
    // A build that told all options alone.
    options: change.kind === 'override' ? (change.options ?? Object.keys(change.changes)) : []
  }
}

/** Whether it is something that somebody has done: not that requests wait which nobody in particular asks for, nor that no lock was held. */
export function isAction(change: Change): boolean {
  if (change.kind === 'request') return change.requestId !== null
  return change.kind !== 'release' || (change.runs ?? []).length > 0
}

function targetOf(change: Change): Pick<FleetChange, 'of' | 'jobId' | 'group'> {
  if (!('scope' in change)) return { of: 'job', jobId: change.jobId, group: null }
  const { scope } = change
  if (scope === 'all') return { of: 'all', jobId: null, group: null }
  const name = scope.slice(scope.indexOf(':') + 1)
  return scope.startsWith('job:') ? { of: 'job', jobId: name, group: null } : { of: 'group', jobId: null, group: name }
}

function runIdsOf(change: Change): readonly string[] {
  if (change.kind === 'release') return (change.runs ?? []).map(({ runId }) => runId)
  return 'runId' in change && change.runId !== null ? [change.runId] : []
}
