// What docs/integrations.md says, shown with the packages themselves.
import { once } from 'node:events'
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import redisPlugin from '@fastify/redis'
import schedule from '@fastify/schedule'
import swagger from '@fastify/swagger'
import underPressure from '@fastify/under-pressure'
import Fastify, { type FastifyInstance } from 'fastify'
import metricsPlugin from 'fastify-metrics'
import { Redis } from 'ioredis'
import prometheus from 'prom-client'
import t from 'tap'
import { SimpleIntervalJob, Task } from 'toad-scheduler'
import scheduler from '../lib/index.js'
import { anyOf } from './fixtures/any-of.js'
import { logLines } from './fixtures/log-lines.js'
import { NEVER_DUE } from './fixtures/never-due.js'
import { nextEvent } from './fixtures/next-event.js'
import { run } from './fixtures/package/outside-tap.js'
import { freePort, type TestRedis, withRedis } from './fixtures/with-redis.js'

const ROOT = join(import.meta.dirname, '..')
const page = await readFile(join(ROOT, 'docs', 'integrations.md'), 'utf8')
const noop = (): void => {}

async function connectionsOf({ client }: TestRedis): Promise<number> {
  return ((await client.client('LIST')) as string).split('\n').filter((line) => line !== '').length
}

t.test('@fastify/redis: its client is the template, and each side closes its own', (t) =>
  withRedis(async (redis) => {
    const before = await connectionsOf(redis)
    const app = Fastify()
    app.register(redisPlugin, { url: `${redis.url}/2`, keyPrefix: 'shop:' })
    app.register(scheduler, (parent: FastifyInstance) => ({ redis: parent.redis, prefix: 'billing' }))
    const wrote: string[] = []
    let go = noop
    app.after(() => {
      app.jobs.interval('slow', NEVER_DUE, async ({ app }) => {
        await new Promise<void>((resolve) => (go = resolve))
        wrote.push(await app.redis.set('written', 'to the end'))
      })
    })
    await app.ready()
    t.equal(await connectionsOf(redis), before + 2, 'a connection each')
    t.equal(app.redis.listenerCount('error'), 0, 'no listener on it')
    const run = await app.jobs.trigger('slow')
    const closing = app.close()
    await new Promise((resolve) => setImmediate(resolve))
    go()
    await closing
    t.equal(run?.outcome, 'success')
    t.same(wrote, ['OK'], 'its client is there until the last run has ended')
    while ((await connectionsOf(redis)) > before) await sleep(10)
    await redis.client.select(2)
    t.ok(await redis.client.exists('shop:rls:{billing}:fence'), 'its database and its key prefix count')
  })
)

t.test('@fastify/redis: an object of options is read at once, a function when the client is there', (t) =>
  withRedis(async ({ url }) => {
    const coordinationOf = async (isFunction: boolean): Promise<unknown> => {
      const { logger, lines } = logLines()
      const app = Fastify({ loggerInstance: logger })
      app.register(redisPlugin, { url })
      if (isFunction) app.register(scheduler, (parent: FastifyInstance) => ({ redis: parent.redis, prefix: 'billing' }))
      else app.register(scheduler, { redis: app.redis, prefix: 'billing' })
      await app.ready()
      const line = () => lines.find(({ fields }) => 'coordination' in fields)
      while (line() === undefined) await sleep(10)
      await app.close()
      return line()?.fields.coordination
    }
    t.equal(await coordinationOf(true), 'redis')
    t.equal(await coordinationOf(false), 'memory')
  })
)

t.test('@fastify/redis: the client of a namespace will do', (t) =>
  withRedis(async ({ url, client }) => {
    const app = Fastify()
    await app.register(redisPlugin, { url, namespace: 'cache' })
    await app.register(redisPlugin, { url: `${url}/3`, namespace: 'jobs' })
    await app.register(scheduler, { redis: app.redis.jobs as never, prefix: 'billing' })
    app.jobs.interval('a', NEVER_DUE, noop)
    await app.ready()
    t.equal((await app.jobs.trigger('a', { wait: true }))?.outcome, 'success')
    await app.close()
    await client.select(3)
    t.ok(await client.exists('rls:{billing}:fence'))
  })
)

