// `ours.mjs [URL of Redis]`
import Fastify from 'fastify'
import scheduler from '../../../dist/index.js'
import { report } from './report.mjs'

const [redis] = process.argv.slice(2)
const app = Fastify()
app.get('/', async () => 'hello')
await app.register(scheduler, redis === undefined ? {} : { redis, prefix: 'bench' })
app.jobs.cron('job', '0 4 * * *', async () => {})
await app.ready()
report()
