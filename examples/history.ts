// What became of each tick of a job: runs, one that failed, with its log, a tick that came during a run, and a pause.
import { setTimeout as sleep } from 'node:timers/promises'
import Fastify from 'fastify'
import { createScheduler } from 'fastify-redlock-scheduler'

const { log: logger } = Fastify({ logger: { stream: { write: () => {} } } })
const scheduler = createScheduler({ logger })
const step = 600
const start = Math.ceil(Date.now() / step) * step + step
/** Waits until so many steps after the start. */
const until = (steps: number): Promise<void> => sleep(start + steps * step - Date.now())

scheduler.add({
  id: 'import',
  trigger: { interval: step, startDate: start, endDate: start + 6 * step },
  handler: async ({ log, run }) => {
    const tick = (run.scheduledTime - start) / step
    log.info(`file ${tick} is read`)
    if (tick === 1) await sleep(1.5 * step)
    if (tick === 3) throw new Error('the file is empty')
    return { rows: 10 * tick }
  }
})
await scheduler.start()
await until(3.5)
await scheduler.pause('import', { note: 'there are no files', by: 'ada' })
await until(5.5)
await scheduler.resume('import')
await until(7.5)

for (let after = 0; after <= 6 * step; after += step) {
  const { run, reason } = (await scheduler.tick('import', start + after)) ?? {}
  const log = run?.log.map((line) => JSON.parse(line).msg) ?? []
  const what = run ? [run.outcome, run.result ?? run.error?.message, ...log] : [reason]
  console.log(`${after} ms`.padEnd(8), what.join(' | '))
}
const entries = await scheduler.history('import')
const told = entries.map((entry) => (entry.kind === 'run' ? entry.outcome : `${entry.count} ${entry.reason}`))
console.log(`the newest first: ${told.join(', ')}`)
await scheduler.close()
