import { setTimeout as sleep } from 'node:timers/promises'
import { Queue, Worker } from 'bullmq'
import type { StartPeer } from './serve.js'

const NAME = 'bench'
/** How many registrations are under way at once. */
const BATCH = 500

/**
 * BullMQ: a job scheduler for each job, registered once, and one worker in each replica. `every` is its faster way: the
 * next time is computed in its script, where a pattern is parsed anew for each run. Nothing is kept of finished jobs.
 */
export const start: StartPeer = async ({ load, ports, first }, run) => {
  const connection = { port: ports[0] as number, host: '127.0.0.1' }
  if (first) await register(new Queue(NAME, { connection }), load.jobs)
  const worker = new Worker(
    NAME,
    // The id of a scheduler's job is `repeat:<scheduler>:<its time>`.
    async (job) => run(Number(job.name), Number(job.id?.slice(job.id.lastIndexOf(':') + 1))),
    { connection, concurrency: 64, removeOnComplete: { count: 0 }, removeOnFail: { count: 0 } }
  )
  worker.on('error', console.error)
  await worker.waitUntilReady()
}

async function register(queue: Queue, jobs: number): Promise<void> {
  // With a start in the past each would be due at the time of its registration, not at the full second.
  const startDate = Math.ceil((Date.now() + 1000 + jobs / 2) / 1000) * 1000
  for (let from = 0; from < jobs; from += BATCH) {
    const ids = Array.from({ length: Math.min(BATCH, jobs - from) }, (_, index) => from + index)
    await Promise.all(
      ids.map((job) => queue.upsertJobScheduler(`job-${job}`, { every: 1000, startDate }, { name: `${job}` }))
    )
  }
  const early = startDate - Date.now()
  if (early < 0) throw new Error(`the job schedulers were registered ${-early} ms too late`)
  await sleep(early)
}
