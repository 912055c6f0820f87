import fc from 'fast-check'
import t from 'tap'
import { resolveTrigger } from '../../lib/triggers/index.js'
import type { CronFields } from '../../types/trigger.js'

const UTC = { timezone: 'UTC' }
const START = Date.UTC(2026, 0, 1) - 1
const YEARS = Date.UTC(2028, 0, 1)
const DAY = 86_400_000

function ticksOf(cron: string | CronFields, until = YEARS): number[] {
  const trigger = resolveTrigger({ cron }, UTC)
  const ticks: number[] = []
  for (let tick = trigger.next(START); tick !== null && tick < until; tick = trigger.next(tick)) ticks.push(tick)
  return ticks
}

/** What is read in another way elsewhere, and what the reason has to name. */
const refused: readonly (readonly [cron: string, says: string])[] = [
  // EventBridge: minute, hour, day, month, weekday, year, one of the days being `?`.
  ['0 12 * * ? *', '`?` may only be the day of month or of week'],
  ['15 10 ? * MON-FRI 2027', 'leave out the last one, the year'],
  ['? 12 * * *', '`?` may only be'],
  ['0 ? * * * *', '`?` may only be'],
  ['0 0 12 * ? MON', '`?` may only be'],
  ['cron(0 12 * * ? *)', 'without `cron(...)`'],
  ['rate(5 minutes)', "{ interval: '5m' }"],
  ['at(2027-01-01T00:00:00)', '{ date:'],
  // Quartz: 1 is Sunday.
  ['0 0 12 ? * 2-6', 'names, such as mon-fri'],
  ['0 0 12 ? * 1', 'names, such as mon-fri'],
  ['0 12 ? * 7', 'names, such as mon-fri'],
  ['0 0 12 ? * MON,4', 'names, such as mon-fri'],
  ['0 0 12 ? * 6L', 'names, such as mon-fri'],
  ['0 0 12 ? * 6#3', 'names, such as mon-fri'],
  ['0 0 12 ? * 2/2', 'names, such as mon-fri'],
  ['0 0 12 ? * +2', 'names, such as mon-fri'],
  ['0 0 12 ? * L', 'fril'],
  ['0 0 12 1/5 * ? 2027', '5 or 6 fields'],
  ['0 0 12 * * ? *', '`startDate` and `endDate`'],
  ['0 0 1,? * *', '`?` stands alone'],
  ['0 0 ?/2 * *', '`?` stands alone'],
  ['0 0 1C * *', '`day` cannot be read at `1c`'],
  // Jenkins, cronie and OpenBSD.
  ['H * * * *', '`jitter`'],
  ['H/15 * * * *', '`jitter`'],
  ['0 H(0-7) * * *', '`jitter`'],
  ['0 0 H * *', '`jitter`'],
  ['0 0 * H *', '`jitter`'],
  ['0 0 * * H', '`jitter`'],
  ['0~30 * * * *', '`jitter`'],
  ['~ * * * *', '`jitter`'],
  // robfig/cron and Kubernetes.
  ['@every 1h30m', "{ interval: '5m' }"],
  ['CRON_TZ=Asia/Tokyo 0 6 * * *', '`timezone`'.slice(1, -1)],
  ['TZ=Asia/Tokyo 0 6 * * *', 'timezone:'],
  ['@reboot', 'trigger(id)'],
  ['@Reboot', 'trigger(id)'],
  // A year as the last field.
  ['0 12 * * * 2027', '`startDate` and `endDate`'],
  ['0 12 * * 2027', '`year`'],
  // Whether the week ends on Saturday or on Sunday.
  ['0 0 * * 1/2', 'ends on Saturday for some'],
  ['0 0 * * fri/1', 'ends on Saturday for some'],
  ['0 0 * * sun/7', 'ends on Saturday for some'],
  ['0 0 * * 7/2', 'ends on Saturday for some'],
  ['0 0 * * 1-fri', 'a number and a name'],
  // Reasons name the bounds as they are.
  ['0 0 32 * *', '`day` must be from 1 to 31 at `32`'],
  ['0 0 0 * *', '`day` must be from 1 to 31 at `0`'],
  ['0 0 1-32 * *', '`day` must be from 1 to 31 at `1-32`'],
  ['0 0 32W * *', '`day` must be from 1 to 31 at `32w`'],
  ['0 0 0W * *', '`day` must be from 1 to 31 at `0w`'],
  ['0 0 L-31 * *', 'from l-1 to l-30'],
  ['0 0 * 13 *', '`month` must be from 1 to 12 at `13`'],
  ['0 0 * 0 *', '`month` must be from 1 to 12 at `0`'],
  ['0 24 * * *', '`hour` must be from 0 to 23 at `24`'],
  ['60 0 * * *', '`minute` must be from 0 to 59 at `60`'],
  ['61 0 0 * * *', '`second` must be from 0 to 59 at `61`'],
  ['0 0 * * 8', '`dayOfWeek` must be from 0 to 7 at `8`'],
  ['0 */25 * * *', '`hour` has a step of 25, and only 24 values'],
  ['0 0 * 1/13 *', '`month` has a step of 13, and only 12 values'],
  ['0 0 * * 2/8', '`dayOfWeek` has a step of 8, and only 7 values'],
  ['0 0 */0 * *', '`day` has a step of 0'],
  ['0 0 * * mon-', '`dayOfWeek` cannot be read at `mon-`'],
  ['0 0 * * *#2', '`dayOfWeek` cannot be read at `*#2`'],
  ['0 0 * * *L', '`dayOfWeek` cannot be read at `*l`'],
  ['0 0 15L * *', '`day` cannot be read at `15l`'],
  ['0 0 1-5W * *', '`day` cannot be read at `1-5w`'],
  ['0 0 +1 * mon', '`day` cannot be read at `+1`'],
  ['0 0 * janvier *', '`month` has an unknown name at `janvier`'],
  ['0 0 * mon *', '`month` has an unknown name at `mon`'],
  ['0 0 * * jan', '`dayOfWeek` has an unknown name at `jan`'],
  ['jan 0 * * *', '`minute` has an unknown name at `jan`'],
  ['0 0 , * *', '`day` has an empty part']
]

