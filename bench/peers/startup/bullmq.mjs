// `bullmq.mjs <URL of Redis>`
import { Queue, Worker } from 'bullmq'
import Fastify from 'fastify'
import { report } from './report.mjs'

const { hostname: host, port } = new URL(process.argv[2])
const connection = { host, port: Number(port), maxRetriesPerRequest: null }
const app = Fastify()
app.get('/', async () => 'hello')
const queue = new Queue('bench', { connection })
const worker = new Worker('bench', async () => {}, { connection })
await Promise.all([
  queue.upsertJobScheduler('job', { pattern: '0 4 * * *', tz: 'UTC' }),
  worker.waitUntilReady(),
  app.ready()
])
report()
