import { once } from 'node:events'
import { Readable } from 'node:stream'
import Fastify, { type FastifyInstance, type FastifyReply } from 'fastify'
import t from 'tap'
import scheduler, { type JobOptions } from '../../lib/index.js'
import { sendTo } from '../fixtures/leaving-client.js'
import { logLines } from '../fixtures/log-lines.js'
import { nextEvent } from '../fixtures/next-event.js'

const job = (id: string): JobOptions<FastifyInstance> => {
  return { id, trigger: { date: '2099-01-01T00:00:00Z' }, handler: () => `${id} ran` }
}

/** An app that listens, whose jobs are called as their routes are. */
async function listening(
  options: object,
  declare: (app: FastifyInstance) => void,
  jobs: readonly JobOptions<FastifyInstance>[]
): Promise<{ readonly app: FastifyInstance; readonly runs: string[] }> {
  const app = Fastify(options) as FastifyInstance
  await app.register(scheduler, { jobs })
  const runs: string[] = []
  app.jobs.on('submitted', (event) => void runs.push(event.job.id))
  declare(app)
  await app.listen({ port: 0, host: '127.0.0.1' })
  return { app, runs }
}

for (const [name, options] of Object.entries({ http: {}, http2: { http2: true } })) {
  t.test(`${name}: a client that leaves does not take the job of config.triggerJob with it`, async (t) => {
    const { logger, lines } = logLines()
    const arrived = (reply: FastifyReply): Promise<unknown> => {
      app.server.emit('arrived')
      return once(reply.raw, 'close')
    }
    const { app, runs } = await listening(
      { ...options, loggerInstance: logger },
      (app) => {
        app.post('/late', { config: { triggerJob: 'late' } }, async (_request, reply) => {
          await arrived(reply)
          return reply.code(201).send('made')
        })
        app.post('/empty', { config: { triggerJob: 'empty' } }, async (_request, reply) => {
          await arrived(reply)
          reply.code(204)
        })
        app.post('/rejected', { config: { triggerJob: 'rejected' } }, async (_request, reply) => {
          await arrived(reply)
          reply.code(409)
        })
        app.post('/broken', { config: { triggerJob: 'broken' } }, async (_request, reply) => {
          await arrived(reply)
          throw new Error('broken after all')
        })
        app.get('/streamed', { config: { triggerJob: 'streamed' } }, (_request, reply) => {
          const parts = new Readable({ read() {} })
          parts.push('the first of many parts')
          reply.type('text/plain').send(parts)
          reply.raw.once('close', () => parts.push(null))
          setImmediate(() => app.server.emit('arrived'))
        })
        app.post('/locked', { config: { triggerJob: { id: 'locked', overlap: 'skip' } } }, async (_request, reply) => {
          await arrived(reply)
          return 'done'
        })
      },
      [
        ...['late', 'empty', 'rejected', 'broken', 'streamed'].map(job),
        { ...job('locked'), handler: () => once(app.server, 'unlock') }
      ]
    )
    const leave = async (method: string, path: string): Promise<void> => {
      const here = once(app.server, 'arrived')
      const leaves = sendTo(app, method, path)
      await here
      leaves()
    }
    const executed = nextEvent(app.jobs, 'executed')
    await leave('POST', '/late')
    t.equal((await executed).job.id, 'late')

    await leave('POST', '/rejected')
    const empty = nextEvent(app.jobs, 'executed')
    await leave('POST', '/empty')
    t.equal((await empty).job.id, 'empty', 'where Fastify has no answer to send')

    const streamed = nextEvent(app.jobs, 'executed')
    await leave('GET', '/streamed')
    t.equal((await streamed).job.id, 'streamed')

    await app.jobs.trigger('locked')
    const failed = nextEvent(app.jobs, 'lockFailed')
    await leave('POST', '/locked')
    t.equal((await failed).job.id, 'locked')
    app.server.emit('unlock')

    // After a run that came later than it could have: none.
    await leave('POST', '/broken')
    const again = nextEvent(app.jobs, 'executed', ({ job }) => job.id === 'late')
    await leave('POST', '/late')
    await again
    t.same(runs, ['late', 'empty', 'streamed', 'locked', 'late'], 'once each, and not for an answer of 500')
    await app.close()
    t.match(
      lines.filter(({ message }) => /holds its lock/.test(message)),
      [{ level: 'info', fields: { jobId: 'locked' } }],
      'what came to nothing is in the log'
    )
  })

  t.test(`${name}: a client that leaves app.jobs.route leaves its run to itself`, async (t) => {
    const { logger, lines } = logLines()
    let end = (): void => {}
    const { app, runs } = await listening(
      { ...options, loggerInstance: logger },
      (app) => {
        app.post('/slow', app.jobs.route('slow', { wait: true }))
        app.post(
          '/locked',
          app.jobs.route('slow', {
            data: async () => {
              app.server.emit('arrived')
              await once(app.server, 'go on')
            }
          })
        )
      },
      [{ ...job('slow'), handler: () => new Promise<void>((resolve) => (end = resolve)) }]
    )
    const begun = nextEvent(app.jobs, 'submitted')
    const leaves = sendTo(app, 'POST', '/slow')
    const { run } = await begun
    leaves()
    const arrived = once(app.server, 'arrived')
    const leavesToo = sendTo(app, 'POST', '/locked')
    await arrived
    leavesToo()
    const failed = nextEvent(app.jobs, 'lockFailed')
    app.server.emit('go on')
    await failed
    t.equal(run.outcome, null, 'nobody has cut the run short')
    const executed = nextEvent(app.jobs, 'executed')
    end()
    t.equal((await executed).run, run)
    t.same(runs, ['slow'])
    await app.close()
    t.ok(
      lines.some(({ fields }) => (fields.err as { code?: string })?.code === 'FST_ERR_RLS_JOB_LOCKED'),
      'the answer that reached nobody is in the log'
    )
  })
}

t.test('what asks about a route does not ask for its job', async (t) => {
  const { app, runs } = await listening(
    {},
    (app) => {
      // As @fastify/cors and its like answer before the handler.
      app.addHook('onRequest', async (request, reply) => {
        if (request.method === 'OPTIONS' && request.url === '/preflight') return reply.code(204).send()
      })
      app.get('/got', app.jobs.route('got'))
      app.get('/waits', app.jobs.route('got', { wait: true, data: () => t.fail('no data is asked for') }))
      app.all('/all', app.jobs.route('got'))
      app.all('/preflight', { config: { triggerJob: 'got' } }, async () => 'ok')
    },
    [job('got')]
  )
  const status = async (method: 'GET' | 'HEAD' | 'OPTIONS' | 'TRACE' | 'POST', url: string): Promise<number> => {
    const { statusCode, payload } = await app.inject({ method, url })
    if (method !== 'GET' && method !== 'POST') t.equal(payload, '', `${method} ${url} has no body`)
    return statusCode
  }
  t.equal(await status('HEAD', '/got'), 202)
  t.equal(await status('HEAD', '/waits'), 200)
  t.equal(await status('HEAD', '/all'), 202)
  t.equal(await status('OPTIONS', '/all'), 202)
  t.equal(await status('TRACE', '/all'), 202)
  t.equal(await status('OPTIONS', '/preflight'), 204)
  t.same(runs, [])
  const ended = nextEvent(app.jobs, 'executed')
  t.equal(await status('GET', '/got'), 202)
  await ended
  const again = nextEvent(app.jobs, 'executed')
  t.equal(await status('POST', '/preflight'), 200)
  await again
  t.same(runs, ['got', 'got'])
  await app.close()
})
