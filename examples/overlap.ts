// What becomes of a tick that finds its job under way: skipped, waiting, or in the place of the run; and two runs at once.
import { setTimeout as sleep } from 'node:timers/promises'
import { createScheduler, type JobOptions } from 'fastify-redlock-scheduler'

const scheduler = createScheduler<undefined>({ logger: false })
const start = Math.ceil(Date.now() / 1000) * 1000 + 1000
const told: Record<string, string[]> = {}

/** A job with ticks after 0, 1 and 2 s, of which the first runs until 1.5 s. */
function add(id: string, options: Partial<JobOptions<undefined>>): void {
  told[id] = []
  const dates = [0, 1000, 2000].map((after) => ({ date: start + after }))
  const handler: JobOptions<undefined>['handler'] = async ({ run, signal }) => {
    await sleep(run.scheduledTime === start ? start + 1500 - Date.now() : 50, undefined, { signal })
  }
  scheduler.add({ id, trigger: { any: dates }, handler, ...options })
}

add('skip', {})
add('wait', { overlap: 'wait' })
add('replace', { overlap: 'replace' })
add('two at once', { maxInstances: 2 })

const note = (id: string, scheduledTime: number, what: string): void => {
  told[id]?.push(`${scheduledTime - start} ${what}`)
}
scheduler.on('executed', ({ job, run }) => note(job.id, run.scheduledTime, 'ran'))
scheduler.on('error', ({ job, run }) => note(job.id, run.scheduledTime, String(run.outcome)))
scheduler.on('skipped', ({ job, scheduledTime, reason }) => note(job.id, scheduledTime, reason))

await scheduler.start()
await sleep(start + 2900 - Date.now())
for (const [id, lines] of Object.entries(told)) console.log(`${id}: ${lines.sort().join(', ')}`)
await scheduler.close()
