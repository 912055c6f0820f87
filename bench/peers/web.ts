// A web service with one route, and beside it the jobs of a peer, or none.
import type { AddressInfo } from 'node:net'
import Fastify from 'fastify'
import scheduler from '../../dist/index.js'
import type { ReplicaSettings } from '../replica.js'
import { type Run, type StartPeer, serve } from './serve.js'

const settings = JSON.parse(process.argv[2] ?? '') as ReplicaSettings
await serve(settings, async (run) => {
  const app = Fastify()
  app.get('/', async () => ({ hello: 'world' }))
  if (settings.peer === 'scheduler') {
    await app.register(scheduler, { redis: `redis://127.0.0.1:${settings.ports[0]}`, prefix: 'bench' })
    for (let job = 0; job < settings.load.jobs; job++) {
      app.jobs.cron(`job-${job}`, '* * * * * *', async (context) => run(job, context.run.scheduledTime))
    }
  }
  await app.listen({ host: '127.0.0.1', port: 0 })
  if (settings.peer === 'classic' || settings.peer === 'bullmq') await startBeside(settings, run)
  return { httpPort: (app.server.address() as AddressInfo).port }
})

async function startBeside(settings: ReplicaSettings, run: Run): Promise<void> {
  const peer = (await import(`./${settings.peer}.ts`)) as { start: StartPeer }
  await peer.start(settings, run)
}
