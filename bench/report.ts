import { median } from './measure.js'
import type { Answer, Goal, Question, Scale, Table } from './question.js'

/** A question and what was found. */
export interface Asked {
  readonly question: Question
  readonly answer: Answer
}

type Cell = string | number

const GOAL_HEADER = ['goal', 'limit', 'measured', 'rounds', 'holds']

/** A question's section: text, tables, plots, goals. */
export function section({ question, answer }: Asked, scale: Scale): string {
  const parts = [
    `## ${question.title}`,
    answer.text.trim(),
    ...answer.tables.map(captioned),
    ...(scale === 'full' ? answer.plots.map(({ title, file }) => `![${title}](${file})`) : []),
    ...(answer.goals.length === 0 ? [] : [goalsTable(answer.goals, scale)])
  ]
  return `${parts.join('\n\n')}\n`
}

/** Every goal of every question, and whether it holds. */
export function summary(asked: readonly Asked[]): string {
  const rows = asked.flatMap(({ question, answer }) =>
    answer.goals.map((goal) => [question.title, ...goalCells(goal, 'full')])
  )
  return table(['question', ...GOAL_HEADER], rows)
}

/**
 * The goals that must hold whatever the machine: those with limit 0, which count what must not be (ticks lost or run twice,
 * packages loaded for nothing). No time has such a limit.
 */
export function faults({ answer }: Asked): readonly Goal[] {
  return answer.goals.filter(({ limit, rounds }) => limit === 0 && rounds.some((measured) => measured > 0))
}

function captioned({ caption, header, rows }: Table): string {
  return `${caption}:\n\n${table(header, rows)}`
}

function goalsTable(goals: readonly Goal[], scale: Scale): string {
  return table(
    GOAL_HEADER,
    goals.map((goal) => goalCells(goal, scale))
  )
}

function goalCells({ what, limit, rounds }: Goal, scale: Scale): readonly string[] {
  if (rounds.length === 0 || rounds.some(Number.isNaN))
    return [what, figure(limit), figure(Number.NaN), '', 'not measured']
  const usual = withoutExtremes(rounds)
  const [least, most] = [Math.min(...usual), Math.max(...usual)]
  const range = least < most ? `${figure(least)} to ${figure(most)}` : ''
  return [what, figure(limit), figure(median(rounds)), range, holds(limit, usual, scale)]
}

function holds(limit: number, rounds: readonly number[], scale: Scale): string {
  if (scale === 'smoke' && limit > 0) return 'not judged'
  return rounds.every((measured) => measured <= limit) ? 'yes' : 'no'
}

/** Of four rounds and more the middle half. */
function withoutExtremes(rounds: readonly number[]): readonly number[] {
  const left = Math.floor(rounds.length / 4)
  return [...rounds].sort((a, b) => a - b).slice(left, rounds.length - left)
}

/** A number in at most three digits that count. */
export function figure(value: number): string {
  if (Number.isNaN(value)) return '–'
  if (Math.abs(value) >= 100) return Math.round(value).toLocaleString('en')
  return `${Number(value.toPrecision(3))}`
}

/** A Markdown table, aligned; columns of numbers to the right. */
export function table(header: readonly string[], rows: readonly (readonly Cell[])[]): string {
  const text = rows.map((row) => row.map(cellText))
  const widths = header.map((title, column) =>
    Math.max(3, title.length, ...text.map((row) => row[column]?.length ?? 0))
  )
  const numeric = header.map((_, column) => text.length > 0 && text.every((row) => /^[\d–]/.test(row[column] ?? '')))
  const line = (cells: readonly string[]): string => {
    const padded = cells.map((cell, column) => {
      const width = widths[column] ?? 0
      return numeric[column] ? cell.padStart(width) : cell.padEnd(width)
    })
    return `| ${padded.join(' | ')} |`
  }
  const rule = widths.map((width, column) => (numeric[column] ? `${'-'.repeat(width - 1)}:` : '-'.repeat(width)))
  return [line(header), `| ${rule.join(' | ')} |`, ...text.map(line)].join('\n')
}

function cellText(cell: Cell): string {
  return (typeof cell === 'number' ? figure(cell) : cell).replaceAll('|', '\\|')
}
