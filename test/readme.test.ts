import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import t from 'tap'
import { createScheduler, errors } from '../lib/index.js'
import { SKIP_REASONS } from '../lib/jobs/stats.js'
import { METRIC_NAMES } from '../lib/observability/metrics/metrics.js'
import { METRICS_KEYS, SCHEDULER_KEYS } from '../lib/options.js'
import { Scheduler } from '../lib/scheduler.js'
import { type Ended, run } from './fixtures/package/outside-tap.js'

const ROOT = join(import.meta.dirname, '..')
const readme = await readFile(join(ROOT, 'README.md'), 'utf8')

/** A table's rows, each by the names of its columns. */
type Row = Readonly<Record<string, string>>

/** The tables of the section with this heading, up to the next heading of any level. */
function tables(heading: string): Row[][] {
  const [, section, ...more] = readme.split(new RegExp(`^#+ ${heading}$`, 'm'))
  if (section === undefined || more.length > 0) throw new Error(`expected one section ${heading} in the README`)
  const text = section.split(/^#+ /m)[0] ?? ''
  return Array.from(text.matchAll(/(?:^\|.*\|$\n?)+/gm), ([lines]) => readTable(lines.trim().split('\n')))
}

function readTable([header = '', , ...lines]: readonly string[]): Row[] {
  const cells = (line: string): string[] => {
    return line
      .slice(1, -1)
      .split('|')
      .map((cell) => cell.trim())
  }
  const columns = cells(header)
  return lines.map((line) => {
    const row = cells(line)
    if (row.length !== columns.length) throw new Error(`expected ${columns.length} cells in ${line}`)
    return Object.fromEntries(columns.map((column, index) => [column, row[index] ?? '']))
  })
}

/** What stands in backticks in a cell. */
const codes = (cell = ''): string[] => Array.from(cell.matchAll(/`([^`]+)`/g), ([, code]) => code ?? '')
const code = (cell = ''): string => codes(cell)[0] ?? ''
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

/** The only cells of a table's first column, without backticks and parameters. */
function firstColumn(rows: readonly Row[] = []): string[] {
  return rows.flatMap((row) => codes(Object.values(row)[0]).map((word) => word.replace(/\(.*/, '')))
}

t.test('the two commands are there, before anything else', async (t) => {
  const commands = Array.from(readme.matchAll(/^```sh\n(.*?)\n```/gms), ([, text]) => text)
  t.strictSame(commands, ['npm install fastify-redlock-scheduler', 'npm ci && npm start', 'npm ci && npm test'])
  t.ok(readme.indexOf('npm ci && npm test') < readme.indexOf('```ts'))
})

t.test('options', async (t) => {
  const scheduler = await members('scheduler', 'SchedulerOptions')
  const metrics = await members('scheduler', 'MetricsOptions')
  const plugin = await members('plugin', 'PluginMetricsOptions')
  const app = (await members('plugin', 'PluginOptions')).filter(({ name }) => name !== 'metrics')
  t.strictSame(scheduler.map(({ name }) => name).sort(), [...SCHEDULER_KEYS].sort(), 'types and code agree')
  t.strictSame(metrics.map(({ name }) => name).sort(), [...METRICS_KEYS].sort(), 'types and code agree')
  const [rows] = tables('Options')
  // `prefix` has no default, and is required only with `redis`.
  compareOptions(t, rows, [...scheduler, ...app, ...prefixed('metrics.', [...metrics, ...plugin])])
})

t.test('job options', async (t) => {
  const job = await members('job-options', 'JobBase')
  const defaults = await members('job-options', 'JobDefaults')
  const lock = prefixed('lock.', await members('job-options', 'LockOptions'))
  const retry = prefixed('retry.', await members('job-options', 'RetryOptions'))
  const [rows] = tables('Jobs')
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
  for (const { name } of defaults) t.ok(code(rows?.find((row) => code(row.option) === name)?.option), name)
})

t.test('the context of a handler, jobs and runs', async (t) => {
  const names = async (file: string, name: string): Promise<string[]> =>
    (await members(file, name)).map((member) => member.name).sort()
  t.strictSame(firstColumn(tables('The context of a handler')[0]).sort(), await names('run', 'RunContext'))
  const [jobs, runs] = tables('Jobs and runs as values')
  t.strictSame(firstColumn(jobs).sort(), await names('job', 'Job'))
  t.strictSame(firstColumn(runs).sort(), await names('run', 'Run'))
})

t.test('triggers', async (t) => {
  const kinds = ['CronTriggerInput', 'IntervalTriggerInput', 'AnyTriggerInput', 'AllTriggerInput', 'DateTriggerInput']
  const found = await Promise.all([...kinds, 'TriggerBounds'].map((name) => members('trigger', name)))
  const byName = new Map(found.flat().map((member) => [member.name, member]))
  const [options, fields] = tables('Triggers')
  // Which of them is required is a matter of the trigger's kind.
  compareOptions(
    t,
    options,
    Array.from(byName.values(), (member) => ({ ...member, optional: true }))
  )
  const cron = await members('trigger', 'CronFields')
  t.strictSame(
    firstColumn(fields?.map(({ field = '' }) => ({ field }))),
    cron.map(({ name }) => name)
  )
})

