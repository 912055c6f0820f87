// One place for runs and six jobs that are due at once: which go first? Then more places, while the service runs.
import { setTimeout as sleep } from 'node:timers/promises'
import { createScheduler, type Priority } from 'fastify-redlock-scheduler'

const scheduler = createScheduler({
  concurrency: 1,
  // Ticks of low priority also wait while the event loop is late, for example because of requests that compute.
  maxEventLoopDelay: '200ms',
  logger: false
})

/** Adds jobs that are due together, and resolves with the priorities in the order in which they ran. */
async function order(name: string, priorities: readonly Priority[]): Promise<Priority[]> {
  const ran: Priority[] = []
  const date = Date.now() + 200
  for (const [index, priority] of priorities.entries()) {
    const work = async () => {
      ran.push(priority)
      await sleep(10)
    }
    scheduler.date(`${name}-${index}`, date, work, { priority })
  }
  while (ran.length < priorities.length) await sleep(10)
  return ran
}

await scheduler.start()
console.log(`One at a time: ${(await order('mixed', ['low', 'normal', 'high', 'low', 'high'])).join(', ')}`)

const many = Array.from({ length: 20 }, (): Priority => 'high')
console.log(
  `A low one among 20 high ones began after ${(await order('busy', ['low', ...many])).indexOf('low')} of them`
)

scheduler.concurrency = 4
console.log(`${scheduler.concurrency} at a time: ${(await order('faster', many)).length} ran`)
await scheduler.close()