t.test('@fastify/redis does not start without Redis, the scheduler alone does', async (t) => {
  const port = await freePort()
  const client = new Redis(port, { retryStrategy: () => 50 })
  client.on('error', noop)
  // The plugin, which gives up when the client ends, leaves that promise to itself.
  client.quit = async () => 'OK'
  const both = Fastify({ pluginTimeout: 1000 })
  both.register(redisPlugin, { client })
  await t.rejects(async () => void (await both.ready()), { code: 'FST_ERR_PLUGIN_TIMEOUT' })
  client.disconnect()
  await both.close()

  const { logger } = logLines()
  const alone = Fastify({ loggerInstance: logger })
  await alone.register(scheduler, { redis: `redis://127.0.0.1:${port}`, prefix: 'billing' })
  await alone.ready()
  t.match(await alone.jobs.register?.metrics(), /^apscheduler_redis_up 0$/m)
  await alone.close()
})

/** The files that the page's blocks begin with the names of. */
function files(): [path: string, text: string][] {
  return Array.from(page.matchAll(/^```ts\n\/\/ (\S+\.ts)\n(.*?)^```/gms), ([, path = '', text = '']) => [path, text])
}

t.test('@fastify/autoload: the files of the page, in folders', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'rls-autoload-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  const write = async (path: string, text: string): Promise<void> => {
    await mkdir(dirname(join(folder, path)), { recursive: true })
    await writeFile(join(folder, path), text)
  }
  for (const name of ['fastify', 'fastify-plugin', '@fastify/autoload', 'tsx']) {
    await mkdir(dirname(join(folder, 'node_modules', name)), { recursive: true })
    await symlink(join(ROOT, 'node_modules', name), join(folder, 'node_modules', name))
  }
  await symlink(ROOT, join(folder, 'node_modules', 'fastify-redlock-scheduler'))
  await write('package.json', '{ "type": "module" }')
  t.same(
    files().map(([path]) => path),
    ['app.ts', 'plugins/scheduler.ts', 'jobs/cleanup.ts', 'routes/cleanup.ts']
  )
  for (const [path, text] of files()) await write(path, text)
  const listed = Array.from(page.matchAll(/^```text\napp\.ts\n(.*?)^```/gms), ([, text = '']) =>
    text.trim().split('\n')
  )
  t.same(listed, [
    files()
      .slice(1)
      .map(([path]) => path)
  ])
  await write(
    'main.ts',
    `import { app } from './app.js'
    const { statusCode } = await app.inject({ method: 'POST', url: '/cleanup' })
    console.log(statusCode, app.jobs.list().map(({ id }) => id).join())
    await app.close()`
  )
  const main = (): ReturnType<typeof run> =>
    run(process.execPath, ['--import', 'tsx', 'main.ts'], { cwd: folder, env: { FASTIFY_AUTOLOAD_TYPESCRIPT: '1' } })
  t.same(await main(), { code: 0, stdout: '202 cleanup\n', stderr: '' })

  // The options may be a function, which sees the app.
  await write(
    'plugins/scheduler.ts',
    `export { default } from 'fastify-redlock-scheduler'
    export const autoConfig = (app: { version: string }) => ({ replicaId: 'on-' + app.version })`
  )
  await write('app.ts', (files()[0] as [string, string])[1].replace('folder) }', 'folder), options: {} }'))
  await write('routes/id.ts', `export default async (app: any) => console.log(app.jobs.replicaId)`)
  t.match(await main(), { code: 0, stdout: /^on-5\.[\d.]+\n202 cleanup\n$/ })
  await rm(join(folder, 'routes', 'id.ts'))

  // In one folder they load in the order of their dependencies.
  await write('plugins/cleanup.ts', (files()[2] as [string, string])[1])
  await rm(join(folder, 'jobs', 'cleanup.ts'))
  t.match(await main(), { code: 0, stdout: '202 cleanup\n' })

  await rm(join(folder, 'plugins', 'scheduler.ts'))
  const missing = /dependency 'fastify-redlock-scheduler' of plugin 'job-cleanup' is not registered/
  t.match(await main(), { code: 1, stderr: missing })

  // An option for all plugins is none of the scheduler's.
  await write('plugins/scheduler.ts', (files()[1] as [string, string])[1])
  await write('app.ts', (files()[0] as [string, string])[1].replace('folder) }', "folder), options: { env: 'test' } }"))
  t.match(await main(), { code: 1, stderr: /FST_ERR_RLS_OPTION_UNKNOWN/ })
  await write('app.ts', (files()[0] as [string, string])[1])
  await rm(join(folder, 'plugins', 'scheduler.ts'))

  // A folder's name would be the app's in Redis.
  await write(
    'plugins/queue/index.ts',
    `import fp from 'fastify-plugin'
    export default fp(async (_app, options: { prefix?: string }) => console.log(options.prefix))`
  )
  await rm(join(folder, 'plugins', 'cleanup.ts'))
  await write('routes/cleanup.ts', 'export default async () => {}')
  t.match(await main(), { stdout: /^\/queue$/m })
})

