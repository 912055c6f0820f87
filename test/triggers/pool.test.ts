import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import t from 'tap'
import { TriggerPool } from '../../lib/triggers/index.js'
import type { TriggerInput } from '../../types/trigger.js'

t.test('equal triggers are one, however they are written', async (t) => {
  const pool = new TriggerPool({ timezone: 'UTC' })
  const groups: TriggerInput[][] = [
    [
      { interval: '5m' },
      { interval: 300_000 },
      { interval: { minutes: 5 } },
      { interval: '300s', offset: 0 },
      { interval: '5m', timezone: 'Asia/Tokyo' },
      { interval: '5m', offset: '5m' }
    ],
    [
      { cron: '*/5 * * * *' },
      { cron: '  */5  *  * * *' },
      { cron: '0 */5 * * * *' },
      { cron: '*/5 * * * *', timezone: 'UTC' },
      { timezone: 'utc', cron: '*/5 * ? * *' }
    ],
    [
      { cron: '0 * * * *', timezone: 'Europe/Vienna' },
      { cron: '@hourly', timezone: 'Europe/Vienna' },
      { cron: '@HOURLY', timezone: 'europe/vienna' }
    ],
    [{ cron: '0 0 * * MON-FRI' }, { cron: '0 0 * * mon-fri' }],
    [
      { cron: { minute: 5 } },
      { cron: { minute: '5', hour: '*' } },
      { cron: { minute: ' 5 ', second: 0 } },
      { cron: { minute: '5-5', day: '*' } }
    ],
    [
      { cron: { dayOfWeek: 'mon-fri' } },
      { cron: { dayOfWeek: 'monday-FRIDAY' } },
      { cron: { dayOfWeek: 'MON-fri', hour: 0 } }
    ],
    [
      { date: '2027-01-01' },
      { date: new Date('2027-01-01T00:00:00Z') },
      { date: Date.UTC(2027, 0, 1) },
      { date: '2027-01-01T01:00:00+01:00' },
      { date: '2027-01-01T09:00', timezone: 'Asia/Tokyo' }
    ],
    [
      { any: [{ interval: 7 }, { date: 5 }] },
      { any: [{ date: 5 }, { interval: 7 }, { interval: 7 }] },
      { any: [{ any: [{ date: 5 }] }, { interval: 7 }] }
    ],
    [
      { interval: '1h', startDate: '2026-01-01' },
      { interval: '60m', startDate: Date.UTC(2026, 0, 1) }
    ]
  ]
  const all = groups.map((group) => group.map((input) => pool.acquire(input)))
  t.equal(pool.size, groups.length)
  for (const [index, group] of all.entries()) t.equal(new Set(group).size, 1, `group ${index}: ${group[0]!.key}`)
  t.equal(new Set(all.map((group) => group[0]!.key)).size, groups.length)
  for (const group of all) for (const trigger of group) pool.release(trigger)
  t.equal(pool.size, 0)
})

t.test('unequal triggers are not one', async (t) => {
  const pool = new TriggerPool({ timezone: 'UTC' })
  const inputs: TriggerInput[] = [
    { interval: 5 },
    { interval: 50 },
    { interval: 5, offset: 1 },
    { interval: 5, startDate: 1 },
    { interval: 5, endDate: 1 },
    { interval: 5, startDate: 1, endDate: 1 },
    { interval: 5, after: 'completion' },
    { interval: 5, after: 'completion', startDate: 1 },
    { date: 5 },
    { cron: '5 * * * *' },
    { cron: '5 * * * *', timezone: 'Europe/Vienna' },
    { cron: '5 * * * *', startDate: 1 },
    { cron: '5 * * * *', endDate: 1 },
    { cron: { minute: 5 } },
    { cron: { minute: 5 }, timezone: 'Europe/Vienna' },
    { any: [{ interval: 5 }, { date: 5 }] },
    { all: [{ interval: 5 }, { date: 5 }] }
  ]
  const triggers = inputs.map((input) => pool.acquire(input))
  t.equal(new Set(triggers).size, inputs.length)
  t.equal(pool.size, inputs.length)
})

t.test('a trigger is freed with its last user', async (t) => {
  const pool = new TriggerPool({ timezone: 'UTC' })
  const [a, b, c] = [
    pool.acquire({ interval: '5m' }),
    pool.acquire({ interval: '5m' }),
    pool.acquire({ interval: 300_000 })
  ]
  pool.release(a)
  pool.release(b)
  t.equal(pool.size, 1)
  t.equal(pool.acquire({ interval: '5m' }), c)
  pool.release(c)
  pool.release(c)
  t.equal(pool.size, 0)
  pool.release(c)
  t.equal(pool.size, 0, 'once too often does nothing')
  const again = pool.acquire({ interval: '5m' })
  t.not(again, a, 'its written forms are forgotten with it')
  pool.release(a)
  t.equal(pool.size, 1, 'an old instance does not free a new one')
  pool.release(new TriggerPool({ timezone: 'UTC' }).acquire({ interval: '5m' }))
  t.equal(pool.size, 1, 'nor does that of another pool')
})

