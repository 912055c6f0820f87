import type { ClaimAnswer, ClaimRequest, HeldLock } from '../../types/coordination.js'
import type { ClaimTrace, ClaimTraceRequest } from '../../types/traces.js'

/** The message of the claim that has granted a lock, where that was traced. */
const claimOf = new WeakMap<HeldLock, ClaimTrace>()

/** The message of a claim. */
export type ClaimMessage = { -readonly [Key in keyof ClaimTrace]: ClaimTrace[Key] }

/** The message of a claim that is about to be asked for. */
export function claimMessage(replicaId: string, requests: readonly ClaimRequest[]): ClaimMessage {
  return { replicaId, requests: requests.map(traced), granted: [] }
}

/** The claim is answered: what it has granted leads back to it. */
export function noteAnswers(message: ClaimMessage, answers: readonly ClaimAnswer[]): void {
  const granted: string[] = []
  for (const [index, { runId }] of message.requests.entries()) {
    const answer = answers[index]
    if (answer?.status !== 'granted' || answer.lock === null) continue
    granted.push(runId)
    claimOf.set(answer.lock, message)
  }
  message.granted = granted
}

/** The claim that has granted a lock; `null` for none, or if it was not traced. */
export function tracedClaimOf(lock: HeldLock | null): ClaimTrace | null {
  return lock === null ? null : (claimOf.get(lock) ?? null)
}

function traced({ jobId, runId, kind, scheduledTime, afterCompletion }: ClaimRequest): ClaimTraceRequest {
  const isKnown = scheduledTime >= 0 && (afterCompletion === 0 || kind === 'manual' || kind === 'start')
  return { jobId, runId, kind, scheduledTime: isKnown ? scheduledTime : null }
}
