/** The file of `bench/peers/` that starts a peer's jobs. */
export type Peer = 'scheduler' | 'classic' | 'bullmq'

/** How tables and plots name them. */
export const NAMES: Readonly<Record<Peer | 'none', string>> = {
  none: 'no jobs',
  scheduler: 'ours',
  classic: 'croner with redlock (classic)',
  bullmq: 'BullMQ'
}

/** When all jobs are due at once: their cron expression. */
export const PATTERNS = {
  second: '* * * * * *',
  'even second': '*/2 * * * * *',
  'odd second': '1-59/2 * * * * *',
  // The next 29th of February: not in this run.
  never: '0 0 29 2 *'
} as const

/** The jobs of every replica, and when they are due. */
export interface Load {
  readonly jobs: number
  /** A number: every so many milliseconds, spread evenly over the seconds of that time. */
  readonly due: keyof typeof PATTERNS | number
}

/** How many ticks of all jobs together are due in so many milliseconds. */
export function ticksDue({ jobs, due }: Load, time: number): number {
  if (due === 'never') return 0
  const period = typeof due === 'number' ? due : due === 'second' ? 1000 : 2000
  return Math.round((jobs * time) / period)
}