t.test('all begins and ends in the order of the page', async (t) => {
  const order: string[] = []
  const app = Fastify()
  const jobs = [{ id: 'tick', trigger: { interval: 20 }, handler: () => void order.push('tick') }]
  await app.register(scheduler, { jobs })
  app.addHook('onReady', async () => {
    const ended = await app.jobs.trigger('slow', { wait: true })
    order.push(`a run by hand in a later onReady: ${ended?.outcome}`)
  })
  let end = noop
  app.register(async (child) => {
    child.addHook('onReady', async () => void order.push("a child's onReady"))
    child.addHook('onClose', async () => void order.push("a child's database closes"))
    child.jobs.add({
      id: 'slow',
      trigger: { interval: NEVER_DUE },
      handler: async ({ app }) => {
        if (order.includes('tick')) await new Promise<void>((resolve) => (end = resolve))
        return app === child
      }
    })
  })
  app.addHook('onClose', async () => void order.push('a plugin closes'))
  app.get('/', async () => 'here')
  await app.ready()
  await nextEvent(app.jobs, 'executed', ({ job }) => job.id === 'tick')
  t.same(order.slice(0, 3), ['a run by hand in a later onReady: success', "a child's onReady", 'tick'])

  app.jobs.on('executed', ({ job, run }) => void (job.id === 'slow' && order.push(`ended: ${run.result}`)))
  await app.jobs.trigger('slow')
  const drained = app.jobs.drain()
  await t.rejects(app.jobs.trigger('tick'), { code: 'FST_ERR_RLS_NOT_RUNNING' })
  t.equal((await app.inject('/')).payload, 'here', 'routes answer while it drains')
  t.equal((await app.inject('/metrics')).statusCode, 200)
  t.match(await app.jobs.withLock('name', {}, () => 1), { value: 1 })
  order.length = 0
  end()
  await drained
  t.equal((await app.inject('/')).payload, 'here')
  await app.close()
  t.same(order.slice(0, 1), ['ended: true'])
  t.same(order.slice(1).sort(), ["a child's database closes", 'a plugin closes'])
})

t.test('without a drain before it, closing ends the runs before any plugin closes', async (t) => {
  const order: string[] = []
  const app = Fastify()
  app.addHook('onClose', async () => void order.push('registered earlier'))
  await app.register(scheduler)
  app.addHook('onClose', async () => void order.push('registered later'))
  let go = noop
  app.jobs.interval('slow', NEVER_DUE, async () => {
    await new Promise<void>((resolve) => (go = resolve))
    order.push('run')
  })
  await app.ready()
  await app.jobs.trigger('slow')
  const closing = app.close()
  await new Promise((resolve) => setImmediate(resolve))
  go()
  await closing
  t.equal(order[0], 'run')
  t.equal(order.length, 3)
})

t.test('closeTimeout and pluginTimeout of the page; autostart: false has runs by hand', async (t) => {
  const short = Fastify()
  short.register(scheduler, { closeTimeout: '30s' })
  await t.rejects(async () => void (await short.ready()), {
    code: 'FST_ERR_RLS_OPTION_INVALID',
    message: /pluginTimeout/
  })
  await short.close()

  const app = Fastify({ pluginTimeout: 40_000 })
  await app.register(scheduler, { closeTimeout: '30s', autostart: false })
  let ticks = 0
  app.jobs.interval('a', 10, () => void ticks++)
  app.post('/a', app.jobs.route('a', { wait: true }))
  await app.ready()
  t.equal((await app.inject({ method: 'POST', url: '/a' })).statusCode, 200)
  t.equal(ticks, 1)
  await app.close()
})

