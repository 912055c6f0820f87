import type { Change, ChangeRequest, StandingOverride, StandingPause } from '../../../types/coordination.js'
import { overrideBy } from '../../base/scopes.js'
import { PAUSED_BY_CODE, RESUMED_MARK, VERSION_BY_CODE } from './constants.js'

// Changes as Redis has them: JSON that begins with `{"version":..,"at":..,"id":".."`, of which change.lua adds the first two.

/** The body of a change that is asked for. */
export function writeChange({ expected: _, id, ...rest }: ChangeRequest): string {
  return JSON.stringify({ id, ...rest })
}

/** What builds before 0.2 did not say of a change. */
const LATER: { readonly [kind: string]: Readonly<Record<string, null>> } = {
  request: { requestId: null, scheduledTime: null },
  cancel: { jobId: null }
}

/** A change; `null` for what cannot be read. */
export function readChange(text: string | undefined): Change | null {
  const read = readObject(text)
  if (read === null || typeof read.kind !== 'string' || typeof read.version !== 'number') return null
  return { note: null, ...LATER[read.kind], ...read } as unknown as Change
}

/** What is noted of a pause; `null` where that is none in force, apart from `until`. */
export function readPause(scope: StandingPause['scope'], noted: string): StandingPause | null {
  if (noted.startsWith(RESUMED_MARK)) return null
  if (noted === PAUSED_BY_CODE) return { scope, note: null, by: null, at: null, until: null, version: VERSION_BY_CODE }
  // A build that knew no versions has `replicaId` in the place of `by`.
  const { id, note, by, replicaId, at, until } = readObject(noted) ?? {}
  return {
    scope,
    note: typeof note === 'string' ? note : null,
    by: typeof by === 'string' ? by : typeof replicaId === 'string' ? replicaId : null,
    at: typeof at === 'number' ? at : null,
    until: typeof until === 'number' ? until : null,
    version: typeof id === 'string' ? id : `${at ?? ''}`
  }
}

/** What is noted of an override, or of its reset; `null` for what cannot be read. */
export function readOverride(noted: string): StandingOverride | null {
  const change = readChange(noted)
  if (change?.kind === 'reset') return overrideBy(change)
  if (change?.kind !== 'override' || typeof change.changes !== 'object' || change.changes === null) return null
  return overrideBy(change)
}

/** When what is noted of a pause ended; 0 where it has not, or is not known to have. */
export function readEndOfPause(noted: string, now: number): number {
  if (noted.startsWith(RESUMED_MARK)) return Number.parseInt(noted.slice(RESUMED_MARK.length), 10) || 0
  const until = noted === '' ? null : readObject(noted)?.until
  return typeof until === 'number' && until <= now ? until : 0
}

function readObject(text = ''): Record<string, unknown> | null {
  try {
    const read: unknown = JSON.parse(text)
    return typeof read === 'object' && read !== null ? (read as Record<string, unknown>) : null
  } catch {
    return null
  }
}
