// A fencing token keeps a database from a run that has lost its lock and does not know it: here a run stands still beyond
// its TTL, its successor writes, and the late write of the first is refused. The database is Postgres, inside this process.
import { PGlite } from '@electric-sql/pglite'
import { createScheduler } from 'fastify-redlock-scheduler'
import { Simulation } from 'fastify-redlock-scheduler/testing'

const database = await PGlite.create()
await database.exec(
  "CREATE TABLE report (id text, body text, token bigint); INSERT INTO report VALUES ('daily', '', 0)"
)

/** Writes the report unless a later run has done so. Whether it was written. */
async function write(body: string, token: number | null): Promise<boolean> {
  const update = "UPDATE report SET body = $1, token = $2 WHERE id = 'daily' AND token < $2"
  return (await database.query(update, [body, token])).affectedRows === 1
}

const simulation = new Simulation()
const written: string[] = []
const replicas = [simulation.replica(), simulation.replica()]
for (const replica of replicas) {
  const scheduler = createScheduler(replica.options)
  const report = async ({ fencingToken }: { fencingToken: number | null }) => {
    await replica.sleep('5s') // The work; the process stands still in the midst of it.
    const accepted = await write(replica.options.replicaId, fencingToken)
    written.push(`${replica.options.replicaId} ${accepted ? 'wrote' : 'was refused'}`)
  }
  scheduler.interval('report', '1m', report, { lock: { ttl: '10s' }, recovery: 'rerun' })
  scheduler.on('submitted', ({ run }) => {
    if (run.attempt === 1) replica.freeze('30s')
  })
  await scheduler.start()
}

await simulation.advance('100s')
const { rows } = await database.query<{ body: string }>('SELECT body FROM report')
console.log(`${written.join(', ')}; the report is that of ${rows[0]?.body}`)
