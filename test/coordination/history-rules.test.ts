import t from 'tap'
import { forgottenUntil, MAX_RANGES, onePerRun, withoutCovered } from '../../lib/coordination/history-rules.js'
import type { HeldLock } from '../../types/coordination.js'
import type { HistoryRun, HistoryTicks } from '../../types/history.js'
import type { RunOutcome, SkipReason } from '../../types/run.js'
import { entryOf } from '../fixtures/contract/history-contract.js'

const NOW = 1_000_000
const BOUNDS = { runs: 3, retention: 500_000 }

function run(token: string, outcome: RunOutcome, startedAt: number, changes: Partial<HistoryRun> = {}): HistoryRun {
  const lock: HeldLock = { name: 'job', kind: 'job', token, ttl: 0, validUntil: 0 }
  return entryOf(lock, { outcome, startedAt, finishedAt: startedAt + 10, ...changes })
}

function ticks(first: number, last: number, reason: SkipReason = 'paused'): HistoryTicks {
  return { kind: 'ticks', jobId: 'job', first, last, count: last - first + 1, reason, by: 'replica', at: NOW }
}

t.test('of several entries of a run the last counts, unless it was recorded as abandoned', async (t) => {
  const told = [run('a', 'lock_lost', 20), run('b', 'error', 30), run('a', 'success', 20)]
  t.same(
    onePerRun(told).map(({ id, outcome }) => [id, outcome]),
    [
      ['b', 'error'],
      ['a', 'lock_lost']
    ]
  )
  const late = [run('a', 'success', 20), run('a', 'abandoned', 20)]
  t.match(onePerRun(late), [{ outcome: 'abandoned' }])
  t.match(onePerRun([...late].reverse()), [{ outcome: 'abandoned' }])
})

t.test('what lies before the first entry that is kept may have been forgotten', async (t) => {
  const retained = NOW - BOUNDS.retention
  const of = (...entries: (HistoryRun | null)[]): number => forgottenUntil(entries, [], BOUNDS, NOW)
  t.equal(of(run('b', 'success', 900_000), run('a', 'success', 800_000)), retained, 'there is room')
  const [a, b, c] = [run('a', 'success', 700_000), run('b', 'success', 800_000), run('c', 'success', 900_000)]
  t.equal(of(c, b, a), 700_010)
  t.equal(of(run('c', 'success', 900_000, { scheduledTime: 5 }), b, a), 700_010, 'whatever tick was run again')
  t.equal(of(run('b', 'lock_lost', 800_000), b, a), 700_010, 'also where entries are of one run')
  t.equal(of(c, b, null), 800_010, 'or cannot be read')
  t.equal(
    of(c, b, run('dead', 'abandoned', 600_000)),
    800_010,
    'a run that was found to be abandoned ended long before'
  )
  t.equal(of(null, null, null), NOW)
  const ranges = Array.from({ length: MAX_RANGES }, (_, index) => ticks(NOW - index, NOW - index))
  t.equal(forgottenUntil([], ranges, BOUNDS, NOW), NOW - MAX_RANGES)
  t.equal(forgottenUntil([], ranges.slice(1), BOUNDS, NOW), retained)
})

t.test('ranges of several masters: those that lie within others are left out', async (t) => {
  const whole = ticks(10, 19)
  t.same(withoutCovered([whole, ticks(10, 12), ticks(15, 19), whole]), [whole])
  t.same(withoutCovered([ticks(20, 25), whole, ticks(30, 31)]), [ticks(30, 31), ticks(20, 25), whole])
  t.same(withoutCovered([whole, ticks(12, 12, 'overlap')]), [ticks(12, 12, 'overlap'), whole])
})
