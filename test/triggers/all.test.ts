import fc from 'fast-check'
import t from 'tap'
import { previewTrigger, resolveTrigger } from '../../lib/triggers/index.js'
import type { TriggerInput } from '../../types/trigger.js'
import { nearChange } from '../fixtures/triggers/arbitraries.js'

const UTC = { timezone: 'UTC' }
const NOW = Date.UTC(2026, 10, 26)
const MINUTE = 60_000
const all = (...list: TriggerInput[]): TriggerInput => ({ all: list })
const preview = (input: TriggerInput, count: number, from = NOW): string[] =>
  previewTrigger(resolveTrigger(input, UTC), { count }, from, 'UTC').map((tick) =>
    new Date(tick).toISOString().slice(0, 16)
  )

t.test('intervals are met by arithmetic, however seldom', async (t) => {
  t.same(preview(all({ cron: '0 0 * * *' }, { interval: '10007s' }), 3), [
    '2052-03-12T00:00',
    '2079-08-05T00:00',
    '2106-12-29T00:00'
  ])
  t.same(preview(all({ cron: '0 0 * * *' }, { interval: '10007s' }), 1, Date.UTC(2000, 0, 1)), ['2024-10-18T00:00'])
  const dozen = { any: [{ cron: '0 0 * * *' }, { cron: '0 12 * * *' }] }
  t.same(preview(all(dozen, { interval: '10007s' }), 2), ['2038-06-30T12:00', '2052-03-12T00:00'])
  const [tick] = preview(all({ cron: '0 0 * * *' }, { interval: '101s' }, { interval: '103s', offset: '1s' }), 1)
  const seconds = Date.parse(`${tick}Z`) / 1000
  t.same([seconds % 86_400, seconds % 101, seconds % 103], [0, 0, 1])
  // In a zone whose clocks change, midnight is at one of two times of UTC.
  const vienna = resolveTrigger(all({ cron: '0 0 * * *', timezone: 'Europe/Vienna' }, { interval: '10007s' }), UTC)
  const local = new Intl.DateTimeFormat('en-GB', { timeZone: 'Europe/Vienna', timeStyle: 'medium' })
  const ticks = previewTrigger(vienna, { count: 4 }, NOW, 'UTC')
  t.equal(ticks.length, 4)
  for (const tick of ticks) t.ok(tick % 10_007_000 === 0 && local.format(tick) === '00:00:00', String(tick))
})

t.test('never is told of what never is, and undecided of what could not be found out', async (t) => {
  const never: TriggerInput[] = [
    all({ cron: '0 0 * * *' }, { cron: '0 12 * * *' }),
    all({ cron: '30 * * * *' }, { cron: '0,15,45 * * * *' }, { interval: '1h' }),
    all({ cron: '*/2 * * * * *' }, { interval: '2s', offset: '1s' }),
    all({ interval: '10007s' }, { interval: '20014s', offset: '1s' }),
    all({ cron: '0 0 * * *' }, { interval: '1h', offset: '1m' }),
    all({ any: [{ cron: '0 0 * * *' }, { cron: '0 6 * * *' }] }, { cron: '0 3,15 * * *' }),
    all({ cron: '0 0 29 2 *' }, { cron: { month: 2, day: 28 } })
  ]
  for (const input of never) {
    t.throws(() => resolveTrigger(input, UTC), { code: 'FST_ERR_RLS_TRIGGER_NEVER' }, JSON.stringify(input))
  }
  const undecided: TriggerInput[] = [
    all({ cron: '0 0 2 * *', timezone: 'Europe/Vienna' }, { cron: '0 0 2 * *', timezone: 'America/New_York' }),
    all({ cron: '0 0 2 * *', timezone: 'Asia/Tokyo' }, { cron: '0 0 2 * *', timezone: 'Australia/Lord_Howe' }),
    all({ cron: '0 9,16 * * *' }, { cron: '0 8 * * *' }),
    all({ cron: '30 * * * *' }, { cron: '0,15,45 * * * *' }, { interval: '30m' }),
    { any: [{ interval: '1h' }, all({ cron: '0 9,16 * * *' }, { cron: '0 8 * * *' })] }
  ]
  for (const input of undecided) {
    t.throws(
      () => resolveTrigger(input, UTC),
      {
        code: 'FST_ERR_RLS_TRIGGER_UNDECIDED',
        message: /no tick that can be found: its parts meet too seldom, or never/
      },
      JSON.stringify(input)
    )
  }
})

