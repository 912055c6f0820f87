// What the dashboard says of ticks, times and jobs: pure functions, without a browser.
import t from 'tap'
import { fleetHeadline, fleetSubline, mainVersion, skew } from '../../lib/dashboard/fleet-words.js'
import { logLine } from '../../lib/dashboard/log-lines.js'
import { asText, changesOf, fieldsOf, parseTrigger, triggerText } from '../../lib/dashboard/override-form.js'
import { Rows } from '../../lib/dashboard/rows.js'
import { headline, stateReason, stateWord, subline } from '../../lib/dashboard/states.js'
import { storyOf, tickOfEntry } from '../../lib/dashboard/story.js'
import { inPlaces, mergeTicks, percentiles } from '../../lib/dashboard/ticks.js'
import {
  ago,
  city,
  countdown,
  day,
  days,
  dueIn,
  duration,
  hms,
  hmsMillis,
  isSameClock,
  on,
  until,
  when
} from '../../lib/dashboard/time.js'
import { tickToRun, verdict } from '../../lib/dashboard/verdict.js'
import { changeSentence, type Knowledge, quoted, sentence, shownValue } from '../../lib/dashboard/words.js'
import type { AdminChange, AdminTick } from '../../types/admin.js'
import type { HistoryEntry } from '../../types/history.js'
import { countsOf, MadeFleet, OUTAGE, START } from '../fixtures/dashboard-fleet.js'

const SECOND = 1000
const MINUTE = 60 * SECOND
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR
const ZONE = 'Europe/Berlin'
const NEW_YORK = 'America/New_York'

const known: Knowledge = { now: START, zone: ZONE }
const fleet = new MadeFleet('usual', START)

/** A time of that day in Berlin. */
const at = (text: string): number => Date.parse(`2026-11-26T${text}+01:00`)

t.test('durations and ages', async (t) => {
  for (const [ms, text] of [
    [0, '0 ms'],
    [-5, '0 ms'],
    [Number.NaN, '0 ms'],
    [Number.POSITIVE_INFINITY, '?'],
    [620.4, '620 ms'],
    [999.7, '1 s'],
    [9400, '9.4 s'],
    [9960, '10 s'],
    [45_000, '45 s'],
    [59_700, '1 min'],
    [101_000, '1 min 41 s'],
    [HOUR - 1, '1 h'],
    [2 * HOUR + 26 * MINUTE, '2 h 26 min'],
    [26 * HOUR, '1 d 2 h'],
    [12 * DAY + HOUR, '12 d']
  ] as const) {
    t.equal(duration(ms), text, `${ms}`)
  }
  t.equal(countdown(7 * MINUTE + 42 * SECOND), '7 min 42 s')
  t.equal(countdown(32 * MINUTE + 42 * SECOND), '32 min', 'seconds below ten minutes alone')
  t.equal(countdown(-1), '0 s')
  t.equal(ago(START - 26 * MINUTE - 59_000, START), '26 min ago')
  t.equal(ago(START + 5000, START), '0 s ago', 'a time to come is no age')
  t.equal(until(START - 1, START), 'in 0 s')
  t.equal(dueIn(START + 5 * MINUTE + 1, START), 'due in 6 min')
  t.strictSame([days(7 * DAY), days(DAY), days(90 * MINUTE)], ['7 days', '1 day', '1 h 30 min'])
})

t.test('times in a zone, over its changes', async (t) => {
  t.equal(hms(START, ZONE), '14:32:18')
  t.equal(hms(START, NEW_YORK), '08:32:18')
  t.equal(hmsMillis(START + 21, ZONE), '14:32:18.021')
  t.equal(day(START, ZONE), 'Thu 26 Nov')
  t.equal(when(START - HOUR, START, ZONE), '13:32:18')
  t.equal(when(START - 20 * HOUR, START, ZONE), 'Wed 18:32')
  t.equal(when(START - 10 * DAY, START, ZONE), '16 Nov 14:32')
  t.equal(when(START - 365 * DAY, START, ZONE), '26 Nov 2025 14:32')
  t.equal(on(START + 22 * HOUR, START, ZONE), 'tomorrow at 12:32:18')
  t.equal(on(at('15:00:00'), START, ZONE), 'at 15:00')
  t.equal(on(START + 3 * DAY, START, ZONE), 'on Sun 29 Nov at 14:32:18')
  // The hour that comes twice in Berlin on 25 October.
  t.equal(hms(Date.parse('2026-10-25T00:30:00Z'), ZONE), '02:30:00')
  t.equal(hms(Date.parse('2026-10-25T01:30:00Z'), ZONE), '02:30:00')
  t.equal(hms(Date.parse('2026-03-29T01:00:00Z'), ZONE), '03:00:00')
  t.equal(hms(Date.parse('2026-11-25T23:00:00Z'), ZONE), '00:00:00', 'midnight is 0 and not 24')
  t.equal(hms(START, 'Mars/Olympus'), '13:32:18', 'in UTC where the browser does not know a zone')
  for (const wrong of [Number.NaN, Number.POSITIVE_INFINITY, 9e15]) t.equal(hms(wrong, ZONE), '?')
  t.equal(city('America/Argentina/Buenos_Aires'), 'Buenos Aires')
  t.ok(isSameClock(ZONE, 'Europe/Paris', START))
  t.notOk(isSameClock(ZONE, NEW_YORK, START))
})