t.test('methods and their options', async (t) => {
  const scheduler = createScheduler()
  const own = Object.getOwnPropertyNames(Scheduler.prototype).filter((name) => name !== 'constructor')
  const [methods, options] = tables('Methods')
  t.strictSame(firstColumn(methods).sort(), [...own, 'route'].sort())
  await scheduler.close()
  const declared = {
    trigger: await members('scheduler', 'TriggerOptions'),
    preview: await members('trigger', 'PreviewOptions'),
    withLock: await members('scheduler', 'WithLockOptions'),
    route: await members('plugin', 'TriggerRouteOptions')
  }
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
  const [rows = []] = tables('Events')
  t.strictSame(
    rows.map((row) => [code(row.event), codes(row.payload)]),
    declared
  )
  const scheduler = createScheduler()
  try {
    scheduler.on('no such event' as never, () => {})
    t.fail('an unknown event was taken')
  } catch (error) {
    const known = /one of (.*), got/.exec((error as Error).message)?.[1]
    t.strictSame(rows.map((row) => code(row.event)).sort(), known?.split(', ').sort())
  }
  await scheduler.close()
})

t.test('reasons and outcomes', async (t) => {
  t.strictSame(firstColumn(tables('Why a tick had no run')[0]), [...SKIP_REASONS])
  t.strictSame(firstColumn(tables('Outcomes of a run')[0]), await union('run', 'RunOutcome'))
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
  const [rows = []] = tables('Metrics')
  t.strictSame(rows.map((row) => [code(row.metric), row.type, ...codes(row.labels).sort()]).sort(), exposed.sort())
  for (const [name = ''] of readme.matchAll(/\bapscheduler_\w+/g)) {
    t.ok(
      exposed.some(([known]) => [known, `${known}_bucket`].includes(name)) || name === 'apscheduler_',
      `${name} exists`
    )
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
  const [rows = []] = tables('Errors')
  t.strictSame(rows.map((row) => [code(row.code), code(row.class), row.status]).sort(), exported.sort())
  const known = new Set(exported.map(([name]) => name))
  for (const [name] of readme.matchAll(/FST_ERR_\w+/g)) t.ok(known.has(name), `${name} exists`)
})

t.test('examples, and everything else that is linked', async (t) => {
  const files = await readdir(join(ROOT, 'examples'))
  t.strictSame((tables('Examples')[0] ?? []).map((row) => /\[(.*?)\]/.exec(row.file ?? '')?.[1]).sort(), files.sort())
  const anchor = (heading: string): string =>
    `#${heading
      .toLowerCase()
      .replaceAll(/[^\w\s-]/g, '')
      .replaceAll(' ', '-')}`
  const anchorsOf = (text: string): string[] =>
    Array.from(text.matchAll(/^#+ (.*)$/gm), ([, heading = '']) => anchor(heading))
  for (const [, target = ''] of readme.matchAll(/\]\(([^)]+)\)/g)) {
    if (target.startsWith('https://')) continue
    const [path = '', fragment] = target.split('#')
    t.ok(path === '' || existsSync(join(ROOT, path)), target)
    if (fragment === undefined) continue
    const text = path === '' ? readme : await readFile(join(ROOT, path), 'utf8')
    t.ok(anchorsOf(text).includes(`#${fragment}`), target)
  }
})

t.test('every block of code compiles against the built package, and those that can be are run', async (t) => {
  if (!existsSync(join(ROOT, 'dist', 'index.d.ts'))) throw new Error('there is no dist/: run `npm run build`')
  const folder = await mkdtemp(join(tmpdir(), 'rls-readme-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  const link = async (name: string, target: string): Promise<void> => {
    await mkdir(dirname(join(folder, 'node_modules', name)), { recursive: true })
    await symlink(target, join(folder, 'node_modules', name))
  }
  await link('fastify-redlock-scheduler', ROOT)
  for (const name of ['fastify', '@types/node']) await link(name, join(ROOT, 'node_modules', name))

  const blocks = Array.from(readme.matchAll(/^```ts\n(.*?)^```/gms), ([, text = '']) => text)
  t.ok(blocks.length >= 5)
  for (const [index, block] of blocks.entries()) {
    // A fragment speaks of an app that the reader has.
    const isWhole = !/\bapp\./.test(block) || block.includes('const app =')
    const app =
      "import type { FastifyInstance } from 'fastify'\nimport 'fastify-redlock-scheduler'\ndeclare const app: FastifyInstance\n"
    await writeFile(join(folder, `block-${index + 1}.ts`), isWhole ? block : app + block)
  }
  await writeFile(join(folder, 'package.json'), '{ "type": "module" }')
  await writeFile(
    join(folder, 'tsconfig.json'),
    JSON.stringify({
      compilerOptions: {
        target: 'es2023',
        lib: ['es2023'],
        types: ['node'],
        module: 'nodenext',
        strict: true,
        noUnusedLocals: true,
        noEmit: true
      }
    })
  )
  const tsc = join(ROOT, 'node_modules', 'typescript', 'bin', 'tsc')
  t.match(await run(process.execPath, [tsc], { cwd: folder }), { code: 0, stdout: '' })

  // Those that need nothing but themselves are run too, and print what they say.
  const execute = (part: string): Promise<Ended> => {
    const index = blocks.findIndex((block) => block.includes(part))
    const tsx = import.meta.resolve('tsx')
    return run(process.execPath, ['--import', tsx, `block-${index + 1}.ts`], { cwd: folder })
  }
  t.strictSame(await execute('Nightly report'), { code: 0, stdout: 'success\n42\n', stderr: '' })
  const preview = await execute('scheduler.preview(')
  t.equal(preview.code, 0)
  const printed = /^\/\/ (\[.*)$/m.exec(blocks.find((block) => block.includes('scheduler.preview(')) ?? '')?.[1]
  t.equal(preview.stdout.replaceAll(/\s+/g, ' ').trim(), printed)
})
