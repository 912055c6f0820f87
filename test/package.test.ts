import { existsSync } from 'node:fs'
import { cp, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { asInstalled, install, pack } from './fixtures/package/installed.js'
import { run } from './fixtures/package/outside-tap.js'

const ROOT = join(import.meta.dirname, '..')
const FIXTURES = join(import.meta.dirname, 'fixtures', 'package', 'app')
/** The oldest that README names. */
const OLDEST_TYPESCRIPT = 'typescript-oldest@npm:typescript@5.5'

const TSCONFIG = {
  compilerOptions: {
    target: 'es2022',
    lib: ['es2022'],
    types: ['node'],
    module: 'nodenext',
    strict: true,
    exactOptionalPropertyTypes: true,
    noEmit: true,
    skipLibCheck: false
  },
  include: ['types.ts', 'types-commonjs.cts']
}

// Not a file among the fixtures, as the project's own settings refuse this syntax.
const COMMONJS_TYPES = `
import Fastify = require('fastify')
import scheduler = require('fastify-redlock-scheduler')
const app = Fastify.default()
app.register(scheduler, { timezone: 'UTC' })
app.register(scheduler.default, { timezone: 'UTC' })
app.register(scheduler.fastifyRedlockScheduler, { timezone: 'UTC' })
app.after(() => {
  const ids: string[] = app.jobs.list().map((job) => job.id)
  console.log(ids)
})
console.log(new scheduler.errors.JobDuplicateError('a') instanceof Error)
scheduler.createScheduler().on('executed', ({ run }) => console.log(run.id))
// @ts-expect-error an option that does not exist
scheduler.createScheduler({ timezon: 'UTC' })
// @ts-expect-error an option that does not exist
app.register(scheduler, { timezon: 'UTC' })
`

/** As most projects in CommonJS are written: TypeScript makes `require()` of it. */
const COMPILED = `
import Fastify from 'fastify'
import scheduler, { createScheduler, errors, type PluginOptions } from 'fastify-redlock-scheduler'

async function main(): Promise<void> {
  const options: PluginOptions = { jobs: [{ id: 'beat', trigger: { interval: '1h' }, handler: () => 'ran' }] }
  const app = Fastify()
  await app.register(scheduler, options)
  await app.ready()
  const run = await app.jobs.trigger('beat', { wait: true })
  await app.close()
  console.log(JSON.stringify([run?.result, typeof createScheduler, typeof errors.JobLockedError]))
}
void main()
`

/** A JSON Schema, and a Standard Schema, where neither Fastify nor ajv is installed. */
const SCHEMAS = `
import { createScheduler } from 'fastify-redlock-scheduler'
const scheduler = createScheduler()
const trigger = { interval: '1h' }
const attempt = (options) => {
  try {
    return scheduler.add({ trigger, handler() {}, ...options }).id
  } catch (error) {
    return error
  }
}
const missing = attempt({ id: 'a', schema: { type: 'object' }, data: {} })
const validate = (value) => (typeof value === 'string' ? { value } : { issues: [{ message: 'no text' }] })
const schema = { '~standard': { version: 1, vendor: 'own', validate } }
const refused = attempt({ id: 'b', schema, data: 5 })
attempt({ id: 'b', schema, data: 'text' })
const said = missing.message.includes('npm install ajv ajv-formats')
console.log(JSON.stringify([missing.code, said, refused.code, scheduler.list().map(({ id }) => id)]))
`

async function node(file: string, cwd: string): Promise<unknown> {
  const { code, stdout, stderr } = await run(process.execPath, [file], { cwd })
  if (code !== 0) throw new Error(`${file} ended with ${code}:\n${stdout}\n${stderr}`)
  return JSON.parse(stdout)
}

t.test('the package, installed into an empty folder', async (t) => {
  const packed = await pack(t)

  await t.test('holds what it should, and nothing else', async (t) => {
    t.strictSame(packed.paths.filter((path) => !path.startsWith('dist/')).sort(), [
      'CHANGELOG.md',
      'LICENSE',
      'README.md',
      'observability/alerts.yml',
      'package.json'
    ])
    t.strictSame(
      [
        ...new Set(
          packed.paths.filter((path) => path.startsWith('dist/')).map((path) => path.replace(/-\w{8}\./, '-*.'))
        )
      ],
      [
        'dist/index.before-5.6.d.ts',
        'dist/index.d.ts',
        'dist/index.js',
        'dist/shared-*.js',
        'dist/testing.d.ts',
        'dist/testing.js'
      ]
    )
  })

  await t.test('publint and attw find nothing', async (t) => {
    const bin = (name: string): string => join(ROOT, 'node_modules', '.bin', name)
    const linted = await run(bin('publint'), ['run', packed.tarball, '--strict'], { cwd: packed.source })
    t.equal(linted.code, 0, linted.stdout + linted.stderr)
    const attw = ['--profile', 'esm-only', '--no-color', '--no-emoji', packed.tarball]
    const typed = await run(bin('attw'), attw, { cwd: packed.source })
    t.equal(typed.code, 0, typed.stdout + typed.stderr)
  })

  const tools = await Promise.all(['fastify', 'typescript', '@types/node'].map((name) => asInstalled(name)))
  const [, ...withoutFastify] = tools
  const [app, alone] = await Promise.all([
    install(packed, 'app', [...tools, OLDEST_TYPESCRIPT]),
    install(packed, 'alone', withoutFastify)
  ])
  await cp(FIXTURES, app, { recursive: true })

  // What is installed is only read from here on: two at a time.
  t.jobs = 2

  t.test('ESM: registers, runs a job, counts it, throws coded errors', async (t) => {
    t.strictSame(await node('esm.mjs', app), {
      result: 'ran',
      outcome: 'success',
      counted: true,
      code: 'FST_ERR_RLS_JOB_ID_INVALID'
    })
  })

  t.test('CommonJS: require(), its default, its names, and import()', async (t) => {
    t.strictSame(await node('commonjs.cjs', app), {
      type: 'function',
      names: ['createScheduler', 'default', 'errors', 'fastifyRedlockScheduler'],
      whole: 'ran',
      default: 'ran',
      named: 'ran',
      imported: 'ran'
    })
  })

  t.test('CommonJS, as TypeScript compiles it', async (t) => {
    await writeFile(join(app, 'compiled.cts'), COMPILED)
    const tsc = join(app, 'node_modules', 'typescript', 'bin', 'tsc')
    const settings = ['--ignoreConfig', '--module', 'nodenext', '--target', 'es2022', '--types', 'node', '--strict']
    t.match(await run(process.execPath, [tsc, ...settings, 'compiled.cts'], { cwd: app }), { code: 0, stdout: '' })
    t.match(await readFile(join(app, 'compiled.cjs'), 'utf8'), 'require("fastify-redlock-scheduler")')
    t.strictSame(await node('compiled.cjs', app), ['ran', 'function', 'function'])
  })

  t.test('TypeScript: nodenext, strict, with the declarations checked too', async (t) => {
    await writeFile(join(app, 'tsconfig.json'), JSON.stringify(TSCONFIG))
    await writeFile(join(app, 'types-commonjs.cts'), COMMONJS_TYPES)
    const tsc = join(app, 'node_modules', 'typescript', 'bin', 'tsc')
    t.match(await run(process.execPath, [tsc], { cwd: app }), { code: 0, stdout: '' })
  })

  t.test('TypeScript: from the oldest version on, in each way of resolving modules', async (t) => {
    const nodenext = ['--module', 'nodenext']
    const bundler = ['--module', 'esnext', '--moduleResolution', 'bundler']
    const cases: readonly (readonly [version: string, exact: boolean, settings: readonly string[]])[] = [
      ['typescript-oldest', true, nodenext],
      ['typescript-oldest', false, ['--module', 'node16']],
      ['typescript-oldest', true, bundler],
      ['typescript', false, nodenext],
      ['typescript', false, bundler]
    ]
    const common = [
      '--noEmit',
      '--strict',
      '--target',
      'es2022',
      '--lib',
      'es2022',
      '--types',
      'node',
      '--skipLibCheck'
    ]
    for (const [version, exact, settings] of cases) {
      const tsc = join(app, 'node_modules', version, 'bin', 'tsc')
      const all = [
        tsc,
        '--ignoreConfig',
        ...common,
        '--exactOptionalPropertyTypes',
        `${exact}`,
        ...settings,
        'types.ts'
      ]
      const args = version === 'typescript' ? all : all.filter((arg) => arg !== '--ignoreConfig')
      t.match(
        await run(process.execPath, args, { cwd: app }),
        { code: 0, stdout: '' },
        `${version} ${settings} ${exact}`
      )
    }
  })

  t.test('without Fastify: compiles, with the declarations checked too, and runs', async (t) => {
    t.notOk(existsSync(join(alone, 'node_modules', 'fastify')))
    await cp(join(FIXTURES, '..', 'alone.ts'), join(alone, 'alone.ts'))
    const { compilerOptions } = TSCONFIG
    const settings = { compilerOptions: { ...compilerOptions, noEmit: false }, include: ['alone.ts'] }
    await writeFile(join(alone, 'tsconfig.json'), JSON.stringify(settings))
    const tsc = join(alone, 'node_modules', 'typescript', 'bin', 'tsc')
    t.match(await run(process.execPath, [tsc], { cwd: alone }), { code: 0, stdout: '' })
    t.equal(await node('alone.js', alone), 6)

    // ajv is an optional peer too: its absence is an error where it is needed, and says what to install.
    t.notOk(existsSync(join(alone, 'node_modules', 'ajv')))
    await writeFile(join(alone, 'schema.mjs'), SCHEMAS)
    t.strictSame(await node('schema.mjs', alone), ['FST_ERR_RLS_AJV_MISSING', true, 'FST_ERR_RLS_DATA_INVALID', ['b']])
  })
})
