// What a service does not use is not loaded: seen by real processes that run the published JavaScript.
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import t from 'tap'
import { run } from './fixtures/package/outside-tap.js'

const ROOT = join(import.meta.dirname, '..')

/** What is loaded when a connection is opened. */
const LATE = ['ioredis', 'redlock']

/** What is loaded for a JSON Schema. */
const VALIDATION = ['ajv', 'ajv-formats']

const JOB = "{ id: 'a', trigger: { cron: '0 4 * * *' }, data: 1, handler: () => {} }"

const APP = "const { default: Fastify } = await import('fastify'); const app = Fastify()"

/** Nobody listens there: what is needed to connect is loaded all the same. */
const NOWHERE = "{ port: 1, host: '127.0.0.1' }"

const CASES: readonly { readonly what: string; readonly code: string; readonly loads: readonly string[] }[] = [
  { what: 'an import', code: '', loads: [] },
  {
    what: 'a scheduler in memory that runs a job',
    code: `const scheduler = createScheduler()
      scheduler.cron('a', '0 4 * * *', () => {})
      await scheduler.start()
      await scheduler.trigger('a', { wait: true })
      await scheduler.register.metrics()
      await scheduler.close()`,
    loads: []
  },
  {
    what: 'the plugin, in an app that is scraped',
    code: `${APP}
      await app.register(plugin)
      const { body } = await app.inject('/metrics')
      if (!body.includes('apscheduler_redis_up 1')) throw new Error(body)
      await app.close()`,
    loads: []
  },
  {
    what: 'a job with a Standard Schema',
    code: `const schema = { '~standard': { version: 1, vendor: 'test', validate: (value) => ({ value }) } }
      createScheduler().add({ ...${JOB}, schema })`,
    loads: []
  },
  {
    what: 'a job with a JSON Schema',
    code: `createScheduler().add({ ...${JOB}, schema: { type: 'integer' } })`,
    loads: VALIDATION
  },
  {
    what: 'a scheduler with Redis, before its start',
    code: `createScheduler({ redis: ${NOWHERE}, prefix: 'imports' })
      createScheduler({ redis: 'redis://127.0.0.1:1', prefix: 'imports' })`,
    loads: []
  },
  {
    what: 'its start',
    code: `await createScheduler({ redis: ${NOWHERE}, prefix: 'imports', logger: false }).start()`,
    loads: LATE
  },
  {
    what: 'the start with the URL of a Redis',
    code: "await createScheduler({ redis: 'redis://127.0.0.1:1', prefix: 'imports', logger: false }).start()",
    loads: LATE
  },
  {
    what: "the start with a client of the app's",
    code: `const redis = Object.assign(new EventEmitter(), { status: 'end', options: {}, defineCommand() {}, evalsha() {} })
      void createScheduler({ redis, prefix: 'imports', logger: false }).start()
      await new Promise((resolve) => setTimeout(resolve, 200))`,
    loads: ['redlock']
  }
]

/** The program: V8 itself tells of every script that is loaded, of CommonJS and ES modules alike. */
const program = (entry: string, code: string): string => `
  import { EventEmitter } from 'node:events'
  import { Session } from 'node:inspector'
  const loaded = new Set()
  const session = new Session()
  session.connect()
  session.on('Debugger.scriptParsed', ({ params: { url } }) => {
    loaded.add(/.*\\/node_modules\\/(.*)/.exec(url)?.[1])
  })
  session.post('Debugger.enable')
  const { createScheduler, default: plugin } = await import(${JSON.stringify(entry)})
  ${code}
  console.log(JSON.stringify([...loaded].filter((path) => path !== undefined)))
  process.exit(0)`

t.test('what only Redis needs is loaded when a connection is opened', async (t) => {
  const entry = join(ROOT, 'dist', 'index.js')
  if (!existsSync(entry)) throw new Error('there is no dist/: run `npm run build`')
  for (const { what, code, loads } of CASES) {
    const ended = await run(process.execPath, ['--input-type=module', '-e', program(pathToFileURL(entry).href, code)], {
      cwd: ROOT
    })
    t.match(ended, { code: 0 }, `${what} works: ${ended.stderr}`)
    const paths = JSON.parse(ended.stdout || '[]') as string[]
    // Fastify loads ajv for itself.
    const own = code.includes(APP) ? LATE : [...LATE, ...VALIDATION]
    const late = own.filter((name) => paths.some((path) => path.startsWith(`${name}/`)))
    t.strictSame(late, loads, `${what} loads ${loads.join(', ') || 'none of them'}`)
    // All of it takes seven times as long to load, and the metrics need no other part.
    const parts = paths.filter((path) => path.startsWith('prom-client/'))
    t.strictSame(parts.sort(), ['prom-client/lib/registry.js', 'prom-client/lib/util.js'], `${what}: of prom-client`)
  }
})

t.test("the registry is prom-client's own", async (t) => {
  const { default: client } = await import('prom-client')
  const { default: Registry } = await import('prom-client/lib/registry.js')
  t.equal(Registry, client.Registry)
})
