// What becomes of a tick that was asked for, as a table: the answer, the job and the situation in, the outcome out.
import t from 'tap'
import { systemClock } from '../../lib/base/clock.js'
import { decide, grantedTick, type Outcome, type Situation, type TickAnswer } from '../../lib/dispatch/outcome.js'
import { TickRequest } from '../../lib/dispatch/tick-request.js'
import { Blocks } from '../../lib/jobs/blocks.js'
import type { HandlerResolver } from '../../lib/jobs/handler.js'
import type { JobRecord } from '../../lib/jobs/job.js'
import { resolveDefaults } from '../../lib/jobs/options.js'
import { JobRegistry } from '../../lib/jobs/registry.js'
import { createStats } from '../../lib/jobs/stats.js'
import { eventLoop } from '../../lib/runs/executors/event-loop.js'
import { type DueTick, Timetable } from '../../lib/timetable/timetable.js'
import type { HeldLock } from '../../types/coordination.js'
import type { JobOptions } from '../../types/job-options.js'

const SECOND = 1000
const NOW = 1_800_000_000_000
/** The tick that is asked for: of this very second. */
const TICK = NOW
/** Now, on the monotonic clock. */
const MONOTONIC = 5000

const SITUATION: Situation = { now: NOW, monotonic: MONOTONIC, askedAt: 10, takesNoTicks: false, runsUnclaimed: false }

interface Case {
  readonly what: string
  readonly answer: TickAnswer
  readonly outcome: Outcome
  readonly job?: Partial<JobOptions>
  readonly situation?: Partial<Situation>
  /** What happens to the job after the tick was asked for. */
  readonly meanwhile?: (job: JobRecord, jobs: JobRegistry) => void
  /** By how much the tick is older than this second. */
  readonly age?: number
}

const lock = (validUntil = MONOTONIC + SECOND): HeldLock => {
  return { name: 'job', kind: 'job', token: 'run', ttl: 30 * SECOND, validUntil }
}

const granted = (given: HeldLock | null = lock(), scheduledTime = TICK): TickAnswer => {
  return { status: 'granted', lock: given, fencingToken: 1, previous: null, resumedAt: null, scheduledTime, attempt: 1 }
}

const unavailable = (maybe: boolean, unreadable?: true): TickAnswer => {
  const answer = { status: 'unavailable', error: new Error('no answer'), maybe } as const
  return unreadable ? { ...answer, unreadable } : answer
}

const overlap = (taken: boolean): TickAnswer => {
  return { status: 'overlap', taken, isLeft: false, previous: null, resumedAt: null }
}

const queued: TickAnswer = { status: 'queued', displaced: null, replaces: null, previous: null, resumedAt: null }

const elsewhere = { status: 'claimed_elsewhere', last: null, by: 'another', previous: null } as TickAnswer

const remove = (_job: JobRecord, jobs: JobRegistry): void => void jobs.remove('job')
const retime = (_job: JobRecord, jobs: JobRegistry): void => void jobs.modify('job', { trigger: { interval: '7s' } })
const ranUnclaimed = (job: JobRecord): void => job.noteAccounted(TICK)

