// Ticks counted on the calendar of a time zone, without holidays: what a quarter of a year would run, on simulated time.
import { createScheduler } from 'fastify-redlock-scheduler'
import { Simulation } from 'fastify-redlock-scheduler/testing'

const simulation = new Simulation({ start: '2026-12-01T00:00:00+01:00' })
const { options } = simulation.replica()
const scheduler = createScheduler({ ...options, timezone: 'Europe/Vienna' })
const holidays = ['2026-12-08', { from: '2026-12-24', to: '2027-01-06' }]

scheduler.add({
  id: 'payroll',
  trigger: { every: { weeks: 2 }, at: '09:00', on: ['mon', 'thu'], startDate: '2026-12-07', except: holidays },
  handler: ({ job, run }) => console.log(`${new Date(run.scheduledTime).toISOString()} ${job.id}`)
})
scheduler.add({
  id: 'close-books',
  // The last day of a month that has no 31st.
  trigger: { every: { months: 1 }, at: '18:00', on: 31, except: holidays },
  handler: ({ job, run }) => console.log(`${new Date(run.scheduledTime).toISOString()} ${job.id}`)
})
scheduler.add({
  id: 'standup',
  // Every working day, but not on the first Monday of a month.
  trigger: { cron: '30 8 * * mon-fri', except: [...holidays, '30 8 1-7 * +mon'] },
  handler() {}
})

await scheduler.start()
await simulation.advance('90d')
const standups = scheduler.preview(scheduler.get('standup')?.trigger ?? '@daily', { from: '2026-12-04', count: 3 })
console.log(`stand-ups on ${standups.map((tick) => new Date(tick).toISOString().slice(0, 10)).join(', ')}`)
await scheduler.close()
