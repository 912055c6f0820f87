import t from 'tap'
import { type OldestRun, UsualDurations } from '../../lib/observability/metrics/usual-durations.js'
import type { HistoryRun } from '../../types/history.js'

const MINUTE = 60_000
const NOW = 100 * MINUTE

type Ended = readonly [outcome: string, duration: number]

function runsOf(...runs: readonly Ended[]): HistoryRun[] {
  return runs.map(([outcome, duration]) => ({ outcome, duration }) as HistoryRun)
}

/** The oldest run of a job, which has gone on for so long. */
function oldest(jobId: string, age: number, id = `run of ${jobId}`): OldestRun {
  return { jobId, id, startedAt: NOW - age }
}

t.test('the history is read of jobs with a long run alone, and once for each run', async (t) => {
  const read: string[] = []
  const usual = new UsualDurations(async (jobId) => {
    read.push(jobId)
    return runsOf(['success', 5])
  })
  await usual.refresh([oldest('a', MINUTE), oldest('b', MINUTE - 1)], NOW)
  t.same(read, ['a'])
  t.same([usual.of('a'), usual.of('b')], [5, 0])
  await usual.refresh([oldest('a', 2 * MINUTE), oldest('b', 2 * MINUTE)], NOW)
  t.same(read, ['a', 'b'])
  await usual.refresh([oldest('a', MINUTE, 'another')], NOW)
  t.same(read, ['a', 'b', 'a'], 'for another run it is read anew')
  t.same([usual.of('a'), usual.of('b')], [5, 0], 'what is not asked for any more is forgotten')
})

t.test('of many jobs those with the oldest runs come first, and the others later', async (t) => {
  const usual = new UsualDurations(async () => runsOf(['success', 5]))
  const all = Array.from({ length: 30 }, (_, index) => oldest(`${index}`, (index + 1) * MINUTE))
  const known = (): number[] => all.map(({ jobId }) => usual.of(jobId))
  await usual.refresh(all, NOW)
  t.same(known(), [...Array(10).fill(0), ...Array(20).fill(5)])
  await usual.refresh(all, NOW)
  t.same(known(), Array(30).fill(5))
})

t.test('what cannot be read is read again', async (t) => {
  let isThere = false
  const usual = new UsualDurations(async () => {
    if (!isThere) throw new Error('Redis is away')
    return runsOf(['success', 5])
  })
  await usual.refresh([oldest('a', MINUTE)], NOW)
  t.equal(usual.of('a'), 0)
  isThere = true
  await usual.refresh([oldest('a', MINUTE)], NOW)
  t.equal(usual.of('a'), 5)
})

t.test('it is the 95th percentile of successful runs', async (t) => {
  const of = async (...runs: readonly Ended[]): Promise<number> => {
    const usual = new UsualDurations(async () => runsOf(...runs))
    await usual.refresh([oldest('a', MINUTE)], NOW)
    return usual.of('a')
  }
  t.equal(await of(), 0)
  t.equal(await of(['error', 9]), 0)
  t.equal(await of(['success', 7]), 7)
  t.equal(await of(['success', 7], ['timeout', 99], ['success', 3]), 7)
  const hundred = Array.from({ length: 100 }, (_, index): Ended => ['success', 100 - index])
  t.equal(await of(...hundred), 95)
})
