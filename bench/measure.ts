import { fork } from 'node:child_process'
import { cpus } from 'node:os'

/** What a child of `runPeer` is run with: `gc()`, and room for peers that take much memory. */
const ROOMY = ['--expose-gc', '--max-old-space-size=12288'] as const

/** Runs a file as a process of its own and resolves to what it sends, once it has ended. */
export function runPeer<Result>(
  file: string,
  args: readonly string[],
  execArgv: readonly string[] = ROOMY
): Promise<Result> {
  return new Promise((resolve, reject) => {
    const child = fork(file, [...args], { execArgv: [...execArgv], env: plainEnv() })
    let result: Result | undefined
    child.on('message', (message) => {
      result = message as Result
    })
    child.once('error', reject)
    child.once('exit', (code, signal) => {
      if (result !== undefined) resolve(result)
      else reject(new Error(`${file} ${args.join(' ')} ended with ${signal ?? code} and no result`))
    })
  })
}

/** This process's environment without the options that a test runner passes on to every Node below it. */
export function plainEnv(): NodeJS.ProcessEnv {
  const { NODE_OPTIONS: _, ...env } = process.env
  return env
}

/** What one round of one side of a comparison gave. */
export interface Sample {
  /** What it cost, by what and its unit. */
  readonly costs: Readonly<Record<string, number>>
  /** Ticks that were lost or ran twice, or jobs that were not added or removed. */
  readonly faults: number
}

export function median(values: readonly number[]): number {
  return percentile(values, 0.5)
}

/** The ratios of what was measured in the same rounds. */
export function ratios(ours: readonly number[], theirs: readonly number[]): readonly number[] {
  const rounds = Math.min(ours.length, theirs.length)
  return ours.slice(0, rounds).map((value, round) => value / (theirs[round] as number))
}

/** The value below which `part` of the values lie; `NaN` when there are none. */
export function percentile(values: readonly number[], part: number): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? Number.NaN
}

export function machine(): string {
  const [cpu] = cpus()
  return `${cpus().length} × ${cpu?.model ?? 'unknown'}, Node ${process.version}, ${process.platform}`
}
