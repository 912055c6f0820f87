// What `except` leaves out of a trigger: whole days, instants, ranges, and the ticks of other triggers.
import fc from 'fast-check'
import t from 'tap'
import { countTicks, latestTick, previewTrigger, resolveTrigger } from '../../lib/triggers/index.js'
import type { ExceptInput, TriggerInput } from '../../types/trigger.js'
import { nearChange, trigger } from '../fixtures/triggers/arbitraries.js'
import { wallAt } from '../fixtures/triggers/calendar-reference.js'

const UTC = { timezone: 'UTC' }
const VIENNA = 'Europe/Vienna'
const DAY = 86_400_000
const NINE = { cron: '0 9 * * *', timezone: VIENNA }

function local(input: TriggerInput, from: string, count = 5, timezone = VIENNA): string[] {
  const format = new Intl.DateTimeFormat('sv-SE', { timeZone: timezone, dateStyle: 'short', timeStyle: 'medium' })
  const ticks = previewTrigger(resolveTrigger(input, UTC), { from, count }, 0, timezone)
  return ticks.map((tick) => format.format(tick).replace(/:00$/, ''))
}

t.test('a date is a whole day in the time zone of the trigger, anything with a time is an instant', async (t) => {
  const except = (...list: ExceptInput[]): string[] => local({ ...NINE, except: list }, '2026-12-23', 3)
  t.strictSame(except(), ['2026-12-23 09:00', '2026-12-24 09:00', '2026-12-25 09:00'])
  t.strictSame(except('2026-12-24'), ['2026-12-23 09:00', '2026-12-25 09:00', '2026-12-26 09:00'])
  const instants = [
    '2026-12-24T09:00',
    '2026-12-24T08:00Z',
    Date.UTC(2026, 11, 24, 8),
    new Date('2026-12-24T09:00+01:00')
  ]
  for (const instant of instants) t.strictSame(except(instant), except('2026-12-24'), String(instant))
  t.strictSame(except('2026-12-24T08:00'), except(), 'an instant at which there is no tick')
  // The day of Auckland begins at 11:00 of the day before in UTC.
  const hourly = { cron: '0 * * * *', timezone: 'Pacific/Auckland', except: ['2026-12-24'] }
  t.strictSame(
    previewTrigger(resolveTrigger(hourly, UTC), { from: '2026-12-23T09:30Z', count: 3 }, 0, 'UTC').map((at) =>
      new Date(at).toISOString().slice(0, 13)
    ),
    ['2026-12-23T10', '2026-12-24T11', '2026-12-24T12']
  )
})

t.test('ranges include both ends, be they days or instants', async (t) => {
  const first = (from: ExceptInput, to: ExceptInput): string | undefined =>
    local({ ...NINE, except: [{ from, to } as ExceptInput] }, '2026-12-24', 1)[0]
  t.equal(first('2026-12-24', '2027-01-06'), '2027-01-07 09:00')
  t.equal(first('2026-12-24T09:00', '2026-12-26T09:00'), '2026-12-27 09:00')
  t.equal(first('2026-12-24T09:00', '2026-12-26T08:59:59.999'), '2026-12-26 09:00')
  t.equal(first('2026-12-24T09:00:00.001', '2026-12-26'), '2026-12-24 09:00')
  t.equal(first('2026-12-24', '2026-12-24'), '2026-12-25 09:00')
})

t.test('by brute force, days near changes of clocks', async (t) => {
  const zone = fc.constantFrom(VIENNA, 'America/New_York', 'Australia/Lord_Howe', 'America/Nuuk', 'Pacific/Apia')
  const check = fc.property(
    zone,
    nearChange,
    fc.uniqueArray(fc.integer({ min: -3, max: 3 })),
    (timezone, after, days) => {
      const dates = days.map((day) => new Date(after + day * DAY).toISOString().slice(0, 10))
      const found: number[] = []
      const until = after + 4 * DAY
      const each = resolveTrigger({ cron: '*/15 * * * *', timezone, except: dates }, UTC)
      for (let at = each.next(after); at !== null && at <= until; at = each.next(at)) found.push(at)
      const wanted: number[] = []
      for (let at = Math.floor(after / 900_000) * 900_000 + 900_000; at <= until; at += 900_000) {
        const date = new Date(wallAt(at, timezone)).toISOString().slice(0, 10)
        if (!dates.includes(date)) wanted.push(at)
      }
      if (found.join() !== wanted.join()) throw new Error(`${found} instead of ${wanted}`)
    }
  )
  t.doesNotThrow(() => fc.assert(check, { numRuns: 200 }))
})

