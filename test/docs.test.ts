import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join, relative } from 'node:path'
import { transform } from 'esbuild'
import t from 'tap'
import { parseAllDocuments } from 'yaml'
import * as constants from '../lib/coordination/redis/constants.js'
import { STATUS_OF } from '../lib/http/run-body.js'
import { createScheduler, errors } from '../lib/index.js'
import { SKIP_REASONS } from '../lib/jobs/stats.js'
import { METRIC_NAMES } from '../lib/observability/metrics/metrics.js'
import { METRICS_KEYS, SCHEDULER_KEYS } from '../lib/options.js'
import { Scheduler } from '../lib/scheduler.js'
import {
  anchorsOf,
  blocksOf,
  cellsOf,
  codeOf,
  codesOf,
  firstColumn,
  linksOf,
  outputOf,
  type Row,
  tableLinesOf,
  tablesIn,
  visibleText
} from './fixtures/markdown.js'
import { run } from './fixtures/package/outside-tap.js'

// README.md and the pages of docs/: their tables and the code say the same, their links lead somewhere, and their code compiles.

const ROOT = join(import.meta.dirname, '..')
const README = 'README.md'
const DOCS = (await readdir(join(ROOT, 'docs'))).filter((name) => name.endsWith('.md')).map((name) => `docs/${name}`)
const OTHERS = ['CHANGELOG.md', 'CONTRIBUTING.md', 'SECURITY.md'].filter((name) => existsSync(join(ROOT, name)))

const texts = new Map<string, string>()
for (const path of [README, ...DOCS, ...OTHERS]) texts.set(path, await readFile(join(ROOT, path), 'utf8'))

/** Its columns are measured, and read as numbers. */
const MEASURED = 'docs/benchmarks.md'
const MOST_IN_CELL = 120
const MOST_IN_README = 25_000
const MOST_WORDS = 3500
/** With tables of what was measured. */
const LONG: Readonly<Record<string, number>> = { 'docs/faults.md': 4000 }

const page = (path: string): string => texts.get(path) as string
const doc = (name: string): string => page(`docs/${name}.md`)
const without = (cell = ''): string => cell.replaceAll('`', '')

/** A property as its type declares it. */
interface Member {
  readonly name: string
  readonly optional: boolean
  /** What its `@default` says. */
  readonly initial: string | null
}

/** The properties of an interface, read from its source; the compiler has no API to ask. */
async function members(file: string, name: string): Promise<Member[]> {
  const source = await readFile(join(ROOT, 'types', `${file}.ts`), 'utf8')
  const body = new RegExp(`^export interface ${name}\\b[^{]*\\{\\n(.*?)^\\}`, 'ms').exec(source)?.[1]
  if (body === undefined) throw new Error(`there is no interface ${name} in types/${file}.ts`)
  const found = body.matchAll(/((?:^ {2}(?:\/\*\*| \*).*\n)*)^ {2}readonly (\w+)(\??):/gm)
  return Array.from(found, ([, comment = '', member = '', optional]) => ({
    name: member,
    optional: optional === '?',
    initial: /@default (.*?)(?: \*\/)?$/m.exec(comment)?.[1] ?? null
  }))
}

/** The words of a union of strings, read from its source. */
async function union(file: string, name: string): Promise<string[]> {
  const source = await readFile(join(ROOT, 'types', `${file}.ts`), 'utf8')
  const body = new RegExp(`^export type ${name} =((?:\\s*\\|?\\s*'[\\w-]+')+)`, 'm').exec(source)?.[1]
  return Array.from(body?.matchAll(/'([\w-]+)'/g) ?? [], ([, word]) => word ?? '')
}

const prefixed = (prefix: string, list: readonly Member[]): Member[] =>
  list.map((member) => ({ ...member, name: prefix + member.name }))

/** Holds a table of options against the declared ones: the same names, and the same defaults. */
function compareOptions(
  test: Pick<typeof t, 'strictSame'>,
  rows: readonly Row[] = [],
  declared: readonly Member[],
  key = 'option'
): void {
  const documented = rows.map((row) => [without(row[key]), without(row.default)])
  const expected = declared.map(({ name, optional, initial }) => [
    name,
    without(initial ?? (optional ? '' : 'required'))
  ])
  test.strictSame(documented.sort(), expected.sort())
}

