// Routes that run a job: after their own answer (`config.triggerJob`), or as their answer (`app.jobs.route`).
import { setTimeout as sleep } from 'node:timers/promises'
import Fastify, { type InjectOptions } from 'fastify'
import scheduler from 'fastify-redlock-scheduler'

const app = Fastify()
await app.register(scheduler)
// Without a trigger of its own it runs by hand only.
app.jobs.add({ id: 'sync-orders', handler: ({ run }) => sleep(300, `synced by ${run.trigger} run`) })
app.jobs.on('executed', ({ run }) => console.log(`${run.jobId}: ${run.result}`))

// Any route can name a job to run once it has answered with a status of 200 to 299.
app.post('/orders', { config: { triggerJob: 'sync-orders' } }, async (_request, reply) =>
  reply.code(201).send({ id: 7 })
)
// A route that is the trigger: 202 and the run, or 409 while another run of the job holds its lock.
app.post('/sync', app.jobs.route('sync-orders'))
// The same, but it answers when the run has ended: 200 and its outcome.
app.post('/sync-and-wait', app.jobs.route('sync-orders', { wait: true }))

async function call(options: InjectOptions): Promise<void> {
  const { statusCode, body } = await app.inject({ method: 'POST', ...options })
  console.log(`POST ${options.url}: ${statusCode} ${body}`)
}

await call({ url: '/orders' })
await sleep(100)
await call({ url: '/sync' })
await sleep(400)
await call({ url: '/sync' })
await sleep(400)
await call({ url: '/sync-and-wait' })
await app.close()
