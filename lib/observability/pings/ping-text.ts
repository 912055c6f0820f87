import type { RunError } from '../../../types/history.js'
import type { Run } from '../../../types/run.js'

/** How many bytes of a ping are kept by those who receive it. */
const MAX_BYTES = 10_000

/**
 * What a ping says of a run, for people: how it has ended, and which run that is.
 *
 * @param duration in milliseconds; `null` for a run that begins
 * @param error why it failed, as the history keeps it; `null` for none
 */
export function pingText(run: Run, duration: number | null, error: RunError | null): Uint8Array {
  const { id, jobId, outcome, trigger, attempt, replicaId } = run
  const scheduledTime = new Date(run.scheduledTime).toISOString()
  const end = duration === null ? '' : `${outcome} after ${Math.round(duration)} ms\n`
  const what = `job ${jobId}\nrun ${id}, attempt ${attempt}, by ${trigger}\ntick ${scheduledTime}\nreplica ${replicaId}\n`
  return inBytes(`${end}${error === null ? '' : `${errorLine(error)}\n`}${what}${stackOf(error)}`)
}

function errorLine({ name, message, code }: RunError): string {
  return `${name}: ${message}${code === undefined ? '' : ` (${code})`}`
}

function stackOf(error: RunError | null): string {
  return error === null || error.stack === null ? '' : `\n${error.stack}\n`
}

/** As UTF-8, cut between two characters. */
function inBytes(text: string): Uint8Array {
  const bytes = new Uint8Array(Math.min(MAX_BYTES, 3 * text.length))
  return bytes.subarray(0, new TextEncoder().encodeInto(text, bytes).written)
}
