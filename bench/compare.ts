// Is this checkout dearer than another revision? `npm run bench:compare -- <revision> [dispatch|locked|registering] [rounds]` builds
// the revision beside this checkout and measures both, each round in fresh processes, in alternating order. Times are those of both
// sides beside each other, at work in turn: one after the other the machine is not the same. Two rounds in opposite order are a pair,
// whose ratio (this one in that of the revision) is the geometric mean of both rounds': which side is loaded first, and is dearer by
// that, is not in it. It prints the median of the pairs' ratios and the 95% interval of that median.
import { execFileSync, spawnSync } from 'node:child_process'
import { cpSync, existsSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { machine, median, percentile, plainEnv, runPeer, type Sample } from './measure.js'
import { type Program, program } from './program.js'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const RESAMPLES = 5000

/** A program and its arguments. */
type Command = readonly [program: Program, ...args: readonly number[]]

/** How a question is asked: of each side in its checkout, which prints a sample, and of both at once, which sends two. */
interface Question {
  readonly apart?: Command
  readonly together: Command
}

// The warm-up is until V8 has compiled what runs: of locked runs it still does so after some 50 ticks.
const WHAT: Readonly<Record<string, Question>> = {
  dispatch: {
    apart: ['dispatch-allocated.ts', 10_000, 4000, 2],
    together: ['dispatch-in-turn.ts', 10_000, 20_000, 20]
  },
  locked: { together: ['locked-in-turn.ts', 1000, 60_000, 20] },
  registering: { together: ['registering-in-turn.ts', 10_000, 10] }
}
const QUESTIONS = Object.keys(WHAT)

const [revision, ...rest] = process.argv.slice(2)
const named = rest.filter((arg) => Number.isNaN(Number(arg)))
const rounds = Number(rest.find((arg) => !Number.isNaN(Number(arg))) ?? 20)
const chosen = named.length === 0 ? QUESTIONS : QUESTIONS.filter((question) => named.includes(question))
if (
  revision === undefined ||
  chosen.length < Math.max(1, named.length) ||
  !Number.isInteger(rounds / 2) ||
  rounds < 2
) {
  console.error(`Usage: npm run bench:compare -- <revision> [${QUESTIONS.join('|')}] [an even number of rounds]`)
  process.exit(2)
}

if (spawnSync('git', ['rev-parse', '--verify', '--quiet', `${revision}^{commit}`], { cwd: ROOT }).status !== 0) {
  console.error(`Expected a revision of this repository, got '${revision}'`)
  process.exit(2)
}

const parent = mkdtempSync(join(tmpdir(), 'compare-'))
const other = join(parent, 'checkout')
try {
  checkOut(revision, other)
  console.log(`${machine()}; ${rounds} rounds of each side, alternating; this checkout in that of ${revision}.\n`)
  for (const question of chosen) await compare(question)
} finally {
  rmSync(parent, { recursive: true })
  execFileSync('git', ['worktree', 'prune'], { cwd: ROOT })
}

async function compare(question: string): Promise<void> {
  const rows: { readonly mine: Sample; readonly theirs: Sample }[] = []
  for (let round = 0; round < rounds; round++) {
    const isFirst = round % 2 === 0
    const [one, two] = await measure(question, isFirst ? [ROOT, other] : [other, ROOT])
    rows.push(isFirst ? { mine: one, theirs: two } : { mine: two, theirs: one })
    console.error(`${question} ${round + 1}: ${show(rows.at(-1)?.mine)}; ${show(rows.at(-1)?.theirs)}`)
  }
  console.log(`## ${question}\n\n| | this | ${revision} | ratio | 95% interval |\n| --- | --- | --- | --- | --- |`)
  for (const what of Object.keys(rows[0]?.mine.costs ?? {})) {
    const values = rows.map(({ mine, theirs }) => [mine.costs[what] as number, theirs.costs[what] as number] as const)
    const mine = median(values.map(([value]) => value))
    const theirs = median(values.map(([, value]) => value))
    const ratios = pairRatios(values.map(([a, b]) => a / b))
    const [low, high] = interval(ratios)
    const digits = theirs < 10 ? 3 : 1
    console.log(
      `| ${what} | ${mine.toFixed(digits)} | ${theirs.toFixed(digits)} | ${median(ratios).toFixed(3)} | ${low.toFixed(3)} to ${high.toFixed(3)} |`
    )
  }
  const faults = rows.reduce((sum, { mine }) => sum + mine.faults, 0)
  console.log(
    `\nTicks of this checkout that were lost or ran twice, or jobs that were not added or removed: ${faults}.\n`
  )
  if (faults > 0) process.exitCode = 1
}

/** The geometric mean of each two rounds. */
function pairRatios(rounds: readonly number[]): number[] {
  return rounds.flatMap((ratio, round) => (round % 2 === 0 ? [Math.sqrt(ratio * (rounds[round + 1] as number))] : []))
}

/** One round of both sides, in this order. */
async function measure(question: string, folders: readonly [string, string]): Promise<[Sample, Sample]> {
  const { apart, together } = WHAT[question] as Question
  const own = apart === undefined ? [] : folders.map((folder) => sampleOf(folder, apart))
  const beside = await samplesOf(folders, together)
  return [0, 1].map((side): Sample => {
    const both = [own[side], beside[side]].filter((one) => one !== undefined)
    return {
      costs: Object.assign({}, ...both.map(({ costs }) => costs)),
      faults: both.reduce((sum, { faults }) => sum + faults, 0)
    }
  }) as [Sample, Sample]
}

function show(sample: Sample | undefined): string {
  return Object.values(sample?.costs ?? {})
    .map((value) => value.toFixed(2))
    .join(' ')
}

/** What the median of other rounds like these would lie between, 95 times of 100: by resampling. */
function interval(values: readonly number[]): [low: number, high: number] {
  const medians = Array.from({ length: RESAMPLES }, () =>
    median(values.map(() => values[Math.floor(Math.random() * values.length)] as number))
  )
  return [percentile(medians, 0.025), percentile(medians, 0.975)]
}

function sampleOf(folder: string, [name, ...args]: Command): Sample {
  const argv = [program(name, folder), ...args.map(String)]
  return JSON.parse(execFileSync(process.execPath, argv, { cwd: folder, env: plainEnv(), encoding: 'utf8' })) as Sample
}

function samplesOf(folders: readonly string[], [name, ...args]: Command): Promise<Sample[]> {
  return runPeer(program(name), [...folders, ...args.map(String)])
}

/** Makes a checkout of a revision, built, with the benchmarks of this one. */
function checkOut(revision: string, folder: string): void {
  execFileSync('git', ['worktree', 'add', '--detach', folder, revision], { cwd: ROOT, stdio: 'ignore' })
  symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'))
  for (const name of ['bench', 'test/fixtures']) {
    rmSync(join(folder, name), { recursive: true })
    cpSync(join(ROOT, name), join(folder, name), { recursive: true })
  }
  execFileSync('npm', ['run', 'build'], { cwd: folder, stdio: 'ignore' })
  // Where builds were before 2026-11-27.
  if (!existsSync(join(folder, 'dist/index.js'))) {
    writeFileSync(
      join(folder, 'dist/index.js'),
      "export { default } from './lib/index.js'\nexport * from './lib/index.js'\n"
    )
  }
}
