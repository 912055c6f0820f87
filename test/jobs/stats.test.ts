import { isDeepStrictEqual } from 'node:util'
import t from 'tap'
import { COUNTER, type CountedStats, createStats, SKIPPED_COUNTER } from '../../lib/jobs/stats.js'

const COUNTERS = [...Object.values(COUNTER), ...Object.values(SKIPPED_COUNTER)]

/** All numbers of a job, each by itself. */
function numbersOf(stats: CountedStats): unknown[] {
  const { running, lastRun, lastSuccess, delay, durationSuccess, durationFailure } = stats
  const histograms = [delay, durationSuccess, durationFailure].map(({ counts, sum, count }) => [
    [...counts],
    sum,
    count
  ])
  return [running, lastRun, lastSuccess, ...COUNTERS.map((counter) => stats.get(counter)), ...histograms]
}

/** Writes to all numbers of a job, its last places included. */
function touch(stats: CountedStats): void {
  stats.started({ scheduledTime: 1000 - 60_000, startedAt: 1000 })
  stats.succeeded(2000, 60_000)
  stats.failed(60_000)
  for (const counter of COUNTERS) stats.count(counter, 7)
}

t.test('each job has numbers of its own, also where the memory of several jobs begins and ends', (t) => {
  const { newStats } = createStats([0.1, 1], true)
  const all = Array.from({ length: 200 }, () => newStats() as CountedStats)
  const untouched = numbersOf(all[0] as CountedStats)
  for (const index of [0, 1, 62, 63, 64, 65, 127, 128, 199]) {
    touch(all[index] as CountedStats)
    const changed = all.flatMap((stats, at) => (isDeepStrictEqual(numbersOf(stats), untouched) ? [] : [at]))
    t.same(changed, [index])
    all[index]?.reset()
    const measured = [1, 1000, 2000]
    t.same(numbersOf(all[index] as CountedStats), [...measured, ...untouched.slice(3)], 'what is measured stays')
    all[index] = newStats() as CountedStats
    t.same(numbersOf(all[index] as CountedStats), untouched, 'a new job begins with nothing')
  }
  t.end()
})

t.test('a value is counted in the first bucket whose bound it does not exceed', (t) => {
  const stats = createStats([0.1, 1], true).newStats() as CountedStats
  for (const duration of [0, 100, 101, 1000, 1001]) stats.succeeded(0, duration)
  stats.failed(5000)
  t.same([...stats.durationSuccess.counts], [2, 2, 1])
  t.equal(stats.durationSuccess.sum.toFixed(3), '2.202')
  t.equal(stats.durationSuccess.count, 5)
  t.same([...stats.durationFailure.counts], [0, 0, 1])
  t.same([stats.get(COUNTER.success), stats.get(COUNTER.failure)], [5, 1])
  t.end()
})

t.test('without metrics a job knows when it ran, and counts nothing', (t) => {
  const { newStats, total } = createStats(null, true)
  const [one, other] = [newStats(), newStats()]
  one.started({ scheduledTime: 995, startedAt: 1000 })
  one.count(COUNTER.lockAcquired)
  one.failed(5)
  one.reset()
  t.same([one.running, one.lastRun, one.lastSuccess], [1, 1000, 0])
  one.ended()
  one.succeeded(2000, 5)
  t.same([one.running, one.lastRun, one.lastSuccess], [0, 1000, 2000])
  t.same([other.running, other.lastRun, other.lastSuccess], [0, 0, 0])
  t.equal(total, null)
  t.end()
})
