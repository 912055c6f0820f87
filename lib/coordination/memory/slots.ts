import type { ClaimRequest } from '../../../types/coordination.js'
import { isUnfinished } from '../claim-rules.js'
import { type ClaimRecord, isHeld, newRun, type SlotRecord } from './record.js'

// The slots of a job beyond the first, which is the record itself. The steps are those of lua/claim.lua.

/** A slot for a run; `null` where none is free, and then whether a run of one is to be taken over. */
export type FoundSlot =
  | { readonly slot: SlotRecord; readonly isLeft: false }
  | { readonly slot: null; readonly isLeft: boolean }

/** Whether a job has, or had, more slots than one. */
export function hasSlots(record: ClaimRecord, request: Pick<ClaimRequest, 'slots'>): boolean {
  return request.slots > 1 || record.slotCount > 1
}

/**
 * Finds a slot: the first if it is free, else any other. While replicas differ in how many there are, none begins a run
 * where as many go on as it has slots.
 */
export function findSlot(record: ClaimRecord, request: ClaimRequest, monotonic: number): FoundSlot {
  const { slots: count, runId } = request
  const isFirstLeft = isLeft(record, request, monotonic)
  if (record.slotCount > count) {
    const held = heldSlots(record, monotonic)
    if (held.length + (isHeld(record, monotonic) || isFirstLeft ? 1 : 0) >= count) {
      return { slot: null, isLeft: isFirstLeft }
    }
    if (held.every(({ slot }) => slot <= count)) record.slotCount = count
  }
  if (!isFirstLeft && (!isHeld(record, monotonic) || record.token === runId)) return { slot: record, isLeft: false }
  let left = isFirstLeft
  for (let number = 2; number <= count; number++) {
    const slot = record.slots?.get(number)
    if (slot === undefined) return { slot: addSlot(record, number), isLeft: false }
    if (isLeft(slot, request, monotonic)) left = true
    else if (!isHeld(slot, monotonic)) return { slot, isLeft: false }
  }
  return { slot: null, isLeft: left }
}

/** Whether a run is to be taken over before there is another one in its slot: its lock is free. */
export function isLeft(slot: SlotRecord, { rerun, runId }: ClaimRequest, monotonic: number): boolean {
  return rerun && !isHeld(slot, monotonic) && slot.runId !== runId && isUnfinished(slot)
}

/** A run takes a slot: how many there are is noted. */
export function noteTaken(record: ClaimRecord, { slot }: SlotRecord, { slots }: ClaimRequest): void {
  if (slot > 1) record.slotCount = Math.max(record.slotCount, slots)
}

/** The slot, other than the first, whose run is a request's own, as its reply was lost. */
export function slotOfRun(record: ClaimRecord, runId: string): SlotRecord | undefined {
  if (record.slots === null) return undefined
  return [...record.slots.values()].find((slot) => slot.runId === runId)
}

/** The slots beyond the first that are held. */
export function heldSlots(record: ClaimRecord, monotonic: number): SlotRecord[] {
  return record.slots === null ? [] : [...record.slots.values()].filter((slot) => isHeld(slot, monotonic))
}

/** The runs that have a slot. */
export function goingOn(record: ClaimRecord, monotonic: number): SlotRecord[] {
  const slots = [record, ...(record.slots?.values() ?? [])]
  return slots.filter((slot) => slot.runId !== '' && slot.token === slot.runId && isHeld(slot, monotonic))
}

/** Whether a run with a concurrency key goes on, or is to be taken over, other than the request's own. */
export function isKeyHeld(record: ClaimRecord, key: string, runId: string, monotonic: number): boolean {
  if (key === '') return false
  const runs = [record, ...(record.slots?.values() ?? [])].filter((run) => run.key === key && run.runId !== runId)
  return runs.some((run) => isUnfinished(run) || goingOn(record, monotonic).includes(run))
}

/** Forgets a slot whose run is over, unless another run has it by now. */
export function endSlot(record: ClaimRecord, slot: SlotRecord): void {
  if (record.slots?.get(slot.slot) === slot) record.slots.delete(slot.slot)
  if (record.slots?.size === 0) record.slots = null
}

function addSlot(record: ClaimRecord, number: number): SlotRecord {
  const slot: SlotRecord = { slot: number, ...newRun() }
  record.slots ??= new Map()
  record.slots.set(number, slot)
  return slot
}
