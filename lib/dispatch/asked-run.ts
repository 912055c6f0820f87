/** A run by hand, as it was asked for. */
export interface AskedRun {
  readonly data: unknown
  /** Its concurrency key, `''` for none. */
  readonly key: string
  /** Who asks for it. */
  readonly by: string | null
  /** Its nominal time; `null` for when it is asked for. */
  readonly scheduledTime: number | null
}
