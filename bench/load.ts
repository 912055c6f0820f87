/** The file of `bench/peers/` that starts a peer's jobs. */
export type Peer = 'scheduler' | 'classic' | 'bullmq' | 'ping'

/** How tables and plots name them. */
export const NAMES: Readonly<Record<Peer | 'none', string>> = {
  none: 'no jobs',
  scheduler: 'ours',
  classic: 'croner with redlock (classic)',
  bullmq: 'BullMQ',
  ping: 'a PING each second'
}

/** The jobs of every replica, and when they are due. */
export interface Load {
  readonly jobs: number
  /**
   * `second`: all at every second, by a cron expression. `never`: not in this run. A number: every so many
   * milliseconds, spread evenly over the seconds of that time.
   */
  readonly due: 'second' | 'never' | number
  /** By how many milliseconds all are due later; only of ours, and where `due` is a number. */
  readonly offset?: number
  /** How many slots each job has; only of ours. */
  readonly slots?: number
  /** How many runs of each job, asked for by hand, go on all the time; only of ours. */
  readonly held?: number
  /** Whether the history is kept, as it is by default; only of ours. */
  readonly history?: boolean
}
