// The due state of a job: which tick waits, for which others it stands, and what is known of those that are taken.
import t from 'tap'
import { DueState } from '../../lib/jobs/due-state.js'
import type { DueTick } from '../../lib/timetable/timetable.js'
import { resolveTrigger } from '../../lib/triggers/index.js'
import type { Trigger } from '../../types/trigger.js'

const SECOND = 1000
const NOW = 1_800_000_000_000

class Job extends DueState {
  readonly trigger: Trigger = resolveTrigger({ interval: '1s' }, { timezone: 'UTC' })
  readonly isOnce = false
  block: { pending: number; flushTaken(): void } | null = null
}

/** A tick so many seconds from now, which stands for those from `firstLate` seconds on. */
function tick(at: number, firstLate = at, caughtUp = false): DueTick {
  const scheduledTime = NOW + at * SECOND
  const following = scheduledTime + SECOND
  const first = NOW + firstLate * SECOND
  return { scheduledTime, dueTime: scheduledTime, following, firstLate: first, preceding: first - SECOND, caughtUp }
}

/** The tick that waits, and the first for which it stands, in seconds from now; `null` for none. */
function waits({ pending }: DueState): readonly [number, number] | null {
  return pending && [(pending.scheduledTime - NOW) / SECOND, (pending.firstLate - NOW) / SECOND]
}

t.test('a later tick stands for the one that waits', async (t) => {
  const job = new Job()
  t.equal(waits(job), null)
  const first = tick(1)
  job.addDue(first)
  t.equal(job.pending, first, 'one that is alone is the tick itself, which all jobs of a trigger share')
  job.addDue(tick(2))
  t.strictSame(waits(job), [2, 1])
  job.addDue(tick(5, 3))
  t.strictSame(waits(job), [5, 1])
  t.strictSame(job.takeDue()?.scheduledTime, NOW + 5 * SECOND)
  t.equal(waits(job), null)
  t.equal(job.takeDue(), null)
})

t.test('an earlier tick that is caught up on is stood for', async (t) => {
  const job = new Job()
  job.addDue(tick(5))
  job.addDue(tick(4, 2, true))
  t.strictSame(waits(job), [5, 2])
  job.addDue(tick(3, 3, true))
  t.strictSame(waits(job), [5, 2], 'one that is stood for already changes nothing')
})

t.test('an earlier tick is due in place of one of the future, after a clock was set back', async (t) => {
  const job = new Job()
  job.addDue(tick(5, 1))
  job.addDue(tick(2))
  t.strictSame(waits(job), [2, 2])
})

t.test('a tick that is put back waits beside what came due meanwhile', async (t) => {
  const job = new Job()
  job.putBack(tick(3, 1))
  t.strictSame(waits(job), [3, 1])
  const later = new Job()
  later.addDue(tick(5))
  later.putBack(tick(3, 1))
  t.strictSame(waits(later), [5, 1])
  later.putBack(tick(4, 2))
  t.strictSame(waits(later), [5, 1])
})

t.test('what is later than an answer covers waits on', async (t) => {
  const at = (seconds: number): number => NOW + seconds * SECOND
  const all = new Job()
  t.equal(all.keepDueAfter(tick(5, 1), at(5)), false)
  t.equal(waits(all), null)
  const some = new Job()
  t.equal(some.keepDueAfter(tick(5, 1), at(3)), true)
  t.strictSame(waits(some), [5, 4])
  const meanwhile = new Job()
  meanwhile.addDue(tick(7))
  t.equal(meanwhile.keepDueAfter(tick(5, 1), at(5)), true)
  t.strictSame(waits(meanwhile), [7, 7])
  t.equal(meanwhile.keepDueAfter(tick(5, 1), at(3)), true)
  t.strictSame(waits(meanwhile), [7, 4], 'what was due then is still to be had, too')
  t.equal(meanwhile.keepDueAfter(tick(5, 1), at(7)), false, 'also of what came due meanwhile')
  t.equal(waits(meanwhile), null)
  const beyond = new Job()
  beyond.addDue(tick(4))
  t.equal(beyond.keepDueAfter(tick(5, 1), at(4)), true)
  t.strictSame(waits(beyond), [5, 5])
})

t.test('a tick that stands for fewer than before does not say that those were accounted for', async (t) => {
  const job = new Job()
  job.keepDueAfter(tick(5, 1), NOW + 3 * SECOND)
  t.equal(job.pending?.preceding, NOW + 4 * SECOND - 1)
  const unknown = new Job()
  unknown.keepDueAfter({ ...tick(5, 1), preceding: null }, NOW + 3 * SECOND)
  t.equal(unknown.pending?.preceding, null, 'of the first tick that is not known')
})

t.test('its block knows how many of its jobs have a tick of their own', async (t) => {
  const job = new Job()
  job.block = { pending: 0, flushTaken() {} }
  job.addDue(tick(1))
  job.addDue(tick(2))
  t.equal(job.block.pending, 1)
  job.putBack(tick(1))
  t.equal(job.block.pending, 1)
  job.takeDue()
  job.takeDue()
  t.equal(job.block.pending, 0)
})

t.test('a hand-back is news once for each claim, and only of a tick of the trigger', async (t) => {
  const job = new Job()
  job.noteClaimedHere(NOW + 5 * SECOND)
  t.equal(job.noteHandedBack(NOW + 3 * SECOND + 1, 'foreign', 1), false)
  t.equal(job.takenUntil, NOW + 5 * SECOND)
  t.equal(job.noteHandedBack(NOW + 3 * SECOND, 'a', 1), true)
  t.equal(job.noteHandedBack(NOW + 3 * SECOND, 'a', 2), false)
  t.equal(job.noteHandedBack(NOW + 3 * SECOND, 'b', 3), true, 'another replica had it meanwhile')
  t.equal(job.takenUntil, NOW + 3 * SECOND - 1)
  t.equal(job.isFreeSince(NOW + 3 * SECOND, 2), true)
  t.equal(job.isFreeSince(NOW + 3 * SECOND, 3), false)
})

t.test('that Redis did not answer is news once a tick', async (t) => {
  const job = new Job()
  t.equal(job.noteUnanswered(1), true)
  t.equal(job.noteUnanswered(1), false)
  t.equal(job.noteUnanswered(2), true)
})

t.test('the times are corrected with the clock', async (t) => {
  const job = new Job()
  job.begin(NOW)
  job.noteAccounted(NOW + 10 * SECOND)
  job.noteClaimedHere(NOW + 10 * SECOND)
  job.noteUnlocked(NOW + 10 * SECOND)
  job.correct(NOW - 5, NOW + 2 * SECOND)
  t.equal(job.presentSince, NOW - 5)
  t.same([job.accountedUntil, job.takenUntil, job.lastUnlocked], [NOW + 2 * SECOND, NOW + 2 * SECOND, NOW + 2 * SECOND])
  t.equal(job.claimedUntil, Number.NEGATIVE_INFINITY)
  job.remember(NOW - 100, NOW + 2 * SECOND, [{ from: NOW - 50, until: NOW - 20 }])
  job.moveTimes(1500, NOW + 60 * SECOND)
  t.equal(job.presentSince, NOW - 5 + 1500)
  t.equal(job.firstPresentSince, NOW - 100 + 1500)
  t.strictSame(job.absences, [{ from: NOW - 50 + 1500, until: NOW - 20 + 1500 }])
  t.equal(job.accountedUntil, NOW + 3 * SECOND, 'the tick that was due then or next')
})
