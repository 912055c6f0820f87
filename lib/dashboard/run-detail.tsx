// What a run left behind: its error, its attempts, its log, its result.
import type { HistoryRun, RunError } from '../../types/history.js'
import { zone } from './clock.js'
import { logLine } from './log-lines.js'
import { hms } from './time.js'

/** How many attempts are told in full. */
const TOLD = 5

const headOf = ({ name, message }: RunError): string => `${name}: ${message}`

export function RunDetail({ run, isHeaded = true }: { readonly run: HistoryRun; readonly isHeaded?: boolean }) {
  const { error, log = [], result = null, attempts = [] } = run
  return (
    <div class="run-detail">
      {isHeaded && error != null && (
        <p class="bad strong" dir="auto">
          {headOf(error)}
        </p>
      )}
      <Attempts attempts={attempts} />
      {log.length > 0 && (
        // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls can be scrolled by keys
        <pre tabIndex={0} role="region" aria-label={`Log of the run of ${hms(run.scheduledTime, zone)}`}>
          {log.map((line) => logLine(line, zone)).join('\n')}
        </pre>
      )}
      {error?.stack != null && error.stack !== '' && (
        <details class="stack">
          <summary>
            <u>Stack</u>
          </summary>
          {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls can be scrolled by keys */}
          <pre tabIndex={0} role="region" aria-label="Stack">
            {error.stack}
          </pre>
        </details>
      )}
      {result != null && (
        <p class="dim">
          Returned <span class="mono">{result}</span>
        </p>
      )}
    </div>
  )
}

function Attempts({ attempts }: { readonly attempts: HistoryRun['attempts'] }) {
  if (attempts.length === 0) return null
  const told = attempts.slice(-TOLD)
  const before = attempts.length - told.length
  return (
    <p class="dim" dir="auto">
      {before > 0 && `${before} attempts before. `}
      {told.map(({ attempt, at, error }) => `Attempt ${attempt} failed at ${hms(at, zone)}: ${headOf(error)}. `)}
    </p>
  )
}

/** Whether there is more to say of a run than its line does. */
export function hasDetail({ error, log, attempts, result }: HistoryRun): boolean {
  return error != null || result != null || (log?.length ?? 0) > 0 || (attempts?.length ?? 0) > 0
}