t.test('fastify-metrics: one registry, and its route stays', async (t) => {
  for (const again of [false, true]) {
    const app = Fastify()
    await app.register(metricsPlugin.default, { endpoint: '/metrics', defaultMetrics: { enabled: false } })
    await app.register(scheduler, { metrics: { register: app.metrics.client.register } })
    app.jobs.interval('a', NEVER_DUE, noop)
    await app.ready()
    await app.jobs.trigger('a', { wait: true })
    await app.inject('/metrics')
    const { payload } = await app.inject('/metrics')
    t.match(payload, /^apscheduler_job_success_total\{job_id="a",job_name="a"\} 1$/m)
    t.match(payload, /^http_request_duration_seconds_count\{/m, 'its own are there, too')
    if (!again) {
      const other = Fastify()
      other.register(scheduler, { metrics: { register: prometheus.register } })
      await t.rejects(async () => void (await other.ready()), { code: 'FST_ERR_RLS_METRIC_TAKEN' })
      await other.close()
    }
    await app.close()
    t.equal(prometheus.register.getSingleMetric('apscheduler_redis_up'), undefined, 'they leave the registry')
    prometheus.register.clear()
  }
})

t.test('fastify-metrics: the other order, and no registry', async (t) => {
  const options = { endpoint: '/metrics', defaultMetrics: { enabled: false } }
  const late = Fastify()
  late.register(scheduler)
  late.register(metricsPlugin.default, options)
  await t.rejects(async () => void (await late.ready()), { code: 'FST_ERR_DUPLICATED_ROUTE' })
  await late.close()
  prometheus.register.clear()

  const off = Fastify()
  await off.register(scheduler, { metrics: { register: prometheus.register, endpoint: false } })
  await off.register(metricsPlugin.default, options)
  t.match((await off.inject('/metrics')).payload, /^apscheduler_jobs_total 0$/m)
  await off.close()
  prometheus.register.clear()

  const { logger, lines } = logLines()
  const apart = Fastify({ loggerInstance: logger })
  await apart.register(metricsPlugin.default, options)
  await apart.register(scheduler)
  t.notMatch((await apart.inject('/metrics')).payload, /apscheduler/)
  t.ok(lines.some(({ message }) => /the app serves its metrics itself/.test(message)))
  await apart.close()
  prometheus.register.clear()
})

t.test('@fastify/under-pressure: a check that tells of Redis and fails nothing', (t) =>
  withRedis(async (redis) => {
    const { logger } = logLines()
    const app = Fastify({ loggerInstance: logger })
    await app.register(scheduler, { redis: redis.url, prefix: 'billing', health: { endpoint: '/ready' } })
    app.jobs.interval('sync', NEVER_DUE, noop)
    await app.register(underPressure, {
      maxEventLoopDelay: 60_000,
      healthCheck: async () => {
        const { status, redisUp, reason } = app.jobs.health()
        return { jobs: status, redisUp, reason, lastSync: app.jobs.get('sync')?.lastSuccess ?? null }
      },
      exposeStatusRoute: {
        url: '/health',
        routeOpts: {},
        routeResponseSchemaOpts: {
          jobs: { type: 'string' },
          redisUp: { type: 'boolean' },
          reason: { type: ['string', 'null'] },
          lastSync: { type: ['number', 'null'] }
        }
      }
    })
    app.get('/', async () => 'here')
    await app.ready()
    const health = async () => (await app.inject('/health')).json()
    await app.jobs.start()
    const ok = { status: 'ok', jobs: 'ok', redisUp: true, reason: null }
    t.same(await health(), { ...ok, lastSync: null })
    const run = await app.jobs.trigger('sync', { wait: true })
    t.same(await health(), { ...ok, lastSync: run?.finishedAt })
    await redis.kill()
    while ((await health()).redisUp) await sleep(20)
    t.match(await health(), { status: 'ok', jobs: 'degraded', reason: /./, lastSync: run?.finishedAt })
    t.equal((await app.inject('/')).statusCode, 200, 'readiness does not hang on Redis')
    t.equal((await app.inject('/ready')).statusCode, 200)
    await app.jobs.drain()
    t.match(await health(), { status: 'ok', jobs: 'closing' })
    t.equal((await app.inject('/')).statusCode, 200, 'routes answer while it drains')
    t.match((await app.inject('/ready')).json(), { status: 'closing' })
    t.equal((await app.inject('/ready')).statusCode, 503)
    await app.close()
  })
)

t.test('@fastify/under-pressure: a check that is false stops every route, and no run', async (t) => {
  const { logger } = logLines()
  const app = Fastify({ loggerInstance: logger })
  await app.register(scheduler)
  app.jobs.interval('a', 20, noop)
  await app.register(underPressure, { healthCheck: async () => false, healthCheckInterval: 1000 })
  app.get('/', async () => 'here')
  await app.ready()
  t.equal((await app.inject('/')).statusCode, 503)
  await nextEvent(app.jobs, 'executed')
  await app.close()
})

t.test('@fastify/swagger: metrics are hidden, and a route that runs a job has the schema it is given', async (t) => {
  const app = Fastify()
  await app.register(swagger, { openapi: { info: { title: 'Billing', version: '1.0.0' } } })
  await app.register(scheduler)
  app.jobs.interval('report', NEVER_DUE, noop)
  const described = { type: 'object', properties: { id: { type: 'string' }, jobId: { type: 'string' } } }
  app.post('/reports', { schema: { summary: 'Run it', response: { 202: described } } }, app.jobs.route('report'))
  app.post('/plain', app.jobs.route('report', { wait: true }))
  await app.ready()
  const { paths = {} } = app.swagger() as {
    paths?: Record<string, { post?: { summary?: string; responses?: object } }>
  }
  t.same(Object.keys(paths), ['/reports', '/plain'])
  t.match(paths['/reports']?.post, { summary: 'Run it', responses: { 202: Object } })
  t.notOk(paths['/plain']?.post?.summary)
  const ended = nextEvent(app.jobs, 'executed')
  const answer = await app.inject({ method: 'POST', url: '/reports' })
  t.equal(answer.statusCode, 202)
  t.same(Object.keys(answer.json()).sort(), ['id', 'jobId'], 'the schema filters the answer')
  await ended
  const plain = (await app.inject({ method: 'POST', url: '/plain' })).json()
  t.match(plain, { jobId: 'report', outcome: 'success', startedAt: String })
  await app.close()
})

t.test('@fastify/schedule: side by side, each with its decorator', (t) =>
  withRedis(async ({ url }) => {
    const at = new Date(Date.now() + 2500)
    const ran: string[] = []
    const refreshed: Promise<void>[] = []
    const apps: FastifyInstance[] = []
    for (const name of ['one', 'other']) {
      const app = Fastify()
      await app.register(schedule)
      await app.register(scheduler, { redis: url, prefix: 'billing' })
      app.jobs.date('settle', at, () => void ran.push('settle'))
      const refresh = (resolve: () => void): Task =>
        new Task('refresh', () => {
          ran.push(`refresh on ${name}`)
          resolve()
        })
      refreshed.push(
        new Promise((resolve) => {
          app.ready(() =>
            app.scheduler.addSimpleIntervalJob(new SimpleIntervalJob({ milliseconds: 100 }, refresh(resolve)))
          )
        })
      )
      apps.push(app)
    }
    const replicas = anyOf(apps.map(({ jobs }) => jobs))
    const settled = Promise.all([nextEvent(replicas, 'executed'), nextEvent(replicas, 'skipped')])
    await Promise.all(apps.map((app) => app.ready()))
    const [, { reason }] = await settled
    t.equal(reason, 'claimed_elsewhere')
    t.equal(ran.filter((what) => what === 'settle').length, 1, 'on one of them')
    await Promise.all(refreshed)
    for (const name of ['one', 'other']) t.ok(ran.includes(`refresh on ${name}`), 'on every replica')
    await Promise.all(apps.map((app) => app.close()))
  })
)

/** The code of a section of the page. */
function codeOf(heading: string): string {
  const [, section = ''] = page.split(`\n## ${heading}\n`)
  return /```ts\n(.*?)```/s.exec(section)?.[1] ?? ''
}

/** What ends the programs of the page that tell others of runs: one run that succeeds, and one that fails. */
const TWO_RUNS = `
  app.jobs.add({ id: 'good', handler: () => {} })
  app.jobs.add({ id: 'bad', handler: () => { throw new Error('broken') } })
  await app.ready()
  for (const id of ['good', 'bad']) await app.jobs.trigger(id, { wait: true })
  await app.close()`

/** Runs a program of TypeScript in a folder with these packages. */
async function runWith(packages: Readonly<Record<string, string>>, code: string): ReturnType<typeof run> {
  const folder = await mkdtemp(join(tmpdir(), 'rls-told-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  for (const [name, target] of Object.entries(packages)) {
    await mkdir(dirname(join(folder, 'node_modules', name)), { recursive: true })
    await symlink(join(ROOT, target), join(folder, 'node_modules', name))
  }
  await writeFile(join(folder, 'package.json'), '{ "type": "module" }')
  await writeFile(join(folder, 'main.ts'), code)
  return await run(process.execPath, ['--import', 'tsx', 'main.ts'], { cwd: folder })
}

const PACKAGES = { fastify: 'node_modules/fastify', tsx: 'node_modules/tsx', 'fastify-redlock-scheduler': '.' }

t.test('Sentry: the code of the page sends a check-in for each run, and an issue for one that failed', async (t) => {
  // What @sentry/node exports of that is that of @sentry/core.
  const setUp = `
    import { createTransport, setCurrentClient } from '@sentry/node'
    import { ServerRuntimeClient } from '@sentry/node/server'
    const items: object[] = []
    const client = new ServerRuntimeClient({
      dsn: 'https://key@sentry.example/1',
      integrations: [],
      stackParser: () => [],
      transport: (options) => createTransport(options, async ({ body }) => {
        for (const line of String(body).split('\\n')) items.push(JSON.parse(line))
        return { statusCode: 200 }
      })
    })
    setCurrentClient(client)
    client.init()
    `
  const said = `
    await client.flush(1000)
    console.log(JSON.stringify(items.filter((item) => 'monitor_slug' in item || 'exception' in item)))`
  const packages = { ...PACKAGES, '@sentry/node': 'node_modules/@sentry/core' }
  const { stdout, stderr } = await runWith(packages, `${setUp}${codeOf('Sentry')}${TWO_RUNS}${said}`)
  t.equal(stderr, '')
  const items = JSON.parse(stdout) as Record<string, unknown>[]
  const checkIns = items.filter((item) => 'monitor_slug' in item)
  t.match(checkIns, [
    { monitor_slug: 'good', status: 'in_progress' },
    { monitor_slug: 'good', status: 'ok', duration: Number },
    { monitor_slug: 'bad', status: 'in_progress' },
    { monitor_slug: 'bad', status: 'error', duration: Number }
  ])
  const ids = checkIns.map((item) => item.check_in_id)
  t.ok(ids[0] === ids[1] && ids[2] === ids[3] && ids[0] !== ids[2])
  t.match(
    items.filter((item) => 'exception' in item),
    [{ exception: { values: [{ value: 'broken' }] }, tags: { jobId: 'bad', outcome: 'error', runId: String } }]
  )
})

t.test('Cronitor: the code of the page tells of each run, its beginning first', async (t) => {
  const heard: { readonly path: string; readonly query: Record<string, string> }[] = []
  const open = new Set<string>()
  const overtaken: string[] = []
  const server = createServer((request, response) => {
    const { pathname, searchParams } = new URL(request.url ?? '', 'http://localhost')
    heard.push({ path: pathname, query: Object.fromEntries(searchParams) })
    // What begins is answered late: what ends must wait for that.
    if (open.has(pathname)) overtaken.push(pathname)
    open.add(pathname)
    setTimeout(
      () => {
        open.delete(pathname)
        response.end()
      },
      searchParams.get('state') === 'run' ? 100 : 0
    )
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => void server.close())
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const code = codeOf('Cronitor')
  t.match(code, 'https://cronitor.link/p/')
  const key = "process.env.CRONITOR_KEY = 'key'\n"
  const { stderr, code: ended } = await runWith(
    PACKAGES,
    `${key}${code.replace('https://cronitor.link', url)}${TWO_RUNS}`
  )
  t.equal(stderr, '')
  t.equal(ended, 0)
  const told = (job: string): unknown[] =>
    heard.flatMap(({ path, query }) => (path === `/p/key/${job}` ? [[query.state, query.message]] : []))
  t.strictSame(told('good'), [
    ['run', ''],
    ['complete', '']
  ])
  t.strictSame(told('bad'), [
    ['run', ''],
    ['fail', 'Error: broken']
  ])
  t.equal(new Set(heard.map(({ query }) => query.series)).size, 2)
  t.strictSame(overtaken, [])
})
