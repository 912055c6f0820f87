import type { PreviewOptions } from '../../types/trigger.js'
import { copyKnown } from '../base/check.js'
import { show } from '../base/show.js'
import { OptionInvalidError } from '../errors.js'
import { Budget } from './budget.js'
import { readDate } from './dates.js'
import type { TickSource } from './source.js'

const MAX_COUNT = 10_000

/**
 * Lists a trigger's next ticks.
 *
 * @param now where the list begins when `from` is not given
 * @param timezone for a `from` without an offset
 * @returns milliseconds since the Unix epoch, ascending; fewer than `count` when the trigger ends, or when finding more
 *   would exceed a `Budget`
 * @throws OptionInvalidError, OptionUnknownError, DateInvalidError
 */
export function previewTrigger(
  trigger: TickSource,
  options: PreviewOptions = {},
  now: number,
  timezone: string
): number[] {
  const { count = 5, from } = copyKnown(options, ['count', 'from'], 'the options of `preview`')
  if (typeof count !== 'number' || !Number.isInteger(count) || count < 1 || count > MAX_COUNT) {
    throw new OptionInvalidError('count', `an integer from 1 to ${MAX_COUNT}`, show(count))
  }
  const ticks: number[] = []
  const budget = new Budget()
  let tick = trigger.next(from === undefined ? now : readDate(from, 'from', timezone), budget)
  while (tick !== null && ticks.length < count) {
    ticks.push(tick)
    tick = budget.isSpent ? null : trigger.next(tick, budget)
  }
  return ticks
}
