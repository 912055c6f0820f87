// An override as fields of a form, and back: only what was changed is sent.
import type { AdminJobDetail } from '../../types/admin.js'

type Definition = AdminJobDetail['definition']

export interface Field {
  readonly name: string
  readonly label: string
  /** What it says now, as it is written in the form. */
  readonly text: string
  /** What it can be; any text without. */
  readonly choices?: readonly string[]
  readonly hint?: string
  /** Whether it is among the few that are seen at once. */
  readonly isCommon: boolean
}

const UNITS = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['m', 60_000],
  ['s', 1000]
] as const

/** A length of time as the options of jobs take it: `45s`, `2m`, `1500ms`. */
export function asText(ms: number | null): string {
  if (ms === null) return ''
  if (ms === 0) return '0'
  for (const [unit, size] of UNITS) if (ms % size === 0) return `${ms / size}${unit}`
  return `${ms}ms`
}

/** A trigger as it is written: a cron expression alone is a string. */
export function triggerText(trigger: Definition['trigger']): string {
  if (trigger === null) return ''
  const keys = Object.keys(trigger)
  if (keys.length === 1 && 'cron' in trigger && typeof trigger.cron === 'string') return trigger.cron
  return JSON.stringify(trigger, null, 1).replaceAll(/\n\s*/g, ' ')
}

/** The fields for a job. Its data is not among them: it may be shown in part only. */
export function fieldsOf(definition: Definition, isOnEvery: boolean): readonly Field[] {
  const { retry, maxRuns, pauseAfterFailures } = definition
  const field = (name: string, label: string, text: string, more: Partial<Field> = {}): Field => ({
    name,
    label,
    text,
    isCommon: false,
    ...more
  })
  const locked: readonly Field[] = isOnEvery
    ? []
    : [
        field('overlap', 'If still running', definition.overlap, { choices: ['skip', 'wait', 'replace'] }),
        field('maxInstances', 'Runs at once', String(definition.maxInstances)),
        field('lock', 'Lock: its TTL', asText(definition.lockTtl), { hint: 'such as 30s' }),
        field('recovery', 'If its replica dies', definition.recovery, { choices: ['none', 'rerun'] }),
        field('onRedisError', 'While Redis is away', definition.onRedisError, { choices: ['skip', 'run'] })
      ]
  return [
    field('trigger', 'Trigger', triggerText(definition.trigger), {
      isCommon: true,
      hint: 'a cron expression, or a trigger as JSON; empty for by hand only'
    }),
    field('timeout', 'Timeout', asText(definition.timeout), { isCommon: true, hint: 'such as 45s or 2m' }),
    field('misfireGraceTime', 'Grace if late', asText(definition.misfireGraceTime), {
      isCommon: true,
      hint: 'such as 30s'
    }),
    field('retry', 'Retries', String(retry?.limit ?? 0), { isCommon: true, hint: '0 to 100' }),
    field('coalesce', 'Of several late ticks', definition.coalesce, { choices: ['latest', 'earliest', 'all'] }),
    ...locked,
    field('jitter', 'Jitter', asText(definition.jitter), { hint: 'such as 10s' }),
    field('priority', 'Priority', definition.priority, { choices: ['high', 'normal', 'low'] }),
    field('maxRuns', 'Runs in all', maxRuns === null ? '' : String(maxRuns), { hint: 'empty for no limit' }),
    field('pauseAfterFailures', 'Pause after failures', pauseAfterFailures === null ? '' : String(pauseAfterFailures), {
      hint: 'empty for never'
    })
  ]
}

const NUMBERS: ReadonlySet<string> = new Set(['maxInstances', 'maxRuns', 'pauseAfterFailures'])

/** A trigger out of what was written. Throws a SyntaxError for what is begun as JSON and is none. */
export function parseTrigger(text: string): unknown {
  const written = text.trim()
  if (written === '') return null
  return /^[{["]/.test(written) ? JSON.parse(written) : written
}

function parse(name: string, text: string, definition: Definition): unknown {
  const written = text.trim()
  if (name === 'trigger') return parseTrigger(text)
  if (name === 'retry') {
    const limit = Number(written)
    return written === '' || limit === 0 ? false : definition.retry === null ? limit : { ...definition.retry, limit }
  }
  if (written === '') return null
  // What is no number is refused by the server, in its words.
  return NUMBERS.has(name) && /^\d+$/.test(written) ? Number(written) : written
}

/**
 * What was changed in the form. A SyntaxError for a trigger that is no JSON.
 *
 * @param texts by the names of fields
 */
export function changesOf(
  fields: readonly Field[],
  texts: Readonly<Record<string, string>>,
  definition: Definition
): Readonly<Record<string, unknown>> {
  const changes: Record<string, unknown> = {}
  for (const { name, text } of fields) {
    const written = texts[name]
    if (written !== undefined && written.trim() !== text) changes[name] = parse(name, written, definition)
  }
  return changes
}
