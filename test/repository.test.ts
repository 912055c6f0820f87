// What is around the code: the workflows run what there is, on what README says the package runs on.
import { chmodSync, existsSync } from 'node:fs'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { parse } from 'yaml'
import { run } from './fixtures/package/outside-tap.js'
import { findProgram, needProgram, PROGRAMS } from './fixtures/programs.mjs'

const ROOT = join(import.meta.dirname, '..')
const WORKFLOWS = join(ROOT, '.github', 'workflows')

interface Workflow {
  readonly on: unknown
  readonly permissions: Readonly<Record<string, string>>
  readonly jobs: Readonly<Record<string, WorkflowJob>>
}

interface WorkflowJob {
  readonly 'timeout-minutes': number
  readonly strategy?: { readonly matrix: { readonly node?: readonly number[]; readonly include?: readonly Server[] } }
  readonly steps: readonly { readonly run?: string; readonly uses?: string }[]
}

interface Server {
  readonly image: string
}

const text = (path: string): Promise<string> => readFile(join(ROOT, path), 'utf8')

const manifest = JSON.parse(await text('package.json')) as {
  readonly engines: { readonly node: string }
  readonly scripts: Readonly<Record<string, string>>
  readonly dependencies: Readonly<Record<string, string>>
}

const workflows = new Map<string, Workflow>()
for (const name of await readdir(WORKFLOWS)) workflows.set(name, parse(await text(`.github/workflows/${name}`)))

t.test('workflows run commands that there are, with no more rights than they need', async (t) => {
  t.strictSame([...workflows.keys()].sort(), ['release.yml', 'test.yml'])
  for (const [name, { jobs, permissions }] of workflows) {
    t.equal(permissions.contents, 'read', name)
    for (const job of Object.values(jobs)) {
      t.ok(job['timeout-minutes'] > 0, `${name}: a job that hangs ends`)
      for (const { run = '', uses = '@v1' } of job.steps) {
        t.match(uses, /@v\d+$/, `${name}: ${uses}`)
        for (const [, script = ''] of run.matchAll(/\bnpm (?:run )?(test|[\w:]+:[\w:]+)$/gm))
          t.ok(manifest.scripts[script])
        for (const [path] of run.matchAll(/^\.ci\/\w+/gm)) t.ok(existsSync(join(ROOT, path)), path)
      }
    }
  }
})

t.test('tests run on each Node from the oldest one on, and on each server that README names', async (t) => {
  const jobs = Object.values(workflows.get('test.yml')?.jobs ?? {})
  const nodes = jobs.flatMap(({ strategy }) => strategy?.matrix.node ?? [])
  t.strictSame(nodes, [20, 22, 24, 26])
  t.equal(manifest.engines.node, '>=20.19')
  const images = jobs.flatMap(({ strategy }) => strategy?.matrix.include ?? []).map(({ image }) => image)
  t.strictSame(images, ['redis:6.2', 'redis:7.4', 'redis:8', 'valkey/valkey:8'])
})

t.test('a release has a proof of where it was built', async (t) => {
  const { permissions, jobs } = workflows.get('release.yml') as Workflow
  t.equal(permissions['id-token'], 'write')
  const commands = Object.values(jobs).flatMap(({ steps }) => steps.map(({ run = '' }) => run))
  t.ok(commands.indexOf('.ci/run') < commands.findIndex((each) => each.includes('npm publish --provenance')))
})

t.test('dependabot leaves the one version of redlock that works', async (t) => {
  const { updates } = parse(await text('.github/dependabot.yml')) as {
    updates: readonly { readonly ignore?: readonly { readonly 'dependency-name': string }[] }[]
  }
  t.strictSame(
    updates.flatMap(({ ignore = [] }) => ignore.map((each) => each['dependency-name'])),
    ['redlock']
  )
  t.match(manifest.dependencies.redlock, /^\d/, 'no range')
})

t.test('test:node says which version it wants', async (t) => {
  const [, ...args] = (manifest.scripts['test:node'] as string).split(' ')
  const { code, stderr } = await run(process.execPath, [...args, 'latest'], { cwd: ROOT })
  t.equal(code, 1)
  t.equal(stderr, "Expected a version of Node, such as 24 or 22.12, got 'latest': npm run test:node -- 24\n")
})

t.test('a program for the tests is where its variable says, and else on the PATH', async (t) => {
  const folder = t.testdir({ promtool: '' })
  const path = join(folder, 'promtool')
  const { PATH, PROMTOOL } = process.env
  t.teardown(() => Object.assign(process.env, { PATH }, PROMTOOL === undefined ? {} : { PROMTOOL }))
  delete process.env.PROMTOOL
  process.env.PATH = folder
  t.not(findProgram('promtool'), path, 'it cannot be executed')
  chmodSync(path, 0o755)
  t.equal(findProgram('promtool'), path)
  process.env.PATH = ''
  process.env.PROMTOOL = path
  t.equal(findProgram('promtool'), path)
  process.env.PROMTOOL = join(folder, 'nowhere')
  t.equal(findProgram('promtool'), null)
  t.throws(() => needProgram('promtool'), /^no promtool: run `npm test`, which finds or installs one$/)
})

t.test(
  'npm test fails when a program is not where its variable says, and CONTRIBUTING names each variable',
  async (t) => {
    const contributing = await text('CONTRIBUTING.md')
    for (const [program, { variable }] of Object.entries(PROGRAMS)) {
      t.match(contributing, new RegExp(`^\\| \`${program}\`.* \\| \`${variable}\` \\|$`, 'm'))
      const script = ['test/fixtures/ensure-servers.mjs']
      const { code, stderr } = await run(process.execPath, script, { cwd: ROOT, env: { [variable]: '/nowhere' } })
      t.equal(code, 1, program)
      t.equal(stderr, `${variable} is /nowhere, which cannot be executed.\n`)
    }
    t.match(manifest.scripts.test, / && node test\/fixtures\/ensure-servers\.mjs && /)
  }
)
