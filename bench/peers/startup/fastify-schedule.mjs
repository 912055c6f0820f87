import { fastifySchedule } from '@fastify/schedule'
import Fastify from 'fastify'
import { AsyncTask, SimpleIntervalJob } from 'toad-scheduler'
import { report } from './report.mjs'

const app = Fastify()
app.get('/', async () => 'hello')
await app.register(fastifySchedule)
await app.ready()
const task = new AsyncTask('job', async () => {})
app.scheduler.addSimpleIntervalJob(new SimpleIntervalJob({ hours: 24 }, task))
report()