t.test('README is short, and what to type comes before what to write', async (t) => {
  const text = page(README)
  t.ok(Buffer.byteLength(text) <= MOST_IN_README, `${Buffer.byteLength(text)} bytes are at most ${MOST_IN_README}`)
  const blocks = blocksOf(text)
  const commands = blocks.filter(({ language }) => language === 'sh').map(({ code }) => code.trim())
  for (const command of ['npm install fastify-redlock-scheduler', 'npm ci && npm start', 'npm ci && npm test']) {
    t.ok(commands.includes(command), command)
  }
  const places = (language: string): number[] =>
    blocks.filter((block) => block.language === language).map(({ at }) => at)
  t.ok(Math.max(...places('sh')) < Math.min(...places('ts')))

  // The service of ten lines, and what it promises in twelve.
  const service = blocks.find(({ language }) => language === 'ts')?.code ?? ''
  const lines = service.split('\n').filter((line) => line.trim() !== '')
  t.ok(lines.length <= 10, `the first service has ${lines.length} lines`)
  const promises =
    text
      .match(/(?:^\d+\. .*\n)+/m)?.[0]
      .trim()
      .split('\n') ?? []
  t.ok(promises.length > 0 && promises.length <= 12, `${promises.length} promises`)
  for (const promise of promises) t.ok(visibleText(promise).length <= 130, promise)
})

t.test('no page is longer than a reader takes', async (t) => {
  for (const path of [README, ...DOCS.filter((each) => each !== MEASURED)]) {
    const words = page(path).split(/\s+/).length
    t.ok(words <= (LONG[path] ?? MOST_WORDS), `${path} has ${words} words`)
  }
})

t.test('what is to be typed exists', async (t) => {
  const { scripts } = JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8')) as { scripts: object }
  for (const [path, text] of texts) {
    for (const [command, name = ''] of text.matchAll(/\bnpm run ([\w:-]+)/g))
      t.ok(name in scripts, `${path}: ${command}`)
    for (const [, file = ''] of text.matchAll(/\b(?:npx tap|node --import tsx) ([\w/-]+\.[\w.]+)/g)) {
      t.ok(existsSync(join(ROOT, file)), `${path}: ${file}`)
    }
  }
})

t.test('blocks of YAML and JSON can be read', async (t) => {
  for (const [path, text] of texts) {
    for (const { language, code } of blocksOf(text)) {
      if (language === 'yaml') t.doesNotThrow(() => parseAllDocuments(code).map((each) => each.toJS()), path)
      if (language === 'json') t.doesNotThrow(() => JSON.parse(code), path)
      if (language === 'yaml')
        t.strictSame(
          parseAllDocuments(code).flatMap(({ errors }) => errors),
          [],
          path
        )
    }
  }
})

