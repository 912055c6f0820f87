// `npm run chaos`: runs every scenario in its long form, and writes the table of docs/faults.md.
// `npm run chaos -- <part of a name>` runs those alone, `--short` in their short form; neither writes anything.
import { markdownTable, measuredOn, writeInto } from './fixtures/document.js'
import type { Result, Scenario } from './scenario.js'
import { scenarios } from './scenarios.js'

const NOTE = `Doubled: ran more than once. Lost: neither run nor counted with a reason. Where there are some, they are those
that the guarantees tell of: a Redis that has lost its data forgets claims, and a replica that is killed takes along what it had claimed.`

/** How many scenarios are played at a time. */
const AT_ONCE = 2

const words = process.argv.slice(2)
const scale = words.includes('--short') ? 'short' : 'long'
const filter = words
  .filter((word) => word !== '--short')
  .join(' ')
  .toLowerCase()
const chosen = scenarios.filter(({ name }) => name.toLowerCase().includes(filter))

function rowOf({ name, promise }: Scenario, { verdict, recovery }: Result): (string | number)[] {
  const { ticks, doubled, lost, missed } = verdict
  const recovered = recovery === null ? '-' : `${(recovery / 1000).toFixed(1)} s`
  return [name, promise, ticks, doubled.length, lost.length, missed.length, recovered]
}

const rows = new Map<Scenario, (string | number)[]>()
const failed: string[] = []

async function play(scenario: Scenario): Promise<void> {
  const { name, promise } = scenario
  try {
    const result = await scenario.run({ scale })
    const { ran, unrun, countedTwice, reasons, outcomes } = result.verdict
    rows.set(scenario, rowOf(scenario, result))
    const counts = { ran, unrun: unrun.length, countedTwice: countedTwice.length, reasons, outcomes }
    console.log(`${result.failures.length === 0 ? 'ok' : 'FAILED'}: ${name}\n  ${JSON.stringify(counts)}`)
    for (const failure of result.failures) {
      console.log(`  ${failure}`)
      failed.push(`${name}: ${failure}`)
    }
  } catch (error) {
    console.log(`FAILED: ${name}\n  ${error}`)
    failed.push(`${name}: ${error}`)
    rows.set(scenario, [name, promise, '-', '-', '-', '-', 'never'])
  }
}

const waiting = [...chosen]
await Promise.all(
  Array.from({ length: AT_ONCE }, async () => {
    for (let scenario = waiting.shift(); scenario !== undefined; scenario = waiting.shift()) await play(scenario)
  })
)

const table = chosen.flatMap((scenario) => (rows.has(scenario) ? [rows.get(scenario) ?? []] : []))
const header = ['scenario', 'promise', 'ticks', 'doubled', 'lost', 'missed', 'time to recover']
const verdict =
  failed.length === 0 ? 'All as expected.' : `Not as expected:\n\n${failed.map((one) => `- ${one}`).join('\n')}`
const text = `Written by \`npm run chaos\` on ${measuredOn()}.\n\n${markdownTable(header, table)}\n\n${NOTE}\n\n${verdict}`
console.log(`\n${text}`)
if (table.length === 0) throw new Error(`no scenario can run that is called '${filter}'`)
if (scale === 'long' && filter === '') await writeInto('chaos', text)
if (failed.length > 0) process.exitCode = 1
