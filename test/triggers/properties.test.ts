import { Cron } from 'croner'
import fc from 'fast-check'
import t from 'tap'
import { jitterOf, latestTick, previewTrigger, resolveTrigger } from '../../lib/triggers/index.js'
import type { Trigger } from '../../types/trigger.js'
import {
  cronFields,
  cronString,
  instant,
  interval,
  nearChange,
  trigger,
  ZONES
} from '../fixtures/triggers/arbitraries.js'

const UTC = { timezone: 'UTC' }
const from = fc.oneof(instant, nearChange)

function list(trigger: Trigger, after: number, until: number): number[] {
  const ticks: number[] = []
  for (let tick = trigger.next(after); tick !== null && tick <= until; tick = trigger.next(tick)) ticks.push(tick)
  return ticks
}

t.test('next is strictly later, a whole millisecond, and the first such tick', async (t) => {
  const check = fc.property(
    trigger,
    from,
    fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 8 }),
    (input, after, parts) => {
      const trigger = resolveTrigger(input, UTC)
      const tick = trigger.next(after)
      if (tick === null) return
      if (!(tick > after) || !Number.isSafeInteger(tick)) throw new Error(`${tick} after ${after}`)
      if (trigger.next(tick - 1) !== tick) throw new Error('a tick is the next of the millisecond before it')
      for (const part of parts) {
        const between = Math.min(after + Math.floor(part * (tick - after)), tick - 1)
        if (trigger.next(between) !== tick) throw new Error(`another tick after ${between}`)
        if (trigger.next(between + 0.5) !== (between + 0.5 < tick ? tick : null)) throw new Error('after a fraction')
      }
    }
  )
  t.doesNotThrow(() => fc.assert(check, { numRuns: 1500 }))
})

t.test('next agrees with the wall clock minute by minute', async (t) => {
  // Wildcard expressions follow real time, so a minute matches by its local reading alone, as Intl gives it.
  const minutes = fc.tuple(
    fc.constantFrom('*', '*/7', '*/15', '*/20'),
    fc.constantFrom('*', '*/5', '2', '1,3', '0-2', '23')
  )
  const check = fc.property(minutes, fc.constantFrom(...ZONES), nearChange, ([minute, hour], timezone, after) => {
    const found = list(
      resolveTrigger({ cron: `${minute} ${hour} * * *`, timezone }, UTC),
      after,
      after + 12 * 3_600_000
    )
    const format = new Intl.DateTimeFormat('en-GB', {
      timeZone: timezone,
      hour: 'numeric',
      minute: 'numeric',
      hourCycle: 'h23'
    })
    const step = minute === '*' ? 1 : Number(minute.slice(2))
    const hours =
      hour === '*'
        ? null
        : hour === '*/5'
          ? [0, 5, 10, 15, 20]
          : hour === '0-2'
            ? [0, 1, 2]
            : hour.split(',').map(Number)
    const wanted: number[] = []
    for (let at = Math.floor(after / 60_000) * 60_000 + 60_000; at <= after + 12 * 3_600_000; at += 60_000) {
      const [h, m] = format.format(at).split(':').map(Number) as [number, number]
      if (m % step === 0 && (hours === null || hours.includes(h))) wanted.push(at)
    }
    if (JSON.stringify(found) !== JSON.stringify(wanted)) throw new Error(`${found} instead of ${wanted}`)
  })
  t.doesNotThrow(() => fc.assert(check, { numRuns: 150 }))
})

t.test('next agrees with croner where croner keeps to the Vixie rule', async (t) => {
  // Not in zones whose gap ends at midnight, nor for steps on ranges; `*/n` next to a weekday means both.
  const check = fc.property(cronString, fc.constantFrom(...ZONES), from, (cron, timezone, after) => {
    const [day, , weekday] = cron.split(' ').slice(-3) as [string, string, string]
    const domAndDow = day.startsWith('*') || weekday.startsWith('*')
    const croner = new Cron(cron, {
      timezone,
      paused: true,
      mode: '5-or-6-parts',
      fixedTimeRule: 'no-wildcard',
      domAndDow
    })
    const trigger = resolveTrigger({ cron, timezone }, UTC)
    let tick: number | null = after
    for (let i = 0; i < 4 && tick !== null; i++) {
      const wanted: number | null = croner.nextRun(new Date(tick))?.getTime() ?? null
      const found: number | null = trigger.next(tick)
      if (found !== wanted) throw new Error(`${found} instead of ${wanted} after ${tick}`)
      tick = found
    }
  })
  t.doesNotThrow(() => fc.assert(check, { numRuns: 1500 }))
})

