import type { AdminAction, AdminChange } from '../../../types/admin.js'
import type { Change } from '../../../types/coordination.js'
import { isAction, toFleetChange } from '../../observability/fleet-change.js'
import { ADMIN_ACTIONS } from './options.js'

/** A change as the page tells it; `null` for what replicas tell each other, and for what a later build does. */
export function toAdminChange(change: Change): AdminChange | null {
  if (!isAction(change)) return null
  const { action, jobId: job, group, runIds, by, note, at, scheduledTime, until, options } = toFleetChange(change)
  if (!(ADMIN_ACTIONS as readonly string[]).includes(action)) return null
  const run = runIds[0] ?? null
  return { at, by, action: action as AdminAction, job, group, run, scheduledTime, until, options, note }
}

/** Whether a change is about a job: itself, its group, or all jobs. */
export function isAbout({ job, group }: AdminChange, jobId: string, itsGroup: string | null): boolean {
  if (job !== null) return job === jobId
  return group === null || group === itsGroup
}
