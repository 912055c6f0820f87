import type { ClaimBlocks } from '../../types/coordination.js'
import { nextInSequence } from '../base/sequence.js'
import type { JobBlock, JobRecord } from '../jobs/job.js'
import type { DueGroup } from './due-group.js'
import type { DueQueue } from './due-queue.js'
import type { TickRequest } from './tick-request.js'

/** How many blocks that still wait a call may ask about, whether other replicas have taken them. */
const MAX_WAITING_BLOCKS = 32

/** A call in flight, or one to repeat because its reply was lost. */
export interface ClaimCall {
  readonly id: string
  /** When the call was first made, in this process' sequence: a repeated call gets the answers of that time. */
  readonly askedAt: number
  readonly requests: readonly TickRequest[]
  /** `undefined` when the call requests no block. */
  readonly blocks: ClaimBlocks | undefined
}

export interface ClaimCallHooks {
  /** The request for a job's due tick, or `null` when none is due any more. */
  choose(job: JobRecord): TickRequest | null
  newRunId(): string
  /** Called for each waiting block whose tick is taken, according to the answer. */
  onBlockTaken(block: JobBlock, scheduledTime: number): void
}

/**
 * Makes a call for the next jobs in the queue: first whole blocks that share one tick, then the other jobs.
 *
 * @param room the most ticks it may request
 * @returns `null` when none of the jobs taken from the queue has a due tick any more
 */
export function makeCall(queue: DueQueue, room: number, hooks: ClaimCallHooks): ClaimCall | null {
  const none: TickRequest[] = []
  const wholeBlocks: TickRequest[][] = []
  const others: TickRequest[][] = []
  const blocks: { readonly name: string; readonly size: number }[] = []
  let scheduledTime: number | null = null
  for (const { block, jobs } of queue.takeNext(room)) {
    const chosen: TickRequest[] = []
    for (const job of jobs) {
      job.leaveQueue()
      const request = hooks.choose(job)
      if (request !== null) chosen.push(request)
    }
    const first: number | null = chosen[0]?.scheduledTime ?? null
    const isSame = first !== null && (scheduledTime === null || first === scheduledTime)
    if (isSame && block !== null && block.name !== null && coversWholeBlock(block, first, chosen)) {
      scheduledTime = first
      blocks.push({ name: block.name, size: chosen.length })
      wholeBlocks.push(chosen)
    } else {
      others.push(chosen)
    }
  }
  const requests = none.concat(...wholeBlocks, ...others)
  if (requests.length === 0) return null
  const about = scheduledTime === null ? undefined : describeBlocks(queue, scheduledTime, blocks, hooks)
  return { id: hooks.newRunId(), askedAt: nextInSequence(), requests, blocks: about }
}

/** The blocks that a call requests, and other blocks that wait with the same tick. */
function describeBlocks(
  queue: DueQueue,
  scheduledTime: number,
  asked: ClaimBlocks['asked'],
  { onBlockTaken }: ClaimCallHooks
): ClaimBlocks {
  const groups = new Map<string, DueGroup>()
  for (const group of queue.peek(MAX_WAITING_BLOCKS)) {
    const name = group.block?.name ?? null
    if (name !== null && group.tick?.scheduledTime === scheduledTime) groups.set(name, group)
  }
  const onTaken = (name: string): void => {
    const group = groups.get(name) as DueGroup
    const { block, tick } = group
    // The block's jobs may have changed since, or wait with a later tick.
    if (block?.name !== name || tick?.scheduledTime !== scheduledTime) return
    queue.drop(group)
    onBlockTaken(block, scheduledTime)
  }
  return { scheduledTime, asked, waiting: [...groups.keys()], onTaken }
}

/** Whether every job of a block is requested with this one tick, except for jobs whose tick is already taken. */
function coversWholeBlock(block: JobBlock, scheduledTime: number, requests: readonly TickRequest[]): boolean {
  let covered = 0
  for (const { job, kind, tick, coversUntil } of requests) {
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
