// Which packages are loaded by a scheduler that is started, runs a job, has its metrics read and is closed:
// `loaded.mjs [URL of a Redis]`. V8 itself tells of every script, CommonJS and ES modules alike.
import { Session } from 'node:inspector'

const [redis] = process.argv.slice(2)
const packages = new Set()
const session = new Session()
session.connect()
session.on('Debugger.scriptParsed', ({ params: { url } }) => {
  const name = /.*\/node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(url)?.[1]
  if (name !== undefined) packages.add(name)
})
session.post('Debugger.enable')

const { createScheduler } = await import('../../../dist/index.js')
const scheduler = createScheduler(redis === undefined ? {} : { redis, prefix: 'bench' })
scheduler.cron('job', '0 4 * * *', async () => {})
await scheduler.start()
await scheduler.trigger('job', { wait: true })
await scheduler.register.metrics()
await scheduler.close()
process.send?.([...packages].sort(), () => process.exit(0))
