// Is this checkout dearer than another revision? `npm run bench:compare -- <revision> [dispatch|locked] [rounds]` builds the
// revision beside this checkout and measures both in turn, each round in fresh processes, in alternating order; the CPU of
// dispatch in one process, as two processes differ by more than what is asked for. It prints the median of the rounds' ratios
// (this one in that of the revision) and the 95% interval of that median.
import { execFileSync } from 'node:child_process'
import { cpSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { InTurn } from './in-turn.js'
import { machine, median, percentile, plainEnv, runPeer } from './measure.js'
import { JOBS, QUESTIONS, type Sample } from './side.js'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const RESAMPLES = 5000

/** Of the two that run in one process: milliseconds until V8 has compiled what runs, each being due every other second. */
const WARM_UP = 30_000
const SECONDS = 24

const [revision, ...rest] = process.argv.slice(2)
const named = rest.filter((arg) => Number.isNaN(Number(arg)))
const rounds = Number(rest.find((arg) => !Number.isNaN(Number(arg))) ?? 20)
const chosen = named.length === 0 ? QUESTIONS : QUESTIONS.filter((question) => named.includes(question))
if (revision === undefined || chosen.length < Math.max(1, named.length) || !Number.isInteger(rounds) || rounds < 1) {
  console.error(`Usage: npm run bench:compare -- <revision> [${QUESTIONS.join('|')}] [rounds]`)
  process.exit(2)
}

const other = checkOut(revision)
try {
  console.log(`${machine()}; ${rounds} rounds of each side, alternating; this checkout in that of ${revision}.\n`)
  for (const question of chosen) await compare(question)
} finally {
  execFileSync('git', ['worktree', 'remove', '--force', other], { cwd: ROOT })
}

async function compare(question: (typeof QUESTIONS)[number]): Promise<void> {
  const pairs: { readonly mine: Sample; readonly theirs: Sample }[] = []
  for (let round = 0; round < rounds; round++) {
    const first = round % 2 === 0 ? ROOT : other
    const one = sample(first, question)
    const two = sample(first === ROOT ? other : ROOT, question)
    let [mine, theirs] = first === ROOT ? [one, two] : [two, one]
    if (question === 'dispatch') {
      const [cpuOne, cpuTwo] = await inTurn(first, first === ROOT ? other : ROOT)
      const [cpuMine, cpuTheirs] = first === ROOT ? [cpuOne, cpuTwo] : [cpuTwo, cpuOne]
      mine = { ...mine, cpu: cpuMine.cpu, faults: mine.faults + cpuMine.faults }
      theirs = { ...theirs, cpu: cpuTheirs.cpu }
    }
    pairs.push({ mine, theirs })
    console.error(`${question} ${round + 1}: ${mine.cpu.toFixed(2)} and ${theirs.cpu.toFixed(2)} µs a run`)
  }
  console.log(
    `## ${question}\n\n| per run | this | ${revision} | ratio | 95% interval |\n| --- | --- | --- | --- | --- |`
  )
  for (const key of ['cpu', 'allocated', 'redisCpu', 'sent', 'executed'] as const) {
    const values = pairs.map(({ mine, theirs }) => [mine[key], theirs[key]] as const)
    const mine = median(values.map(([value]) => value))
    const theirs = median(values.map(([, value]) => value))
    if (theirs === 0) continue
    const ratios = values.map(([a, b]) => a / b)
    const [low, high] = interval(ratios)
    const digits = theirs < 10 ? 3 : 1
    console.log(
      `| ${key} | ${mine.toFixed(digits)} | ${theirs.toFixed(digits)} | ${median(ratios).toFixed(3)} | ${low.toFixed(3)} to ${high.toFixed(3)} |`
    )
  }
  const faults = pairs.reduce((sum, { mine }) => sum + mine.faults, 0)
  console.log(`\nTicks of this checkout that were lost or ran twice: ${faults}.\n`)
  if (faults > 0) process.exitCode = 1
}

/** What the median of other rounds like these would lie between, 95 times of 100: by resampling. */
function interval(values: readonly number[]): [low: number, high: number] {
  const medians = Array.from({ length: RESAMPLES }, () =>
    median(values.map(() => values[Math.floor(Math.random() * values.length)] as number))
  )
  return [percentile(medians, 0.025), percentile(medians, 0.975)]
}

function sample(folder: string, question: string): Sample {
  const args = ['--import=tsx', join(folder, 'bench', 'side.ts'), question]
  return JSON.parse(execFileSync(process.execPath, args, { cwd: folder, env: plainEnv(), encoding: 'utf8' })) as Sample
}

/** Both in one process, in the order in which they are loaded. */
function inTurn(one: string, two: string): Promise<[InTurn, InTurn]> {
  const files = [one, two].map((folder) => join(folder, 'dist', 'lib', 'index.js'))
  const args = [...files, `${JOBS}`, `${WARM_UP}`, `${SECONDS}`]
  return runPeer<[InTurn, InTurn]>(fileURLToPath(new URL('in-turn.ts', import.meta.url)), args)
}

/** A checkout of a revision, built, with the benchmarks of this one. */
function checkOut(revision: string): string {
  const folder = join(mkdtempSync(join(tmpdir(), 'compare-')), 'checkout')
  execFileSync('git', ['worktree', 'add', '--detach', folder, revision], { cwd: ROOT, stdio: 'ignore' })
  symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'))
  for (const name of ['bench', 'test/fixtures']) {
    rmSync(join(folder, name), { recursive: true })
    cpSync(join(ROOT, name), join(folder, name), { recursive: true })
  }
  execFileSync('npm', ['run', 'build'], { cwd: folder, stdio: 'ignore' })
  return folder
}
