// Which packages are loaded by a scheduler that is started, runs a job and is closed: `loaded.mjs <uses>`, which are
// `cron`, `scrape` and the URL of a Redis. V8 itself tells of every script, CommonJS and ES modules alike.
import { Session } from 'node:inspector'

const uses = process.argv.slice(2)
const redis = uses.find((use) => use.startsWith('redis:'))
const packages = new Set()
const session = new Session()
session.connect()
session.on('Debugger.scriptParsed', ({ params: { url } }) => {
  const name = /.*\/node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(url)?.[1]
  if (name !== undefined) packages.add(name)
})
session.post('Debugger.enable')

const { createScheduler } = await import('../../../dist/lib/index.js')
const scheduler = createScheduler(redis === undefined ? {} : { redis, prefix: 'bench' })
if (uses.includes('cron')) scheduler.cron('job', '0 4 * * *', async () => {})
else scheduler.interval('job', 3_600_000, async () => {})
await scheduler.start()
await scheduler.trigger('job', { wait: true })
if (uses.includes('scrape')) await scheduler.register.metrics()
await scheduler.close()
process.send?.([...packages].sort(), () => process.exit(0))
