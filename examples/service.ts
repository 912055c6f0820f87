// A service with eight jobs and the dashboard, to try things with. PORT and HOST: where it listens. REDIS_URL: shares the jobs with other replicas.
import { setTimeout as sleep } from 'node:timers/promises'
import Fastify, { type FastifyRequest } from 'fastify'
import scheduler from 'fastify-redlock-scheduler'

const { PORT = '3000', HOST = '127.0.0.1', REDIS_URL: redis } = process.env
const fail = (error: Error): never => {
  console.error(error.message)
  process.exit(1)
}
const fails = (message: string) => Promise.reject(new Error(message))
const say = (text: string) => console.log(`${new Date().toISOString()} ${text}`)
if (!/^\d+$/.test(PORT) || Number(PORT) > 65_535) fail(new Error(`PORT must be a number up to 65535, got '${PORT}'`))
const app = Fastify({ logger: { level: 'warn' } })
app.addHook('preClose', async () => say('closes once its runs have ended'))
const authorize = ({ ip, hostname }: FastifyRequest) =>
  ip === '127.0.0.1' && ['127.0.0.1', 'localhost'].includes(hostname) && { user: 'you' }
const admin = { prefix: '/dashboard', title: 'example', authorize }
await app.register(scheduler, redis ? { redis, prefix: 'example', admin } : { admin }).then(() => {}, fail)
app.jobs.cron('cleanup', '*/10 * * * * *', () => sleep(100), { group: 'upkeep' })
app.jobs.cron('report', '5/20 * * * * *', () => sleep(6000), { lock: '5s', recovery: 'rerun', group: 'reports' })
app.jobs.interval('warm-cache', '15s', () => sleep(100), { lock: false, group: 'upkeep' })
app.jobs.interval('check-upstreams', '5s', () => sleep(30 + (Date.now() % 70)))
app.jobs.interval('capture-payments', '12s', ({ run }) => run.scheduledTime % 60_000 || fails('502 from the provider'))
app.jobs.interval('import-prices', '1m', ({ progress }) => sleep(18_000, progress(0.5, 'half of the prices')))
app.jobs.interval('send-newsletter', '30s', () => sleep(500), { paused: true })
app.jobs.cron('close-books', '0 6 1 * *', () => sleep(100), { timezone: 'Europe/Vienna', group: 'reports' })
app.jobs.on('submitted', ({ run }) => say(`${run.jobId} begins${run.attempt > 1 ? ', taken over' : ''}`))
app.jobs.on('executed', ({ run }) => say(`${run.jobId} ran`))
app.jobs.on('skipped', ({ job, reason }) => say(`${job.id} does not run here: ${reason}`))
app.get('/jobs', async () => app.jobs.list())
for (const { id } of app.jobs.list()) {
  app.post(`/jobs/${id}/run`, app.jobs.route(id, { wait: true }))
  app.post(`/jobs/${id}/pause`, async () => app.jobs.pause(id).then(() => app.jobs.get(id)))
  app.post(`/jobs/${id}/resume`, async () => app.jobs.resume(id).then(() => app.jobs.get(id)))
}
app.get('/', async () => guide)
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => app.close())
const url = await app.listen({ host: HOST, port: Number(PORT) }).catch(fail)
const guide = `This is one replica of a service with eight jobs. Each line below is a run, or a tick without one and why. Ctrl+C waits for what runs.
Open
  ${url}/dashboard/  # how they stand, what became of each tick, and what you may do
  ${url}/metrics
Try
  curl -X POST ${url}/jobs/report/run  # a run by hand; 409 while another one goes on
  curl -X POST ${url}/jobs/cleanup/pause  # on all replicas; /jobs/cleanup/resume resumes it
${
  redis
    ? `Jobs are shared through Redis with every replica that has the same REDIS_URL. In another terminal
  PORT=${Number(PORT) + 1} npm start  # each tick runs on one of the two
  kill -9 ${process.pid}  # while a report of the schedule runs here: the other takes it over within 5 s`
    : `Jobs are coordinated in memory, for this process alone. With a Redis, in two terminals
  REDIS_URL=redis://127.0.0.1:6379 npm start  # in the other one with PORT=${Number(PORT) + 1} before it`
}`
console.log(guide)
