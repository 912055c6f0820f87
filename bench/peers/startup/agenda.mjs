// `agenda.mjs <URL of Redis>`
import { RedisBackend } from '@agendajs/redis-backend'
import { Agenda } from 'agenda'
import Fastify from 'fastify'
import { report } from './report.mjs'

const app = Fastify()
app.get('/', async () => 'hello')
const agenda = new Agenda({ backend: new RedisBackend({ connectionString: process.argv[2] }) })
agenda.define('job', async () => {})
const scheduled = async () => {
  await agenda.start()
  await agenda.every('0 4 * * *', 'job')
}
await Promise.all([scheduled(), app.ready()])
report()
