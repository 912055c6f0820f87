import fc from 'fast-check'
import t from 'tap'
import { zoneOf } from '../../lib/triggers/timezone.js'

const DAY = 86_400_000
const HOUR = 3_600_000
const formats = new Map<string, Intl.DateTimeFormat>()

/** The offset as Intl says it, asked in full. */
function offsetOf(timeZone: string, at: number): number {
  let format = formats.get(timeZone)
  if (format === undefined) {
    const numeric = 'numeric' as const
    const parts = { year: numeric, month: numeric, day: numeric, hour: numeric, minute: numeric, second: numeric }
    format = new Intl.DateTimeFormat('en-US', { timeZone, calendar: 'gregory', hourCycle: 'h23', ...parts })
    formats.set(timeZone, format)
  }
  const read = Object.fromEntries(format.formatToParts(at).map(({ type, value }) => [type, Number(value)]))
  const { year, month, day, hour, minute, second } = read as Record<string, number>
  return new Date(0).setUTCFullYear(year!, month! - 1, day!) + ((hour! * 60 + minute!) * 60 + second!) * 1000 - at
}

const zones = Intl.supportedValuesOf('timeZone')
const seconds = (from: number, to: number): fc.Arbitrary<number> =>
  fc.integer({ min: Date.UTC(from, 0, 1) / 1000, max: Date.UTC(to, 0, 1) / 1000 }).map((second) => second * 1000)

t.test('offsets are those of Intl, in all zones, from 1800 to 9999', async (t) => {
  const instant = fc.oneof(seconds(1800, 1970), seconds(1970, 2040), seconds(2038, 2140), seconds(2129, 9999))
  const check = fc.property(fc.constantFrom(...zones), instant, (name, at) => {
    const { from, to, offset } = zoneOf(name).segmentAt(at)
    if (offset !== offsetOf(name, at)) throw new Error(`${name} at ${new Date(at).toISOString()}: ${offset / HOUR}`)
    if (!(from <= at && at < to)) throw new Error(`${name}: ${at} is not from ${from} to ${to}`)
    // Up to the very end of what it says.
    for (const edge of [Math.max(from, Date.UTC(1800, 0, 1)), to - 1000]) {
      if (offsetOf(name, edge) !== offset) throw new Error(`${name} at the edge ${new Date(edge).toISOString()}`)
    }
  })
  t.doesNotThrow(() => fc.assert(check, { numRuns: 4000 }))
})

t.test('changes are farther apart than what is probed, also where they follow the moon', async (t) => {
  for (const name of ['Africa/Casablanca', 'Africa/El_Aaiun', 'Asia/Gaza', 'Asia/Hebron']) {
    const zone = zoneOf(name)
    for (let at = Date.UTC(2026, 0, 1); at < Date.UTC(2090, 0, 1); at += DAY) {
      if (zone.segmentAt(at).offset !== offsetOf(name, at)) t.fail(`${name} at ${new Date(at).toISOString()}`)
    }
    t.pass(name)
  }
})

t.test('segments follow each other without a hole', async (t) => {
  for (const name of [
    'Europe/Vienna',
    'Australia/Lord_Howe',
    'Africa/Casablanca',
    'America/New_York',
    'Asia/Kolkata'
  ]) {
    const zone = zoneOf(name)
    for (const [from, until] of [
      [2036, 2041],
      [2127, 2160],
      [2395, 2405]
    ] as const) {
      let at = Date.UTC(from, 0, 1)
      while (at < Date.UTC(until, 0, 1)) {
        const { to, offset } = zone.segmentAt(at)
        const next = zone.segmentAt(to)
        t.ok(to > at && next.from <= to)
        if (next.offset !== offset && offsetOf(name, to) === offset) t.fail(`${name} changes too early at ${to}`)
        at = to
      }
    }
  }
  t.equal(zoneOf('Europe/Vienna').segmentAt(Date.UTC(250_000, 0, 1)).offset, HOUR)
  t.equal(zoneOf('Europe/Vienna').segmentAt(-8.64e15).to, Date.UTC(1800, 0, 1))
})
