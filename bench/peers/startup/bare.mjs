import Fastify from 'fastify'
import { report } from './report.mjs'

const app = Fastify()
app.get('/', async () => 'hello')
await app.ready()
report()
