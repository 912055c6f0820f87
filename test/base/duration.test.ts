import t from 'tap'
import { parseDuration } from '../../lib/base/duration.js'
import { createScheduler, type Duration, type JobOptions } from '../../lib/index.js'

t.test('a string needs a unit, and a unit of one meaning', async (t) => {
  for (const [text, length] of [
    ['30s', 30_000],
    ['30 ms', 30],
    ['1.5h', 5_400_000],
    ['1m', 60_000],
    ['1 MIN', 60_000],
    ['2 Minutes', 120_000],
    ['0s', 0],
    ['1.1h', 3_960_000],
    ['2.2 hours', 7_920_000],
    ['1.1d', 95_040_000],
    ['1.001s', 1001],
    ['99.9y', 99.9 * 31_557_600_000],
    ['1w', 604_800_000]
  ] as const) {
    t.equal(parseDuration(text, 'x'), length, text)
  }
  for (const text of ['30', '0', '1.5', '.5', ' 300 ', '+5', '-5']) {
    t.throws(
      () => parseDuration(text, 'x'),
      {
        code: 'FST_ERR_RLS_DURATION_INVALID',
        message: `Expected \`x\` to be a duration with its unit, such as '30s', or '30ms' for milliseconds, got '${text}' (string)`
      },
      text
    )
  }
  for (const text of ['1M', '12 M', '0.5M', ' 6M']) {
    t.throws(() => parseDuration(text, 'x'), { message: /one meaning: '1m' or \{ minutes: 1 \}/ }, text)
  }
  for (const text of ['PT5M', '1h30m', '5 moons', '1mo', 'M', '']) {
    t.throws(() => parseDuration(text, 'x'), { message: /a string such as '5m'/ }, text)
  }
})

t.test(
  'parts of units that are whole milliseconds are taken, whatever a computer makes of them, and others are not',
  async (t) => {
    t.equal(parseDuration({ hours: 1.1 }, 'x'), 3_960_000)
    t.equal(parseDuration({ days: 2.2, hours: 3.3, seconds: 0.007 }, 'x'), 201_960_007)
    for (const value of [
      '0.5ms',
      '1.0001s',
      '0.00000001ms',
      { seconds: 0.0005 },
      { milliseconds: 1e-9 },
      1.5,
      1.0000000001
    ]) {
      t.throws(() => parseDuration(value as Duration, 'x'), { message: /whole milliseconds/ }, JSON.stringify(value))
    }
  }
)

t.test('what is out of range is told by the bound it is beyond', async (t) => {
  const says = (value: Duration, range: Parameters<typeof parseDuration>[2]): string => {
    try {
      return String(parseDuration(value, 'x', range))
    } catch (error) {
      return (error as Error).message
    }
  }
  t.match(says('101y', { min: 1 }), "a duration of at most 100 years, got '101y'")
  t.match(says({ weeks: 6000 }, {}), 'a duration of at most 100 years, got { weeks: 6000 }')
  t.match(says(0, { min: 1 }), 'a duration of at least 1 ms, got 0')
  t.match(says('-5m', {}), "a duration of at least 0 ms, got '-5m'")
  t.match(says('25h', { min: 100, max: 86_400_000 }), 'a duration from 100 to 86400000 ms')
})

t.test('every option that is a duration says so', async (t) => {
  const scheduler = createScheduler()
  const job = { id: 'a', trigger: { interval: '1h' }, handler() {} } as const
  const cases: readonly (readonly [name: string, options: Partial<JobOptions>])[] = [
    ['interval', { trigger: { interval: '60' } }],
    ['interval', { trigger: { any: [{ interval: '1h' }, { interval: '1M' }] } }],
    ['offset', { trigger: { interval: '1h', offset: '5' } }],
    ['jitter', { jitter: '30' }],
    ['timeout', { timeout: '30' }],
    ['misfireGraceTime', { misfireGraceTime: '1' }],
    ['lock.ttl', { lock: { ttl: '300' } }],
    ['retry.delay', { retry: { limit: 1, delay: '10' } }]
  ]
  for (const [name, options] of cases) {
    t.throws(() => scheduler.add({ ...job, ...options }), {
      code: 'FST_ERR_RLS_DURATION_INVALID',
      message: new RegExp(`Job 'a': Expected \`${name}\` to be a duration (with its unit|of one meaning)`)
    })
    t.equal(scheduler.get('a'), undefined)
  }
  t.throws(() => createScheduler({ closeTimeout: '10' }), { message: /`closeTimeout` to be a duration with its unit/ })
  t.throws(() => createScheduler({ maxClockSkew: '1M' }), { message: /`maxClockSkew`/ })
})
