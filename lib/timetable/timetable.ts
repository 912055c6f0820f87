import type { Clock, TimerHandle } from '../../types/clock.js'
import type { Trigger } from '../../types/trigger.js'
import { Bag, type Placed } from '../base/bag.js'
import { isByHand, isFromCompletion, jitterOf, latestTick } from '../triggers/index.js'
import { Heap, type HeapNode } from './heap.js'

/** A job as the timetable sees it. */
export interface Timed extends Placed {
  readonly id: string
  readonly trigger: Trigger
  /** Whether no tick of it is due any more, though its trigger has further ones. */
  readonly hasEnded: boolean
  /** Called when the job's ticks begin: only those later than `now` are handed out. */
  begin(now: number): void
  /** The longest jitter in milliseconds; 0 for none. */
  readonly jitter: number
  /**
   * How long before the job's ticks begin a tick is still due, in milliseconds, so that a date is not lost that passes
   * just before the job is added or while the service starts. 0 for triggers with further ticks.
   */
  readonly lookBack: number
}

/** One tick of a job that is due now. */
export interface DueTick {
  /** The tick's nominal time. */
  readonly scheduledTime: number
  /** When the run is due: the nominal time plus its jitter. */
  readonly dueTime: number
  /** The tick after it, or `null` when there is none. */
  readonly following: number | null
  /** The earliest of the late ticks that this one stands for; its own time when it stands for itself alone. */
  readonly firstLate: number
  /** The tick before `firstLate` if it is known; else `null`. */
  readonly preceding: number | null
  /** Whether it was due before this process had the job, or was handed back by another replica. */
  readonly caughtUp: boolean
}

/** A tick that stands for itself alone and comes when it is due. */
function singleTick(scheduledTime: number): DueTick {
  const tick = { scheduledTime, dueTime: scheduledTime, following: null, firstLate: scheduledTime }
  return { ...tick, preceding: null, caughtUp: false }
}

/** All jobs of one trigger: one node of the heap, one computation per tick. */
interface TriggerGroup<Job extends Timed> extends HeapNode {
  readonly kind: 'group'
  readonly trigger: Trigger
  readonly jobs: Bag<Job>
  /** The last tick it handed out, or `null` before the first. */
  last: number | null
}

/** A wake-up of a single job: for a tick delayed by jitter, or to ask the store again. */
interface Alarm<Job extends Timed> extends HeapNode {
  readonly kind: 'alarm'
  readonly job: Job
  readonly tick: DueTick
}

export interface TimetableOptions<Job extends Timed> {
  readonly clock: Clock
  /** The time by which ticks are due. */
  readonly now: () => number
  /** Called once per due tick. */
  readonly onDue: (job: Job, tick: DueTick) => void
  /** Called after `onDue` was called for everything due at one time. */
  readonly onWoken: () => void
  /** Called with each tick of a trigger that is due: returns the jobs for which `onDue` is to be called, `null` for all. */
  readonly onTick?: (trigger: Trigger, tick: DueTick) => Iterable<Job> | null
  /** Called with each job whose trigger has no further tick. */
  readonly onFinished?: (job: Job) => void
  /** Called whenever it wakes up, before anything is handed out. */
  readonly onWake?: () => void
  /**
   * How long it sleeps at most, in milliseconds, also when nothing is due: a clock of which nobody says that it has jumped
   * forwards is noticed then.
   */
  readonly maxSleep: number
}

/**
 * Wakes the process for the next tick: one ordered structure and one timer for all jobs.
 *
 * Unless a caller asks for it (`resync`, `moveTimes`, `correct`), a tick that was handed out is never handed out again,
 * whatever the clock does. When the clock has passed several ticks of a group, the latest of them stands for all.
 */
export class Timetable<Job extends Timed> {
  readonly #options: TimetableOptions<Job>
  readonly #now: () => number
  readonly #onDue: (job: Job, tick: DueTick) => void
  readonly #heap = new Heap<TriggerGroup<Job> | Alarm<Job>>()
  readonly #groups = new Map<Trigger, TriggerGroup<Job>>()
  readonly #alarms = new Map<Job, Alarm<Job>>()
  /** Jobs added before the start. */
  readonly #waiting = new Set<Job>()
  #timer: TimerHandle | null = null
  #running = false

  constructor(options: TimetableOptions<Job>) {
    this.#options = options
    this.#now = options.now
    this.#onDue = options.onDue
  }

  /** The time by which ticks are due. */
  get now(): number {
    return this.#now()
  }

