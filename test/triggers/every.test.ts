// Ticks counted on a calendar: every so many days, weeks, months, years, at a time of day in a time zone.
import fc from 'fast-check'
import t from 'tap'
import { Calendar } from '../../lib/triggers/calendar.js'
import { dayCycle, monthCycle } from '../../lib/triggers/cycles.js'
import { previewTrigger, resolveTrigger } from '../../lib/triggers/index.js'
import type { TriggerInput } from '../../types/trigger.js'
import { type CalendarCase, calendarTicks } from '../fixtures/triggers/calendar-reference.js'

const UTC = { timezone: 'UTC' }
const VIENNA = 'Europe/Vienna'
const DAY = 86_400_000
const YEAR = 365 * DAY

/** The next ticks, as local times. */
function local(input: TriggerInput, timezone: string, from: string, count = 5): string[] {
  const format = new Intl.DateTimeFormat('sv-SE', { timeZone: timezone, dateStyle: 'short', timeStyle: 'medium' })
  const ticks = previewTrigger(resolveTrigger(input, UTC), { from, count }, 0, timezone)
  return ticks.map((tick) => format.format(tick).replace(/:00$/, ''))
}

t.test('every other Monday stays right over summer time and a year of 53 weeks', async (t) => {
  const input = { every: { weeks: 2 }, at: '09:00', on: 'mon', startDate: '2026-01-05', timezone: VIENNA } as const
  t.strictSame(local(input, VIENNA, '2026-03-10'), [
    '2026-03-16 09:00',
    '2026-03-30 09:00',
    '2026-04-13 09:00',
    '2026-04-27 09:00',
    '2026-05-11 09:00'
  ])
  // 2026 has 53 weeks of ISO 8601: by even or odd weeks there would be 7 or 21 days here.
  t.strictSame(local(input, VIENNA, '2026-12-10', 4), [
    '2026-12-21 09:00',
    '2027-01-04 09:00',
    '2027-01-18 09:00',
    '2027-02-01 09:00'
  ])
})

t.test('weeks, months and years are counted from those that the start lies in', async (t) => {
  // A Wednesday; the Monday of its week is before it.
  const weeks = { every: { weeks: 2 }, at: '09:00', on: ['mon', 'Friday'], startDate: '2026-11-25' }
  t.strictSame(local(weeks, 'UTC', '2026-11-01', 4), [
    '2026-11-27 09:00',
    '2026-12-07 09:00',
    '2026-12-11 09:00',
    '2026-12-21 09:00'
  ])
  const months = { every: { months: 3 }, at: '09:00', on: 1, startDate: '2026-11-15' }
  t.strictSame(local(months, 'UTC', '2026-11-01', 2), ['2027-02-01 09:00', '2027-05-01 09:00'])
  const years = { every: { years: 2 }, at: '09:00', on: ['06-01', '12-24'], startDate: '2026-11-15' }
  t.strictSame(local(years, 'UTC', '2026-01-01', 3), ['2026-12-24 09:00', '2028-06-01 09:00', '2028-12-24 09:00'])
  const days = { every: { days: 3 }, at: '09:00', startDate: '2026-11-15T12:00' }
  t.strictSame(local(days, 'UTC', '2026-01-01', 2), ['2026-11-18 09:00', '2026-11-21 09:00'], 'after the start')
})

t.test('without `on` the day is that of the start, in the time zone', async (t) => {
  // Midnight in Auckland is noon of the day before in UTC.
  const at = { at: '08:30:15', startDate: '2026-08-30T12:00Z', timezone: 'Pacific/Auckland' }
  const first = (every: object): string | undefined =>
    local({ every, ...at } as TriggerInput, 'Pacific/Auckland', '2026-01-01', 2).join(', ')
  t.equal(first({ weeks: 1 }), '2026-08-31 08:30:15, 2026-09-07 08:30:15')
  t.equal(first({ months: 1 }), '2026-08-31 08:30:15, 2026-09-30 08:30:15')
  t.equal(first({ years: 1 }), '2026-08-31 08:30:15, 2027-08-31 08:30:15')
})

