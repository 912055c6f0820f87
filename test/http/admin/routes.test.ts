// What the admin routes answer: each against its schema, over Redis and in memory.
import { Writable } from 'node:stream'
import { Ajv } from 'ajv'
import Fastify, { type FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import { READ_SCHEMAS, WRITE_SCHEMAS } from '../../../lib/http/admin/schemas.js'
import scheduler, { type PluginOptions } from '../../../lib/index.js'
import { nextEvent } from '../../fixtures/next-event.js'
import { withRedis } from '../../fixtures/with-redis.js'

const HOSTILE = `<script>alert("1")</script> ../%2f ${'\u202e'}${'x'.repeat(160)}`

const ajv = new Ajv({ strict: false, allErrors: true })

async function withJobs(options: PluginOptions, body: (app: FastifyInstance) => Promise<void>): Promise<void> {
  const app = Fastify({
    logger: { level: 'info', stream: new Writable({ write: (_chunk, _encoding, done) => done() }) }
  })
  try {
    await app.register(scheduler, {
      ...options,
      admin: { prefix: '/ops', authorize: () => ({ user: 'mara' }) }
    } as PluginOptions)
    const { jobs } = app
    jobs.add({
      id: 'works',
      trigger: { interval: '1h' },
      group: 'g',
      description: 'Works',
      data: { n: 1 },
      handler: () => 'done'
    })
    jobs.add({
      id: HOSTILE,
      trigger: null,
      retry: { limit: 1, delay: 1 },
      handler: ({ log }) => {
        log.info('<b>log</b>')
        throw new TypeError('<img src=x onerror=alert(1)>')
      }
    })
    await app.ready()
    await body(app)
  } finally {
    await app.close()
  }
}

async function answers(t: Test, options: PluginOptions): Promise<void> {
  await withJobs(options, async (app) => {
    const read = async (name: keyof typeof READ_SCHEMAS, query: Record<string, string | number | string[]> = {}) => {
      const answer = await app.inject({ url: `/ops/api/${name}`, query: query as Record<string, string> })
      t.equal(answer.statusCode, 200, `${name}: ${answer.body.slice(0, 300)}`)
      const validate = ajv.compile(READ_SCHEMAS[name].answer)
      t.ok(validate(answer.json()), `${name}: ${JSON.stringify(validate.errors)}`)
      return answer.json()
    }
    const act = async (name: keyof typeof WRITE_SCHEMAS, payload: object, status = 200) => {
      const answer = await app.inject({ method: 'POST', url: `/ops/api/${name}`, payload })
      t.equal(answer.statusCode, status, `${name}: ${answer.body.slice(0, 300)}`)
      if (status !== 200) return answer.json()
      const validate = ajv.compile(WRITE_SCHEMAS[name].answer)
      t.ok(validate(answer.json()), `${name}: ${JSON.stringify(validate.errors)}`)
      return answer.json()
    }
    const failed = nextEvent(app.jobs, 'error')
    await act('trigger', { job: HOSTILE, note: 'try' })
    await failed
    await app.jobs.trigger('works', { wait: true })
    await t.resolves(
      (async () => {
        for (;;) {
          const { entries } = await read('runs', { job: HOSTILE })
          if (entries.some(({ outcome }: { outcome: string }) => outcome === 'error')) return
        }
      })()
    )

    const all = await read('jobs')
    t.match(all, { total: 2, counts: { all: 2, states: { failing: 1 } }, groups: ['g'] })
    t.match(all.jobs[0], { id: HOSTILE, state: 'failing', rank: 'attention', schedule: 'By hand only' })
    t.match(all.jobs[0].ticks.at(-1), { kind: 'error', by: 'mara', error: 'TypeError: <img src=x onerror=alert(1)>' })
    t.match(all.jobs[1], { id: 'works', schedule: 'Every hour', timezone: null, period: 3_600_000 })
    t.match(await read('jobs', { search: 'WORK', limit: 1 }), { total: 1, jobs: [{ id: 'works' }] })
    t.match(await read('jobs', { state: 'attention', sort: '-id' }), { total: 1 })
    t.match(await read('jobs', { group: 'none' }), { total: 0, jobs: [] })
    const job = await read('job', { id: HOSTILE })
    t.match(job.lastFailure, { outcome: 'error', attempt: 2, error: { name: 'TypeError' }, by: 'mara' })
    t.match(job.lastFailure.log.join('\n'), /<b>log/)
    t.match((await read('job', { id: 'works' })).nextRuns.length, 10)
    await read('run', { job: HOSTILE, id: job.lastFailure.id })
    const now = Date.now()
    t.match(await read('ticks', { job: ['works', HOSTILE], from: now - 60_000, to: now + 7_200_000 }), {
      lanes: [{ job: 'works', coming: [Number] }, { job: HOSTILE }]
    })
    t.match(await read('fleet'), {
      you: { user: 'mara' },
      replicas: [{ jobs: 2, takesTicks: true }],
      store: { isUp: true }
    })

    const { pause } = await act('pause', { job: 'works', note: 'why' })
    t.match(pause, { by: 'mara', note: 'why' })
    t.match(await act('resume', { job: 'works', expectedVersion: 'other' }, 412), { code: 'FST_ERR_RLS_JOB_CHANGED' })
    await act('resume', { job: 'works', expectedVersion: pause.version })
    await act('pause', { group: 'g', until: now + 60_000 })
    t.match((await read('jobs', { state: 'paused' })).jobs, [{ id: 'works', nextRun: null, pauses: [{ of: 'group' }] }])
    await act('resume', { group: 'g' })
    await act('pause', { all: true })
    await act('resume', { all: true })
    const [next] = (await read('job', { id: 'works' })).nextRuns
    await act('skip', { job: 'works', scheduledTime: next, note: 'stocktaking' })
    await act('skip', { job: 'works', scheduledTime: 5 }, 404)
    await act('override', { job: 'works', changes: { timeout: '5s', data: { n: 2 } }, note: 'slow' })
    t.match((await read('job', { id: 'works' })).override, {
      by: 'mara',
      differences: [
        { option: 'timeout', code: null, now: 5000 },
        { option: 'data', code: { n: 1 }, now: { n: 2 } }
      ]
    })
    await act('reset', { job: 'works' })
    await act('release', { job: 'works' })
    // What people have done stands in the fleet's page, and in the story of each job that it is about.
    const done = (await read('fleet')).changes
    t.match(done.slice(0, 3), [
      { action: 'reset', job: 'works', by: 'mara' },
      { action: 'override', job: 'works', options: ['timeout', 'data'], note: 'slow' },
      { action: 'skip', job: 'works', scheduledTime: next, note: 'stocktaking' }
    ])
    const story = (await read('runs', { job: 'works' })).changes.map(
      ({ action, group }: { action: string; group: string | null }) => [action, group]
    )
    t.strictSame(story, [
      ['reset', null],
      ['override', null],
      ['skip', null],
      ['resume', null],
      ['pause', null],
      ['resume', 'g'],
      ['pause', 'g'],
      ['resume', null],
      ['pause', null]
    ])
    t.match((await read('runs', { job: HOSTILE })).changes.at(-1), { action: 'trigger', by: 'mara', note: 'try' })
    t.match(await act('preview', { trigger: '0 6 * * *', count: 3 }), {
      schedule: 'Every day at 06:00',
      timezone: 'UTC'
    })

    t.match(await act('cancel', { run: 'none' }, 404), { code: 'FST_ERR_RLS_RUN_UNKNOWN' })
    t.match(await act('pause', { job: 'none' }, 404), { code: 'FST_ERR_RLS_JOB_UNKNOWN' })
    t.match(await act('override', { job: 'works', changes: { trigger: '* *' } }, 400), {
      code: 'FST_ERR_RLS_CRON_INVALID'
    })
    t.match(await act('preview', { trigger: { every: '5m' } }, 400), { statusCode: 400 })
    t.match(await act('pause', { job: 'works', group: 'g' }, 400), { code: 'FST_ERR_RLS_OPTION_INVALID' })
    t.match(await act('pause', { job: 'works', extra: 1 }, 400), { code: 'FST_ERR_RLS_ADMIN_REQUEST_INVALID' })
    t.match(await act('pause', { job: 5 }, 400), { code: 'FST_ERR_RLS_ADMIN_REQUEST_INVALID' })
    t.match(await act('trigger', { job: 'works', data: 'x'.repeat(400_000) }, 413), { statusCode: 413 })
    for (const url of ['jobs?limit=0', 'jobs?limit=x', 'jobs?sort=x', 'jobs?extra=1', 'runs', 'ticks?job=works']) {
      const refused = await app.inject(`/ops/api/${url}`)
      t.match([refused.statusCode, refused.json().code], [400, 'FST_ERR_RLS_ADMIN_REQUEST_INVALID'], url)
    }
    for (const url of ['job?id=none', 'runs?job=none', 'run?job=works&id=none', 'nothing']) {
      t.equal((await app.inject(`/ops/api/${url}`)).statusCode, 404, url)
    }
  })
}

t.test('in memory', (t) => answers(t, {}))

t.test('over Redis', async (t) => {
  await withRedis(async ({ url }) => answers(t, { redis: url, prefix: 'admin' }))
})

t.test('what is redacted is not shown', async (t) => {
  const app = Fastify()
  t.teardown(() => app.close())
  const admin = { prefix: '/ops', redact: ['data.card', 'result.token', 'error.message'] }
  await app.register(scheduler, { admin })
  app.jobs.add({ id: 'ok', trigger: null, data: { card: '4111', n: 1 }, handler: () => ({ token: 'secret-1', n: 1 }) })
  app.jobs.add({ id: 'bad', trigger: null, handler: () => Promise.reject(new Error('secret-2')) })
  await app.ready()
  await app.jobs.trigger('ok', { wait: true })
  await app.jobs.trigger('bad', { wait: true })
  const bodies: string[] = []
  for (const url of ['jobs', 'job?id=ok', 'job?id=bad', 'runs?job=ok', 'runs?job=bad']) {
    bodies.push((await app.inject(`/ops/api/${url}`)).body)
  }
  t.notMatch(bodies.join('\n'), /4111|secret-/)
  t.match(bodies.join('\n'), /\[redacted\]/)
})

t.test('the routes stand in the OpenAPI document of an app that has one', async (t) => {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register((await import('@fastify/swagger')).default)
  await app.register(scheduler, { admin: { prefix: '/ops' }, autostart: false })
  await app.ready()
  const { paths = {} } = app.swagger() as { paths?: Record<string, unknown> }
  for (const name of Object.keys(READ_SCHEMAS)) t.ok(paths[`/ops/api/${name}`], name)
  for (const name of Object.keys(WRITE_SCHEMAS)) t.ok(paths[`/ops/api/${name}`], name)
  t.notOk(paths['/metrics'])
  t.notOk(paths['/ops/'])
})
