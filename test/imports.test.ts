// What a service does not use is not loaded: seen by real processes that run the published JavaScript.
import { copyFile, mkdtemp, rm, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import t from 'tap'
import { run } from './fixtures/package/outside-tap.js'

const ROOT = join(import.meta.dirname, '..')

/** What is loaded when it is used. */
const LAZY = ['croner', 'fastest-levenshtein', 'ioredis', 'ms', 'prom-client', 'redlock']

const APP = "const { default: Fastify } = await import('fastify'); const app = Fastify()"

const CASES: readonly { readonly what: string; readonly code: string; readonly loads: readonly string[] }[] = [
  { what: 'an import', code: '', loads: [] },
  {
    what: 'a scheduler in memory that runs a job',
    code: `const scheduler = createScheduler()
      scheduler.interval('a', 3_600_000, () => {})
      await scheduler.start()
      await scheduler.trigger('a', { wait: true })
      await scheduler.close()`,
    loads: []
  },
  {
    what: 'the plugin, in an app that nobody scrapes',
    code: `${APP}
      await app.register(plugin, { closeTimeout: 1000 })
      app.jobs.interval('a', 3_600_000, () => {})
      await app.ready()
      await app.close()`,
    loads: []
  },
  { what: 'a cron string', code: "createScheduler().cron('a', '0 4 * * *', () => {})", loads: ['croner'] },
  {
    what: "a cron trigger of APScheduler's fields",
    code: "createScheduler().add({ id: 'a', trigger: { cron: { hour: 4 } }, handler() {} })",
    loads: []
  },
  { what: 'a duration in words', code: "createScheduler({ closeTimeout: '1s' })", loads: ['ms'] },
  { what: 'no metrics', code: 'createScheduler({ metrics: false }).register', loads: [] },
  { what: 'the registry', code: 'await createScheduler().register.metrics()', loads: ['prom-client'] },
  {
    what: 'the route of the metrics',
    code: `${APP}
      await app.register(plugin)
      const { body } = await app.inject('/metrics')
      if (!body.includes('apscheduler_redis_up 1')) throw new Error(body)
      await app.close()`,
    loads: ['prom-client']
  },
  {
    what: "a registry of the app's",
    code: `const register = { registerMetric() {}, getSingleMetric() {}, removeSingleMetric() {}, async metrics() {} }
      await createScheduler({ metrics: { register } }).register.metrics()`,
    loads: []
  },
  {
    what: 'the URL of a Redis',
    code: "createScheduler({ redis: 'redis://127.0.0.1:1', prefix: 'imports' })",
    loads: ['ioredis', 'ms', 'redlock']
  },
  {
    what: 'options of ioredis',
    code: "createScheduler({ redis: { port: 1 }, prefix: 'imports' })",
    loads: ['ioredis', 'ms', 'redlock']
  },
  {
    what: "a client of the app's",
    code: `const redis = { status: 'wait', options: {}, defineCommand() {}, evalsha() {} }
      createScheduler({ redis, prefix: 'imports' })`,
    loads: ['redlock']
  },
  {
    what: 'an option that does not exist',
    code: 'try { createScheduler({ redos: 1 }) } catch {}',
    loads: ['fastest-levenshtein']
  }
]

/** The program: V8 itself tells of every script that is loaded, of CommonJS and ES modules alike. */
const program = (entry: string, code: string): string => `
  import { Session } from 'node:inspector'
  const loaded = new Set()
  const session = new Session()
  session.connect()
  session.on('Debugger.scriptParsed', ({ params: { url } }) => {
    loaded.add(/.*\\/node_modules\\/((?:@[^/]+\\/)?[^/]+)\\//.exec(url)?.[1])
  })
  session.post('Debugger.enable')
  const { createScheduler, default: plugin } = await import(${JSON.stringify(entry)})
  ${code}
  console.log(JSON.stringify(${JSON.stringify(LAZY)}.filter((name) => loaded.has(name))))
  process.exit(0)`

t.test('nothing is loaded before it is used', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'rls-imports-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  await copyFile(join(ROOT, 'package.json'), join(folder, 'package.json'))
  await symlink(join(ROOT, 'node_modules'), join(folder, 'node_modules'))
  const bundled = await run('npm', ['run', 'bundle', '--', `--outdir=${join(folder, 'dist', 'lib')}`], { cwd: ROOT })
  t.equal(bundled.code, 0, bundled.stderr)
  const entry = pathToFileURL(join(folder, 'dist', 'lib', 'index.js')).href
  for (const { what, code, loads } of CASES) {
    const ended = await run(process.execPath, ['--input-type=module', '-e', program(entry, code)], { cwd: folder })
    t.match(ended, { code: 0 }, `${what} works: ${ended.stderr}`)
    t.strictSame(JSON.parse(ended.stdout || 'null'), loads, `${what} loads ${loads.join(', ') || 'none of them'}`)
  }
})
