// A job from code is changed for the whole fleet while it runs, and follows its code again. Run: node --import tsx examples/override.ts
import { setTimeout as sleep } from 'node:timers/promises'
import { createScheduler } from 'fastify-redlock-scheduler'

const scheduler = createScheduler()
let runs: unknown[] = []
scheduler.cron('import', '0 3 1 * *', ({ data }) => void runs.push(data), { data: { from: 'main' }, timeout: '10s' })
await scheduler.start()

// Once a month is too seldom today. Options that were overridden before stay so.
await scheduler.override('import', { trigger: { interval: '100ms' } }, { by: 'ada', note: 'catching up' })
await scheduler.override('import', { data: { from: 'mirror' } }, { by: 'grace', note: 'the main server is down' })
await sleep(450)
const { override } = await scheduler.status('import')
console.log(`changed by ${override?.by}, as ${override?.note}: ${JSON.stringify(override?.changes)}`)
console.log(`it runs: ${runs.length > 1}, with ${JSON.stringify(runs.at(-1))}`)

// Bad input is refused before anything changes, as it is by `add`.
await scheduler.override('import', { timeout: 'soon' as never }).catch(({ code }) => console.log(code))

await scheduler.reset('import')
runs = []
await sleep(350)
console.log(
  `override: ${scheduler.get('import')?.override}, trigger: ${JSON.stringify(scheduler.get('import')?.trigger)}, runs: ${runs.length}`
)
await scheduler.close()
