/**
 * A part of the scheduler that works by itself, or holds something. The engine has a list of them, in the order of a tick's
 * path: it opens them all at once, starts them in that order, stops them in the opposite one, and waits for them and closes
 * them in that order, one after the other.
 */
export interface Part {
  /** Gets what it needs from outside, such as a connection; called once, before the first `start`. */
  open?(): Promise<void>
  /** Begins to work by itself; also again after `stop`. */
  start?(): void
  /** Begins nothing more by itself; what is under way goes on. */
  stop?(): void
  /** Resolves when nothing is under way. */
  settled?(): Promise<void>
  /** Lets go of what it holds: nothing is asked of it afterwards. */
  close?(): void | Promise<void>
}
