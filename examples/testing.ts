// A year of a schedule, tested in seconds: two replicas on simulated time, one of which dies in the middle of a run.
import assert from 'node:assert/strict'
import { createScheduler } from 'fastify-redlock-scheduler'
import { Simulation } from 'fastify-redlock-scheduler/testing'

const simulation = new Simulation({ start: '2027-01-01T00:00:00Z' })
const reports: string[] = []
const backups: number[] = []

const replicas = [simulation.replica(), simulation.replica()]
for (const replica of replicas) {
  const defaults = { lock: { ttl: '1m' }, recovery: 'rerun' } as const
  const scheduler = createScheduler({ ...replica.options, timezone: 'Europe/Vienna', defaults })
  scheduler.cron('report', '0 3 * * mon-fri', ({ run }) => {
    reports.push(new Date(run.scheduledTime).toISOString())
  })
  scheduler.interval('backup', '1d', async ({ run }) => {
    backups.push(run.attempt)
    await replica.sleep('10m')
  })
  await scheduler.start()
}

await simulation.advance('365d')
assert.equal(reports.length, 261, 'every working day of 2027, once')
assert.equal(reports[60], '2027-03-26T02:00:00.000Z')
assert.equal(reports[61], '2027-03-29T01:00:00.000Z', 'summer time')

// The last backup, at midnight, is under way on the first: it dies, and the other one takes the run over.
replicas[0]?.crash()
await simulation.advance('2m')
console.log(`${reports.length} reports and ${backups.length} backups; the last attempts: ${backups.slice(-2)}`)
