import type { Fingerprint } from './fingerprint.js'

/** What the store remembers of jobs, for a replica that starts or may have missed something. */
export interface JobStates {
  /**
   * What the store remembers of jobs, in the order given.
   *
   * @throws RedisUnavailableError
   */
  survey(jobs: readonly SurveyRequest[]): Promise<readonly JobState[]>
}

/** How replicas compare definitions of a job that differ. */
export interface Definitions {
  /**
   * Publishes what a definition of a job says, for a replica that has another one, and reads what that other one says.
   *
   * @returns `null` when that is not known, or the store does not answer
   */
  shareDefinition(jobId: string, own: Fingerprint, text: string, other: Fingerprint): Promise<string | null>
}

/** What a store is asked about a job. */
export interface SurveyRequest {
  readonly jobId: string
  readonly fingerprint: Fingerprint
  /** As in a claim's request. */
  readonly pausedInitially: boolean
  /**
   * As in a claim's request.
   *
   * @default ''
   */
  readonly group?: string
  /** Since when this replica has had the job with this trigger; `null` where nothing follows from that. */
  readonly since: number | null
  /** Whether `since` is noted only in place of another trigger's: a date is accounted for without. */
  readonly isOnce: boolean
  /** Up to when no tick is left to account for, as far as this replica knows, should the store know nothing. */
  readonly accounted: number
  /** For how long that, and the last claim, must be remembered at least, in milliseconds. */
  readonly retention: number
}

/** What a store remembers of a job. */
export interface JobState {
  readonly paused: boolean
  /** The last tick that was claimed for this trigger, or when the job was resumed if that was later; `null` for neither. */
  readonly previous: number | null
  /**
   * Since when the fleet has had the job with this trigger, so that its first tick is accounted for like any other: what
   * the first replica to have it said, since another trigger was in its place.
   */
  readonly since: number | null
  /** How many runs of it have begun, as far as they are counted. */
  readonly runs: number
  /** Whether a run has begun and not ended, so that it may have to be taken over. */
  readonly unfinished: boolean
}
