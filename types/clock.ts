/** A timer of a clock. */
export interface TimerHandle {
  /** Cancels the timer; does nothing if it has fired. */
  cancel(): void
  /** Lets the process end although the timer is pending. A custom clock may omit `unref` and `ref`. */
  unref?(): void
  /** Makes the timer keep the process alive again, as it does by default. */
  ref?(): void
}

/** The source of all of the scheduler's time; tests can replace it. */
export interface Clock {
  /** The wall clock, in milliseconds since the Unix epoch. It may jump, forwards or backwards. */
  now(): number
  /** A clock that never jumps, in milliseconds since an arbitrary point. */
  monotonic(): number
  /** Calls back after `delay` milliseconds of `monotonic` time; `delay` is at most 2^31-1. */
  setTimeout(callback: () => void, delay: number): TimerHandle
  /** Calls back on the next turn of the event loop. */
  setImmediate(callback: () => void): void
}
