import type { Fleet } from './fixtures/fleet.js'
import type { Tick, Verdict } from './fixtures/judge.js'

/** `short` is for the tests, `long` for the table in the docs. */
export type Scale = 'short' | 'long'

export interface Scenario {
  readonly name: string
  /** Which guarantee it supports. */
  readonly promise: string
  run(settings: { readonly scale: Scale }): Promise<Result>
}

/** What came out of a scenario. */
export interface Result {
  readonly verdict: Verdict
  /** From the end of the fault, or from the fault itself for a crash, to the first run begun afterwards. */
  readonly recovery: number | null
  /** What is not as it was expected; empty when all is. */
  readonly failures: readonly string[]
}

/** What a scenario allows beyond nothing at all. Each is to say in a comment why that is no broken promise. */
export interface Expectation {
  /** Which ticks may have run, or been counted, twice. */
  readonly doubled?: (tick: Tick) => boolean
  /** Which ticks may have run and been counted once as well. */
  readonly counted?: (tick: Tick) => boolean
  /** Which ticks may have neither a run nor a reason. */
  readonly lost?: (tick: Tick) => boolean
  /** How many pairs of runs may overlap. */
  readonly overlapping?: number
  /** Whether ticks of slow jobs may be missed, and whether some must be. */
  readonly missed?: 'none' | 'some' | 'any'
  /** Whether every tick of a slow job must have a run. */
  readonly everyTickRuns?: boolean
  /** The longest time to recover in milliseconds; left out, there is nothing to recover from. */
  readonly recovery?: number
  /** Reasons and outcomes that must have occurred, as the fault has then had its effect. */
  readonly reasons?: readonly string[]
  readonly outcomes?: readonly string[]
  /** What else is to hold. */
  readonly also?: readonly (readonly [holds: boolean, what: string])[]
}

/** How many ticks of a list are shown. */
const SHOWN = 5

/** Compares what a fleet did with what was expected of it. */
export function compare(fleet: Fleet, verdict: Verdict, expected: Expectation): Result {
  const { recovery } = fleet
  const failures: string[] = []
  const check = (holds: boolean, what: string): void => {
    if (!holds) failures.push(what)
  }
  const none = (what: string, list: readonly unknown[], allowed = 0): void => {
    const more = list.length > SHOWN ? ` and ${list.length - SHOWN} more` : ''
    check(list.length <= allowed, `${what}: ${list.slice(0, SHOWN).map(show).join(', ')}${more}`)
  }
  const { doubled = () => false, counted = () => false, lost = () => false, missed = 'none' } = expected
  check(verdict.ticks > 0 && verdict.ran > 0, `${verdict.ran} of ${verdict.ticks} ticks ran`)
  none('crashed', fleet.crashed)
  none(
    'ran twice',
    verdict.doubled.filter((tick) => !doubled(tick))
  )
  none(
    'counted more than once',
    verdict.countedTwice.filter((tick) => !doubled(tick) && !counted(tick))
  )
  none(
    'neither run nor counted',
    verdict.lost.filter((tick) => !lost(tick))
  )
  none('overlapping', verdict.overlapping, expected.overlapping)
  none('fencing tokens', verdict.tokens)
  none('early', verdict.early)
  none('late', verdict.late)
  if (missed === 'none') none('missed', verdict.missed.filter(isSlow))
  if (missed === 'some') check(verdict.missed.length > 0, 'no tick was missed: the fault had no effect')
  if (expected.everyTickRuns) none('without a run', verdict.unrun.filter(isSlow))
  if (expected.recovery !== undefined) {
    const within = recovery !== null && recovery <= expected.recovery
    check(within, `recovered after ${recovery ?? 'ever so many'} ms, and not within ${expected.recovery} ms`)
  }
  for (const reason of expected.reasons ?? []) {
    check((verdict.reasons[reason] ?? 0) > 0, `no tick was skipped as ${reason}: the fault had no effect`)
  }
  for (const outcome of expected.outcomes ?? []) {
    check((verdict.outcomes[outcome] ?? 0) > 0, `no run ended as ${outcome}: the fault had no effect`)
  }
  for (const [holds, what] of expected.also ?? []) check(holds, what)
  return { verdict, recovery, failures }
}

/** A machine that is busy may come too late to a tick of every 200 ms: then it is to be counted, and that is all. */
export function isSlow({ interval }: Tick): boolean {
  return interval >= 1000
}

function show(one: unknown): string {
  if (typeof one === 'string') return one
  const { jobId, time } = one as Tick
  return `${jobId} @ ${time}`
}