t.test("the default time zone is the pool's", async (t) => {
  const pool = new TriggerPool({ timezone: 'Europe/Vienna' })
  const cron = pool.acquire({ cron: '0 0 * * *' })
  t.equal(cron.next(Date.UTC(2026, 0, 1)), Date.UTC(2026, 0, 1, 23))
  t.equal(pool.acquire({ cron: '0 0 * * *', timezone: 'Europe/Vienna' }), cron)
  t.equal(pool.acquire({ date: '2027-01-01' }).next(0), Date.UTC(2026, 11, 31, 23))
})

t.test('the fast path refuses what the slow one refuses', async (t) => {
  const pool = new TriggerPool({ timezone: 'UTC' })
  const acquire = (input: unknown) => () => pool.acquire(input as TriggerInput)
  pool.acquire({ interval: 5 })
  pool.acquire({ cron: '* * * * *', timezone: 'UTC' })
  pool.release(pool.acquire({ interval: '5m', offset: 5 }))
  const held = pool.acquire({ interval: '5m', offset: 5 })
  for (let i = 0; i < 2; i++) {
    t.throws(acquire({ interval: 5, foo: 'x' }), { code: 'FST_ERR_RLS_OPTION_UNKNOWN' })
    t.throws(acquire({ interval: '5m6:offsetn5' }), { code: 'FST_ERR_RLS_DURATION_INVALID' })
    t.throws(acquire({ interval: '5m6:offsetn1:5' }), { code: 'FST_ERR_RLS_DURATION_INVALID' })
    t.throws(acquire({ interval: '5:x' }), { code: 'FST_ERR_RLS_DURATION_INVALID' })
    t.throws(acquire({ cron: '* * * * *8:timezones3:UTC' }), { code: 'FST_ERR_RLS_CRON_INVALID' })
    t.throws(acquire(Object.create({ interval: 5 })), { code: 'FST_ERR_RLS_TRIGGER_INVALID' })
    t.throws(
      acquire(
        new (class {
          interval = 5
        })()
      ),
      { code: 'FST_ERR_RLS_TRIGGER_INVALID' }
    )
    t.throws(acquire(null), { code: 'FST_ERR_RLS_TRIGGER_INVALID' })
    t.throws(acquire({ date: '5' }), { code: 'FST_ERR_RLS_DATE_INVALID' })
  }
  t.type(pool.acquire({ date: 5 }).next(0), 'number')
  t.throws(acquire({ date: '5' }), { code: 'FST_ERR_RLS_DATE_INVALID' }, 'a string is not the number it shows')
  pool.release(held)
  t.equal(pool.size, 3)
})

t.test('what may change is read each time', async (t) => {
  const pool = new TriggerPool({ timezone: 'UTC' })
  const date = new Date(1000)
  const input = { date }
  t.equal(pool.acquire(input).next(0), 1000)
  date.setTime(2000)
  t.equal(pool.acquire(input).next(0), 2000)
  let period = 10
  const getter = Object.defineProperty({}, 'interval', { enumerable: true, get: () => period }) as TriggerInput
  t.equal(pool.acquire(getter).next(0), 10)
  period = 20
  t.equal(pool.acquire(getter).next(0), 20)
  const nested = { interval: { seconds: 1 } }
  t.equal(pool.acquire(nested).next(0), 1000)
  nested.interval.seconds = 2
  t.equal(pool.acquire(nested).next(0), 2000)
  const proxy = new Proxy(
    { interval: 30 },
    { get: (target, key) => (key === 'interval' ? period : Reflect.get(target, key)) }
  )
  t.equal(pool.acquire(proxy).next(0), 20)
  t.equal(pool.acquire({ interval: 30 }).next(0), 30, 'what a proxy hides is not mistaken for what it shows')
  t.equal(pool.size, 7)
})

t.test('100,000 jobs with 20 triggers', async (t) => {
  const pool = new TriggerPool({ timezone: 'Europe/Vienna' })
  const start = process.hrtime.bigint()
  for (let i = 0; i < 100_000; i++) pool.acquire({ cron: `${i % 20} * * * *`, timezone: 'UTC' })
  const took = Number(process.hrtime.bigint() - start) / 1e6
  t.equal(pool.size, 20)
  // Parsing each takes more than two seconds.
  t.ok(took < 1000, `${took.toFixed(0)} ms`)
})

t.test('memory is bounded', async (t) => {
  const pool = new TriggerPool({ timezone: 'UTC' })
  const kept = pool.acquire({ interval: '1h' })
  const churn = (from: number, to: number): void => {
    for (let i = from; i < to; i++) {
      pool.release(pool.acquire({ interval: 1000 + i }))
      pool.release(pool.acquire({ interval: '1h', offset: 3_600_000 * i }))
    }
  }
  churn(0, 20_000)
  // What is left, and not what the collector has not come to yet.
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  collect()
  const before = process.memoryUsage().heapUsed
  churn(20_000, 220_000)
  collect()
  const grown = (process.memoryUsage().heapUsed - before) / 2 ** 20
  t.equal(pool.size, 1)
  t.ok(grown < 5, `${grown.toFixed(1)} MB more`)
  pool.release(kept)
  t.equal(pool.size, 0)
})