t.test('a day that a month does not have is its last one', async (t) => {
  t.strictSame(local({ every: { months: 1 }, at: '09:00', on: 31 }, 'UTC', '2027-12-01', 5), [
    '2027-12-31 09:00',
    '2028-01-31 09:00',
    '2028-02-29 09:00',
    '2028-03-31 09:00',
    '2028-04-30 09:00'
  ])
  t.strictSame(local({ every: { months: 1 }, at: '09:00', on: [30, 31] }, 'UTC', '2027-01-30T10:00', 4), [
    '2027-01-31 09:00',
    '2027-02-28 09:00',
    '2027-03-30 09:00',
    '2027-03-31 09:00'
  ])
  t.strictSame(local({ every: { years: 1 }, at: '09:00', on: '02-29' }, 'UTC', '2026-01-01', 4), [
    '2026-02-28 09:00',
    '2027-02-28 09:00',
    '2028-02-29 09:00',
    '2029-02-28 09:00'
  ])
})

t.test('when clocks change: right after the gap, once where a time is repeated', async (t) => {
  const daily = (at: string, timezone: string): TriggerInput => ({ every: { days: 1 }, at, timezone })
  const iso = (input: TriggerInput, from: string, count: number): string[] =>
    previewTrigger(resolveTrigger(input, UTC), { from, count }, 0, 'UTC').map((at) => new Date(at).toISOString())
  t.strictSame(iso(daily('02:30', VIENNA), '2026-03-28T12:00', 2), [
    '2026-03-29T01:00:00.000Z',
    '2026-03-30T00:30:00.000Z'
  ])
  t.strictSame(iso(daily('02:30', VIENNA), '2026-10-24T12:00', 2), [
    '2026-10-25T00:30:00.000Z',
    '2026-10-26T01:30:00.000Z'
  ])
  // Sao Paulo skipped midnight: the day began at 01:00.
  t.strictSame(iso(daily('00:00', 'America/Sao_Paulo'), '2018-11-03T12:00', 1), ['2018-11-04T03:00:00.000Z'])
  // Apia had no 30 December 2011, which is more than a change of clocks: as with cron, its ticks are not made up for.
  const apia = { every: { days: 1 }, at: '09:00', startDate: '2011-12-28', timezone: 'Pacific/Apia' } as const
  t.strictSame(local(apia, 'Pacific/Apia', '2011-12-28', 3), [
    '2011-12-28 09:00',
    '2011-12-29 09:00',
    '2011-12-31 09:00'
  ])
  const other = { ...apia, every: { days: 2 } }
  t.strictSame(local(other, 'Pacific/Apia', '2011-12-28', 2), ['2011-12-28 09:00', '2012-01-01 09:00'], 'but counted')
})

const ZONES = [
  'UTC',
  VIENNA,
  'America/New_York',
  'Australia/Lord_Howe',
  'Pacific/Apia',
  'Africa/Casablanca',
  'America/Sao_Paulo',
  'America/Nuuk',
  'Asia/Tehran',
  'Africa/Cairo',
  'Antarctica/Troll'
]
const WEEKDAYS = ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun']

const on: Readonly<Record<string, fc.Arbitrary<number | string>>> = {
  weeks: fc.constantFrom(...WEEKDAYS),
  months: fc.oneof(fc.integer({ min: 1, max: 31 }), fc.constantFrom(28, 29, 30, 31, 'last')),
  years: fc.oneof(
    fc.constantFrom('02-29', '01-01', '12-31', '03-29', '11-01'),
    fc.integer({ min: 0, max: 365 }).map((day) => new Date(Date.UTC(2000, 0, 1 + day)).toISOString().slice(5, 10))
  )
}

const calendar: fc.Arbitrary<CalendarCase> = fc
  .constantFrom('days' as const, 'weeks' as const, 'months' as const, 'years' as const)
  .chain((unit) =>
    fc.record({
      unit: fc.constant(unit),
      n: unit === 'years' ? fc.integer({ min: 1, max: 4 }) : fc.oneof(fc.constant(1), fc.integer({ min: 1, max: 60 })),
      on: unit === 'days' ? fc.constant(null) : fc.option(fc.uniqueArray(on[unit]!, { minLength: 1, maxLength: 4 })),
      // Hours in which clocks are changed.
      time: fc
        .oneof(fc.constantFrom('00:00', '00:30', '01:15', '02:00', '02:30', '03:00', '23:30'), fc.constant('17:45:30'))
        .map((text) => Date.parse(`1970-01-01T${text}Z`)),
      timezone: fc.constantFrom(...ZONES),
      start: fc.integer({ min: Date.UTC(1985, 0, 1), max: Date.UTC(2027, 0, 1) })
    })
  )

