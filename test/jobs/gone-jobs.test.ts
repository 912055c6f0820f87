// What is remembered of jobs that were removed from this replica, or given another trigger.
import t from 'tap'
import { GoneJobs } from '../../lib/jobs/gone-jobs.js'
import type { JobRecord } from '../../lib/jobs/job.js'

/** What `GoneJobs` reads of a job and tells it. */
interface Standing {
  readonly job: JobRecord
  /** What the job was told when it entered: `null` when it was told to forget all. */
  remembered: readonly [firstPresentSince: number, accountedUntil: number, absences: unknown] | null
}

function standing(id: string, key: string, presentSince: number, changes: object = {}): Standing {
  const own: Standing = {
    remembered: null,
    job: {
      id,
      isOnce: false,
      trigger: { key, afterCompletion: null },
      presentSince,
      knownSince: presentSince,
      firstPresentSince: null,
      takenUntil: Number.NEGATIVE_INFINITY,
      accountedUntil: Number.NEGATIVE_INFINITY,
      absences: [],
      forget() {
        own.remembered = null
      },
      remember(...what: [number, number, unknown]) {
        own.remembered = what
      },
      ...changes
    } as unknown as JobRecord
  }
  return own
}

t.test('a job that comes back with its trigger learns since when it was here, and when it was not', async (t) => {
  const gone = new GoneJobs()
  gone.leave(standing('a', 'minutely', 100, { takenUntil: 250, accountedUntil: 200 }).job, 300)
  const other = standing('b', 'minutely', 400)
  gone.enter(other.job)
  t.equal(other.remembered, null, 'another job does not')
  const back = standing('a', 'minutely', 500)
  gone.enter(back.job)
  t.strictSame(back.remembered, [250, 200, [{ from: 300, until: 500 }]])
  const again = standing('a', 'minutely', 600)
  gone.enter(again.job)
  t.equal(again.remembered, null, 'once')
})

t.test('a job is remembered with each trigger that it had, the last eight of them', async (t) => {
  const gone = new GoneJobs()
  for (let index = 0; index < 10; index++) gone.leave(standing('a', `trigger-${index}`, index).job, 100 + index)
  const known = Array.from({ length: 10 }, (_, index) => {
    const back = standing('a', `trigger-${index}`, 500)
    gone.enter(back.job)
    return back.remembered?.[0] ?? null
  })
  t.strictSame(known, [null, null, 2, 3, 4, 5, 6, 7, 8, 9])
})

t.test('ten thousand jobs are remembered, those that left last', async (t) => {
  const gone = new GoneJobs()
  gone.leave(standing('job-0', 'minutely', 1).job, 2)
  for (let index = 1; index < 10_000; index++) gone.leave(standing(`job-${index}`, 'minutely', 1).job, 2)
  // It leaves once more, with another trigger, and so is not the first to be forgotten.
  gone.leave(standing('job-0', 'hourly', 1).job, 3)
  gone.leave(standing('job-10000', 'minutely', 1).job, 2)
  const isKnown = (id: string): boolean => {
    const back = standing(id, 'minutely', 500)
    gone.enter(back.job)
    return back.remembered !== null
  }
  t.strictSame(['job-0', 'job-1', 'job-2', 'job-10000'].map(isKnown), [true, false, true, true])
})

t.test(
  'nothing is remembered of a date, of an interval from the last end, of a job whose ticks have not begun',
  async (t) => {
    const gone = new GoneJobs()
    gone.leave(standing('a', 'date', 1, { isOnce: true }).job, 2)
    gone.leave(standing('b', 'completion', 1, { trigger: { key: 'completion', afterCompletion: 1000 } }).job, 2)
    gone.leave(standing('c', 'minutely', Number.NEGATIVE_INFINITY).job, 2)
    for (const [id, key] of [
      ['a', 'date'],
      ['b', 'completion'],
      ['c', 'minutely']
    ] as const) {
      const back = standing(id, key, 500)
      gone.enter(back.job)
      t.equal(back.remembered, null, id)
    }
  }
)
