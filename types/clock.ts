/** What a clock's timer gives back, to clear it. */
export interface TimerHandle {
  /** Clears the timer; without effect when it has fired. */
  cancel(): void
  /** Lets the process end although the timer is set. A clock of one's own may leave both out. */
  unref?(): void
  /** Keeps the process alive until the timer has fired, as at first. */
  ref?(): void
}

/** Where all of the scheduler's time comes from, so that a test can put its own in. */
export interface Clock {
  /** The wall clock: milliseconds since the Unix epoch. It may jump, either way. */
  now(): number
  /** A clock that never jumps: milliseconds since some point of its own. */
  monotonic(): number
  /** Calls back after `delay` milliseconds of `monotonic` time; at most 2^31-1. */
  setTimeout(callback: () => void, delay: number): TimerHandle
  /** Calls back once the event loop has had a turn. */
  setImmediate(callback: () => void): void
}