t.test('what another system writes and means otherwise is refused, and the reason says what to write', async (t) => {
  for (const [cron, says] of refused) {
    const error = t.throws(() => resolveTrigger({ cron }, UTC), { code: 'FST_ERR_RLS_CRON_INVALID' }, cron)
    const { message } = (error ?? {}) as Error
    t.ok(message?.includes(says), `${cron}: ${message}`)
    t.ok(message?.includes(`'${cron}' (string)`), `${cron} is told as it was written`)
  }
})

/** Pairs that mean the same. */
const same: readonly (readonly [written: string, meant: string])[] = [
  // One day, one month, one hour.
  ['0 0 * * sat-sat', '0 0 * * 6'],
  ['0 0 * * sun-sun', '0 0 * * 0'],
  ['0 0 * * 7-7', '0 0 * * 0'],
  ['0 0 * * 0-0', '0 0 * * 0'],
  ['0 0 * * wed-wed', '0 0 * * 3'],
  ['0 0 1 dec-dec *', '0 0 1 12 *'],
  ['0 23-23 * * *', '0 23 * * *'],
  ['59-59 0 * * *', '59 0 * * *'],
  ['0 0 31-31 * *', '0 0 31 * *'],
  ['0 0 * * sat-sat#2', '0 0 * * 6#2'],
  // Ranges that go past the end.
  ['0 22-2 * * *', '0 0,1,2,22,23 * * *'],
  ['0 22-2/2 * * *', '0 0,2,22 * * *'],
  ['0 23-0 * * *', '0 0,23 * * *'],
  ['50-10/10 0 * * *', '0,10,50 0 * * *'],
  ['0 0 29-2 * *', '0 0 1,2,29,30,31 * *'],
  ['0 0 * * fri-mon', '0 0 * * 0,1,5,6'],
  ['0 0 * * fri-mon/2', '0 0 * * 0,5'],
  ['0 0 * * sat-sun', '0 0 * * 0,6'],
  ['0 0 * * 6-7', '0 0 * * 0,6'],
  ['0 0 * * 7-2', '0 0 * * 0,1,2'],
  ['0 0 * * 5-1', '0 0 * * 0,1,5,6'],
  ['0 0 * * 0-7', '0 0 * * 0-6'],
  ['0 0 * * 1-7/2', '0 0 * * 0,1,3,5'],
  ['0 0 * * sun-sat', '0 0 * * 0-6'],
  ['0 0 * * friday-monday#1', '0 0 * * 0#1,1#1,5#1,6#1'],
  ['0 0 * * sat-sunL', '0 0 * * 0L,6L'],
  ['0 0 1 nov-feb *', '0 0 1 1,2,11,12 *'],
  ['0 0 1 nov-feb/3 *', '0 0 1 2,11 *'],
  // From a value to the end.
  ['5/15 0 * * *', '5,20,35,50 0 * * *'],
  ['0 5/7 * * *', '0 5,12,19 * * *'],
  ['0 0 1/10 * *', '0 0 1,11,21,31 * *'],
  ['0 0 1 5/3 *', '0 0 1 5,8,11 *'],
  ['0 0 1 may/3 *', '0 0 1 5,8,11 *'],
  ['0 0 * * 2/2', '0 0 * * 2,4,6'],
  ['0 0 * * mon/4', '0 0 * * 1,5'],
  ['30/30 5 0 * * *', '30 5 0 * * *'],
  // Names, in any case.
  ['0 0 * * Monday,WEDNESDAY', '0 0 * * 1,3'],
  ['0 0 1 January-March *', '0 0 1 1-3 *'],
  ['0 0 * * Thursday#3', '0 0 * * 4#3'],
  ['0 0 * * friL', '0 0 * * 5L'],
  ['0 0 * * fri#L', '0 0 * * 5L'],
  // Quartz, where it means the same.
  ['0 0 12 ? * MON-FRI', '0 12 * * 1-5'],
  ['0 0 12 ? * FRI#2', '0 12 * * 5#2'],
  ['0 0 12 ? * */2', '0 12 * * 0,2,4,6'],
  ['0 0 12 15 * ?', '0 12 15 * *'],
  ['0 0 12 ? * ?', '0 12 * * *'],
  ['@minutely', '* * * * *'],
  ['@MINUTELY', '* * * * *'],
  ['@weekly', '0 0 * * sun']
]