function inputOf({ unit, n, on, time, timezone, start }: CalendarCase): TriggerInput {
  const at = new Date(time).toISOString().slice(11, 19)
  return { every: { [unit]: n }, at, timezone, startDate: start, ...(on === null ? {} : { on }) }
}

t.test('by brute force, day by day, over years in zones whose clocks change', async (t) => {
  let compared = 0
  const distance = fc.integer({ min: -30 * DAY, max: 12 * YEAR })
  const check = fc.property(calendar, distance, (each, from) => {
    const after = each.start + from
    const until = after + 3 * YEAR
    const trigger = resolveTrigger(inputOf(each), UTC)
    const found: number[] = []
    for (let at = trigger.next(after); at !== null && at <= until; at = trigger.next(at)) found.push(at)
    const wanted = calendarTicks(each, after, until)
    compared += wanted.length
    if (found.join() !== wanted.join()) throw new Error(`${found}\ninstead of\n${wanted}`)
  })
  t.doesNotThrow(() => fc.assert(check, { numRuns: 300 }))
  t.ok(compared > 3000, `${compared} ticks`)
})

t.test('bounds hold, also while they lie in a gap or on a tick', async (t) => {
  const daily = { every: { days: 1 }, at: '09:00', timezone: VIENNA }
  const bounded = { ...daily, startDate: '2026-11-28T09:00', endDate: '2026-11-30T09:00' }
  t.strictSame(local(bounded, VIENNA, '2026-01-01'), ['2026-11-28 09:00', '2026-11-29 09:00', '2026-11-30 09:00'])
  const short = { ...daily, startDate: '2026-11-28T09:00:01', endDate: '2026-11-29T08:59' }
  t.throws(() => resolveTrigger(short, UTC), { code: 'FST_ERR_RLS_TRIGGER_NEVER' })
  const seldom = { every: { years: 100 }, at: '09:00', on: '02-29', startDate: '2026-03-01', endDate: '2126-02-27' }
  t.throws(() => resolveTrigger(seldom, UTC), { code: 'FST_ERR_RLS_TRIGGER_NEVER' })
  t.strictSame(local({ ...seldom, endDate: '2126-03-01' }, 'UTC', '2000-01-01'), ['2126-02-28 09:00'])
  for (const startDate of [-8.64e15, Date.UTC(-4000, 0, 1), 8.64e15]) {
    for (const timezone of [VIENNA, 'America/New_York']) {
      try {
        const ticks = previewTrigger(
          resolveTrigger({ ...daily, every: { days: 9 }, timezone, startDate }, UTC),
          {},
          0,
          'UTC'
        )
        t.equal(ticks.length, 5)
      } catch (error) {
        t.match(error, { code: 'FST_ERR_RLS_TRIGGER_NEVER' })
      }
    }
  }
})

t.test('no walk from the start: any time is as near as any other', async (t) => {
  const times = [
    dayCycle(1, [0], 0),
    dayCycle(36_525, [0], 0),
    dayCycle(7 * 5217, [4, 6], 0),
    monthCycle(1, [{ month: 0, day: 31 }], 0),
    monthCycle(1200, [{ month: 3, day: 30 }], 0),
    monthCycle(7, [{ month: 0, day: 1 }], 0)
  ]
  for (const { key, fields } of times) {
    let calls = 0
    const counted = new Calendar({
      ...fields,
      nextYear: (year) => {
        calls++
        return fields.nextYear(year)
      },
      days: (year, month) => {
        calls++
        return fields.days(year, month)
      }
    })
    for (let year = 1970; year < 9700; year += 10) {
      calls = 0
      if (counted.next(Date.UTC(year, 11, 31, 12)) === null) t.fail(`${key}: nothing after ${year}`)
      if (calls > 20) t.fail(`${key}: ${calls} calls in ${year}`)
    }
    t.pass(key)
  }
  const from = '2026-01-01'
  const yearly = resolveTrigger({ every: { years: 1 }, at: '09:00', on: '12-24', timezone: VIENNA }, UTC)
  t.equal(previewTrigger(yearly, { from, count: 10_000 }, 0, 'UTC').length, 9999 - 2025, 'every year up to 9999')
})

