import t from 'tap'
import { SECOND } from '../../lib/base/duration.js'
import { ToldTicks } from '../../lib/observability/history/told-ticks.js'
import { VirtualClock } from '../../lib/testing/virtual-clock.js'
import type { Coordination, HeldLock, HistoryFact } from '../../types/coordination.js'
import { reportOf } from '../fixtures/contract/history-contract.js'

/** A store that answers or does not, and what it was told. */
function makeTold(): {
  clock: VirtualClock
  told: ToldTicks
  facts: HistoryFact[]
  leftOut: number[]
  state: { up: boolean }
} {
  const clock = new VirtualClock()
  const facts: HistoryFact[] = []
  const leftOut: number[] = []
  const state = { up: true }
  const coordination = {
    state,
    now: () => clock.now(),
    note: async (batch: readonly HistoryFact[]) => facts.push(...batch) > 0
  }
  const told = new ToldTicks({
    clock,
    coordination: coordination as unknown as Coordination,
    replicaId: 'here',
    onLeftOut: (count) => void leftOut.push(count)
  })
  return { clock, told, facts, leftOut, state }
}

const noteRun = (told: ToldTicks, index: number): void => {
  const lock: HeldLock = { name: 'job', kind: 'job', token: `run-${index}`, ttl: 0, validUntil: 0 }
  told.noteRun('job', reportOf(lock), false)
}

const runsIn = (facts: readonly HistoryFact[]): string[] =>
  facts.flatMap((fact) => (fact.kind === 'run' ? [fact.report.entry?.id as string] : []))

t.test(
  'while the store does not answer, the newest runs wait, a thousand at most, and it is told how many were left out',
  async (t) => {
    const { clock, told, facts, leftOut, state } = makeTold()
    state.up = false
    for (let index = 0; index < 2300; index++) {
      noteRun(told, index)
      if (index % 100 === 0) await clock.advance(SECOND)
    }
    t.same(facts, [])
    state.up = true
    await clock.advance(3 * SECOND)
    const runs = runsIn(facts)
    t.ok(runs.length >= 500 && runs.length <= 1500, `${runs.length} runs`)
    t.equal(runs.at(-1), 'run-2299')
    const oldest = Number(runs.at(1)?.slice(4))
    t.same(
      runs.slice(1),
      Array.from({ length: 2300 - oldest }, (_, index) => `run-${oldest + index}`),
      'in their order, without a gap'
    )
    t.same(leftOut, [2300 - runs.length], 'each is told or counted')

    facts.length = 0
    for (let index = 0; index < 700; index++) noteRun(told, index)
    await clock.advance(SECOND)
    t.equal(runsIn(facts).length, 700, 'what was left out does not count any more')
    t.equal(leftOut.length, 1)
  }
)

t.test('ticks in a row that different people have skipped are told apart', async (t) => {
  const { clock, told, facts } = makeTold()
  const trigger = { afterCompletion: null, next: (after: number) => after + SECOND }
  const who = new Map([
    [1000, 'ann'],
    [2000, 'ann'],
    [3000, 'bob']
  ])
  const job = { id: 'job', trigger, skippedBy: (tick: number) => who.get(tick) ?? null } as never
  for (const tick of who.keys()) told.noteTick(job, tick, 'operator')
  await clock.advance(SECOND)
  t.match(facts, [
    { ticks: { first: 1000, last: 2000, count: 2, by: 'ann' } },
    { ticks: { first: 3000, last: 3000, count: 1, by: 'bob' } }
  ])
})