t.test('what has one meaning everywhere is taken', async (t) => {
  for (const [written, meant] of same) {
    const until = written.toLowerCase() === '@minutely' ? START + DAY : YEARS
    t.equal(ticksOf(written, until).join(), ticksOf(meant, until).join(), `${written} is ${meant}`)
  }
})

t.test('days counted from the end of a month', async (t) => {
  const daysOf = (cron: string): number[] => ticksOf(cron, Date.UTC(2026, 4, 1)).map((at) => new Date(at).getUTCDate())
  // January to April 2026 end on a Saturday, a Saturday, a Tuesday and a Thursday.
  t.same(daysOf('0 0 L * *'), [31, 28, 31, 30])
  t.same(daysOf('0 0 LW * *'), [30, 27, 31, 30])
  t.same(daysOf('0 0 L-3 * *'), [28, 25, 28, 27])
  t.same(daysOf('0 0 L-3W * *'), [28, 25, 27, 27])
  t.same(daysOf('0 0 l-0 * *'), [31, 28, 31, 30])
  t.same(daysOf('0 0 L-30 * *'), [1, 1], 'in months of 31 days')
  t.same(daysOf('0 0 LW,15 * *'), [15, 30, 15, 27, 15, 31, 15, 30])
  t.same(daysOf('0 0 L-1,L * *'), [30, 31, 27, 28, 30, 31, 29, 30])
  t.same(daysOf('0 0 L,1W * *'), [1, 31, 2, 28, 2, 31, 1, 30])
  t.same(daysOf('0 0 L * +sat'), [31, 28])
})

t.test('the fields of an object: weekdays by name, ranges past the end, full names', async (t) => {
  for (const dayOfWeek of [0, 3, 7, '3', '0-4', '1,2', '*/2', '2/2', 'mon,3'] as unknown as string[]) {
    t.throws(
      () => resolveTrigger({ cron: { dayOfWeek } }, UTC),
      { code: 'FST_ERR_RLS_CRON_INVALID', message: /`dayOfWeek` names weekdays, as mon-fri .* 0 is Monday for some/ },
      String(dayOfWeek)
    )
  }
  for (const dayOfWeek of ['mon/2', 'sun/3', 'sat/1']) {
    t.throws(() => resolveTrigger({ cron: { dayOfWeek } }, UTC), { message: /ends on Saturday for some/ }, dayOfWeek)
  }
  const pairs: readonly (readonly [CronFields, string])[] = [
    [{ dayOfWeek: '*', hour: 0 }, '0 0 * * *'],
    [{ dayOfWeek: '*/1', hour: 0 }, '0 0 * * *'],
    [{ dayOfWeek: 'fri-mon' }, '0 0 * * 5,6,0,1'],
    [{ dayOfWeek: 'sat-sat' }, '0 0 * * 6'],
    [{ dayOfWeek: 'sun-sun' }, '0 0 * * 0'],
    [{ dayOfWeek: 'Monday-Friday/2' }, '0 0 * * 1,3,5'],
    [{ dayOfWeek: 'tue/2' }, '0 0 * * 2,4,6'],
    [{ dayOfWeek: 'sat-tue/3' }, '0 0 * * 6,2'],
    [{ month: 'nov-feb' }, '0 0 1 11,12,1,2 *'],
    [{ month: 'December-December' }, '0 0 1 12 *'],
    [{ month: 'mar/4' }, '0 0 1 3,7,11 *'],
    [{ month: '11-2/2' }, '0 0 1 11,1 *'],
    [{ hour: '22-2' }, '0 22,23,0,1,2 * * *'],
    [{ hour: '22-3/2' }, '0 22,0,2 * * *'],
    [{ minute: '50-10/10', hour: 3 }, '50,0,10 3 * * *'],
    [{ day: '30-1' }, '0 0 30,31,1 * *'],
    [{ day: '2nd Friday' }, '0 0 * * 5#2'],
    [{ day: 'last monday' }, '0 0 * * 1L'],
    [{ week: '53-1', dayOfWeek: 'thu' }, '0 0 1-7,31 1,12 +thu']
  ]
  for (const [fields, cron] of pairs) {
    const meant =
      fields.week === undefined ? ticksOf(cron) : [Date.UTC(2026, 0, 1), Date.UTC(2026, 11, 31), Date.UTC(2027, 0, 7)]
    t.equal(ticksOf(fields).join(), meant.join(), JSON.stringify(fields))
  }
})