t.test('a tick that is one of another trigger too is left out', async (t) => {
  const weekly = {
    ...NINE,
    except: [{ cron: '0 9 * * mon' }, '0 9 * * tue', { every: { weeks: 1 }, at: '09:00', on: 'wed' }]
  }
  // 2026-11-29 is a Sunday. They are read in the zone of the trigger that they are exceptions of.
  t.strictSame(local(weekly, '2026-11-29', 3), ['2026-11-29 09:00', '2026-12-03 09:00', '2026-12-04 09:00'])
  t.strictSame(local({ ...NINE, except: ['0 10 * * mon'] }, '2026-11-30', 1), ['2026-11-30 09:00'], 'no tick of it')
  const inUtc = { ...NINE, except: [{ cron: '0 9 * * mon', timezone: 'UTC' }] }
  t.strictSame(local(inUtc, '2026-11-30', 1), ['2026-11-30 09:00'], 'nor in another zone')
})

t.test('on each kind of trigger', async (t) => {
  const first = (input: TriggerInput): string | undefined => local(input, '2026-12-24', 1)[0]
  const except = ['2026-12-24']
  t.equal(first({ interval: '12h', timezone: VIENNA, except }), '2026-12-25 01:00')
  t.equal(first({ every: { days: 1 }, at: '09:00', timezone: VIENNA, except }), '2026-12-25 09:00')
  const list = [{ cron: '0 9 * * *' }, { cron: '0 9,17 * * *' }]
  t.equal(first({ any: list, timezone: VIENNA, except }), '2026-12-25 09:00')
  t.equal(first({ all: list, timezone: VIENNA, except }), '2026-12-25 09:00')
  t.equal(
    first({
      any: [
        { ...NINE, except },
        { cron: '0 12 * * *', timezone: VIENNA }
      ]
    }),
    '2026-12-24 12:00',
    'of a part'
  )
})

t.test('a list in which zones differ must say whose days are meant', async (t) => {
  const parts = [NINE, { cron: '0 9 * * *', timezone: 'America/New_York' }]
  const resolve = (input: object): unknown => resolveTrigger(input as TriggerInput, UTC)
  t.throws(() => resolve({ any: parts, except: ['2026-12-24'] }), {
    code: 'FST_ERR_RLS_TRIGGER_INVALID',
    message: /expected a `timezone` for the dates of `except`/
  })
  for (const except of [['2026-12-24T09:00'], [{ from: 0, to: '2026-12-24' }]]) {
    t.throws(() => resolve({ any: [{ any: parts }], except }), { code: 'FST_ERR_RLS_TRIGGER_INVALID' })
  }
  resolve({ any: parts, except: ['2026-12-24'], timezone: VIENNA })
  resolve({ any: parts, except: ['2026-12-24T09:00Z', 0, { cron: '0 9 24 12 *' }] })
  resolve({ any: [{ cron: '0 9 * * *', timezone: 'utc' }, '0 10 * * *'], except: ['2026-12-24'] })
  resolve({ any: [NINE, { cron: '0 10 * * *', except: ['2026-12-24'] }] })
})

