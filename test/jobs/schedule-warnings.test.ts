import t from 'tap'
import type { TriggerInput } from '../../lib/index.js'
import { withVirtualScheduler } from '../fixtures/virtual-scheduler.js'

const handler = (): void => {}
const warnings = (lines: readonly { level: string; message: string }[]): string[] =>
  lines.filter(({ level }) => level === 'warn').map(({ message }) => message)

t.test('an interval that is a number below 1,000 is milliseconds, and warned of once', async (t) => {
  await withVirtualScheduler(async ({ scheduler, lines }) => {
    scheduler.interval('probe', 45, handler)
    t.equal(scheduler.preview({ interval: 45 }, { from: 0, count: 2 }).join(), '45,90')
    t.same(warnings(lines), [
      "the interval of the job 'probe' is 45 ms, as numbers are milliseconds: write '45s' if seconds are meant, else '45ms'"
    ])
    t.match(lines[0], { fields: { jobId: 'probe', interval: 45 } })
    scheduler.interval('again', 45, handler)
    scheduler.reschedule('again', { any: [{ interval: 45 }, { date: 5e12 }] })
    t.equal(warnings(lines).length, 1, 'once, however many jobs have it')
    scheduler.add({ id: 'other', trigger: { all: [{ interval: 999 }, { interval: '2s' }] }, handler })
    scheduler.add({ id: 'end', trigger: { interval: 90, after: 'completion' }, handler })
    t.match(warnings(lines).slice(1), [/'other' is 999 ms/, /'end' is 90 ms/])
    const certain: TriggerInput[] = [
      { interval: 1000 },
      { interval: '30ms' },
      { interval: { milliseconds: 31 } },
      { interval: '1s', offset: 32 }
    ]
    for (const [index, trigger] of certain.entries()) scheduler.add({ id: `certain-${index}`, trigger, handler })
    t.throws(() => scheduler.interval('refused', -5, handler))
    t.equal(warnings(lines).length, 3)
  })
})

t.test('a process in another time zone than the schedule says so at its start', async (t) => {
  const before = process.env.TZ
  t.teardown(() => {
    if (before === undefined) delete process.env.TZ
    else process.env.TZ = before
  })
  const told = async (zone: string, timezone?: string): Promise<{ level: string; message: string }[]> => {
    process.env.TZ = zone
    let found: { level: string; message: string }[] = []
    await withVirtualScheduler(
      async ({ scheduler, lines }) => {
        t.same(
          lines.filter(({ message }) => message.includes('time zone')),
          [],
          'not before the start'
        )
        await scheduler.start()
        await scheduler.start()
        found = lines.filter(({ message }) => message.includes('time zone'))
      },
      timezone === undefined ? {} : { timezone }
    )
    return found.map(({ level, message }) => ({ level, message }))
  }
  const inVienna =
    'triggers without a time zone are in UTC, and this process is in Europe/Vienna: set `timezone` to have them in another'
  t.same(await told('Europe/Vienna'), [{ level: 'warn', message: inVienna }])
  t.match(await told('Europe/London'), [{ level: 'warn' }], 'also where only summers differ')
  t.match(await told('America/New_York', 'Asia/Tokyo'), [
    {
      level: 'info',
      message: 'triggers without a time zone are in Asia/Tokyo, and this process is in America/New_York'
    }
  ])
  t.same(await told('UTC'), [])
  t.same(await told('Etc/GMT'), [])
  t.same(await told('Africa/Abidjan'), [], 'another name, and the same clock')
  t.same(await told('Europe/Vienna', 'Europe/Berlin'), [])
})
