import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import t from 'tap'

// The benchmarks work and count right; no time is asserted. A question that finds a tick of ours lost or run twice ends
// with a code other than 0.
const root = fileURLToPath(new URL('..', import.meta.url))
const QUESTIONS = ['dispatch', 'locked', 'growth', 'registering', 'requests', 'latency', 'startup'] as const

/** The rows of all Markdown tables in a section, without their headers. */
function rows(section: string): string[][] {
  const lines = section.split('\n')
  return lines
    .filter((line, index) => line.startsWith('|') && !/^\| -/.test(line) && !lines[index + 1]?.startsWith('| -'))
    .map((line) =>
      line
        .split('|')
        .slice(1, -1)
        .map((cell) => cell.trim())
    )
}

for (const question of QUESTIONS) {
  t.test(`${question} runs shortly and counts right`, async (t) => {
    const args = ['--import=tsx', 'bench/run.ts', question, '--smoke']
    const { stdout } = await promisify(execFile)(process.execPath, args, { cwd: root })
    t.equal(stdout.match(/^## /gm)?.length, 1, 'one section')
    const found = rows(stdout)
    const ours = found.filter(([first]) => first?.startsWith('ours'))
    t.ok(ours.length > 0, 'rows of ours')
    t.ok(found.length > ours.length, 'and of others, or goals')
    for (const cell of ours.flat()) {
      const [, ran, due] = /^([\d,]+) of ([\d,]+)$/.exec(cell) ?? []
      if (due !== undefined) t.equal(ran, due, 'ran all that was due')
    }
    for (const [goal, limit, measured] of found) {
      if (limit === '0') t.equal(measured, '0', `${goal}`)
    }
  })
}

t.test('a question that does not exist is refused', async (t) => {
  const run = promisify(execFile)(process.execPath, ['--import=tsx', 'bench/run.ts', 'none', '--smoke'], { cwd: root })
  await t.rejects(run, { code: 2, stderr: /No such question: none\. There are dispatch, / })
})