t.test('a tick is left out if and only if it is in a range or in another trigger, by brute force', async (t) => {
  const range = fc
    .tuple(nearChange, fc.integer({ min: 0, max: 2 * DAY }))
    .map(([from, length]) => ({ from, to: from + length }))
  const dense = fc.constantFrom<TriggerInput>(
    { cron: '* * * * *' },
    { cron: '*/5 * * * *', timezone: VIENNA },
    { cron: '0 * * * *' },
    { interval: '20m' },
    { every: { days: 1 }, at: '02:30', timezone: VIENNA }
  )
  const windows = fc.constantFrom<TriggerInput>(
    { cron: '* 9-17 * * *', timezone: VIENNA },
    { cron: '* * * * sat,sun' },
    { cron: '0-29 * * * *' },
    { cron: '* 1-3 * * *', timezone: 'America/New_York' },
    { any: [{ cron: '* 0-5 * * *' }, { cron: '* 4-8 * * mon-fri' }] },
    { all: [{ cron: '* 0-8 * * *' }, { cron: '* 4-12 * * *' }] },
    { interval: '10m' },
    { cron: '* * * * *', except: [{ cron: '* 6-20 * * *' }] }
  )
  let left = 0
  const check = fc.property(
    dense,
    fc.uniqueArray(fc.oneof(range, windows, trigger), { minLength: 1, maxLength: 3 }),
    nearChange,
    (input, except, after) => {
      const until = after + 2 * DAY
      const { timezone = 'UTC' } = input as { timezone?: string }
      const parts = except.map((each) =>
        Object.hasOwn(each as object, 'from') ? null : resolveTrigger(each as TriggerInput, { timezone })
      )
      const isOut = (at: number): boolean =>
        except.some((each, index) => {
          const part = parts[index]
          if (part) return part.next(at - 1) === at
          const { from, to } = each as { from: number; to: number }
          return at >= from && at <= to
        })
      const source = resolveTrigger(input, UTC)
      const wanted: number[] = []
      for (let at = source.next(after); at !== null && at <= until; at = source.next(at)) {
        if (isOut(at)) left++
        else wanted.push(at)
      }
      let each: ReturnType<typeof resolveTrigger>
      try {
        each = resolveTrigger({ ...(input as { interval: '1h' }), except } satisfies TriggerInput, UTC)
      } catch (error) {
        if (!/NEVER|UNDECIDED/.test((error as { code: string }).code) || wanted.length > 0) throw error
        return
      }
      const found: number[] = []
      for (let at = each.next(after); at !== null && at <= until; at = each.next(at)) found.push(at)
      if (found.join() !== wanted.join()) throw new Error(`${found} instead of ${wanted}`)
      if (latestTick(each, after, until) !== (wanted.at(-1) ?? null)) throw new Error('the latest')
      // Of more than a thousand, its budget may end before the last.
      const count = countTicks(each, after, until + 1)
      if (count > wanted.length || (count < wanted.length && count < 1000)) throw new Error('how many')
    }
  )
  t.doesNotThrow(() => fc.assert(check, { numRuns: 250 }))
  t.ok(left > 1000, `${left} left out`)
})

t.test('hours of ticks each second are passed over at once', async (t) => {
  const seconds: TriggerInput[] = [{ interval: '1s' }, { cron: '* * * * * *' }]
  for (const input of seconds) {
    const except = [{ cron: '* * 9-17 * * mon-fri' }, { cron: '* * * * * sat,sun' }]
    const each = { ...(input as { interval: '1h' }), except } satisfies TriggerInput
    // A Friday.
    t.strictSame(local(each, '2026-11-27T08:59:58Z', 2, 'UTC'), ['2026-11-27 08:59:59', '2026-11-27 18:00'])
    t.strictSame(local(each, '2026-11-27T23:59:59Z', 1, 'UTC'), ['2026-11-30 00:00'])
  }
  const secondly = (cron: string, from: string): string[] =>
    local({ interval: '1s', except: [{ cron }] }, `2026-11-27T${from}Z`, 2, 'UTC').map((time) => time.slice(11))
  t.strictSame(secondly('30 * 9-17 * * *', '09:00:28'), ['09:00:29', '09:00:31'])
  t.strictSame(secondly('* 10-19,50-59 * * * *', '09:09:58'), ['09:09:59', '09:20'])
  t.strictSame(secondly('* 10-19,50-59 * * * *', '23:49:58'), ['23:49:59', '00:00'])
  t.strictSame(secondly('* * 22-23 * * *', '21:59:58'), ['21:59:59', '00:00'])
  // Not every time of the outer trigger is one of the other.
  const half = { interval: '500ms', except: [{ cron: '* * 9-17 * * *' }] }
  const ticks = previewTrigger(resolveTrigger(half, UTC), { from: '2026-11-27T08:59:59.500Z', count: 2 }, 0, 'UTC')
  t.strictSame(
    ticks.map((tick) => tick % 1000),
    [500, 500]
  )
  // At a change of clocks a tick may lie beside the grid of those before and after it.
  const moved = {
    cron: '30 30 2 * * *',
    timezone: VIENNA,
    except: [{ cron: '* * * * *', timezone: 'UTC' }]
  }
  t.strictSame(local(moved, '2026-03-27T12:00', 2), ['2026-03-28 02:30:30', '2026-03-30 02:30:30'])
})

