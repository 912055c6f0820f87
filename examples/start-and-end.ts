// Runs at the start and at the end: `runOnStart` runs a job as its replicas start, once for all of them, and `maxRuns` ends a job
// after as many runs. Both together are one run in the life of the fleet.
import { setTimeout as sleep } from 'node:timers/promises'
import { createScheduler } from 'fastify-redlock-scheduler'

const scheduler = createScheduler({ logger: false })
const atStart = { runOnStart: true, trigger: { interval: '1h' } } as const
scheduler.add({ id: 'fill-cache', ...atStart, handler: () => 'filled' })
scheduler.add({ id: 'move-data', ...atStart, maxRuns: 1, handler: () => 'moved' })
scheduler.add({ id: 'remind', trigger: { interval: '300ms' }, maxRuns: 3, handler: () => 'reminded' })
scheduler.on('executed', ({ job, run }) => console.log(`${job.id}: ${run.result} (${run.trigger})`))

await scheduler.start()
await sleep(1800)
for (const { id, nextRun } of scheduler.list()) console.log(`${id}: ${nextRun === null ? 'has ended' : 'goes on'}`)
await scheduler.close()
