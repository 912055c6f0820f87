// A service with three jobs, to try things with. PORT and HOST: where it listens. REDIS_URL: shares the jobs with other replicas.
import { setTimeout as sleep } from 'node:timers/promises'
import Fastify from 'fastify'
import scheduler from 'fastify-redlock-scheduler'

const { PORT = '3000', HOST = '127.0.0.1', REDIS_URL: redis } = process.env
const fail = (error: Error): never => {
  console.error(error.message)
  process.exit(1)
}
const say = (text: string) => console.log(`${new Date().toISOString()} ${text}`)
if (!/^\d+$/.test(PORT) || Number(PORT) > 65_535) fail(new Error(`PORT must be a number up to 65535, got '${PORT}'`))

const app = Fastify({ logger: { level: 'warn' } })
app.addHook('preClose', async () => say('closes once its runs have ended'))
await app.register(scheduler, redis ? { redis, prefix: 'example' } : {}).then(() => {}, fail)
app.jobs.cron('cleanup', '*/10 * * * * *', () => sleep(100))
app.jobs.cron('report', '5/20 * * * * *', () => sleep(6000), { lock: '5s', recovery: 'rerun' })
app.jobs.interval('warm-cache', '15s', () => sleep(100), { lock: false })

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
const guide = `This is one replica of a service with three jobs. Each line below is a run, or a tick without one and why.
  cleanup     every 10 s, on one replica
  report      every 20 s, takes 6 s, on one replica; when that dies, another takes the run over
  warm-cache  every 15 s, on every replica
Open
  ${url}/jobs
  ${url}/metrics
Try
  curl -X POST ${url}/jobs/report/run  # a run by hand; 409 while another one goes on
  curl -X POST ${url}/jobs/cleanup/pause  # on all replicas; /jobs/cleanup/resume resumes it
  Ctrl+C while report runs: closing waits until it has ended
${
  redis
    ? `Jobs are shared through Redis with every replica that has the same REDIS_URL. In another terminal
  PORT=${Number(PORT) + 1} npm start  # each tick runs on one of the two
  kill -9 ${process.pid}  # while a report of the schedule runs here: the other takes it over within 5 s`
    : `Jobs are coordinated in memory, for this process alone. With a Redis, in two terminals
  REDIS_URL=redis://127.0.0.1:6379 npm start
  REDIS_URL=redis://127.0.0.1:6379 PORT=${Number(PORT) + 1} npm start`
}`
console.log(guide)
