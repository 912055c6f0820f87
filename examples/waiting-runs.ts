// Runs by hand that wait for each other: a route whose requests are never lost, and one run at a time for each user.
import { setTimeout as sleep } from 'node:timers/promises'
import Fastify, { type FastifyRequest } from 'fastify'
import scheduler from 'fastify-redlock-scheduler'

const app = Fastify()
await app.register(scheduler)
app.jobs.add({
  id: 'import',
  handler: async ({ data }) => {
    await sleep(50)
    console.log(`imported ${data}`)
  }
})
app.jobs.add({
  id: 'export',
  maxInstances: 10,
  handler: async ({ data }) => {
    await sleep(100)
    return `exported ${data}`
  }
})

// Each upload is kept before its answer is sent, and imported after those before it.
const data = (request: FastifyRequest): unknown => (request.body as { file: string }).file
app.post('/uploads', { config: { triggerJob: { id: 'import', data } } }, async (_request, reply) =>
  reply.code(202).send('accepted')
)
for (const file of ['a.csv', 'b.csv', 'c.csv']) await app.inject({ method: 'POST', url: '/uploads', payload: { file } })
await sleep(400)

// Two exports of one user come one after the other, that of another user beside them.
const options = { overlap: 'wait', wait: true } as const
const exported = ['42', '42', '7'].map(async (user) => {
  const run = await app.jobs.trigger('export', { ...options, data: user, concurrencyKey: `user-${user}` })
  console.log(run.result)
})
await Promise.all(exported)
await app.close()