t.test('what became of a tick, in a sentence', async (t) => {
  const holder: AdminTick = { at: at('14:25:00'), kind: 'running', run: 'a', on: 'web-1', started: at('14:25:00') }
  const change: AdminChange = {
    at: START - DAY,
    by: 'jonas',
    action: 'skip',
    job: 'a',
    group: null,
    run: null,
    scheduledTime: START,
    until: null,
    options: [],
    note: 'stocktaking'
  }
  const pause = {
    of: 'job',
    note: 'Wait for SHOP-4121',
    by: 'mara',
    at: START - HOUR,
    until: at('09:00:00') + DAY,
    version: '1'
  } as const
  const run = { at: START, run: 'b', on: 'web-2', started: START } as const
  const cases: readonly (readonly [AdminTick, Partial<Knowledge>, string])[] = [
    [{ ...run, kind: 'success', ms: 1300 }, {}, 'ran on web-2 in 1.3 s'],
    [{ ...run, kind: 'success', ms: 7800, attempt: 2 }, {}, 'ran on web-2 in 7.8 s, at the second attempt'],
    [
      { ...run, kind: 'success', ms: 7800, trigger: 'manual', by: 'mara' },
      {},
      'ran on web-2 in 7.8 s, asked for by mara'
    ],
    [
      { ...run, kind: 'success', ms: 1900, others: [{ ...run, kind: 'success', on: 'web-3', ms: 2100 }] },
      {},
      'ran on web-2 in 1.9 s, web-3 in 2.1 s'
    ],
    [
      { ...run, kind: 'success', ms: 1900, others: [{ ...run, kind: 'timeout', on: 'web-3', ms: 5000 }] },
      {},
      'ran on web-2 in 1.9 s; timed out on web-3 after 5 s'
    ],
    [
      { ...run, kind: 'error', ms: 9400, attempt: 3, error: 'PaymentGatewayError: 502 from api.psp.example' },
      { attempts: 3 },
      'failed on web-2 after 9.4 s, attempt 3 of 3: PaymentGatewayError: 502 from api.psp.example'
    ],
    [
      { ...run, kind: 'error', ms: 9400, error: 'Error: no\n  more' },
      {},
      'failed on web-2 after 9.4 s: Error: no more'
    ],
    [{ ...run, kind: 'timeout', ms: 45_000 }, {}, 'timed out on web-2 after 45 s'],
    [
      { ...run, kind: 'cancelled', ms: 31_000 },
      { changes: [{ ...change, action: 'cancel', by: 'mara', run: 'b', note: 'wrong VAT in template' }] },
      'cancelled on web-2 after 31 s by mara: “wrong VAT in template”'
    ],
    [
      { ...run, kind: 'lock_lost', ms: 31_000 },
      {},
      'lost its lock on web-2 after 31 s: it could not be extended. The run was told to stop'
    ],
    [
      { ...run, kind: 'abandoned', ms: 134_000 },
      { recovery: 'none' },
      'abandoned: web-2 was gone, noticed 2 min 14 s after the run began. Not rerun: recovery is none'
    ],
    [
      {
        ...run,
        kind: 'running',
        started: START - 1_038_000,
        progress: { share: 0.61, note: '48,210 of 79,000 products', at: START }
      },
      {},
      'running on web-2 for 17 min 18 s, 61 %: 48,210 of 79,000 products'
    ],
    [
      { at: at('14:30:00'), kind: 'overlap', on: 'web-3' },
      { ticks: [holder] },
      'no run: the run of 14:25 still held the lock (web-1, 5 min)'
    ],
    [{ at: START, kind: 'overlap' }, {}, 'no run: the run before still held the lock'],
    [
      { at: START, kind: 'misfire', on: 'web-1' },
      { grace: 30_000 },
      'no run: nobody had room for it within its grace of 30 s'
    ],
    [
      { at: at('13:52:00'), kind: 'coalesced', until: at('13:53:00'), count: 2 },
      { ticks: [{ ...run, at: at('13:54:00'), kind: 'success' }] },
      '2 ticks had no run: folded into the tick of 13:54'
    ],
    [{ at: START, kind: 'condition' }, {}, 'no run: its condition said no'],
    [
      { at: START - 1000, until: START, count: 11, kind: 'paused' },
      { pauses: [pause] },
      '11 ticks without a run: paused by mara until Fri 09:00: “Wait for SHOP-4121”'
    ],
    [{ at: START - 2 * HOUR, kind: 'paused' }, { pauses: [pause] }, 'no run: it was paused'],
    [
      { at: START, kind: 'paused' },
      { changes: [{ ...change, action: 'pause', note: null }] },
      'no run: paused by jonas'
    ],
    [{ at: START, kind: 'redis_error', until: START, count: 3 }, {}, '3 ticks missed: Redis did not answer'],
    [
      { at: OUTAGE.from + 5000, kind: 'redis_error' },
      { outage: OUTAGE },
      'no run: Redis did not answer from 12:29:55 to 12:30:35'
    ],
    [{ at: START, kind: 'operator' }, { changes: [change] }, 'no run: skipped by jonas: “stocktaking”'],
    [
      { at: START, kind: 'shutdown', on: 'web-2' },
      {},
      'no run: web-2 was closing and no other replica took it in time'
    ],
    [{ at: START, kind: 'waiting' }, {}, 'waits for a slot'],
    [{ at: START, kind: 'solar_flare' as 'misfire' }, {}, 'no run: solar flare'],
    [{ ...run, kind: 'melted' as 'error', ms: 10 }, {}, 'ended on web-2 after 10 ms: melted']
  ]
  for (const [tick, more, text] of cases) t.equal(sentence(tick, { ...known, ...more }), text)
})

