import t from 'tap'
import { resolveTrigger } from '../../lib/triggers/index.js'
import type { CronFields } from '../../types/trigger.js'

const key = (cron: CronFields): string =>
  resolveTrigger({ cron }, { timezone: 'UTC' }).key.slice('cron '.length, -' utc'.length)

t.test('fields left out: * above the least significant one given, its minimum below', async (t) => {
  // year; month; day; week; dayOfWeek; hour; minute; second
  t.equal(key({ year: 2030 }), '{2030; 1; 1; *; *; 0; 0; 0}')
  t.equal(key({ month: 6 }), '{*; 6; 1; *; *; 0; 0; 0}')
  t.equal(key({ day: 5 }), '{*; *; 5; *; *; 0; 0; 0}')
  t.equal(key({ week: 7 }), '{*; *; *; 7; *; 0; 0; 0}')
  t.equal(key({ dayOfWeek: 'mon' }), '{*; *; *; *; 0; 0; 0; 0}')
  t.equal(key({ hour: 3 }), '{*; *; *; *; *; 3; 0; 0}')
  t.equal(key({ minute: 3 }), '{*; *; *; *; *; *; 3; 0}')
  t.equal(key({ second: 3 }), '{*; *; *; *; *; *; *; 3}')
  t.equal(key({ year: 2030, minute: 3 }), '{2030; *; *; *; *; *; 3; 0}')
  t.equal(key({ month: 1, dayOfWeek: 'sun', hour: undefined } as unknown as CronFields), '{*; 1; *; *; 6; 0; 0; 0}')
})

t.test('one canonical form', async (t) => {
  t.equal(key({ minute: '*/1' }), '{*; *; *; *; *; *; *; 0}')
  t.equal(key({ minute: '5,*,7' }), '{*; *; *; *; *; *; *; 0}')
  t.equal(key({ minute: '5/15' }), '{*; *; *; *; *; *; 5-59/15; 0}')
  t.equal(key({ minute: ' 05 , 7-7 ,5' }), '{*; *; *; *; *; *; 5,7; 0}')
  t.equal(key({ month: 'JAN,mar-may' }), '{*; 1,3-5; 1; *; *; 0; 0; 0}')
  t.equal(key({ day: '1st MON,last,Last  fri' }), '{*; *; 1st mon,last,last fri; *; *; 0; 0; 0}')
})

t.test('a step on a star follows real time, a step from a value is a fixed time', async (t) => {
  const count = (cron: CronFields): number => {
    const trigger = resolveTrigger({ cron, timezone: 'Europe/Vienna' }, { timezone: 'UTC' })
    let ticks = 0
    // The night in which 02:00 to 03:00 comes twice.
    for (
      let tick = trigger.next(Date.UTC(2026, 9, 24, 22));
      tick !== null && tick < Date.UTC(2026, 9, 25, 3);
      tick = trigger.next(tick)
    )
      ticks++
    return ticks
  }
  t.equal(count({ hour: 2, minute: '*/15' }), 8)
  t.equal(count({ hour: 2, minute: '0/15' }), 4)
  t.equal(count({ hour: '*', minute: 30 }), 5)
  t.equal(count({ hour: '0-3', minute: 30 }), 4)
})
