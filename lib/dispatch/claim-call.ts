import type { ClaimBlocks } from '../../types/coordination.js'
import { nextInSequence } from '../base/sequence.js'
import type { JobBlock, JobRecord } from '../jobs/job.js'
import type { AskedTick } from './asked-tick.js'
import type { DueGroup, DueQueue } from './due-queue.js'

/** Of how many blocks that wait to be asked for a call asks whether they are taken. */
const MAX_WAITING = 32

/** A call under way, or to be repeated as its reply was lost. */
export interface ClaimCall {
  readonly id: string
  /** When it was first made, in this process' sequence: a repeated call gets the answers it had then. */
  readonly askedAt: number
  readonly asked: readonly AskedTick[]
  /** `undefined` when it asks for no block. */
  readonly blocks: ClaimBlocks | undefined
}

export interface CallMaker {
  /** What is to be asked for of a job, or `null` when there is nothing any more. */
  choose(job: JobRecord): AskedTick | null
  newRunId(): string
  /** Called for each block that waits, and whose tick the answer says is taken. */
  onBlockTaken(block: JobBlock, scheduledTime: number): void
}

/**
 * Makes a call of the next jobs that wait, those that are whole blocks with one tick before the others.
 *
 * @param room how many it may ask for at most
 * @returns `null` when nothing is left to be asked for of the jobs that were taken from the queue
 */
export function makeCall(queue: DueQueue, room: number, maker: CallMaker): ClaimCall | null {
  const none: AskedTick[] = []
  const whole: AskedTick[][] = []
  const alone: AskedTick[][] = []
  const blocks: { readonly name: string; readonly size: number }[] = []
  let scheduledTime: number | null = null
  for (const { block, jobs } of queue.take(room)) {
    const chosen: AskedTick[] = []
    for (const job of jobs) {
      job.leaveQueue()
      const one = maker.choose(job)
      if (one !== null) chosen.push(one)
    }
    const first: number | null = chosen[0]?.scheduledTime ?? null
    const isSame = first !== null && (scheduledTime === null || first === scheduledTime)
    if (isSame && block !== null && block.name !== null && isWhole(block, first, chosen)) {
      scheduledTime = first
      blocks.push({ name: block.name, size: chosen.length })
      whole.push(chosen)
    } else {
      alone.push(chosen)
    }
  }
  const asked = none.concat(...whole, ...alone)
  if (asked.length === 0) return null
  const about = scheduledTime === null ? undefined : askAbout(queue, scheduledTime, blocks, maker)
  return { id: maker.newRunId(), askedAt: nextInSequence(), asked, blocks: about }
}

/** What a call says of blocks: those it asks for, and others that wait for the same tick. */
function askAbout(
  queue: DueQueue,
  scheduledTime: number,
  asked: ClaimBlocks['asked'],
  { onBlockTaken }: CallMaker
): ClaimBlocks {
  const groups = new Map<string, DueGroup>()
  for (const group of queue.peek(MAX_WAITING)) {
    const name = group.block?.name ?? null
    if (name !== null && group.tick?.scheduledTime === scheduledTime) groups.set(name, group)
  }
  const onTaken = (name: string): void => {
    const group = groups.get(name) as DueGroup
    const { block, tick } = group
    // Its jobs may be others by now, or have a later tick.
    if (block?.name !== name || tick?.scheduledTime !== scheduledTime) return
    queue.drop(group)
    onBlockTaken(block, scheduledTime)
  }
  return { scheduledTime, asked, waiting: [...groups.keys()], onTaken }
}

/** Whether all jobs of a block are asked for with one tick, but for those whose tick is taken already. */
function isWhole(block: JobBlock, scheduledTime: number, asked: readonly AskedTick[]): boolean {
  let covered = 0
  for (const { job, kind, tick, coversUntil } of asked) {
    if (
      job.block !== block ||
      kind !== 'tick' ||
      tick.scheduledTime !== scheduledTime ||
      coversUntil !== scheduledTime
    ) {
      return false
    }
    if (job.takenUntil < scheduledTime) covered++
  }
  if (covered === block.jobs.length) return true
  for (const { takenUntil } of block.jobs) if (takenUntil >= scheduledTime) covered++
  return covered === block.jobs.length
}
