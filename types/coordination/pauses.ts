/** Pauses by operators, of a job for the whole fleet. Those by code come with each claim and survey. */
export interface Pauses {
  /**
   * Pauses a job for the whole fleet.
   *
   * @throws RedisUnavailableError
   */
  pause(jobId: string, note: string | undefined): Promise<void>
  /**
   * Resumes a job for the whole fleet.
   *
   * @throws RedisUnavailableError
   */
  resume(jobId: string): Promise<void>
}