t.test('every page says what it is for, and is linked from README', async (t) => {
  const linked = linksOf(page(README)).map((target) => target.replace(/#.*/, ''))
  for (const path of DOCS) {
    t.match(page(path), /^# \S.*\n\n[A-Z]/, `${path} begins with its title and a sentence`)
    t.ok(linked.includes(path), `${path} is linked from README`)
  }
})

t.test('cells of tables are short', async (t) => {
  for (const path of [README, ...DOCS.filter((each) => each !== MEASURED)]) {
    for (const line of tableLinesOf(page(path)).flatMap(([header = '', , ...rows]) => [header, ...rows])) {
      for (const cell of cellsOf(line).map(visibleText)) {
        t.ok(cell.length <= MOST_IN_CELL, `${path}: ${cell.length} characters: ${cell}`)
      }
    }
  }
})

t.test('options', async (t) => {
  const scheduler = await members('scheduler-options', 'SchedulerOptions')
  const metrics = await members('scheduler-options', 'MetricsOptions')
  const plugin = await members('plugin', 'PluginMetricsOptions')
  const app = (await members('plugin', 'PluginOptions')).filter(({ name }) => name !== 'metrics')
  const health = prefixed('health.', await members('plugin', 'PluginHealthOptions'))
  t.strictSame(scheduler.map(({ name }) => name).sort(), [...SCHEDULER_KEYS].sort(), 'types and code agree')
  t.strictSame(metrics.map(({ name }) => name).sort(), [...METRICS_KEYS].sort(), 'types and code agree')
  // `prefix` has no default, and is required only with `redis`.
  const history = prefixed('history.', await members('history', 'HistoryOptions'))
  const declared = [...scheduler, ...app, ...health, ...prefixed('metrics.', [...metrics, ...plugin]), ...history]
  await t.test('docs/options.md', async (t) => compareOptions(t, tablesIn(doc('options'), 'All options')[0], declared))
  await t.test('README.md', async (t) => compareOptions(t, tablesIn(page(README), 'Options')[0], declared))
})

t.test('job options', async (t) => {
  const job = await members('job-options', 'JobBase')
  const defaults = await members('job-options', 'JobDefaults')
  const lock = prefixed('lock.', await members('job-options', 'LockOptions'))
  const retry = prefixed('retry.', await members('job-options', 'RetryOptions'))
  const [rows] = tablesIn(doc('jobs'), 'Job options')
  compareOptions(t, rows, [...job, ...defaults, ...lock, ...retry])

  // The code knows these options and no others: its message for an unknown one lists them.
  const known = (call: () => unknown): string[] => {
    try {
      call()
    } catch (error) {
      return (error as Error).message.split(', known are ')[1]?.split(', ').sort() ?? []
    }
    return []
  }
  const names = (list: readonly Member[], prefix = ''): string[] =>
    list.map(({ name }) => name.slice(prefix.length)).sort()
  const unknown = { xxxxxxxxxxxxxxxx: 1 }
  t.strictSame(
    known(() => createScheduler({ jobs: [unknown as never] })),
    names([...job, ...defaults])
  )
  t.strictSame(
    known(() => createScheduler({ defaults: unknown as never })),
    names(defaults)
  )
  t.strictSame(
    known(() => createScheduler({ defaults: { retry: unknown as never } })),
    names(retry, 'retry.')
  )
  t.strictSame(
    known(() => createScheduler({ defaults: { lock: unknown as never } })),
    names(lock, 'lock.')
  )
  for (const { name } of defaults)
    t.ok(
      rows?.some((row) => codeOf(row.option) === name),
      name
    )
})

t.test('the context of a handler, jobs and runs', async (t) => {
  const names = async (file: string, name: string): Promise<string[]> =>
    (await members(file, name)).map((member) => member.name).sort()
  t.strictSame(
    firstColumn(tablesIn(doc('jobs'), 'The context of a handler')[0]).sort(),
    await names('run', 'RunContext')
  )
  const [jobs, runs] = tablesIn(doc('jobs'), 'Jobs and runs as values')
  t.strictSame(firstColumn(jobs).sort(), await names('job', 'Job'))
  t.strictSame(firstColumn(runs).sort(), await names('run', 'Run'))
})

t.test('triggers', async (t) => {
  const kinds = ['Cron', 'Interval', 'Calendar', 'Any', 'All', 'Date'].map((kind) => `${kind}TriggerInput`)
  const shared = ['TriggerExceptions', 'TriggerList', 'TriggerBounds']
  const found = await Promise.all([...kinds, ...shared].map((name) => members('trigger', name)))
  const byName = new Map(found.flat().map((member) => [member.name, member]))
  const [options] = tablesIn(doc('triggers'), 'Trigger options')
  // Which of them is required is a matter of the trigger's kind.
  compareOptions(
    t,
    options,
    Array.from(byName.values(), (member) => ({ ...member, optional: true }))
  )
  const cron = await members('trigger', 'CronFields')
  const [fields] = tablesIn(doc('triggers'), "APScheduler's fields")
  t.strictSame(
    firstColumn(fields?.map(({ field = '' }) => ({ field }))),
    cron.map(({ name }) => name)
  )
})

t.test('methods and their options', async (t) => {
  const own = Object.getOwnPropertyNames(Scheduler.prototype).filter((name) => name !== 'constructor')
  const methods = [...own, 'route'].sort()
  await t.test('docs/api.md', async (t) => {
    t.strictSame(firstColumn(tablesIn(doc('api'), 'Methods')[0]).sort(), methods)
  })
  await t.test('README.md', async (t) => {
    t.strictSame(firstColumn(tablesIn(page(README), 'API')[0]).sort(), methods)
  })
  const declared = {
    trigger: await members('trigger-options', 'TriggerOptions'),
    history: await members('history', 'HistoryQuery'),
    preview: await members('trigger', 'PreviewOptions'),
    withLock: await members('with-lock', 'WithLockOptions'),
    route: await members('plugin', 'TriggerRouteOptions')
  }
  const [options] = tablesIn(doc('api'), 'Options of methods')
  compareOptions(
    t,
    options,
    Object.entries(declared).flatMap(([method, list]) => prefixed(`${method}: `, list)),
    'option of a method'
  )
})

t.test('events, with what they carry', async (t) => {
  const source = await readFile(join(ROOT, 'types', 'events.ts'), 'utf8')
  const declared = Array.from(source.matchAll(/^ {2}(\w+): \{ (.*) \}$/gm), ([, name, payload = '']) => [
    name,
    Array.from(payload.matchAll(/readonly (\w+):/g), ([, key]) => key)
  ])
  const [rows = []] = tablesIn(doc('events'), 'Events')
  t.strictSame(
    rows.map((row) => [codeOf(row.event), codesOf(row.payload)]),
    declared
  )
  const scheduler = createScheduler()
  try {
    scheduler.on('no such event' as never, () => {})
    t.fail('an unknown event was taken')
  } catch (error) {
    const known = /one of (.*), got/.exec((error as Error).message)?.[1]
    t.strictSame(rows.map((row) => codeOf(row.event)).sort(), known?.split(', ').sort())
  }
  await scheduler.close()
})

t.test('reasons and outcomes', async (t) => {
  t.strictSame(firstColumn(tablesIn(doc('events'), 'Why a tick had no run')[0]), [...SKIP_REASONS])
  t.strictSame(firstColumn(tablesIn(doc('jobs'), 'Outcomes of a run')[0]), await union('run', 'RunOutcome'))
})

t.test('the status of a route by the outcome of its run', async (t) => {
  const [, rows = []] = tablesIn(doc('api'), 'What `app.jobs.route` answers')
  const documented = rows.flatMap(({ status, outcome }) =>
    codesOf(outcome).flatMap((word) => (word in STATUS_OF ? [[word, Number(status)]] : []))
  )
  t.strictSame(documented.sort(), Object.entries(STATUS_OF).sort())
})

t.test('keys in Redis', async (t) => {
  const [rows] = tablesIn(doc('architecture'), 'Keys in Redis')
  const documented = firstColumn(rows).map((key) => /^rls:\{prefix\}:([a-z]+:?)/.exec(key)?.[1])
  const known = Object.entries(constants).flatMap(([name, value]) => (name.startsWith('KEY_') ? [value] : []))
  t.strictSame(documented.sort(), known.sort())
})

t.test('metrics, as they are exposed', async (t) => {
  const scheduler = createScheduler({ jobs: [{ id: 'a', trigger: { interval: '1h' }, handler: () => {} }] })
  const text = (await scheduler.register?.metrics()) ?? ''
  await scheduler.close()
  const exposed = Array.from(text.matchAll(/^# TYPE (\w+) (\w+)$/gm), ([, name = '', type = '']) => {
    const samples = text.matchAll(new RegExp(`^${name}(?:_bucket|_sum|_count)?(?:\\{(.*)\\})? `, 'gm'))
    const labels = Array.from(samples, ([, list = '']) => Array.from(list.matchAll(/(\w+)="/g), ([, label]) => label))
    return [name, type, ...[...new Set(labels.flat())].filter((label) => label !== 'le').sort()]
  })
  t.strictSame(
    exposed.map(([name]) => name),
    METRIC_NAMES.map((name) => `apscheduler_${name}`)
  )
  const [rows = []] = tablesIn(doc('metrics'), 'All metrics')
  t.strictSame(rows.map((row) => [codeOf(row.metric), row.type, ...codesOf(row.labels).sort()]).sort(), exposed.sort())
  const known = new Set(exposed.map(([name]) => name))
  for (const [path, text] of texts) {
    for (const [name = ''] of text.matchAll(/\bapscheduler_\w+/g)) {
      t.ok(known.has(name) || known.has(name.replace(/_(bucket|sum|count)$/, '')), `${path}: ${name} exists`)
    }
  }
})

t.test('errors', async (t) => {
  const exported = Object.entries(errors).flatMap(([name, value]) => {
    if (!/^[A-Z]\w+Error$/.test(name)) return []
    const error = new (value as unknown as new (...values: string[]) => Error & { code: string; statusCode: number })(
      'a',
      'b',
      'c'
    )
    return [[error.code, name, `${error.statusCode}`]]
  })
  const [rows = []] = tablesIn(doc('errors'), 'All errors')
  t.strictSame(rows.map((row) => [codeOf(row.code), codeOf(row.class), row.status]).sort(), exported.sort())
  const known = new Set(exported.map(([name]) => name))
  for (const [path, text] of texts) {
    for (const [name] of text.matchAll(/FST_ERR_RLS_\w+/g)) t.ok(known.has(name), `${path}: ${name} exists`)
  }
})

t.test('every example is linked from README', async (t) => {
  const files = await readdir(join(ROOT, 'examples'))
  const linked = linksOf(page(README)).flatMap((target) => /^examples\/([\w.-]+)/.exec(target)?.[1] ?? [])
  t.strictSame([...new Set(linked)].sort(), files.sort())
})

t.test('links lead to files and headings that are there', async (t) => {
  for (const [path, text] of texts) {
    for (const target of linksOf(text)) {
      if (/^[a-z]+:/.test(target)) continue
      const [file = '', fragment] = target.split('#')
      const place = file === '' ? path : relative(ROOT, join(ROOT, dirname(path), file))
      t.ok(existsSync(join(ROOT, place)), `${path}: ${target}`)
      if (fragment === undefined || !existsSync(join(ROOT, place))) continue
      const linked = texts.get(place) ?? (await readFile(join(ROOT, place), 'utf8'))
      t.ok(anchorsOf(linked).includes(fragment), `${path}: ${target}`)
    }
  }
})

/** What a block says of an app that the reader has. */
const GIVEN_APP =
  "import type { FastifyInstance } from 'fastify'\nimport 'fastify-redlock-scheduler'\ndeclare const app: FastifyInstance\n"

/** Whether a block uses an app that it has not made, nor been given. */
function needsApp(code: string): boolean {
  return /\bapp\./.test(code) && !/\b(?:const|let) app\b|[(,]\s*app: |\(app(?:, \w+)*\) =>/.test(code)
}

/** What is installed in the place of a package that is large, and only exports that anew. */
const INSTEAD: Readonly<Record<string, string>> = { '@sentry/node': '@sentry/core' }

/** The packages that a block imports, but for those of Node.js. */
function packagesOf(code: string): string[] {
  const found = code.matchAll(/(?:from|import) '((?:@[\w.-]+\/)?[\w-][\w.-]*)(?:\/[^']*)?'/g)
  return Array.from(found, ([, name = '']) => name)
}

t.test('every block of code compiles against the built package, and those that can be are run', async (t) => {
  if (!existsSync(join(ROOT, 'dist', 'index.d.ts'))) throw new Error('there is no dist/: run `npm run build`')
  const blocks = [README, ...DOCS].flatMap((path) =>
    blocksOf(page(path))
      .filter(({ language }) => language === 'ts')
      .map(({ code }, index) => ({ code, file: `${path.replaceAll(/\W/g, '-')}-${index + 1}.ts` }))
  )
  t.ok(blocks.length >= 8, `${blocks.length} blocks were found`)
  const folder = await mkdtemp(join(tmpdir(), 'rls-docs-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  const packages = new Set(['fastify', '@types/node', ...blocks.flatMap(({ code }) => packagesOf(code))])
  for (const name of packages) {
    const target = name === 'fastify-redlock-scheduler' ? ROOT : join(ROOT, 'node_modules', INSTEAD[name] ?? name)
    if (!existsSync(target)) continue
    await mkdir(dirname(join(folder, 'node_modules', name)), { recursive: true })
    await symlink(target, join(folder, 'node_modules', name))
  }
  for (const { code, file } of blocks) await writeFile(join(folder, file), needsApp(code) ? GIVEN_APP + code : code)
  await writeFile(join(folder, 'package.json'), '{ "type": "module" }')
  await writeFile(
    join(folder, 'tsconfig.json'),
    JSON.stringify({
      compilerOptions: {
        target: 'es2023',
        lib: ['es2023'],
        types: ['node'],
        module: 'nodenext',
        moduleDetection: 'force',
        strict: true,
        noUnusedLocals: true,
        noEmit: true
      }
    })
  )
  const tsc = join(ROOT, 'node_modules', 'typescript', 'bin', 'tsc')
  t.match(await run(process.execPath, [tsc], { cwd: folder }), { code: 0, stdout: '' })

  // Those that need nothing but themselves, and say what they print, are run too.
  const told = blocks.filter(({ code }) => outputOf(code) !== null && !/redis:|\.listen\(/.test(code))
  for (const part of ['Nightly report', 'scheduler.preview(', 'withLock(', 'new Simulation(']) {
    t.ok(
      told.some(({ code }) => code.includes(part)),
      `a block with ${part} is run`
    )
  }
  for (const { code, file } of told) {
    const program = file.replace(/\.ts$/, '.js')
    await writeFile(join(folder, program), (await transform(code, { loader: 'ts' })).code)
    const { stdout, ...ended } = await run(process.execPath, [program], { cwd: folder })
    t.equal(stdout.replaceAll(/\s+/g, ' ').trim(), outputOf(code), file)
    t.equal(ended.code, 0, `${file}: ${ended.stderr}`)
    // What fails in a simulation is told on stderr.
    if (!code.includes('new Simulation(')) t.equal(ended.stderr, '', file)
  }
})