t.test('what leaves out everything is refused, within the budget', async (t) => {
  const minutely = { cron: '* * * * *' }
  const never: TriggerInput[] = [
    { interval: '1s', except: [{ interval: '500ms' }] },
    { cron: '0 9 * * *', startDate: '2026-12-24', endDate: '2026-12-25', except: ['2026-12-24'] },
    { cron: { year: 2027, month: 1, day: '1,2' }, except: [{ from: '2026-12-24', to: '2027-01-06' }] },
    { all: [{ date: 0 }, { interval: 1 }], except: [0] }
  ]
  for (const input of never) {
    t.throws(() => resolveTrigger(input, UTC), { code: /_TRIGGER_NEVER$/, message: /^The trigger except\(/ })
  }
  const undecided: TriggerInput[] = [
    { ...minutely, except: [minutely] },
    { ...NINE, except: [minutely] },
    { ...minutely, except: [{ cron: '*/2 * * * *' }, { cron: '1-59/2 * * * *' }] },
    { interval: '7s', except: [{ interval: '14s' }, { interval: '14s', offset: '7s' }] },
    { any: [{ ...minutely, except: [minutely] }, { interval: '1h' }] }
  ]
  for (const input of undecided) {
    t.throws(
      () => resolveTrigger(input, UTC),
      { code: /_TRIGGER_UNDECIDED$/, message: /`except` leaves out too many of its ticks, or all/ },
      JSON.stringify(input)
    )
  }
  // It ends where no more is found, as `all` does, and a preview lists fewer.
  const ending = { ...NINE, except: [{ ...minutely, startDate: '2027-01-01' }] }
  t.equal(local(ending, '2026-12-30', 10_000).length, 2)
  t.equal(resolveTrigger(ending, UTC).next(Date.UTC(2027, 0, 2)), null)
})

t.test('equal triggers have equal keys, however they are written', async (t) => {
  const key = (except: readonly ExceptInput[]): string => resolveTrigger({ ...NINE, except }, UTC).key
  const equal: (readonly ExceptInput[])[] = [
    ['2026-12-24', '2026-12-25', '2026-12-26'],
    [{ from: '2026-12-24', to: '2026-12-26' }],
    [{ from: '2026-12-25', to: '2026-12-26' }, '2026-12-24', '2026-12-25T12:00'],
    [{ from: '2026-12-23T23:00Z', to: '2026-12-26T22:59:59.999Z' }],
    [{ any: ['2026-12-24', '2026-12-25'].map((date) => ({ date })) }, { from: '2026-12-24', to: '2026-12-26' }]
  ]
  for (const list of equal) t.equal(key(list), key(equal[0]!), JSON.stringify(list))
  const parts: ExceptInput[] = ['0 9 * * mon', { cron: '0 9 * * tue' }, { date: '2026-12-24T09:00' }, '2026-12-30']
  t.equal(key(parts), key([...parts].reverse()))
  t.equal(
    key(parts),
    key([{ any: parts.slice(0, 2) as TriggerInput[] }, '2026-12-24T09:00', '2026-12-30', '0 9 * * mon'])
  )
  const nested = { any: [{ ...NINE, except: parts.slice(0, 2) }], timezone: VIENNA, except: parts.slice(2) }
  t.equal(resolveTrigger(nested, UTC).key, key(parts), 'an exception of an exception')
  t.equal(key([]), resolveTrigger(NINE, UTC).key, 'nothing left out')
  t.equal(resolveTrigger({ ...NINE, timezone: 'Pacific/Apia', except: ['2011-12-30'] }, UTC).key.slice(0, 4), 'cron')
  t.equal(new Set([key(['2026-12-24']), key(['2026-12-25']), key(['2026-12-24T09:00']), key(['@daily'])]).size, 4)
})

t.test('a list of 500 is taken, and read once', async (t) => {
  const dates = Array.from({ length: 500 }, (_, day) =>
    new Date(Date.UTC(2026, 0, 1 + 2 * day)).toISOString().slice(0, 10)
  )
  const input = { ...NINE, except: dates }
  const trigger = resolveTrigger(input, UTC)
  const ticks = previewTrigger(trigger, { from: '2026-01-01', count: 400 }, 0, VIENNA)
  t.strictSame(new Set(ticks.map((tick) => Math.floor((tick - Date.UTC(2026, 0, 1)) / DAY) % 2)), new Set([1]))
  dates.length = 0
  t.equal(trigger.next(Date.UTC(2026, 0, 2, 12)), Date.UTC(2026, 0, 4, 8), 'the trigger keeps what was read')
})