t.test('texts of others turn nothing around', async (t) => {
  t.equal(quoted('plain'), 'plain')
  t.equal(quoted('\u05d0\u05d1'), '\u2068\u05d0\u05d1\u2069', 'what is written from the right is kept to itself')
  t.equal(quoted('a\u202eb\n\tc'), 'a\ufffdb c', 'what would turn it is seen')
})

t.test('what people did', async (t) => {
  const base = {
    group: null,
    run: null,
    scheduledTime: null,
    until: null,
    options: [],
    note: null,
    job: 'a',
    by: 'mara',
    at: START
  } as const
  const cases: readonly (readonly [Partial<AdminChange>, string])[] = [
    [{ action: 'pause', until: START + HOUR, note: 'x' }, 'mara paused a until 15:32:18: “x”'],
    [{ action: 'pause', job: null, group: 'orders' }, 'mara paused group orders'],
    [{ action: 'resume', job: null }, 'mara resumed all jobs'],
    [{ action: 'override', options: ['trigger', 'timeout', 'retry'] }, 'mara changed trigger, timeout and retry of a'],
    [{ action: 'reset' }, 'mara reset to code a'],
    [{ action: 'trigger', scheduledTime: START }, 'mara asked for a run of the tick of 14:32:18 of a'],
    [{ action: 'cancel', scheduledTime: START }, 'mara cancelled the run of 14:32:18 of a'],
    [{ action: 'release' }, 'mara released the lock of a'],
    [{ action: 'paint_it' as 'reset' }, 'mara paint it a']
  ]
  for (const [more, text] of cases) t.equal(changeSentence({ ...base, action: 'pause', ...more }, START, ZONE), text)
  t.equal(changeSentence({ ...base, action: 'pause' }, START, ZONE, true), 'mara paused the job')
})

