import type { Coordination } from '../../types/coordination.js'
import type { Run } from '../../types/run.js'
import { RemoteRunError } from '../errors.js'
import type { JobRecord } from '../jobs/job.js'

// What requests for runs by hand bring to the store, and what comes of them.

/** What a request brings. */
export interface Brought {
  /** Left out where the job's own is meant. */
  readonly data?: unknown
  /** Whether somebody waits for the result. */
  readonly isAwaited: boolean
  /** Who asked for it. */
  readonly by?: string
  /** The nominal time of its run, where that is another than when it was asked for. */
  readonly scheduledTime?: number
}

/** How much of a result or an error is kept, in characters of JSON: a longer one is left out. */
const MAX_RESULT = 262_144

/** Reads what a request has brought; `null` when that is not known any more, an error when the store does not answer. */
export async function readBrought(
  { waiting }: Coordination,
  jobId: string,
  requestId: string
): Promise<Brought | null | Error> {
  try {
    const text = await waiting?.readRequest(jobId, requestId)
    return text === null || text === undefined ? null : (JSON.parse(text) as Brought)
  } catch (error) {
    return error as Error
  }
}

/** What the run of a request gets: what it has brought, else the job's own. */
export function dataOf(brought: Brought | null, job: JobRecord): unknown {
  return brought !== null && 'data' in brought ? brought.data : job.definition.data
}

/** A run as its result says it. */
interface WrittenRun extends Omit<Run, 'error'> {
  readonly error?: { readonly name: string; readonly message: string; readonly code?: string; readonly stack?: string }
}

/** Keeps how the run of a request has ended, for who waits for it. It never throws: who waits hears that it is lost. */
export async function writeResult({ waiting }: Coordination, requestId: string, run: Run): Promise<void> {
  try {
    await waiting?.writeResult(requestId, toText(run))
  } catch {
    // The store does not answer.
  }
}

function toText(run: Run): string {
  const { error, result, ...known } = run
  const written = { ...known, ...(run.outcome === 'success' ? {} : { error: toPlainError(error) }) }
  try {
    const text = JSON.stringify({ ...written, result })
    if (text.length <= MAX_RESULT) return text
  } catch {
    // It cannot be written as JSON.
  }
  return JSON.stringify({ ...written, result: undefined })
}

function toPlainError(error: unknown): WrittenRun['error'] {
  try {
    const { name, message, code, stack } = error as { name: string; message: string; code?: string; stack?: string }
    if (error instanceof Error) {
      return {
        name,
        message: message.slice(0, 4096),
        ...(code === undefined ? {} : { code }),
        stack: `${stack}`.slice(0, 4096)
      }
    }
    return { name: 'Error', message: String(error).slice(0, 4096) }
  } catch {
    return { name: 'Error', message: 'an error that cannot be shown' }
  }
}

/** The run that a kept result is of. Its `error` is one of ours, with the message and the code that the handler's had. */
export function toRun(text: string): Run {
  const { error, ...run } = JSON.parse(text) as WrittenRun
  if (error === undefined) return run
  const remote = new RemoteRunError(error.message)
  remote.name = error.name
  if (error.code !== undefined) remote.code = error.code
  if (error.stack !== undefined) remote.stack = error.stack
  return { ...run, error: remote }
}
