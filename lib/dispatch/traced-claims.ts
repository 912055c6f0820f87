import type { ClaimAnswer, ClaimBlocks, ClaimRequest, Coordination } from '../../types/coordination.js'
import { claimMessage, noteAnswers } from '../observability/claim-traces.js'
import { claimChannel } from '../observability/traces.js'

/** Asks the store for claims, each call traced where somebody subscribes. */
export class TracedClaims {
  readonly #coordination: Coordination
  readonly #replicaId: string

  constructor(coordination: Coordination, replicaId: string) {
    this.#coordination = coordination
    this.#replicaId = replicaId
  }

  /** As `Coordination.claim`. */
  ask(requests: readonly ClaimRequest[], callId?: string, blocks?: ClaimBlocks): Promise<readonly ClaimAnswer[]> {
    if (claimChannel.hasSubscribers) return this.#askTraced(requests, callId, blocks)
    return this.#coordination.claim(requests, callId, blocks)
  }

  async #askTraced(
    requests: readonly ClaimRequest[],
    callId: string | undefined,
    blocks: ClaimBlocks | undefined
  ): Promise<readonly ClaimAnswer[]> {
    const message = claimMessage(this.#replicaId, requests)
    let answers: readonly ClaimAnswer[] = []
    const ask = async (): Promise<void> => {
      answers = await this.#coordination.claim(requests, callId, blocks)
      noteAnswers(message, answers)
      // No answer is a value here, and an error in a trace.
      for (const answer of answers) if (answer.status === 'unavailable') throw answer.error
    }
    try {
      await claimChannel.tracePromise(ask, message)
    } catch (error) {
      if (answers.length === 0) throw error
    }
    return answers
  }
}