t.test('how jobs stand, and why', async (t) => {
  const counts = countsOf(fleet.all())
  t.equal(headline(counts, null), '4 of 14 jobs need attention')
  t.equal(headline(counts, '14:31:36'), 'At 14:31:36, 4 of 14 jobs needed attention')
  t.equal(
    subline(counts),
    '1 overdue, 1 failing, 1 missed its tick, 1 overlapping. The other 10 are as they should be.'
  )
  const calm = {
    ...counts,
    ranks: { ...counts.ranks, attention: 0 },
    states: { ...counts.states, overdue: 0, failing: 0, missed: 0, overlapping: 0 }
  }
  t.equal(headline(calm, null), 'No job needs attention: each of 14 jobs is as it should be')
  t.equal(headline({ ...calm, all: 1, ranks: { ...calm.ranks, attention: 1 } }, null), 'The only job needs attention')
  t.equal(headline({ ...calm, all: 0 }, null), 'No jobs yet')
  const job = (id: string) => fleet.job(id) as NonNullable<ReturnType<MadeFleet['job']>>
  const told = (id: string): string => {
    const detail = fleet.detail(id)
    const attempts = detail?.definition.retry == null ? null : detail.definition.retry.limit + 1
    return `${stateWord(job(id))}. ${verdict(job(id), { ...known, attempts, outage: OUTAGE })}`
  }
  t.equal(
    told('sync-warehouse-stock'),
    'Overdue. No success for 2 h 26 min; one was due 1 h 24 min ago. The run of 13:05 went down with web-2, and nobody had room for the tick of 14:05.'
  )
  t.equal(
    told('capture-payments'),
    'Failing, 3 in a row. The last 3 runs failed, each after 3 attempts, all with PaymentGatewayError: 502 from api.psp.example. Last success 14:00:04.'
  )
  t.equal(
    told('import-supplier-prices'),
    'Missed its tick. The tick of 12:30 had no run: Redis did not answer from 12:29:55 to 12:30:35. The next tick is tomorrow at 12:30.'
  )
  t.equal(
    told('export-orders-to-erp'),
    'Overlapping. The run of 14:25 has gone on for 7 min on web-1; the longest before took 6 min 12 s. It holds the lock, so 14:30 had no run and 14:35 will have none unless it ends before.'
  )
  t.match(
    told('reindex-products'),
    /^Running, 61 %\. On web-3 since 14:15:00, 61 % done: 48,210 of 79,000 products\. It should end at about 14:43/
  )
  t.equal(
    told('send-newsletter-batch'),
    'Paused. By mara until Fri 09:00, since 09:12:40: “Template shows the wrong VAT. Wait for SHOP-4121.”'
  )
  t.equal(told('report-daily-revenue'), 'On time. Each of the last 60 ticks ran.')
  t.equal(told('purge-sessions'), 'On time. Of the last 60 ticks, 3 had no run or failed.')
  t.equal(stateReason(job('capture-payments'), START, ZONE), '502 from api.psp.example')
  t.equal(stateReason(job('expire-carts'), START, ZONE), '13:53 folded')
  t.equal(stateReason({ ...job('expire-carts'), state: 'gone' }, START, ZONE), 'no living replica has it')
  t.equal(tickToRun(job('capture-payments'))?.at, at('14:30:00'))
  t.equal(tickToRun(job('expire-carts')), null, 'what ran need not run again')
  t.equal(tickToRun({ ...job('capture-payments'), isOnEvery: true }), null)
})

t.test('ticks are put together, and each has a place', async (t) => {
  const waiting: AdminTick = { at: 2, kind: 'waiting' }
  const running: AdminTick = { at: 2, kind: 'running', run: 'b', started: 3 }
  const done: AdminTick = { at: 2, kind: 'success', run: 'b', started: 3, ms: 5 }
  const first: AdminTick = { at: 1, kind: 'success', run: 'a', started: 1, ms: 1 }
  t.strictSame(mergeTicks([first, waiting], [running]), [first, running], 'what waited runs')
  t.strictSame(mergeTicks([first, running], [done]), [first, done])
  t.strictSame(mergeTicks([first], []), [first])
  const range: AdminTick = { at: 10, until: 30, count: 3, kind: 'paused' }
  t.strictSame(mergeTicks([{ at: 10, until: 20, count: 2, kind: 'paused' }], [range]), [range], 'a range grows')
  t.strictSame(mergeTicks([{ at: 20, kind: 'paused' }], [range]), [range], 'and takes in what it begins before')
  const again: AdminTick = { at: 2, kind: 'error', run: 'c', started: 9 }
  t.strictSame(mergeTicks([first, done], [again]), [first, done, again], 'a tick that was run again has two runs')
  t.strictSame(
    inPlaces([first, range, { at: 40, kind: 'claimed_elsewhere' }], 3).map((tick) => tick.at),
    [10, 20, 30]
  )
  t.equal(inPlaces([{ at: 0, until: 1e9, count: 1e9, kind: 'paused' }]).length, 60)
  t.strictSame(percentiles([first, done, again]), { p50: 5, p95: 5 })
  t.strictSame(percentiles([]), { p50: null, p95: null })
})

