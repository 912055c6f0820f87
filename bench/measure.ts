import { fork } from 'node:child_process'
import { cpus } from 'node:os'

/** What one process of a peer measured of itself over its window. */
export interface Measured {
  /** Ticks that were due in the window, and how many of them ran. */
  readonly due: number
  readonly ran: number
  /** Of those, how many ran more than once. */
  readonly doubled: number
  /** CPU time of the process, user and system, in microseconds. */
  readonly cpu: number
  /** Start minus scheduled time, in milliseconds. */
  readonly lags: readonly number[]
}

/** A question's answer: its table, and our cost in that of the peer the goal is set against. */
export interface Answer {
  readonly table: string
  readonly ratio: number
}

/** Lets a file run itself as a process of its own, once per call, and returns what it sends. */
export function runPeer<Result>(file: string, args: readonly string[]): Promise<Result> {
  return new Promise((resolve, reject) => {
    const child = fork(file, [...args], { execArgv: ['--import=tsx', '--expose-gc'] })
    let result: Result | undefined
    child.on('message', (message) => {
      result = message as Result
    })
    child.once('exit', (code) => {
      if (result === undefined) reject(new Error(`${file} ${args.join(' ')} ended with ${code} and no result`))
      else resolve(result)
    })
  })
}

export function median(values: readonly number[]): number {
  return percentile(values, 0.5)
}

export function percentile(values: readonly number[], part: number): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? Number.NaN
}

export function machine(): string {
  const [cpu] = cpus()
  return `${cpus().length} × ${cpu?.model ?? 'unknown'}, Node ${process.version}, ${process.platform}`
}

/** A Markdown table. */
export function table(header: readonly string[], rows: readonly (readonly (string | number)[])[]): string {
  const line = (cells: readonly (string | number)[]): string => `| ${cells.join(' | ')} |`
  return [line(header), line(header.map(() => '---')), ...rows.map(line)].join('\n')
}
