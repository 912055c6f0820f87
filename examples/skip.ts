// One tick is skipped, on whichever replica it would have run, and run later after all. Run: node --import tsx examples/skip.ts
import { setTimeout as sleep } from 'node:timers/promises'
import { createScheduler } from 'fastify-redlock-scheduler'

const scheduler = createScheduler({ logger: false })
const start = Math.ceil(Date.now() / 1000) * 1000 + 1000
scheduler.add({
  id: 'report',
  trigger: { interval: '1s', startDate: start, endDate: start + 2000 },
  handler: ({ run }) => console.log(`the report of second ${(run.scheduledTime - start) / 1000}`)
})
await scheduler.start()

const tick = start + 1000
await scheduler.skip('report', tick, { note: 'the totals are not in yet', by: 'ada' })
await sleep(start + 2500 - Date.now())
console.log(`second 1: ${(await scheduler.tick('report', tick))?.reason}`)

await scheduler.trigger('report', { scheduledTime: tick, by: 'ada', wait: true })
const story = await scheduler.tick('report', tick)
console.log(`second 1: ${story?.run?.outcome}, by ${story?.run?.by}`)
await scheduler.close()