t.test('the story folds sameness, and never an exception', async (t) => {
  const story = (id: string, more: Partial<Parameters<typeof storyOf>[0]> = {}) => {
    const job = fleet.job(id) as NonNullable<ReturnType<MadeFleet['job']>>
    const lines = storyOf({
      entries: fleet.entries(id),
      changes: fleet.changesOf(id),
      filter: 'all',
      isOnEvery: job.isOnEvery,
      p95: job.p95,
      period: job.period,
      zone: ZONE,
      hasMore: false,
      kept: { runs: 100, retention: 7 * DAY },
      ...more
    })
    return lines.map((line) => {
      if (line.kind === 'tick') return sentence(line.tick, known)
      if (line.kind === 'folded') return `${line.ticks.length} ran`
      if (line.kind === 'change') return changeSentence(line.change, START, ZONE, true)
      return line.kind === 'day' ? day(line.at, ZONE) : line.kind
    })
  }
  t.strictSame(story('capture-payments').slice(0, 7), [
    'Thu 26 Nov',
    'failed on web-1 after 9.4 s, attempt 3: PaymentGatewayError: 502 from api.psp.example',
    'failed on web-3 after 8.7 s, attempt 3: PaymentGatewayError: 502 from api.psp.example',
    'failed on web-1 after 9.1 s, attempt 3: PaymentGatewayError: 502 from api.psp.example',
    '9 ran',
    'no run: Redis did not answer',
    '16 ran'
  ])
  t.match(story('capture-payments'), { length: 9 }, 'and the run at the second attempt, and what was before')
  t.strictSame(story('send-newsletter-batch').slice(0, 4), [
    'Thu 26 Nov',
    '11 ticks without a run: it was paused',
    'mara paused the job until Fri 09:00: “Template shows the wrong VAT. Wait for SHOP-4121.”',
    'mara cancelled the run of 09:00: “wrong VAT in template”'
  ])
  t.strictSame(story('warm-product-pages', { kept: null }), ['Thu 26 Nov', '60 ran'], 'of all replicas a tick is one')
  t.strictSame(story('capture-payments', { filter: 'norun' }), ['Thu 26 Nov', 'no run: Redis did not answer'])
  t.equal(story('capture-payments', { filter: 'failed' }).length, 4)
  t.strictSame(story('check-upstreams', { kept: { runs: 60, retention: DAY } }), ['Thu 26 Nov', '60 ran', 'forgotten'])
  t.strictSame(story('check-upstreams', { kept: null, entries: [] }), [])
  const old: HistoryEntry = {
    kind: 'ticks',
    jobId: 'a',
    first: START - HOUR,
    last: START - HOUR,
    count: 1,
    reason: 'misfire',
    by: 'web-1',
    at: START
  }
  t.strictSame(
    story('check-upstreams', {
      kept: { runs: 60, retention: DAY },
      entries: [...fleet.entries('check-upstreams'), old]
    }),
    ['Thu 26 Nov', '60 ran', 'forgotten', 'no run: nobody had room for it within its grace', 'forgotten'],
    'what is forgotten lies before the oldest run that is kept'
  )
  for (const strange of [null, 'a', {}, { kind: 'run' }, { kind: 'ticks', first: Number.NaN }, { kind: 'poem' }]) {
    t.equal(tickOfEntry(strange as unknown as HistoryEntry), null)
  }
})

t.test('lines of a log', async (t) => {
  const time = at('14:30:02') + 310
  t.equal(logLine(`{"level":40,"time":${time},"pid":1,"msg":"again"}`, ZONE), '14:30:02.310 WARN  again')
  t.equal(
    logLine(`{"level":"info","time":"2026-11-26T13:30:02.310Z","msg":"ok","rows":3}`, ZONE),
    '14:30:02.310 INFO  ok rows=3'
  )
  t.equal(
    logLine(`{"level":50,"time":${time},"err":{"type":"Error","message":"no"},"msg":""}`, ZONE),
    '14:30:02.310 ERROR err=no'
  )
  for (const plain of ['a line', '{"level":30,"time":17', '{}', '{"level":30}']) t.equal(logLine(plain, ZONE), plain)
})

