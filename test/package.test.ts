import { existsSync } from 'node:fs'
import { cp, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { run } from './fixtures/package/outside-tap.js'

const ROOT = join(import.meta.dirname, '..')
const FIXTURES = join(import.meta.dirname, 'fixtures', 'package', 'app')
const COPIED = ['lib', 'types', 'package.json', 'tsconfig.json', 'README.md', 'CHANGELOG.md', 'LICENSE']

interface Packed {
  readonly filename: string
  readonly files: readonly { readonly path: string }[]
}

const QUIETLY = ['--prefer-offline', '--no-audit', '--no-fund']

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
app.register(scheduler.default, { timezone: 'UTC' })
app.after(() => {
  const ids: string[] = app.jobs.list().map((job) => job.id)
  console.log(ids)
})
scheduler.createScheduler().on('executed', ({ run }) => console.log(run.id))
// @ts-expect-error an option that does not exist
scheduler.createScheduler({ timezon: 'UTC' })
`

/** A package at the version that the project itself is tested with. */
async function asInstalled(name: string): Promise<string> {
  const text = await readFile(join(ROOT, 'node_modules', name, 'package.json'), 'utf8')
  return `${name}@${(JSON.parse(text) as { version: string }).version}`
}

async function npm(args: readonly string[], cwd: string): Promise<string> {
  const { code, stdout, stderr } = await run('npm', args, { cwd, limit: 120_000 })
  if (code !== 0) throw new Error(`npm ${args[0]} ended with ${code}:\n${stdout}\n${stderr}`)
  return stdout
}

async function node(file: string, cwd: string): Promise<unknown> {
  const { code, stdout, stderr } = await run(process.execPath, [file], { cwd })
  if (code !== 0) throw new Error(`${file} ended with ${code}:\n${stdout}\n${stderr}`)
  return JSON.parse(stdout)
}

t.test('the package, installed into an empty folder', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'rls-package-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  const source = join(folder, 'source')
  const app = join(folder, 'app')
  const alone = join(folder, 'alone')
  for (const each of [source, app, alone]) await mkdir(each)

  // Packed from a copy, as packing builds, and a build removes what other tests are using.
  for (const name of COPIED) await cp(join(ROOT, name), join(source, name), { recursive: true })
  await symlink(join(ROOT, 'node_modules'), join(source, 'node_modules'))
  await npm(['run', 'build'], source)
  const [packed] = JSON.parse(await npm(['pack', '--json', '--ignore-scripts'], source)) as [Packed]

  await t.test('holds what it should, and nothing else', async (t) => {
    const paths = packed.files.map(({ path }) => path)
    const outside = paths.filter((path) => !path.startsWith('dist/'))
    t.strictSame(outside.sort(), ['CHANGELOG.md', 'LICENSE', 'README.md', 'package.json'])
    t.strictSame(
      paths.filter((path) => path.startsWith('dist/') && !/^dist\/(lib|types)\/[\w/-]+(\.d\.ts|\.js)$/.test(path)),
      []
    )
    t.ok(paths.includes('dist/lib/index.js'))
    t.ok(paths.includes('dist/lib/index.d.ts'))
  })

  const tools = await Promise.all(['fastify', 'typescript', '@types/node'].map(asInstalled))
  await writeFile(join(app, 'package.json'), JSON.stringify({ name: 'app', private: true, type: 'module' }))
  await writeFile(join(alone, 'package.json'), JSON.stringify({ name: 'alone', private: true, type: 'module' }))
  const [, ...withoutFastify] = tools
  const tarball = join(source, packed.filename)
  await Promise.all([
    npm(['install', ...QUIETLY, tarball, ...tools, OLDEST_TYPESCRIPT], app),
    npm(['install', ...QUIETLY, tarball, ...withoutFastify], alone)
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
    t.strictSame(await node('commonjs.cjs', app), { whole: 'ran', default: 'ran', named: 'ran', imported: 'ran' })
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
  })
})
