// A service with three jobs. PORT and HOST: where it listens. REDIS_URL: share the jobs with other replicas.
import Fastify from 'fastify'
import scheduler from 'fastify-redlock-scheduler'

const { PORT = '3000', HOST = '127.0.0.1', REDIS_URL } = process.env
const fail = (error: Error): never => {
  console.error(error.message)
  process.exit(1)
}
if (!/^\d+$/.test(PORT) || Number(PORT) > 65_535) fail(new Error(`PORT must be a number up to 65535, got '${PORT}'`))

const app = Fastify({ logger: { level: 'warn' } })
await app.register(scheduler, REDIS_URL ? { redis: REDIS_URL, prefix: 'example' } : {}).then(() => {}, fail)
app.jobs.on('executed', ({ run }) => console.log(`${new Date(run.startedAt).toISOString()} ran ${run.jobId}`))

const sessions = new Map<string, number>() // In place of a table that all replicas share: id and time of expiry.
app.jobs.cron('cleanup', '*/10 * * * * *', () => {
  for (const [id, expiry] of sessions) if (expiry < Date.now()) sessions.delete(id)
})
// Each replica has a cache and a health of its own: `lock: false` runs these two on all of them.
const cache = { openSessions: 0, madeAt: '' }
const warmCache = () => Object.assign(cache, { openSessions: sessions.size, madeAt: new Date().toISOString() })
app.jobs.interval('warm-cache', '15s', warmCache, { lock: false })
const checkHealth = async () => {
  const { statusCode } = await app.inject('/sessions')
  if (statusCode !== 200) throw new Error(`/sessions answered ${statusCode}`)
}
app.jobs.interval('health', '5s', checkHealth, { lock: false, timeout: '2s' })

app.get('/sessions', async () => cache)
app.post('/sessions', async () => ({ openSessions: sessions.set(crypto.randomUUID(), Date.now() + 30_000).size }))
app.get('/jobs', async () => app.jobs.list())
app.post('/jobs/cleanup', app.jobs.route('cleanup', { wait: true }))

for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => app.close())
const url = await app.listen({ host: HOST, port: Number(PORT) }).catch(fail)
await app.jobs.trigger('warm-cache')
console.log(`Open ${['/jobs', '/sessions', '/metrics'].map((path) => `\n  ${url}${path}`).join('')}
Or run\n  curl -X POST ${url}/sessions\n  curl -X POST ${url}/jobs/cleanup
Jobs are coordinated ${REDIS_URL ? 'by Redis' : 'in memory; set REDIS_URL to share them with other replicas'}.`)
