import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import t from 'tap'

// The benchmarks work and count right; no time is asserted.
const root = fileURLToPath(new URL('..', import.meta.url))

/** The cells of a Markdown table's row that begins with `first`. */
function row(output: string, first: string): string[] {
  const line = output.split('\n').find((line) => line.startsWith(`| ${first} |`)) ?? ''
  return line
    .split('|')
    .map((cell) => cell.trim())
    .slice(1, -1)
}

t.test('every question runs shortly, every tick once, and prints a ratio', async (t) => {
  const args = ['--import=tsx', 'bench/run.ts', '--smoke']
  const { stdout } = await promisify(execFile)(process.execPath, args, { cwd: root })
  t.match(row(stdout, 'ours, metrics off'), ['ours, metrics off', /^[\d.]+$/, /^[\d.]+$/, /^\d/, /^\d/, '200 of 200'])
  t.match(row(stdout, 'croner')[5], /^\d+ of 200$/)
  const [, cost, ratio, sent, inside, ran, doubled] =
    stdout.split('## Locked runs').map((part) => row(part, 'ours'))[1] ?? []
  t.match([cost, ratio, sent, inside], [/^[\d.]+$/, /^[\d.]+$/, /^[\d.]+$/, /^[\d.]+$/])
  t.equal(ran, '100 of 100')
  t.equal(doubled, '0')
  t.match(row(stdout, 'classic')[5], /^\d+ of 100$/)
})