t.test('ticks are looked for by the rules that clocks follow now', async (t) => {
  // Since 2007 New York has summer time for some weeks in which Vienna has not; before, it never had.
  const half = { any: [{ cron: '0 */2 * * *' }, { cron: '15,30 2,3 * * *', timezone: 'America/New_York' }] }
  const other = { any: [{ cron: '0 3 * * *' }, { cron: '30 1/3 * * *', timezone: 'Europe/Vienna' }] }
  const input = all(half, { interval: '90m', offset: '30m' }, other)
  t.same(preview(input, 2, Date.UTC(2026, 2, 7)), ['2026-03-09T06:30', '2026-03-10T06:30'])
  t.same(preview(input, 1), ['2027-03-15T06:30'])
  const old = all(half, { interval: '90m', startDate: '2000-01-01T00:30' }, other)
  t.same(preview(old, 1), ['2027-03-15T06:30'], 'also where a part began long ago')
})

t.test('a job that had its last tick long ago is not refused', async (t) => {
  const past = all({ cron: { year: 2010, hour: 9, minute: 0 } }, { interval: '1h' })
  t.same(preview(past, 1), [])
  t.same(preview(past, 1, Date.UTC(2010, 0, 1)), ['2010-01-01T09:00'])
  const ended = all({ cron: '0 9 * * *', endDate: '2011-01-01' }, { interval: '1h' })
  t.same(preview(ended, 1), [])
  t.same(preview(ended, 1, Date.UTC(2010, 11, 31)), ['2010-12-31T09:00'])
})

t.test('what a search finds does not depend on what was read before it', async (t) => {
  const timezones = Intl.supportedValuesOf('timeZone').slice(0, 40)
  const input = all(...timezones.map((timezone) => ({ cron: '0 * 13 * +fri', timezone })))
  const cold = preview(input, 10_000)
  t.ok(cold.length > 10 && cold.length < 10_000, `${cold.length} ticks are within the budget`)
  t.same(preview(input, 10_000), cold)
  for (const timezone of timezones) preview({ cron: '@monthly', timezone }, 2000)
  t.same(preview(input, 10_000), cold)
})

t.test('a preview of thousands of years in a zone', async (t) => {
  const yearly = preview({ cron: '@yearly', timezone: 'Europe/Vienna' }, 10_000)
  t.equal(yearly.length, 9999 - 2026, 'every year up to 9999')
  t.equal(yearly[0], '2026-12-31T23:00')
  t.equal(yearly.at(-1), '9998-12-31T23:00')
  t.equal(preview({ cron: '*/5 * * * *', timezone: 'America/New_York' }, 10_000).length, 10_000)
})

t.test('all, by brute force, near changes of clocks', async (t) => {
  const zone = fc.constantFrom('UTC', 'Europe/Vienna', 'America/New_York', 'Australia/Lord_Howe', 'America/Sao_Paulo')
  const cron = fc.record({
    cron: fc.constantFrom(
      '*/15 * * * *',
      '30 2 * * *',
      '0 3 * * *',
      '0 */2 * * *',
      '0 1-5 * * *',
      '45 * * * sat-sun',
      '15,30 2,3 * * *',
      '0 0 * * *',
      '30 1/3 * * *',
      '* 2 * * sun'
    ),
    timezone: zone
  })
  const interval = fc.record({
    interval: fc.constantFrom(15, 30, 45, 60, 90, 7 * 15).map((minutes) => minutes * MINUTE),
    offset: fc.constantFrom(0, 15, 30).map((minutes) => minutes * MINUTE)
  })
  const part: fc.Arbitrary<TriggerInput> = fc.oneof(cron, interval, fc.record({ any: fc.tuple(cron, cron) }))
  let met = 0
  const check = fc.property(fc.array(part, { minLength: 2, maxLength: 3 }), nearChange, (list, after) => {
    let found: number[] = []
    const until = after + 4 * 86_400_000
    try {
      const trigger = resolveTrigger({ all: list }, UTC)
      for (let tick = trigger.next(after); tick !== null && tick <= until; tick = trigger.next(tick)) found.push(tick)
    } catch (error) {
      if (!/NEVER|UNDECIDED/.test((error as { code: string }).code)) throw error
      found = []
    }
    const parts = list.map((each) => resolveTrigger(each, UTC))
    const wanted: number[] = []
    for (let at = Math.ceil((after + 1) / MINUTE) * MINUTE; at <= until; at += MINUTE) {
      if (parts.every((trigger) => trigger.next(at - 1) === at)) wanted.push(at)
    }
    met += wanted.length
    if (found.join() !== wanted.join()) throw new Error(`${found} instead of ${wanted}`)
  })
  t.doesNotThrow(() => fc.assert(check, { numRuns: 250 }))
  t.ok(met > 200, `${met} ticks`)
})
