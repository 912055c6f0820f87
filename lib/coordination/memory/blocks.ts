import type { ClaimAnswer, ClaimBlocks } from '../../../types/coordination.js'

/** Of how many ticks it is remembered which blocks are taken. */
const MAX_TICKS = 64

/** Which blocks are taken, of the last ticks. */
export class TakenBlocks {
  readonly #names = new Map<number, Set<string>>()

  /** The waiting blocks that are taken. */
  among({ scheduledTime, waiting }: ClaimBlocks): string[] {
    const taken = this.#at(scheduledTime)
    return waiting.filter((name) => taken.has(name))
  }

  /** Notes which of the blocks that were asked for are taken now. */
  note({ scheduledTime, asked }: ClaimBlocks, answers: readonly ClaimAnswer[]): void {
    const taken = this.#at(scheduledTime)
    let at = 0
    for (const { name, size } of asked) {
      if (answers.slice(at, at + size).every(isTaken)) taken.add(name)
      at += size
    }
  }

  /** A claim of the tick was handed back: its block is not taken any more. */
  forget(scheduledTime: number): void {
    this.#names.delete(scheduledTime)
  }

  clear(): void {
    this.#names.clear()
  }

  #at(scheduledTime: number): Set<string> {
    let names = this.#names.get(scheduledTime)
    if (names === undefined) {
      names = new Set()
      this.#names.set(scheduledTime, names)
      if (this.#names.size > MAX_TICKS) this.#names.delete(this.#names.keys().next().value as number)
    }
    return names
  }
}

/** Whether an answer says that the tick is taken, so that nobody need ask for it again. */
function isTaken(answer: ClaimAnswer): boolean {
  return (
    answer.status === 'granted' ||
    answer.status === 'claimed_elsewhere' ||
    (answer.status === 'overlap' && answer.taken)
  )
}
