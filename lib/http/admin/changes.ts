import type { AdminChange } from '../../../types/admin.js'
import type { Change } from '../../../types/coordination.js'

/** A change as something that somebody has done; `null` for what replicas tell each other. */
export function changeOf(change: Change): AdminChange | null {
  const { at, by, kind } = change
  const nothing = { job: null, group: null, run: null, scheduledTime: null, until: null, options: [] }
  const common = { ...nothing, at, by, note: ('note' in change ? change.note : null) ?? null }
  switch (kind) {
    case 'pause':
      return { ...common, ...targetOf(change.scope), action: 'pause', until: change.until }
    case 'resume':
      return { ...common, ...targetOf(change.scope), action: 'resume' }
    case 'skip':
      return { ...common, action: 'skip', job: change.jobId, scheduledTime: change.scheduledTime }
    case 'override':
      return { ...common, action: 'override', job: change.jobId, options: Object.keys(change.changes) }
    case 'reset':
      return { ...common, action: 'reset', job: change.jobId }
    case 'release':
      return { ...common, action: 'release', job: change.jobId }
    case 'cancel':
      return { ...common, action: 'cancel', job: null, run: change.runId }
    case 'request':
      return { ...common, action: 'trigger', job: change.jobId }
    default:
      // Of a later build.
      return null
  }
}

function targetOf(scope: string): Pick<AdminChange, 'job' | 'group'> {
  if (scope.startsWith('job:')) return { job: scope.slice('job:'.length), group: null }
  return { job: null, group: scope.startsWith('group:') ? scope.slice('group:'.length) : null }
}