t.test('equal triggers have equal keys, however they are written', async (t) => {
  const key = (input: object): string => resolveTrigger({ at: '09:00', ...input } as TriggerInput, UTC).key
  const start = { startDate: '2026-01-05' }
  const equal: [object, object][] = [
    [
      { every: { weeks: 2 }, ...start },
      { every: { days: 14 }, ...start }
    ],
    [
      { every: { weeks: 2 }, on: 'mon', ...start },
      { every: { weeks: 2 }, ...start, startDate: Date.UTC(2026, 0, 5) }
    ],
    [{ every: { weeks: 1 }, on: WEEKDAYS }, { every: { days: 1 } }],
    [
      { every: { weeks: 1 }, on: ['fri', 'MONDAY', 'fri'] },
      { every: { weeks: 1 }, on: ['mon', 'friday'] }
    ],
    [
      { every: { months: 1 }, on: 31 },
      { every: { months: 1 }, on: ['last'] }
    ],
    [
      { every: { years: 1 }, on: '02-29' },
      { every: { years: 1 }, on: ['02-29', '02-29'] }
    ],
    [
      { every: { years: 2 }, ...start },
      { every: { months: 24 }, on: 5, ...start }
    ],
    [
      { every: { years: 1 }, on: '04-30', ...start },
      { every: { months: 12 }, on: 31, startDate: '2026-04-01', ...{} }
    ],
    [
      { every: { years: 1 }, on: Array.from({ length: 12 }, (_, i) => `${String(i + 1).padStart(2, '0')}-01`) },
      { every: { months: 1 }, on: 1 }
    ],
    [
      { every: { days: 1 }, at: '9:00' },
      { every: { days: 1 }, at: '09:00:00', timezone: 'utc' }
    ]
  ]
  // The bound is part of the key; here only the days are compared.
  const days = (text: string): string => text.replace(/ from .*/, '')
  for (const [a, b] of equal) t.equal(days(key(a)), days(key(b)), JSON.stringify(a))
  t.equal(key(equal[0]?.[0] as object), key(equal[0]?.[1] as object), 'with bounds too')

  const different = [
    { every: { days: 1 } },
    { every: { days: 1 }, at: '09:00:01' },
    { every: { days: 1 }, timezone: VIENNA },
    { every: { days: 2 }, ...start },
    { every: { days: 2 }, startDate: '2026-01-06' },
    { every: { weeks: 1 }, on: 'mon' },
    { every: { weeks: 1 }, on: ['mon', 'tue'] },
    { every: { months: 1 }, on: 30 },
    { every: { months: 1 }, on: 31 },
    { every: { months: 2 }, on: 31, ...start },
    { every: { years: 1 }, on: '02-28' },
    { every: { years: 1 }, on: '02-29' }
  ].map(key)
  t.equal(new Set(different).size, different.length)
})

t.test('two calendars meet by arithmetic, and in lists', async (t) => {
  const both: TriggerInput = {
    all: [
      { every: { weeks: 2 }, at: '09:00', startDate: '2026-01-05' },
      { every: { weeks: 3 }, at: '09:00', startDate: '2026-01-12' },
      { every: { days: 5 }, at: '09:00', startDate: '2026-01-05' }
    ]
  }
  const [tick] = local(both, 'UTC', '2026-01-01', 1)
  const day = Date.parse(`${tick?.replace(' ', 'T')}Z`) / DAY
  const since = (date: string): number => Math.floor(day - Date.parse(date) / DAY)
  t.strictSame([since('2026-01-05') % 14, since('2026-01-12') % 21, since('2026-01-05') % 5], [0, 0, 0])
  const apart: TriggerInput = {
    all: [
      { every: { weeks: 2 }, at: '09:00', startDate: '2026-01-05' },
      { every: { weeks: 4 }, at: '09:00', startDate: '2026-01-12' }
    ]
  }
  t.throws(() => resolveTrigger(apart, UTC), { code: 'FST_ERR_RLS_TRIGGER_NEVER' })
  const monthEnds: TriggerInput = {
    all: [
      { every: { weeks: 1 }, at: '09:00', on: 'fri' },
      { every: { months: 1 }, at: '09:00', on: 'last' }
    ]
  }
  t.strictSame(local(monthEnds, 'UTC', '2026-06-01', 2), ['2026-07-31 09:00', '2027-04-30 09:00'])
  const list = {
    any: [
      { every: { days: 1 }, at: '09:00' },
      { every: { days: 1 }, at: '17:00' }
    ],
    timezone: VIENNA
  }
  t.strictSame(local(list, VIENNA, '2026-11-28', 2), ['2026-11-28 09:00', '2026-11-28 17:00'], "the list's zone")
})
