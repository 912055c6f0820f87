import type { HistoryRun } from '../../../types/history.js'
import type { Run, RunTrigger } from '../../../types/run.js'

const TRIGGERS: readonly RunTrigger[] = ['schedule', 'manual', 'recovery', 'catch-up', 'start']

/** Numbers of a plain run: its nominal time, start, duration, fencing token, trigger and attempt. */
const WIDTH = 6

/**
 * The last runs of a job, up to a bound, in a ring. Of most runs, which succeed and have nothing to say, only numbers are kept:
 * objects that live for a hundred runs would cost a run without Redis several times what all else does.
 */
export class KeptRuns {
  /** An entry, or the id of a plain run. */
  readonly #runs: (HistoryRun | string)[] = []
  #numbers = new Float64Array(0)
  #place = 0
  /** The replica of all plain runs; another one's have entries. */
  #replicaId = ''

  add(run: HistoryRun, bound: number): void {
    this.#runs[this.#place] = run
    this.#step(bound)
  }

  /**
   * @param duration in milliseconds
   * @returns false where the run is to be added as an entry
   */
  addPlain(run: Run, duration: number, bound: number): boolean {
    const { id, scheduledTime, startedAt, fencingToken, trigger, attempt, replicaId, by } = run
    if (this.#replicaId === '') this.#replicaId = replicaId
    if (replicaId !== this.#replicaId || by !== null) return false
    const at = this.#place * WIDTH
    if (at >= this.#numbers.length) this.#grow(bound)
    const numbers = this.#numbers
    numbers[at] = scheduledTime
    numbers[at + 1] = startedAt
    numbers[at + 2] = duration
    numbers[at + 3] = fencingToken ?? Number.NaN
    numbers[at + 4] = TRIGGERS.indexOf(trigger)
    numbers[at + 5] = attempt
    this.#runs[this.#place] = id
    this.#step(bound)
    return true
  }

  /** The last that was added first, at most `count` of them. */
  read(jobId: string, count = this.#runs.length): HistoryRun[] {
    const runs: HistoryRun[] = []
    const { length } = this.#runs
    for (let back = 1; back <= Math.min(count, length); back++) {
      const place = (this.#place - back + length) % length
      const run = this.#runs[place] as HistoryRun | string
      runs.push(typeof run === 'string' ? this.#readPlain(jobId, run, place) : run)
    }
    return runs
  }

  #step(bound: number): void {
    this.#place = this.#place + 1 < bound ? this.#place + 1 : 0
  }

  #grow(bound: number): void {
    const grown = new Float64Array(WIDTH * Math.min(bound, Math.max(4, 2 * (this.#place + 1))))
    grown.set(this.#numbers)
    this.#numbers = grown
  }

  #readPlain(jobId: string, id: string, place: number): HistoryRun {
    const at = place * WIDTH
    const [scheduledTime = 0, startedAt = 0, duration = 0, token = 0, trigger = 0, attempt = 1] =
      this.#numbers.subarray(at)
    return {
      ...{ kind: 'run', id, jobId, scheduledTime, startedAt, attempt, slot: 1, replicaId: this.#replicaId, by: null },
      ...{ outcome: 'success', attempts: [], progress: null, result: null, error: null, log: [] },
      finishedAt: startedAt + Math.round(duration),
      duration: Math.round(duration * 10) / 10,
      fencingToken: Number.isNaN(token) ? null : token,
      trigger: TRIGGERS[trigger] as RunTrigger
    }
  }
}
