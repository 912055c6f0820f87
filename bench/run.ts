// `npm run bench` asks every question, each in fresh processes, and writes docs/benchmarks.md with its plots.
// `npm run bench -- dispatch startup` asks these alone, and `-- --smoke` asks shortly; both only print.
// It fails when work was lost or done twice, never for a time.
import { readFile, writeFile } from 'node:fs/promises'
import { versions } from './installed.js'
import { machine } from './measure.js'
import { svg } from './plot.js'
import type { Question } from './question.js'
import { type Asked, faults, section, summary } from './report.js'

const NAMES = [
  'dispatch',
  'locked',
  'slots',
  'history',
  'growth',
  'registering',
  'requests',
  'latency',
  'startup'
] as const
const DOCS = new URL('../docs/', import.meta.url)

const args = process.argv.slice(2)
const scale = args.includes('--smoke') ? 'smoke' : 'full'
const chosen = args.filter((arg) => arg !== '--smoke')
const unknown = chosen.filter((name) => !NAMES.some((known) => known === name))
if (unknown.length > 0) {
  console.error(`No such question: ${unknown.join(', ')}. There are ${NAMES.join(', ')}.`)
  process.exit(2)
}

const all: Asked[] = []
for (const name of NAMES) {
  if (chosen.length > 0 && !chosen.includes(name)) continue
  const question = await load(name)
  const asked = { question, answer: await question.ask(scale) }
  console.log(section(asked, scale))
  for (const { what, rounds } of faults(asked)) {
    console.error(`${name}: ${what}: ${rounds}, and must be 0.`)
    process.exitCode = 1
  }
  all.push(asked)
}

if (scale === 'full' && chosen.length === 0) await writeDocs()

/** A question's file exports it under its own name. */
async function load(name: string): Promise<Question> {
  const file = (await import(new URL(`${name}.ts`, import.meta.url).href)) as Readonly<Record<string, Question>>
  const question = file[name]
  if (question === undefined) throw new Error(`bench/${name}.ts does not export ${name}`)
  return question
}

async function writeDocs(): Promise<void> {
  const head = `# Benchmarks

Written by \`npm run bench\` on ${new Date().toISOString().slice(0, 10)}.

- Machine: ${machine()}.
- Versions: ${(await versions()).join(', ')}.
- Each peer runs in fresh processes, the peers alternate, and figures are medians over the rounds (of an even
  number, the higher of the two in the middle). Each table shows how much of what was due ran. CPU is user and system time of the process.
- Machines differ and are noisy: the ratios count, not the microseconds. A ratio is made of the peers of one round. Beside the
  median over the rounds is what they lay between, of four rounds and more the middle half of them; a goal holds
  when all of these are within its limit.

## Every goal

${summary(all)}
`
  const notes = await readFile(new URL('notes.md', import.meta.url), 'utf8').catch(() => '')
  const sections = all.map((asked) => section(asked, scale))
  await writeFile(new URL('benchmarks.md', DOCS), [head, ...sections, ...(notes === '' ? [] : [notes])].join('\n'))
  for (const { answer } of all) {
    for (const plot of answer.plots) await writeFile(new URL(plot.file, DOCS), svg(plot))
  }
}
