// The folders of docs/architecture.md: no import in lib/ runs against its arrows, and there is no circle. Nor is there one in bench/.
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import t from 'tap'

const ROOT = join(import.meta.dirname, '..')
const LIB = join(ROOT, 'lib')

/** The parts, from the top down: each may import from itself and from those that are listed after it. */
const FLOORS: readonly (readonly string[])[] = [
  ['index', 'testing', 'cli', 'dashboard'],
  ['commonjs'],
  ['plugin'],
  ['app-life', 'http'],
  ['scheduler'],
  ['engine'],
  ['options'],
  ['dispatch'],
  ['runs'],
  ['coordination', 'observability'],
  ['jobs'],
  ['timetable'],
  ['triggers'],
  ['base'],
  ['types']
]

const floorOf = new Map(FLOORS.flatMap((parts, floor) => parts.map((part) => [part, floor] as const)))

/** The TypeScript files in a folder. */
function filesIn(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((file) => /\.tsx?$/.test(file) && !file.includes('node_modules'))
    .map((file) => join(folder, file))
}

const files = [LIB, join(ROOT, 'types')].flatMap(filesIn)

/** The files of ours that a file imports or exports from, also only for a type, and also later, by `import()`. */
function importsOf(file: string): string[] {
  const text = readFileSync(file, 'utf8')
  const found = [...text.matchAll(/(?:\bfrom|\bimport)\s*\(?\s*'(\.[^']+)'/g)].map(([, path = '']) => path)
  return found
    .filter((path) => !path.endsWith('.css'))
    .map((path) => {
      const source = resolve(dirname(file), path.replace(/\.js$/, '.ts'))
      return existsSync(`${source}x`) ? `${source}x` : source
    })
}

function partOf(file: string): string {
  const path = relative(ROOT, file)
  if (path.startsWith('types/')) return 'types'
  const part = (path.split('/')[1] as string).replace(/\.tsx?$/, '')
  return part === 'errors' ? 'base' : part
}

/** The first circle of imports, as the files in it; `null` where there is none. */
function circleIn(graph: ReadonlyMap<string, readonly string[]>): readonly string[] | null {
  const done = new Set<string>()
  const visit = (file: string, path: readonly string[]): readonly string[] | null => {
    if (path.includes(file)) return [...path.slice(path.indexOf(file)), file]
    if (done.has(file)) return null
    for (const next of graph.get(file) ?? []) {
      const circle = visit(next, [...path, file])
      if (circle !== null) return circle
    }
    done.add(file)
    return null
  }
  for (const file of graph.keys()) {
    const circle = visit(file, [])
    if (circle !== null) return circle
  }
  return null
}

const graph = new Map(files.map((file) => [file, importsOf(file)]))

t.test('each file belongs to a part, and imports only files that are there', async (t) => {
  t.ok(files.length > 100, `${files.length} files were read`)
  for (const [file, imported] of graph) {
    t.ok(floorOf.has(partOf(file)), `${relative(ROOT, file)} belongs to a part`)
    for (const other of imported) t.ok(graph.has(other), `${relative(ROOT, file)} imports ${relative(ROOT, other)}`)
  }
})

t.test('no import runs against the arrows', async (t) => {
  const against: string[] = []
  for (const [file, imported] of graph) {
    for (const other of imported) {
      const [from, to] = [partOf(file), partOf(other)]
      if (from === to) continue
      const isDown = (floorOf.get(from) ?? 0) < (floorOf.get(to) ?? 0)
      if (!isDown) against.push(`${relative(ROOT, file)} imports ${relative(ROOT, other)}`)
    }
  }
  t.strictSame(against, [])
})

t.test('there is no circle of imports', async (t) => {
  const bench = filesIn(join(ROOT, 'bench'))
  t.ok(bench.length > 20, `${bench.length} files of bench/ were read`)
  for (const each of [graph, new Map(bench.map((file) => [file, importsOf(file)]))]) {
    const circle = circleIn(each)
    t.equal(circle?.map((file) => relative(ROOT, file)).join(' -> ') ?? null, null)
  }
})

t.test('every file that docs/architecture.md names is there', async (t) => {
  const text = readFileSync(join(ROOT, 'docs/architecture.md'), 'utf8')
  const linked = [...text.matchAll(/\]\((\.\.\/[^)#]+)\)/g)].map(([, path = '']) => join(ROOT, 'docs', path))
  const named = [...text.matchAll(/`((?:lib|test|types)\/[\w./-]+)`/g)].map(([, path = '']) => join(ROOT, path))
  t.ok(linked.length > 20)
  for (const path of new Set([...linked, ...named])) t.ok(existsSync(path), `${relative(ROOT, path)} is there`)
})

t.test('the check finds what it looks for', async (t) => {
  t.strictSame(
    circleIn(
      new Map([
        ['a', ['b']],
        ['b', ['c']],
        ['c', ['b']]
      ])
    ),
    ['b', 'c', 'b']
  )
  t.equal(
    circleIn(
      new Map([
        ['a', ['b', 'c']],
        ['b', ['c']],
        ['c', []]
      ])
    ),
    null
  )
  t.ok((graph.get(join(LIB, 'engine.ts')) ?? []).includes(join(LIB, 'dispatch/dispatcher.ts')))
})