  /** Adds a job; its first tick is the first one later than now, or than the start. */
  add(job: Job): void {
    if (this.#running) this.#begin(job)
    else this.#waiting.add(job)
  }

  remove(job: Job): void {
    this.#waiting.delete(job)
    const alarm = this.#alarms.get(job)
    if (alarm !== undefined) {
      this.#alarms.delete(job)
      this.#heap.remove(alarm)
    }
    const group = this.#groups.get(job.trigger)
    if (group === undefined) return
    group.jobs.delete(job)
    if (group.jobs.size > 0) return
    this.#groups.delete(job.trigger)
    this.#heap.remove(group)
  }

  /** Hands out no more ticks of a job, though its trigger has further ones. */
  finish(job: Job): void {
    this.remove(job)
    this.#options.onFinished?.(job)
  }

  /**
   * Makes a job due at a time, in addition to its trigger's ticks. It replaces the job's pending wake-up, if there is
   * one.
   *
   * @param given the tick to hand out; by default one at that time
   */
  wake(job: Job, time: number, given?: DueTick): void {
    if (job.hasEnded) return
    const at = Math.ceil(time)
    const tick = given ?? singleTick(at)
    const old = this.#alarms.get(job)
    if (old !== undefined) this.#heap.remove(old)
    const alarm: Alarm<Job> = { kind: 'alarm', at, index: -1, job, tick }
    this.#alarms.set(job, alarm)
    this.#heap.push(alarm)
    if (this.#running && this.#heap.peek() === alarm) this.#rearm()
  }

  /**
   * The next tick of a job, even if jitter delays it; `null` when there is none. While the timetable does not run, it
   * is the tick that other replicas will run.
   */
  nextOf(job: Job): number | null {
    if (job.hasEnded) return null
    if (!this.#running) return isFromCompletion(job.trigger) ? null : job.trigger.next(this.#now())
    const group = this.#groups.get(job.trigger)
    const next = group !== undefined && group.index >= 0 ? group.at : null
    const waiting = this.#alarms.get(job)?.tick.scheduledTime ?? null
    return waiting === null || (next !== null && next < waiting) ? next : waiting
  }

  /**
   * Whether the job's trigger has no further tick; a tick of it may still wait for its time. A job without a trigger is
   * never over.
   */
  isOver(job: Job): boolean {
    if (isByHand(job.trigger)) return false
    if (job.hasEnded) return true
    const group = this.#groups.get(job.trigger)
    return group === undefined ? !this.#alarms.has(job) : group.index < 0
  }

  start(): void {
    if (this.#running) return
    this.#running = true
    for (const job of this.#waiting) this.#begin(job)
    this.#waiting.clear()
    this.#rearm()
  }

  stop(): void {
    this.#running = false
    this.#timer?.cancel()
    this.#timer = null
  }

  /**
   * Recomputes all next ticks after `now` has moved by a step. This may hand ticks out again, so only a caller whose
   * claims refuse a tick's second run may use it.
   */
  resync(): void {
    if (!this.#running) return
    const now = this.#now()
    for (const group of this.#groups.values()) {
      // A tick that the step has skipped is due, and late.
      if (group.index >= 0 && group.at <= now) continue
      this.#heap.remove(group)
      this.#enter(group)
    }
    this.#rearm()
  }

  /**
   * Switches to another clock, which `now` already follows and which is `step` ahead: continues with the ticks later
   * than its time. The caller has to bring earlier ticks and those that jitter delayed.
   */
  moveTimes(step: number): void {
    for (const alarm of [...this.#alarms.values()]) {
      const { job, at } = alarm
      if (isFromCompletion(job.trigger)) {
        this.wake(job, at + step)
      } else {
        this.#alarms.delete(job)
        this.#heap.remove(alarm)
      }
    }
    for (const group of this.#groups.values()) {
      group.last = null
      this.#heap.remove(group)
      this.#enter(group)
      if (group.index < 0) for (const job of group.jobs.copy()) this.#options.onFinished?.(job)
    }
    this.#rearm()
  }

  /**
   * Continues with the ticks later than `floor` after `now` was corrected by a step back. A trigger without further
   * ticks stays finished, as a date must not run twice.
   */
  correct(step: number, floor: number): void {
    const now = this.#now()
    for (const alarm of [...this.#alarms.values()]) {
      const { job, at, tick } = alarm
      if (at <= now) continue
      const group = this.#groups.get(job.trigger)
      if (group !== undefined && group.index >= 0) {
        // The group will hand this tick out again.
        this.#alarms.delete(job)
        this.#heap.remove(alarm)
      } else if (!isFromCompletion(job.trigger)) this.wake(job, at - step, tick)
      else this.wake(job, at - step)
    }
    for (const group of this.#groups.values()) {
      group.last = null
      if (group.index < 0 || group.at <= now) continue
      this.#heap.move(group, group.trigger.next(floor) ?? group.at)
    }
    this.#rearm()
  }

  /** Sets the timer for the first entry of the heap. */
  #rearm(): void {
    if (!this.#running) return
    const { clock, maxSleep } = this.#options
    this.#timer?.cancel()
    const first = this.#heap.peek()
    const wait = first === undefined ? maxSleep : Math.min(maxSleep, Math.ceil(first.at - this.#now()))
    this.#timer = clock.setTimeout(() => this.#wakeUp(), Math.max(1, wait))
  }

  #begin(job: Job): void {
    const { trigger, lookBack } = job
    const now = this.#now()
    job.begin(now)
    // Without a tick there is nothing to wake up for, and the job is not finished either.
    if (isByHand(trigger)) return
    if (isFromCompletion(trigger)) {
      // Only the store knows when the last run ended, so it is asked at once.
      this.wake(job, now)
      return
    }
    const past = lookBack === 0 ? null : trigger.next(now - lookBack)
    if (past !== null && past <= now) {
      const dueTime = past + jitterOf(job.id, past, job.jitter, null)
      this.wake(job, Math.max(now, dueTime), { ...singleTick(past), dueTime })
    }
    const late = this.#groups.get(trigger)
    if (late !== undefined && late.index >= 0 && late.at <= now) {
      // The group's overdue tick is handed out first, as it was due before this job was added.
      this.#fire(late, now)
      this.#options.onWoken()
    }
    const group = this.#groups.get(trigger)
    if (group !== undefined) {
      group.jobs.add(job)
      if (group.index < 0) this.#options.onFinished?.(job)
      return
    }
    const jobs = new Bag<Job>()
    jobs.add(job)
    const added: TriggerGroup<Job> = { kind: 'group', at: 0, index: -1, trigger, jobs, last: null }
    this.#groups.set(trigger, added)
    this.#enter(added)
    if (added.index < 0) this.#options.onFinished?.(job)
  }

  /** Adds a group to the heap by its next tick, if it has one. */
  #enter(group: TriggerGroup<Job>): void {
    const next = group.trigger.next(this.#now())
    if (next === null) return
    group.at = next
    this.#heap.push(group)
    if (this.#heap.peek() === group) this.#rearm()
  }

  #wakeUp(): void {
    this.#options.onWake?.()
    const now = this.#now()
    let woken = false
    // This ends, as each group leaves the heap or moves beyond `now`, and each alarm leaves it.
    for (let node = this.#heap.peek(); node !== undefined && node.at <= now; node = this.#heap.peek()) {
      woken = true
      if (node.kind === 'alarm') {
        this.#heap.remove(node)
        this.#alarms.delete(node.job)
        this.#onDue(node.job, node.tick)
      } else {
        this.#fire(node, now)
      }
    }
    if (woken) this.#options.onWoken()
    this.#rearm()
  }

  #fire(group: TriggerGroup<Job>, now: number): void {
    const { trigger } = group
    const firstLate = group.at
    let scheduledTime = firstLate
    let following = trigger.next(scheduledTime)
    if (following !== null && following <= now) {
      scheduledTime = latestTick(trigger, scheduledTime, now) ?? scheduledTime
      following = trigger.next(scheduledTime)
    }
    if (following === null) this.#heap.remove(group)
    else this.#heap.move(group, following)

    const period = following === null ? null : following - scheduledTime
    const preceding = group.last
    group.last = scheduledTime
    const tick: DueTick = {
      scheduledTime,
      dueTime: scheduledTime,
      following,
      firstLate,
      preceding,
      caughtUp: false
    }
    if (following === null) for (const job of group.jobs.copy()) this.#options.onFinished?.(job)
    // A handler that is called at once may add and remove jobs.
    for (const job of this.#options.onTick?.(trigger, tick) ?? group.jobs.copy()) {
      if (!group.jobs.has(job)) continue
      const delay = job.jitter === 0 ? 0 : jitterOf(job.id, scheduledTime, job.jitter, period)
      if (delay === 0) this.#onDue(job, tick)
      else this.wake(job, scheduledTime + delay, { ...tick, dueTime: scheduledTime + delay })
    }
  }
}