const CASES: readonly Case[] = [
  { what: 'a tick that is granted', answer: granted(), outcome: 'run' },
  {
    what: 'one of a job that has another trigger by now: it was taken, and nobody else can have it',
    answer: granted(),
    outcome: 'run',
    meanwhile: retime
  },
  { what: 'one that is too late by now', answer: granted(), outcome: 'missed', situation: { now: NOW + 60 * SECOND } },
  {
    what: 'one within a longer grace',
    answer: granted(),
    outcome: 'run',
    job: { misfireGraceTime: '2m' },
    age: 60 * SECOND
  },
  { what: 'one that was taken to be counted', answer: granted(null), outcome: 'missed' },
  {
    what: 'one that an operator has skipped',
    answer: { ...granted(null), isSkipped: true } as TickAnswer,
    outcome: 'skipped'
  },
  {
    what: 'one that an operator has skipped, which some of several masters have given a lock',
    answer: { ...granted(), isSkipped: true } as TickAnswer,
    outcome: 'skipped',
    situation: { now: NOW + 60 * SECOND }
  },
  {
    what: 'one that was taken to be counted, where no runs begin: it is counted all the same',
    answer: granted(null),
    outcome: 'missed',
    situation: { takesNoTicks: true }
  },
  {
    what: 'one beside a run without a claim',
    answer: granted(),
    outcome: 'overlap_unclaimed',
    situation: { runsUnclaimed: true }
  },
  {
    what: 'one that is too late, beside a run without a claim',
    answer: granted(),
    outcome: 'missed',
    situation: { runsUnclaimed: true, now: NOW + 60 * SECOND }
  },
  { what: 'one that has run without a claim', answer: granted(), outcome: 'ran_unclaimed', meanwhile: ranUnclaimed },
  {
    what: 'one that has run without a claim, and its lock is over: it is not asked for once more',
    answer: granted(lock(MONOTONIC)),
    outcome: 'ran_unclaimed',
    meanwhile: ranUnclaimed
  },
  {
    what: 'one that has run without a claim, where no runs begin: it is not free for others',
    answer: granted(),
    outcome: 'ran_unclaimed',
    meanwhile: ranUnclaimed,
    situation: { takesNoTicks: true }
  },
  {
    what: 'one that a job with this trigger has run, which is another now: it says nothing of that',
    answer: granted(),
    outcome: 'run',
    meanwhile: (job, jobs) => {
      ranUnclaimed(job)
      retime(job, jobs)
    }
  },
  { what: 'one where no runs begin', answer: granted(), outcome: 'not_taken', situation: { takesNoTicks: true } },
  { what: 'one of a job that was removed', answer: granted(), outcome: 'not_taken', meanwhile: remove },
  {
    what: 'one that is too late, where no runs begin: others may count it',
    answer: granted(),
    outcome: 'not_taken',
    situation: { takesNoTicks: true, now: NOW + 60 * SECOND }
  },
  { what: 'one whose lock is over, to the millisecond', answer: granted(lock(MONOTONIC)), outcome: 'lock_over' },
  { what: 'one whose lock is not over yet', answer: granted(lock(MONOTONIC + 1)), outcome: 'run' },
  {
    what: 'one whose lock is over, where no runs begin',
    answer: granted(lock(MONOTONIC - 1)),
    outcome: 'lock_over',
    situation: { takesNoTicks: true }
  },
  {
    what: 'an interval from the last end, however late',
    answer: granted(lock(), TICK - 3600 * SECOND),
    outcome: 'run',
    job: { trigger: { interval: '10s', after: 'completion' } }
  },
  {
    what: 'an interval from the last end that has run without a claim, as the store has it',
    answer: granted(lock(), TICK - 5),
    outcome: 'ran_unclaimed',
    job: { trigger: { interval: '10s', after: 'completion' } },
    meanwhile: (job) => job.noteAccounted(TICK - 5)
  },
  {
    what: 'an interval from the last end that is later than what has run without a claim',
    answer: granted(lock(), TICK - 4),
    outcome: 'run',
    job: { trigger: { interval: '10s', after: 'completion' } },
    meanwhile: (job) => job.noteAccounted(TICK - 5)
  },
  { what: 'a tick that another replica has', answer: elsewhere, outcome: 'claimed_elsewhere' },
  {
    what: 'one that was handed back after it was asked for',
    answer: elsewhere,
    outcome: 'free_again',
    meanwhile: (job) => void job.noteHandedBack(TICK, 'another', 11)
  },
  {
    what: 'one that was handed back before, and has been taken again by now',
    answer: elsewhere,
    outcome: 'claimed_elsewhere',
    meanwhile: (job) => void job.noteHandedBack(TICK, 'another', 9)
  },
  {
    what: 'one of which another tick was handed back',
    answer: elsewhere,
    outcome: 'claimed_elsewhere',
    meanwhile: (job) => void job.noteHandedBack(TICK + SECOND, 'another', 11)
  },
  { what: 'a tick beside another run', answer: overlap(true), outcome: 'overlap' },
  { what: 'one that waits for another run', answer: overlap(false), outcome: 'wait_for_lock' },
  { what: 'one that waits in the store for a slot', answer: queued, outcome: 'queued' },
  {
    what: 'a tick of a job that has had all of its runs',
    answer: { status: 'ended', last: 0, isSettled: true },
    outcome: 'ended'
  },
  { what: 'a tick of a paused job', answer: { status: 'paused', first: true, previous: null }, outcome: 'paused' },
  {
    what: 'one that another replica counts',
    answer: { status: 'paused', first: false, previous: null, by: '' } as TickAnswer,
    outcome: 'paused_elsewhere'
  },
  { what: 'a tick that is not due yet', answer: { status: 'early', due: NOW + 5 }, outcome: 'early' },
  {
    what: 'one of a job that was removed',
    answer: { status: 'early', due: NOW + 5 },
    outcome: 'outdated',
    meanwhile: remove
  },
  { what: 'one of another trigger', answer: { status: 'early', due: NOW + 5 }, outcome: 'outdated', meanwhile: retime },
  { what: 'a tick of a job that was overridden', answer: { status: 'stale' }, outcome: 'stale' },
  { what: 'one that was retimed since', answer: { status: 'stale' }, outcome: 'outdated', meanwhile: retime },
  { what: 'a record that cannot be read', answer: unavailable(false, true), outcome: 'unreadable' },
  { what: 'a reply that was lost', answer: unavailable(true), outcome: 'maybe_claimed' },
  { what: 'a request that was lost', answer: unavailable(false), outcome: 'not_claimed' },
  {
    what: 'a request that was lost, where no runs begin',
    answer: unavailable(false),
    outcome: 'not_claimed',
    situation: { takesNoTicks: true }
  }
]