t.test('preview is next, repeated', async (t) => {
  const check = fc.property(trigger, from, fc.integer({ min: 1, max: 12 }), (input, after, count) => {
    const trigger = resolveTrigger(input, UTC)
    const wanted: number[] = []
    for (let tick = trigger.next(after); tick !== null && wanted.length < count; tick = trigger.next(tick))
      wanted.push(tick)
    const options = { count, from: after }
    if (JSON.stringify(previewTrigger(trigger, options, 0, 'UTC')) !== JSON.stringify(wanted)) throw new Error('from')
    if (JSON.stringify(previewTrigger(trigger, { count }, after, 'UTC')) !== JSON.stringify(wanted))
      throw new Error('now')
  })
  t.doesNotThrow(() => fc.assert(check, { numRuns: 300 }))
})

t.test('an interval has one grid, wherever one starts to look', async (t) => {
  const check = fc.property(interval, instant, instant, (input, a, b) => {
    const trigger = resolveTrigger(input, UTC)
    for (const tick of [trigger.next(a), trigger.next(b), trigger.next(-a)] as number[]) {
      const distance = (tick - input.offset) % input.interval
      if (Math.abs(distance) !== 0) throw new Error(`${tick} is ${distance} off`)
    }
  })
  t.doesNotThrow(() => fc.assert(check, { numRuns: 1000 }))
})

t.test('equal triggers have one key and the same ticks', async (t) => {
  const check = fc.property(trigger, trigger, instant, (a, b, after) => {
    const [first, second] = [resolveTrigger(a, UTC), resolveTrigger(b, UTC)]
    if (first.key === second.key && first.next(after) !== second.next(after)) throw new Error(first.key)
    if (resolveTrigger(structuredClone(a), UTC).key !== first.key) throw new Error('a copy has another key')
    if (resolveTrigger({ any: [a] }, UTC).key !== first.key) throw new Error('a list of one is its one')
    if (resolveTrigger({ any: [a, b] }, UTC).key !== resolveTrigger({ any: [b, a, b] }, UTC).key)
      throw new Error('order')
  })
  t.doesNotThrow(() => fc.assert(check, { numRuns: 300 }))
})

t.test('any and all are the union and the intersection', async (t) => {
  const small = fc.integer({ min: 1, max: 40 })
  const check = fc.property(fc.array(small, { minLength: 1, maxLength: 4 }), instant, (periods, after) => {
    const inputs = periods.map((seconds) => ({ interval: seconds * 1000 }))
    const until = after + 100_000
    const sets = inputs.map((input) => new Set(list(resolveTrigger(input, UTC), after, until)))
    const union = [...new Set(sets.flatMap((set) => [...set]))].sort((a, b) => a - b)
    const common = union.filter((tick) => sets.every((set) => set.has(tick)))
    if (JSON.stringify(list(resolveTrigger({ any: inputs }, UTC), after, until)) !== JSON.stringify(union))
      throw new Error('any')
    if (JSON.stringify(list(resolveTrigger({ all: inputs }, UTC), after, until)) !== JSON.stringify(common))
      throw new Error('all')
  })
  t.doesNotThrow(() => fc.assert(check, { numRuns: 300 }))
})

t.test('latestTick agrees with a list', async (t) => {
  const check = fc.property(trigger, from, fc.integer({ min: 0, max: 3_600_000 }), (input, since, length) => {
    const trigger = resolveTrigger(input, UTC)
    const until = since + (trigger.key.startsWith('interval') ? Math.floor(length / 60) : length)
    const ticks: number[] = []
    for (
      let tick = trigger.next(since);
      tick !== null && tick <= until && ticks.length < 500;
      tick = trigger.next(tick)
    )
      ticks.push(tick)
    if (ticks.length === 500) return
    if (latestTick(trigger, since, until) !== (ticks.at(-1) ?? null)) throw new Error('latest')
  })
  t.doesNotThrow(() => fc.assert(check, { numRuns: 800 }))
  t.equal(latestTick(resolveTrigger({ interval: 1 }, UTC), 1000, 1002), 1002, 'ticks that follow each other at once')
})

