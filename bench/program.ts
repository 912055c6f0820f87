import { execFileSync } from 'node:child_process'
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { plainEnv } from './measure.js'

const CHECKOUT = fileURLToPath(new URL('..', import.meta.url))
const PROGRAMS = [
  'dispatch-allocated.ts',
  'dispatch-in-turn.ts',
  'locked-in-turn.ts',
  'registering-in-turn.ts',
  'peers/replica.ts',
  'peers/web.ts',
  'peers/load.ts',
  'peers/dispatch/main.ts',
  'peers/registering/main.ts'
] as const

export type Program = (typeof PROGRAMS)[number]

/** Below node_modules, as the peers of the benchmarks are found from there; each process has a folder, which goes with it. */
const PLACE = `bench/node_modules/.programs-${process.pid}`

const compiled = new Set<string>()

/**
 * The path of a program of bench/, compiled from the source of now. As it stands it would be loaded by a thread of its
 * own, whose work, also later, would be counted with what is measured.
 *
 * @param folder the checkout whose program it is, and whose build it runs
 */
export function program(name: Program, folder = CHECKOUT): string {
  const place = join(folder, PLACE)
  if (!compiled.has(place)) {
    const sources = PROGRAMS.map((source) => `bench/${source}`)
    execFileSync(process.execPath, ['test/fixtures/compile.mjs', place, ...sources], { cwd: folder, env: plainEnv() })
    process.once('exit', () => rmSync(place, { recursive: true, force: true }))
    compiled.add(place)
  }
  return join(place, 'bench', name.replace(/\.ts$/, '.js'))
}
