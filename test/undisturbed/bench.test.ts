import { fileURLToPath } from 'node:url'
import t from 'tap'
import { runPeer, type Sample } from '../../bench/measure.js'
import { type Program, program } from '../../bench/program.js'
import type { Goal } from '../../bench/question.js'
import { faults, summary } from '../../bench/report.js'
import { type Ended, run } from '../fixtures/package/outside-tap.js'

// The benchmarks work and count right; no time is asserted, so that two may be asked at a time. A question that finds a tick of
// ours lost or run twice ends with a code other than 0.
t.jobs = 2

const root = fileURLToPath(new URL('../..', import.meta.url))
const QUESTIONS = ['dispatch', 'locked', 'growth', 'registering', 'requests', 'latency', 'startup'] as const

/** Asks a question as `npm run bench` does. */
function ask(question: string): Promise<Ended> {
  const args = ['--import=tsx', 'bench/run.ts', question, '--smoke']
  return run(process.execPath, args, { cwd: root, limit: 120_000 })
}

/** The rows of all Markdown tables in a section, without their headers. */
function rows(section: string): string[][] {
  const lines = section.split('\n')
  return lines
    .filter((line, index) => line.startsWith('|') && !/^\| -/.test(line) && !lines[index + 1]?.startsWith('| -'))
    .map((line) =>
      line
        .split('|')
        .slice(1, -1)
        .map((cell) => cell.trim())
    )
}

for (const question of QUESTIONS) {
  t.test(`${question} runs shortly and counts right`, async (t) => {
    const { code, stdout, stderr } = await ask(question)
    t.equal(code, 0, stderr)
    t.equal(stdout.match(/^## /gm)?.length, 1, 'one section')
    const found = rows(stdout)
    const ours = found.filter(([first]) => first?.startsWith('ours'))
    t.ok(ours.length > 0, 'rows of ours')
    t.ok(found.length > ours.length, 'and of others, or goals')
    for (const cell of ours.flat()) {
      const [, ran, due] = /^([\d,]+) of ([\d,]+)$/.exec(cell) ?? []
      if (due !== undefined) t.equal(ran, due, 'ran all that was due')
    }
    for (const [goal, limit, measured] of found) {
      if (limit === '0') t.equal(measured, '0', `${goal}`)
    }
  })
}

const COMPARED: readonly [name: Program, args: readonly string[], ...costs: readonly string[]][] = [
  ['dispatch-in-turn.ts', ['200', '500', '1'], 'CPU a run, µs'],
  [
    'locked-in-turn.ts',
    ['50', '6000', '2'],
    'CPU of all replicas a run, µs',
    'CPU of Redis a run, µs',
    'commands sent a run',
    'commands executed a run'
  ],
  ['registering-in-turn.ts', ['200', '2'], 'CPU to register a job, µs', 'CPU to remove a job, µs', 'kept a job, bytes']
]
for (const [name, args, ...costs] of COMPARED) {
  t.test(`${name} measures two builds beside each other, and both do all they should`, async (t) => {
    const samples = await runPeer<Sample[]>(program(name), [root, root, ...args])
    t.equal(samples.length, 2)
    for (const sample of samples) {
      t.strictSame(Object.keys(sample.costs), costs)
      t.ok(Object.values(sample.costs).every((cost) => cost > 0))
      t.equal(sample.faults, 0)
    }
  })
}

t.test('a question that does not exist is refused', async (t) => {
  const { code, stderr } = await ask('none')
  t.equal(code, 2)
  t.match(stderr, /No such question: none\. There are dispatch, /)
})

t.test('a comparison says in one line what it wants, before it builds anything', async (t) => {
  const inputs: readonly [args: readonly string[], said: string][] = [
    [[], 'Usage: npm run bench:compare -- <revision>'],
    [['HEAD', 'none'], 'Usage: npm run bench:compare -- <revision>'],
    [['HEAD', 'dispatch', '3'], 'Usage: npm run bench:compare -- <revision>'],
    [['no-such', 'dispatch', '2'], "Expected a revision of this repository, got 'no-such'"]
  ]
  for (const [args, said] of inputs) {
    const { code, stdout, stderr } = await run(process.execPath, ['--import=tsx', 'bench/compare.ts', ...args], {
      cwd: root
    })
    t.strictSame([code, stdout, stderr.split('\n').length], [2, '', 2])
    t.ok(stderr.startsWith(said), stderr)
  }
})

t.test('a goal holds when it does in every round, but for the extreme ones of many', async (t) => {
  const verdicts: readonly [limit: number, rounds: readonly number[], ...cells: string[]][] = [
    [1, [0.5], '0.5', '', 'yes'],
    [1, [1, 1, 1], '1', '', 'yes'],
    [1, [0.9, 1.1, 0.5], '0.9', '0.5 to 1.1', 'no'],
    [1, [1.2, 1.1, 3], '1.2', '1.1 to 3', 'no'],
    [1, [9, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 8], '0.5', '0.3 to 0.6', 'yes'],
    [1, [Number.NaN, 0.5, 0.1, 0.2, 0.3], '–', '', 'not measured'],
    [1, [], '–', '', 'not measured'],
    [0, [0], '0', '', 'yes'],
    [0, [3], '3', '', 'no']
  ]
  const goals = verdicts.map(([limit, rounds], index): Goal => ({ what: `goal ${index}`, limit, rounds }))
  const asked = {
    question: { title: 'question', ask: () => Promise.reject(new Error('not asked')) },
    answer: { text: '', tables: [], plots: [], goals }
  }
  const expected = verdicts.map(([limit, _, ...cells], index) => ['question', `goal ${index}`, `${limit}`, ...cells])
  t.same(rows(summary([asked])), expected)
  t.same(faults(asked), goals.slice(-1), 'what must not be fails the run')
})