t.test('latestTick asks a few times for a year of seconds', async (t) => {
  let calls = 0
  const counting = (trigger: Trigger): Trigger => {
    const next = (after: number): number | null => {
      calls++
      return trigger.next(after)
    }
    calls = 0
    return { key: '', afterCompletion: null, next }
  }
  const counted = counting(resolveTrigger({ cron: '* * * * * *' }, UTC))
  const until = Date.UTC(2027, 0, 1) + 250
  t.equal(latestTick(counted, Date.UTC(2026, 0, 1), until), Date.UTC(2027, 0, 1))
  t.ok(calls < 80, `${calls} calls`)
  const yearly = resolveTrigger({ cron: '@yearly' }, UTC)
  const rare = counting(yearly)
  t.equal(latestTick(rare, Date.UTC(2000, 5, 1), Date.UTC(2026, 11, 31)), Date.UTC(2026, 0, 1))
  t.ok(calls < 80, `${calls} calls`)
  t.equal(latestTick(yearly, Date.UTC(2026, 0, 1), Date.UTC(2026, 11, 31)), null, 'since is exclusive')
  t.equal(
    latestTick(yearly, Date.UTC(2026, 0, 1) - 1, Date.UTC(2026, 0, 1)),
    Date.UTC(2026, 0, 1),
    'until is inclusive'
  )
  t.equal(latestTick(yearly, 10, 5), null, 'an empty range')
})

t.test('jitter is in bounds, the same each time, and spread', async (t) => {
  const nat = fc.integer({ min: 0, max: 10_000_000 })
  const check = fc.property(fc.string(), instant, nat, fc.option(nat, { nil: null }), (id, tick, jitter, period) => {
    const delay = jitterOf(id, tick, jitter, period)
    const longest = Math.max(0, period === null ? jitter : Math.min(jitter, period - 1))
    if (!Number.isInteger(delay) || delay < 0 || delay > longest) throw new Error(`${delay} of ${longest}`)
    if (jitterOf(id, tick, jitter, period) !== delay) throw new Error('not the same')
  })
  t.doesNotThrow(() => fc.assert(check, { numRuns: 2000 }))
  t.equal(jitterOf('a', 0, 0, null), 0)
  t.equal(jitterOf('a', 0, 1000, 1), 0)
  const distant = Array.from({ length: 100 }, (_, i) => jitterOf('a', i * 2 ** 32, 1e9, null))
  t.equal(new Set(distant).size, 100, 'all of a tick counts')
  for (const [name, delayOf] of [
    ['ticks', (i: number) => jitterOf('cleanup', 1_767_225_600_000 + i * 60_000, 99, null)],
    ['jobs', (i: number) => jitterOf(`job-${i}`, 1_767_225_600_000, 99, null)],
    ['years', (i: number) => jitterOf('yearly', i * 31_536_000_000, 99, null)]
  ] as const) {
    const hits = new Array<number>(100).fill(0)
    for (let i = 0; i < 100_000; i++) hits[delayOf(i)]!++
    const chi = hits.reduce((sum, count) => sum + (count - 1000) ** 2 / 1000, 0)
    // 99 degrees of freedom: 161 is passed once in ten thousand.
    t.ok(chi < 161, `chi-squared over ${name}: ${chi.toFixed(0)}`)
  }
})

t.test('fields of an object mean what the string means, where the two agree', async (t) => {
  const check = fc.property(cronFields, fc.constantFrom(...ZONES), from, (fields, timezone, after) => {
    const { minute, hour = '*', second = '0' } = fields
    const plain = Object.keys(fields).every((key) => ['minute', 'hour', 'second'].includes(key))
    if (!plain) return
    const a = resolveTrigger({ cron: fields, timezone }, UTC)
    const b = resolveTrigger({ cron: `${second} ${minute} ${hour} * * *`, timezone }, UTC)
    if (a.next(after) !== b.next(after)) throw new Error(`${a.next(after)} and ${b.next(after)}`)
  })
  t.doesNotThrow(() => fc.assert(check, { numRuns: 2000 }))
})
