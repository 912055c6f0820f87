// What became of each tick of a job: runs, one that failed, with its log, a tick that came during a run, and a pause.
import { setTimeout as sleep } from 'node:timers/promises'
import Fastify from 'fastify'
import { createScheduler } from 'fastify-redlock-scheduler'

const { log: logger } = Fastify({ logger: { stream: { write: () => {} } } })
const scheduler = createScheduler({ logger })
const start = Math.ceil(Date.now() / 300) * 300 + 600
const until = (after: number): Promise<void> => sleep(start + after - Date.now())

scheduler.add({
  id: 'import',
  trigger: { interval: 300, startDate: start, endDate: start + 1800 },
  handler: async ({ log, run }) => {
    const tick = (run.scheduledTime - start) / 300
    log.info(`file ${tick} is read`)
    if (tick === 1) await sleep(450)
    if (tick === 3) throw new Error('the file is empty')
    return { rows: 10 * tick }
  }
})
await scheduler.start()
await until(1050)
await scheduler.pause('import', { note: 'there are no files', by: 'ada' })
await until(1650)
await scheduler.resume('import')
await until(2300)

for (let after = 0; after <= 1800; after += 300) {
  const { run, reason } = (await scheduler.tick('import', start + after)) ?? {}
  const log = run?.log.map((line) => JSON.parse(line).msg) ?? []
  const what = run ? [run.outcome, run.result ?? run.error?.message, ...log] : [reason]
  console.log(`${after} ms`.padEnd(8), what.join(' | '))
}
const entries = await scheduler.history('import')
const told = entries.map((entry) => (entry.kind === 'run' ? entry.outcome : `${entry.count} ${entry.reason}`))
console.log(`the newest first: ${told.join(', ')}`)
await scheduler.close()
