// Jobs whose ticks are counted on a calendar, without holidays: on replicas, over summer time and a downtime.
import t from 'tap'
import type { JobOptions } from '../lib/index.js'
import { job, withFleet } from './fixtures/simulated-fleet.js'

const TRIGGER = {
  every: { days: 1 },
  at: '02:30',
  timezone: 'Europe/Vienna',
  except: ['2027-03-27', { from: '2027-03-30', to: '2027-04-02' }]
} as const
const START = '2027-03-25T12:00:00Z'

const iso = (ticks: readonly number[]): string[] => ticks.map((tick) => new Date(tick).toISOString().slice(0, 16))

t.test('each tick once in a fleet, and none on a holiday', async (t) => {
  await withFleet(
    async ({ simulation, join, runs, missed }) => {
      const options: Partial<JobOptions<undefined>> = { trigger: TRIGGER, jitter: '10s' }
      await join(job(options))
      await join(job(options))
      await simulation.advance('10d')
      t.strictSame(iso(runs().map(({ scheduledTime }) => scheduledTime)), [
        '2027-03-26T01:30',
        '2027-03-28T01:00',
        '2027-03-29T00:30',
        '2027-04-03T00:30',
        '2027-04-04T00:30'
      ])
      t.strictSame(missed(), [])
    },
    { start: START }
  )
})

t.test('after a downtime the holidays in it are no missed ticks', async (t) => {
  await withFleet(
    async ({ simulation, start, join, runs, missed }) => {
      const { replica } = await join(job({ trigger: TRIGGER }))
      await simulation.advance('1d')
      replica.crash()
      await simulation.advance('10d')
      await join(job({ trigger: TRIGGER }))
      await simulation.advance('1d')
      t.strictSame(iso(missed().map((tick) => start + tick)), [
        '2027-03-28T01:00',
        '2027-03-29T00:30',
        '2027-04-03T00:30',
        '2027-04-04T00:30',
        '2027-04-05T00:30'
      ])
      t.strictSame(iso(runs().map(({ scheduledTime }) => scheduledTime)), ['2027-03-26T01:30', '2027-04-06T00:30'])
    },
    { start: START }
  )
})

t.test('a job goes when nothing is left of its trigger', async (t) => {
  await withFleet(
    async ({ simulation, join, runs }) => {
      const trigger = { ...TRIGGER, endDate: '2027-04-02T12:00' }
      const { scheduler } = await join(job({ trigger }))
      await simulation.advance('3d')
      t.equal(scheduler.get('job')?.nextRun, Date.parse('2027-03-29T00:30Z'))
      await simulation.advance('1d')
      t.equal(scheduler.get('job'), undefined, 'before the end that it was given')
      t.equal(runs().length, 3)
    },
    { start: START }
  )
})
