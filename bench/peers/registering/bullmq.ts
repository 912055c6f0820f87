import { Queue, Worker } from 'bullmq'
import type { RegisteringPeer } from './main.js'

/** How many schedulers are on their way to Redis at once. */
const BATCH = 500

export const peer: RegisteringPeer = {
  async register(jobs, port) {
    const connection = { host: '127.0.0.1', port, maxRetriesPerRequest: null }
    const queue = new Queue('bench', { connection })
    for (let from = 0; from < jobs.length; from += BATCH) {
      const batch = jobs.slice(from, from + BATCH)
      await Promise.all(batch.map(({ id, cron }) => queue.upsertJobScheduler(id, { pattern: cron, tz: 'UTC' })))
    }
    return {
      async ready() {
        const worker = new Worker('bench', async () => {}, { connection })
        await worker.waitUntilReady()
      }
    }
  }
}
