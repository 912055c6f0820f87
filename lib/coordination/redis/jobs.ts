import type { Cluster, Redis } from 'ioredis'
import type { Fingerprint, JobState, SurveyRequest } from '../../../types/coordination.js'
import { DAY } from '../../base/duration.js'
import type { ScriptCommands } from './commands.js'
import { readState } from './job-state.js'
import type { Keys } from './keys.js'
import type { RedisLink } from './link.js'
import { readRecord } from './record.js'
import { writePauses, writeSince } from './requests.js'

/** How many jobs go into one command. */
const CHUNK = 1000

export interface RedisJobsOptions {
  readonly client: Redis | Cluster
  readonly link: RedisLink
  readonly commands: ScriptCommands
  readonly keys: Keys
  /** Called with the id of a job whose record cannot be read. */
  onUnreadable(jobId: string): void
  /** Called with the id of a job for which something waits. */
  onWaiting(jobId: string): void
}

/** What one Redis knows of jobs beside their claims: whether they are paused, since when they are there, how they are defined. */
export class RedisJobs {
  readonly #options: RedisJobsOptions

  constructor(options: RedisJobsOptions) {
    this.#options = options
  }

  async survey(jobs: readonly SurveyRequest[]): Promise<readonly JobState[]> {
    const states: JobState[] = []
    for (let start = 0; start < jobs.length; start += CHUNK) {
      states.push(...(await this.#surveyChunk(jobs.slice(start, start + CHUNK))))
    }
    return states
  }

  async #surveyChunk(jobs: readonly SurveyRequest[]): Promise<JobState[]> {
    const { client, link, commands, keys, onUnreadable, onWaiting } = this.#options
    const [pauses, records, times, waiting] = await link.command('read jobs', () =>
      Promise.all([
        commands.rlsPauses(1, keys.fence, writePauses(jobs)),
        client.mget(jobs.map(({ jobId }) => keys.claim(jobId))),
        commands.rlsSince(1, keys.fence, writeSince(jobs)),
        client.zrange(keys.waiting, '0', `${CHUNK - 1}`)
      ])
    )
    for (const jobId of waiting) onWaiting(jobId)
    const since = times.split(' ')
    return jobs.map((job, index) => {
      const text = records[index] ?? null
      const record = text === null ? null : readRecord(text)
      if (text !== null && record === null) onUnreadable(job.jobId)
      return readState(job, record, pauses[index] ?? '', job.since === null ? null : Number(since[index]))
    })
  }

  async shareDefinition(jobId: string, own: Fingerprint, text: string, other: Fingerprint): Promise<string | null> {
    const { client, link, keys } = this.#options
    try {
      await link.exchange(() => client.set(keys.definition(own, jobId), text, 'PX', DAY))
      return await link.exchange(() => client.get(keys.definition(other, jobId)))
    } catch (error) {
      link.unavailable('compare definitions', error)
      return null
    }
  }
}
