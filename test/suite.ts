import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { compile, compiledEnvironment, placeIn } from './fixtures/compiled.js'
import { PLAIN_NODE } from './fixtures/plain-process.js'

// All tests: `npm test`. One file alone, in a clone where `npx tap build` was run once: `npx tap test/jobs/pauses.test.ts`.
//
// Each file is a process, compiled beforehand and without tap's own module loader: both together cost each file two seconds of a
// processor. The programs that tests start are compiled along.

/** How long a file may take that does not ask for more. */
const TIMEOUT = 180_000

/** The chaos suite waits for most of its time, and takes longest; what only computes gives way to all else. */
const FIRST = /^test\/chaos\//
/** They start a browser, or programs that compute: beside those that wait for locks and deaths they would make these late. */
const COMPUTING = /^test\/(?:dashboard\/pages|http\/(?:admin\/dashboard|browser)|observability\/alerts)\./
/** They are about time, and need the machine to themselves, after all others. */
const LAST = /^test\/undisturbed\//

/** Programs that tests start; one that is missing here is compiled by each test that starts it. */
const PROGRAMS = [
  'test/chaos/fixtures/chaos-replica.ts',
  'test/chaos/fixtures/simulate.ts',
  'test/chaos/fixtures/simulator-process.ts',
  'test/fixtures/app-process.ts',
  'test/fixtures/replica-process.ts'
]

const files = readdirSync(import.meta.dirname, { recursive: true, encoding: 'utf8' })
  .filter((file) => file.endsWith('.test.ts'))
  .map((file) => join('test', file))
  .sort()
const examples = readdirSync(join(import.meta.dirname, '../examples'))
  .filter((file) => file.endsWith('.ts'))
  .map((file) => join('examples', file))
const folder = compile([...files, ...PROGRAMS, ...examples])
const env = { ...process.env, ...compiledEnvironment(folder) }

let ended = 0

t.setTimeout(0)
// Most files wait for most of their time.
t.jobs = 4

async function run(file: string, buffered: boolean): Promise<void> {
  const args = [...PLAIN_NODE, '--enable-source-maps', placeIn(folder, file)]
  const spawned = t.spawn('env', args, { buffered, timeout: TIMEOUT, env }, file)
  const results = await spawned
  const { time = 0 } = spawned.subtest ?? {}
  // Results are printed in the order of the files, which may be minutes later.
  const ending = `${results?.ok ? 'ok' : 'NOT OK'}, ${(time / 1000).toFixed(1)} s`
  console.error(`${++ended} of ${files.length} ended: ${file}, ${ending}`)
  // Of this nothing but the output of all tests tells otherwise.
  const signal = spawned.subtest?.options.signal
  if (signal) t.fail(`${file} ended by ${signal}`)
}

const chaos = files.filter((file) => FIRST.test(file))
const undisturbed = files.filter((file) => LAST.test(file))
const computing = files.filter((file) => COMPUTING.test(file))
const others = files.filter((file) => ![FIRST, COMPUTING, LAST].some((which) => which.test(file)))
await Promise.all([...chaos, ...others].map((file) => run(file, true)))
await Promise.all(computing.map((file) => run(file, true)))
for (const file of undisturbed) await run(file, false)