t.test('every token in every field, by brute force', async (t) => {
  const names = {
    month: ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec'],
    dayOfWeek: ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat']
  }
  const fields = [
    { min: 0, max: 59, names: null, read: (at: Date) => at.getUTCMinutes(), cron: (text: string) => `${text} 4 3 2 *` },
    { min: 0, max: 23, names: null, read: (at: Date) => at.getUTCHours(), cron: (text: string) => `5 ${text} 3 2 *` },
    { min: 1, max: 31, names: null, read: (at: Date) => at.getUTCDate(), cron: (text: string) => `5 4 ${text} 1 *` },
    {
      min: 1,
      max: 12,
      names: names.month,
      read: (at: Date) => at.getUTCMonth() + 1,
      cron: (text: string) => `5 4 3 ${text} *`
    },
    {
      min: 0,
      max: 6,
      names: names.dayOfWeek,
      read: (at: Date) => at.getUTCDay(),
      cron: (text: string) => `5 4 * 3 ${text}`
    }
  ]
  const share = fc.integer({ min: 0, max: 999 }).map((value) => value / 1000)
  const part = fc.record({
    from: share,
    to: share,
    step: share,
    form: fc.constantFrom('value', 'range', 'stepped', 'open', 'star'),
    named: fc.boolean()
  })
  let wrapped = 0
  const check = fc.property(
    fc.constantFrom(...fields),
    fc.array(part, { minLength: 1, maxLength: 3 }),
    (field, parts) => {
      const count = field.max - field.min + 1
      const values = new Set<number>()
      const texts = parts.map(({ from, to, step, form, named }) => {
        const [a, b] = [field.min + Math.floor(from * count), field.min + Math.floor(to * count)]
        const by = 1 + Math.floor(step * count)
        const write = (value: number): string =>
          named && field.names !== null ? (field.names[value - field.min] as string) : String(value)
        if (form === 'value') {
          values.add(a)
          return write(a)
        }
        if (form === 'star') {
          for (let value = field.min; value <= field.max; value += by) values.add(value)
          return `*/${by}`
        }
        const isWeek = field.max === 6
        const open = form === 'open' && !(isWeek && (7 - a) % by === 0)
        const end = open ? field.max : b
        const every = form === 'range' ? 1 : by
        // Walks as a hand on a dial does.
        for (let value = a, moved = 0; ; value = value === field.max ? field.min : value + 1, moved++) {
          if (moved % every === 0) values.add(value)
          if (value === end) break
        }
        if (end < a) wrapped++
        return open
          ? `${write(a)}/${by}`
          : form === 'range'
            ? `${write(a)}-${write(b)}`
            : `${write(a)}-${write(b)}/${by}`
      })
      const cron = field.cron(texts.join(','))
      const found = new Set(ticksOf(cron, Date.UTC(2027, 0, 1)).map((at) => field.read(new Date(at))))
      const wanted = [...values].sort((a, b) => a - b)
      if ([...found].sort((a, b) => a - b).join() !== wanted.join()) throw new Error(`${cron}: ${[...found]}`)
    }
  )
  t.doesNotThrow(() => fc.assert(check, { numRuns: 3000 }))
  t.ok(wrapped > 100)
})
