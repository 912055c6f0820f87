import t from 'tap'
import { expectedSuccess, type KnownRuns } from '../../lib/observability/expected-success.js'
import { BY_HAND, resolveTrigger } from '../../lib/triggers/index.js'
import type { TriggerInput } from '../../types/trigger.js'

// By when a job's next run is to have succeeded.

const SECOND = 1000
const MINUTE = 60 * SECOND
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR
const at = (text: string): number => Date.parse(text)

const LAST = at('2027-03-10T10:30:00Z')
const NOTHING: KnownRuns = { lastSuccess: null, firstEnd: null, since: null, resumedAt: null, longest: 0 }

function expected(
  trigger: TriggerInput | null,
  known: Partial<KnownRuns> = { lastSuccess: LAST },
  options: { misfireGraceTime?: number; timeout?: number; jitter?: number } = {}
): number | null {
  const { misfireGraceTime = null, timeout = 0, jitter = 0 } = options
  const resolved = trigger === null ? BY_HAND : resolveTrigger(trigger, { timezone: 'UTC' })
  return expectedSuccess({ misfireGraceTime, timeout, jitter } as never, resolved, { ...NOTHING, ...known })
}

t.test('it is the first tick after the last success, its grace, and a minute', async (t) => {
  const tick = at('2027-03-10T11:00:00Z')
  t.equal(expected({ cron: '0 * * * *' }), tick + 30 * SECOND + MINUTE)
  t.equal(expected({ interval: '1h' }), tick + 30 * SECOND + MINUTE)
  t.equal(expected({ cron: '0 * * * *' }, { lastSuccess: tick }), tick + HOUR + 30 * SECOND + MINUTE, 'not that itself')
  t.equal(expected({ interval: '10s' }), LAST + 10 * SECOND + 10 * SECOND + MINUTE, 'the grace ends with the next tick')
})

t.test('jitter, grace and timeout are added; without a timeout twice the longest success', async (t) => {
  const tick = at('2027-03-10T11:00:00Z')
  const known = { lastSuccess: LAST, longest: 7 * MINUTE }
  const trigger = { cron: '0 * * * *' }
  t.equal(expected(trigger, known), tick + 30 * SECOND + 14 * MINUTE)
  t.equal(expected(trigger, known, { timeout: 5 * MINUTE }), tick + 30 * SECOND + 5 * MINUTE)
  t.equal(expected(trigger, known, { jitter: 90 * SECOND }), tick + 90 * SECOND + 30 * SECOND + 14 * MINUTE)
  t.equal(expected(trigger, known, { misfireGraceTime: 10 * MINUTE }), tick + 24 * MINUTE)
  t.equal(
    expected(trigger, { lastSuccess: LAST, longest: 10 * SECOND }),
    tick + 30 * SECOND + MINUTE,
    'a minute at least'
  )
})

t.test('ticks are those of the time zone, also over a change of its time', async (t) => {
  const daily = { cron: '0 9 * * *', timezone: 'Europe/Berlin' }
  const slack = 30 * SECOND + MINUTE
  t.equal(expected(daily), at('2027-03-11T08:00:00Z') + slack)
  t.equal(expected(daily, { lastSuccess: at('2027-03-27T08:00:05Z') }), at('2027-03-28T07:00:00Z') + slack)
  t.equal(
    expected(
      { every: { months: 1 }, at: '00:00', startDate: '2027-01-31', timezone: 'Asia/Tokyo' },
      { lastSuccess: at('2027-02-01T00:00:00Z') }
    ),
    at('2027-02-27T15:00:00Z') + slack
  )
})

t.test('a trigger that has ended, or never comes by itself, expects nothing', async (t) => {
  t.equal(expected({ cron: '0 * * * *', endDate: '2027-03-10T10:45:00Z' }), null)
  t.equal(expected({ date: '2027-03-10T10:00:00Z' }), null)
  t.equal(expected({ date: '2027-03-10T11:00:00Z' }), at('2027-03-10T11:01:30Z'))
  t.equal(expected({ cron: '0 * * * *', endDate: '2027-03-10T11:00:00Z' }), at('2027-03-10T11:01:30Z'), 'the last tick')
  t.equal(expected(null), null)
})

t.test('from the end of a run it is the interval after the last success', async (t) => {
  t.equal(expected({ interval: '10m', after: 'completion' }), LAST + 10 * MINUTE + 30 * SECOND + MINUTE)
})

t.test('a job that has never succeeded is measured from when the fleet has had it', async (t) => {
  const since = at('2027-03-10T08:10:00Z')
  const hourly = { interval: '1h' }
  const first = at('2027-03-10T09:01:30Z')
  t.equal(expected(hourly, { since }), first)
  t.equal(expected(hourly, { since, firstEnd: LAST }), first)
  t.equal(expected(hourly, { since: LAST, firstEnd: since }), first, 'its first run may have been before')
  t.equal(expected(hourly, { firstEnd: since }), first)
  t.equal(expected(hourly, { since, lastSuccess: LAST }), at('2027-03-10T11:01:30Z'))
  t.equal(expected(hourly, {}), null, 'nothing is known')
})

t.test('what lies before the end of a pause is not expected', async (t) => {
  const hourly = { interval: '1h' }
  t.equal(expected(hourly, { lastSuccess: LAST - 30 * DAY, resumedAt: LAST }), at('2027-03-10T11:01:30Z'))
  t.equal(expected(hourly, { lastSuccess: LAST, resumedAt: LAST - DAY }), at('2027-03-10T11:01:30Z'))
})
