// Python's `with_redis_lock("nightly-report", ttl=300)`: three callers, one of them gets in. REDIS_URL: across processes.
import { setTimeout as sleep } from 'node:timers/promises'
import { createScheduler } from 'fastify-redlock-scheduler'

const { REDIS_URL } = process.env
const scheduler = createScheduler(REDIS_URL ? { redis: REDIS_URL, prefix: 'example' } : {})

async function report(caller: string): Promise<void> {
  const result = await scheduler.withLock('nightly-report', { ttl: '300s' }, async ({ signal, fencingToken }) => {
    await sleep(200, undefined, { signal }) // Stops at once when the lock is lost.
    return `written with fencing token ${fencingToken}`
  })
  console.log(`${caller}: ${result.acquired ? result.value : 'the lock is held, nothing was done'}`)
}

await Promise.all(['first', 'second', 'third'].map(report))
await report('later') // The lock was released when its work was done.
await scheduler.close()
