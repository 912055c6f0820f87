// `npm run bench`: runs every question, each in fresh processes, and writes docs/benchmarks.md.
// `npm run bench -- --smoke` runs each shortly and writes nothing: what the tests do.
import { writeFile } from 'node:fs/promises'
import { dispatch } from './dispatch.js'
import { locked } from './locked.js'
import { machine } from './measure.js'

const smoke = process.argv.includes('--smoke')

const QUESTIONS = [
  {
    title: 'Dispatch without Redis',
    goal: 0.1,
    against: "croner's CPU per fire",
    text: `10,000 cron jobs, all due every second, coordination in memory.`,
    run: () => dispatch(smoke ? { jobs: 100, seconds: 2, rounds: 1 } : { jobs: 10_000, seconds: 8, rounds: 3 })
  },
  {
    title: 'Locked runs on three replicas',
    goal: 0.2,
    against: "the classic pattern's CPU per run",
    text: `1,000 cron jobs, all due every second, on three replica processes and one Redis. CPU is that of the three replicas together. `,
    run: () =>
      locked(
        smoke ? { jobs: 50, seconds: 2, rounds: 1, replicas: 3 } : { jobs: 1000, seconds: 8, rounds: 3, replicas: 3 }
      )
  }
] as const

const sections: string[] = []
for (const { title, text, goal, against, run } of QUESTIONS) {
  const { table, ratio } = await run()
  const verdict = smoke ? 'not judged in a smoke run' : ratio <= goal ? 'reached' : 'not reached'
  const section = `## ${title}\n\n${text}\n\n${table}\n\nGoal: at most ${goal} of ${against}. Here: ${ratio.toFixed(3)}, ${verdict}.\n`
  console.log(section)
  sections.push(section)
}

if (!smoke) {
  const head = `# Benchmarks

Written by \`npm run bench\` on ${new Date().toISOString().slice(0, 10)}: ${machine()}.
Peers run one after the other in fresh processes, alternating, three rounds; the figures are medians over the rounds.
Machines differ and are noisy: the ratios count, not the microseconds.
`
  await writeFile(new URL('../docs/benchmarks.md', import.meta.url), `${[head, ...sections].join('\n')}`)
}