function tickAt(scheduledTime: number): DueTick {
  const tick = {
    scheduledTime,
    dueTime: scheduledTime,
    following: scheduledTime + 60 * SECOND,
    firstLate: scheduledTime
  }
  return { ...tick, preceding: scheduledTime - SECOND, caughtUp: false }
}

function ask(options: Partial<JobOptions> = {}, age = 0): { asked: TickRequest; job: JobRecord; jobs: JobRegistry } {
  const timetable = new Timetable<JobRecord>({
    clock: systemClock,
    now: () => NOW,
    onDue() {},
    onWoken() {},
    maxSleep: 1000
  })
  const stats = createStats(null, true)
  const blocks = new Blocks<JobRecord>(true)
  const onEventLoop: HandlerResolver = (work) => ({ executor: eventLoop, work })
  const jobs = new JobRegistry(
    resolveDefaults(undefined),
    onEventLoop,
    'UTC',
    stats.newStats,
    timetable,
    blocks,
    () => {}
  )
  const job = jobs.add({ id: 'job', trigger: { interval: '1s' }, handler() {}, ...options } as JobOptions)
  return { asked: new TickRequest(job, null, tickAt(TICK - age), 'run', NOW), job, jobs }
}

for (const { what, answer, outcome, job: options, situation, meanwhile, age } of CASES) {
  t.test(`${answer.status}: ${what}`, async (t) => {
    const { asked, job, jobs } = ask(options, age)
    meanwhile?.(job, jobs)
    const before = { pending: job.pending, taken: job.takenUntil, own: job.claimedUntil, until: job.accountedUntil }
    t.equal(decide(asked, answer, { ...SITUATION, ...situation }), outcome)
    const after = { pending: job.pending, taken: job.takenUntil, own: job.claimedUntil, until: job.accountedUntil }
    t.strictSame(after, before, 'nothing was changed')
  })
}

t.test('the tick that is granted is the one that was asked for, but for intervals from the last end', async (t) => {
  const answer = granted(lock(), TICK - 7) as Extract<TickAnswer, { status: 'granted' }>
  t.equal(grantedTick(ask().asked, answer), TICK)
  t.equal(grantedTick(ask({ trigger: { interval: '10s', after: 'completion' } }).asked, answer), TICK - 7)
})

t.test('every outcome is in the table', async (t) => {
  const all: Record<Outcome, true> = {
    run: true,
    missed: true,
    skipped: true,
    ran_unclaimed: true,
    overlap_unclaimed: true,
    not_taken: true,
    lock_over: true,
    early: true,
    outdated: true,
    stale: true,
    overlap: true,
    wait_for_lock: true,
    queued: true,
    ended: true,
    paused: true,
    paused_elsewhere: true,
    claimed_elsewhere: true,
    free_again: true,
    unreadable: true,
    maybe_claimed: true,
    not_claimed: true
  }
  t.strictSame(new Set(CASES.map(({ outcome }) => outcome)), new Set(Object.keys(all)))
})