t.test('an override is what was changed in the form', async (t) => {
  const definition = fleet.detail('capture-payments')?.definition
  if (definition === undefined) throw new Error('There is such a job')
  const fields = fieldsOf(definition, false)
  t.strictSame(changesOf(fields, {}, definition), {})
  t.strictSame(changesOf(fields, { timeout: '2m', trigger: ' */10 * * * * ' }, definition), {}, 'the same is no change')
  t.strictSame(
    changesOf(fields, { trigger: '', timeout: '90s', retry: '0', maxInstances: '2', maxRuns: 'many' }, definition),
    { trigger: null, timeout: '90s', retry: false, maxInstances: 2, maxRuns: 'many' }
  )
  t.strictSame(parseTrigger('{ "interval": "5m" }'), { interval: '5m' })
  t.equal(parseTrigger('@hourly'), '@hourly')
  t.throws(() => parseTrigger('{ interval'), SyntaxError)
  t.strictSame(
    [asText(null), asText(0), asText(1500), asText(90_000), asText(2 * HOUR)],
    ['', '0', '1500ms', '90s', '2h']
  )
  t.equal(triggerText({ cron: '0 8 * * *', timezone: NEW_YORK }), `{ "cron": "0 8 * * *", "timezone": "${NEW_YORK}" }`)
  t.notOk(
    fieldsOf(definition, true).some(({ name }) => name === 'lock'),
    'what runs everywhere has no lock'
  )
  t.strictSame(
    [
      shownValue('timeout', 5 * MINUTE),
      shownValue('retry', null),
      shownValue('retry', 2),
      shownValue('trigger', { cron: '* * * * *' }),
      shownValue('retry', { limit: 3 })
    ],
    ['5 min', 'none', '2', '* * * * *', '{"limit":3}']
  )
})

t.test('the fleet in a line', async (t) => {
  const made = fleet.fleet([], true)
  t.equal(mainVersion(made.replicas), '2026.11.4')
  t.equal(fleetHeadline(made, null), '3 replicas take ticks, 1 runs another version')
  t.equal(fleetHeadline(made, '42 s ago'), '4 replicas, last heard of 42 s ago')
  t.equal(fleetHeadline({ ...made, replicas: [] }, null), 'No replica takes ticks')
  const alike = { ...made, differences: [], replicas: made.replicas.slice(0, 1) }
  t.equal(fleetHeadline(alike, null), '1 replica takes ticks')
  t.equal(fleetSubline(alike), 'All run the same version and define their jobs alike.')
  t.strictSame([skew(3), skew(-11.4), skew(0.2), skew(-90_000)], ['+3 ms', '−11 ms', '0 ms', '−90 s'])
})

t.test('rows are found without drawing those before', async (t) => {
  const matching = { attention: 2, running: 0, paused: 1, on_time: 3, gone: 0 }
  const rows = new Rows(6, matching, { heading: 30, row: 50 })
  t.equal(rows.count, 9)
  t.equal(rows.height, 3 * 30 + 6 * 50)
  t.strictSame(
    Array.from({ length: 9 }, (_, row) => rows.get(row)?.job),
    [null, 0, 1, null, 2, null, 3, 4, 5]
  )
  for (let row = 0; row < 9; row++) {
    t.equal(rows.at(rows.offsetOf(row)), row)
    t.equal(rows.at(rows.offsetOf(row + 1) - 1), row)
  }
  t.strictSame([rows.at(-100), rows.at(1e6)], [0, 8])
  t.strictSame(
    [0, 2, 5].map((index) => rows.rowOf(index)),
    [1, 4, 8]
  )
  t.equal(new Rows(6, null, { heading: 30, row: 50 }).height, 300, 'in another order there are no headings')
  t.equal(new Rows(7, matching, { heading: 30, row: 50 }).count, 10, 'a rank that is not known has no heading')
  const none = new Rows(0, matching, { heading: 30, row: 50 })
  t.strictSame([none.count, none.height, none.get(0)], [0, 0, null])
})
