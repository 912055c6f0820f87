// How the ticks are read, and what the keys do.
import { signal } from '@preact/signals'
import { Dialog } from './dialog.js'
import { Drawn } from './drawn.js'
import { barShape, markShape } from './marks.js'
import { Keys } from './text.js'
import type { Kind } from './ticks.js'

export const isLegendOpen = signal(false)

const READ: readonly (readonly [Kind, string])[] = [
  ['success', 'ran'],
  ['overlap', 'no run: the one before still ran'],
  ['error', 'failed'],
  ['misfire', 'no run: too late'],
  ['timeout', 'timed out'],
  ['redis_error', 'no run: Redis away'],
  ['cancelled', 'cancelled'],
  ['shutdown', 'no run: its replica was closing'],
  ['lock_lost', 'lost its lock'],
  ['paused', 'no run: paused'],
  ['abandoned', 'went down with its replica'],
  ['operator', 'no run: skipped by hand'],
  ['running', 'running, filled to its progress'],
  ['condition', 'no run: its condition said no'],
  ['waiting', 'waits for a slot'],
  ['coalesced', 'no run: folded into another']
]

const NO_RUN = /^no run|^waits/

const KEYS: readonly (readonly [string, string])[] = [
  ['1 2 3', 'Jobs, Timeline, Fleet'],
  ['/', 'filter'],
  ['J K', 'next, previous job'],
  ['↵ Esc', 'open, back'],
  ['R P', 'run now, pause'],
  ['+ −', 'zoom the timeline'],
  ['← → N', 'move it, back to now'],
  ['T', 'theme']
]

export function Legend() {
  return (
    <Dialog
      title="Reading the ticks"
      close={() => {
        isLegendOpen.value = false
      }}
    >
      {(close) => (
        <>
          <p class="dim">Above the line: how long it ran. Below the line: what went wrong, or why nothing ran.</p>
          <ul class="legend">
            {READ.map(([kind, text]) => (
              <li key={kind}>
                <svg viewBox="0 0 14 26" aria-hidden="true">
                  <path class="axis" d="M0 16.5H14" />
                  <Drawn
                    mark={kind}
                    shapes={[
                      NO_RUN.test(text) ? {} : barShape(kind, { x: 7, base: 16, width: 5, height: 14 }),
                      kind === 'success' || kind === 'running' ? {} : markShape(kind, 7, 22, 2.8)
                    ]}
                  />
                </svg>
                {text}
              </li>
            ))}
          </ul>
          <h3>Keys</h3>
          <ul class="legend">
            {KEYS.map(([keys, text]) => (
              <li key={keys}>
                <Keys of={keys}>{text}</Keys>
              </li>
            ))}
          </ul>
          <div class="ends">
            <button type="button" data-first onClick={close}>
              Close
            </button>
          </div>
        </>
      )}
    </Dialog>
  )
}
