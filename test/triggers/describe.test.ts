import t from 'tap'
import { describeTrigger, loadCronInWords } from '../../lib/triggers/describe.js'
import type { TriggerInput } from '../../types/trigger.js'

const ROWS: readonly (readonly [trigger: TriggerInput | null, schedule: string, timezone?: string | null])[] = [
  [null, 'By hand only', null],
  [{ interval: '10m' }, 'Every 10 minutes', null],
  [{ interval: '1h' }, 'Every hour', null],
  [{ interval: '1h', offset: '5m' }, 'Every hour at :05', null],
  [{ interval: '90m' }, 'Every 90 minutes', null],
  [{ interval: '30m', offset: '10m' }, 'Every 30 minutes, 10 minutes later', null],
  [{ interval: '5m', after: 'completion' }, '5 minutes after the last run has ended', null],
  ['*/10 * * * *', 'Every 10 minutes', null],
  ['*/10 * * * * *', 'Every 10 seconds', null],
  ['* * * * *', 'Every minute', null],
  ['@hourly', 'Every hour'],
  ['5 * * * *', 'Every hour at :05'],
  ['30 12 * * *', 'Every day at 12:30'],
  ['@daily', 'Every day at 00:00'],
  ['15 2,8,14,20 * * *', '02:15, 08:15, 14:15, 20:15'],
  ['0 6 * * mon-fri', 'At 06:00, Monday through Friday'],
  ['0 9 LW * *', 'At 09:00, on the last weekday of the month'],
  ['0 9 1-7 * +mon', '0 9 1-7 * +mon'],
  [{ cron: { hour: 6, dayOfWeek: 'mon' } }, 'At hour 6, weekday mon'],
  [{ cron: '0 8 * * *', timezone: 'America/New_York' }, 'Every day at 08:00', 'America/New_York'],
  [{ every: { weeks: 2 }, on: 'mon', at: '09:00', startDate: '2026-01-05' }, 'Every 2 weeks on mon at 09:00'],
  [{ every: { months: 1 }, on: [1, 'last'], at: '09:00' }, 'Every month on 1, last at 09:00'],
  [{ date: '2026-12-24T09:00' }, 'Once, on 24 Dec 2026, 09:00'],
  [{ interval: '1h', except: ['2026-12-24'] }, 'Every hour, with exceptions', null],
  [{ any: ['0 9 * * *', { interval: '1h' }] }, 'Every day at 09:00; every hour'],
  [{ any: [{ interval: '2h' }, { interval: '3h' }] }, 'Every 2 hours; every 3 hours', null],
  [
    { all: ['0 9 * * mon', '0 9 1-7 * *'] },
    'At 09:00, only on Monday and at once at 09:00, between day 1 and 7 of the month'
  ]
]

t.test('a trigger is described in words, with its zone where that matters', async (t) => {
  const inWords = await loadCronInWords()
  for (const [trigger, schedule, timezone = 'Europe/Berlin'] of ROWS) {
    const described = describeTrigger(trigger, 'Europe/Berlin', inWords)
    t.strictSame(described, { schedule, timezone }, JSON.stringify(trigger))
  }
})

t.test('a description has at most 120 characters', async (t) => {
  const any = Array.from({ length: 50 }, (_, index) => `${index} 3 1,2,3,4,5,6,7,8,9,10,11,12,13,14,15 jan,mar,may *`)
  const { schedule } = describeTrigger({ any }, 'UTC', await loadCronInWords())
  t.ok(schedule.length <= 120, schedule)
})

t.test('what cannot be put into words is told as it was written', async (t) => {
  const fails = () => {
    throw new Error('no words')
  }
  t.equal(describeTrigger('1 2 3 4 *', 'UTC', fails).schedule, '1 2 3 4 *')
})
