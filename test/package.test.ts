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
  await mkdir(source)
  await mkdir(app)

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
  await npm(['install', '--prefer-offline', '--no-audit', '--no-fund', join(source, packed.filename), ...tools], app)
  await cp(FIXTURES, app, { recursive: true })

  await t.test('ESM: registers, runs a job, counts it, throws coded errors', async (t) => {
    t.strictSame(await node('esm.mjs', app), {
      result: 'ran',
      outcome: 'success',
      counted: true,
      code: 'FST_ERR_RLS_JOB_ID_INVALID'
    })
  })

  await t.test('CommonJS: require(), its default, its names, and import()', async (t) => {
    t.strictSame(await node('commonjs.cjs', app), { whole: 'ran', default: 'ran', named: 'ran', imported: 'ran' })
  })

  await t.test('TypeScript: nodenext, strict, with the declarations checked too', async (t) => {
    await writeFile(join(app, 'tsconfig.json'), JSON.stringify(TSCONFIG))
    await writeFile(join(app, 'types-commonjs.cts'), COMMONJS_TYPES)
    const tsc = join(app, 'node_modules', 'typescript', 'bin', 'tsc')
    t.match(await run(process.execPath, [tsc], { cwd: app }), { code: 0, stdout: '' })
  })
})
