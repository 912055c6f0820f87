// Data with a schema: checked where it is given, by code or by HTTP, and typed from there to the handler.
import Fastify from 'fastify'
import scheduler from 'fastify-redlock-scheduler'
import { z } from 'zod'

const Import = z.object({ table: z.enum(['orders', 'users']), since: z.coerce.date().default(new Date(0)) })

const app = Fastify()
await app.register(scheduler)

app.jobs.add({
  id: 'import',
  trigger: { cron: '0 3 * * *' },
  schema: Import,
  data: { table: 'orders' },
  // What is given has a date as text, or none. The handler gets a Date.
  handler: async ({ data }) => `${data.table} since ${data.since.toISOString().slice(0, 10)}`
})
app.post('/imports', app.jobs.route('import', { wait: true, data: (request) => request.body }))

const run = await app.ready().then(() => app.jobs.trigger('import', { wait: true }))
console.log(run?.result)

for (const payload of [{ table: 'users', since: '2026-12-01' }, { table: 'sessions' }]) {
  const response = await app.inject({ method: 'POST', url: '/imports', payload })
  const { result, code } = response.json()
  console.log(response.statusCode, result ?? code)
}
await app.close()
