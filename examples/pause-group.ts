// A group of jobs is paused for the whole fleet, and another pause ends by itself. Run: node --import tsx examples/pause-group.ts
import { setTimeout as sleep } from 'node:timers/promises'
import { createScheduler } from 'fastify-redlock-scheduler'

const scheduler = createScheduler()
const runs: Record<string, number> = {}
const count = async ({ job }: { job: { id: string } }): Promise<void> => {
  runs[job.id] = (runs[job.id] ?? 0) + 1
}
scheduler.interval('daily-report', '100ms', count, { group: 'reports', description: 'What was sold' })
scheduler.interval('stock-report', '100ms', count, { group: 'reports' })
scheduler.interval('health', '100ms', count)
await scheduler.start()

await scheduler.pause({ group: 'reports' }, { note: 'the totals are wrong', by: 'ada' })
const [pause] = scheduler.get('daily-report')?.pauses ?? []
console.log(`daily-report is paused with its ${pause?.of} by ${pause?.by}: ${pause?.note}`)
await sleep(350)
console.log(`meanwhile the reports ran ${runs['daily-report'] ?? 0} times, health goes on: ${(runs.health ?? 0) > 1}`)

// Somebody who has seen an older state is told, and changes nothing.
await scheduler.pause({ group: 'reports' }, { note: 'still wrong', by: 'grace' })
await scheduler
  .resume({ group: 'reports' }, { expectedVersion: pause?.version ?? null })
  .catch(({ code }) => console.log(code))

await scheduler.resume({ group: 'reports' })
await scheduler.pause('health', { until: Date.now() + 300 })
console.log(`health is paused: ${scheduler.get('health')?.paused}`)
await sleep(400)
console.log(`health is paused: ${scheduler.get('health')?.paused}, the reports run: ${(runs['daily-report'] ?? 0) > 1}`)
await scheduler.close()
