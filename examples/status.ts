// Which jobs are red, what runs and how far it is, and a job that is paused as it fails. Run: node --import tsx examples/status.ts
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { createScheduler } from 'fastify-redlock-scheduler'

const scheduler = createScheduler({ closeTimeout: 100, logger: false })
let isServerUp = false
scheduler.add({
  id: 'import',
  trigger: { interval: '500ms' },
  pauseAfterFailures: 2,
  handler: () => {
    if (!isServerUp) throw new Error('the server is down')
  }
})
scheduler.add({
  id: 'export',
  handler: ({ progress, signal }) => {
    progress(0.4, '400 of 1000')
    return once(signal, 'abort')
  }
})
await scheduler.start()
await scheduler.trigger('export', { by: 'ada' })
await sleep(2500)
for (const { id, consecutiveFailures, running, paused, pauses } of await scheduler.status()) {
  const runs = running.map(({ progress }) => `${(progress?.share ?? 0) * 100}%, ${progress?.note}`)
  console.log(`${id}: ${consecutiveFailures} failures, paused: ${paused} ${pauses[0]?.note ?? ''}`.trim(), runs)
}
const [replicas, { status }] = [await scheduler.fleet(), scheduler.health()]
console.log(`replicas: ${replicas.length}, runs under way: ${replicas[0]?.running}, health: ${status}`)

// The server is back: the tick that failed last runs again, and the job goes on.
isServerUp = true
const { scheduledTime = 0 } = (await scheduler.status('import')).lastRun ?? {}
const run = await scheduler.trigger('import', { scheduledTime, by: 'ada', wait: true })
console.log(`the last tick again: ${run?.outcome}, by ${run?.by}: ${run?.scheduledTime === scheduledTime}`)
await scheduler.resume('import')
console.log(`import: ${(await scheduler.status('import')).consecutiveFailures} failures`)
await scheduler.close()
