// A service with three jobs. PORT and HOST: where it listens. REDIS_URL: share the jobs with other replicas.
import { monitorEventLoopDelay } from 'node:perf_hooks'
import Fastify from 'fastify'
import scheduler from 'fastify-redlock-scheduler'

const { PORT = '3000', HOST = '127.0.0.1', REDIS_URL } = process.env
const fail = (error: Error): never => {
  console.error(error.message)
  process.exit(1)
}
if (!/^\d+$/.test(PORT) || Number(PORT) > 65_535) fail(new Error(`PORT must be a number up to 65535, got '${PORT}'`))

const app = Fastify({ logger: { level: 'warn' } })
await app.register(scheduler, REDIS_URL ? { redis: REDIS_URL, prefix: 'example' } : {}).then(null, fail)
app.jobs.on('executed', ({ run }) => console.log(`${new Date(run.startedAt).toISOString()} ran ${run.jobId}`))

const sessions = new Map<string, number>() // In place of a table that all replicas share: id and time of expiry.
app.jobs.cron('cleanup', '*/10 * * * * *', () => {
  for (const [id, expiry] of sessions) if (expiry < Date.now()) sessions.delete(id)
})
// Each replica has a cache and an event loop of its own: `lock: false` runs these on all of them.
const cache = { sessions: 0, madeAt: new Date(0) }
const warmCache = () => Object.assign(cache, { sessions: sessions.size, madeAt: new Date() })
app.jobs.interval('warm-cache', '15s', warmCache, { lock: false })
const delay = monitorEventLoopDelay()
app.jobs.interval('health', '5s', () => delay.reset(), { lock: false })

app.post('/sessions', async () => ({ open: sessions.set(crypto.randomUUID(), Date.now() + 30_000).size }))
app.get('/sessions', async () => cache)
app.get('/jobs', async () => app.jobs.list())
app.post('/cleanup', app.jobs.route('cleanup', { wait: true }))

for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => app.close())
const url = await app.listen({ host: HOST, port: Number(PORT) }).catch(fail)
await app.jobs.trigger('warm-cache')
console.log(`Open ${url}/jobs, ${url}/sessions or ${url}/metrics, or try:
  curl -X POST ${url}/sessions
  curl -X POST ${url}/cleanup
The jobs are coordinated ${REDIS_URL ? 'by Redis' : 'in memory: set REDIS_URL to share them with other replicas'}.`)
