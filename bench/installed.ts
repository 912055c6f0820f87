import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { promisify } from 'node:util'
import { findProgram } from '../test/fixtures/programs.mjs'

const run = promisify(execFile)

/** The version of a package as the benchmarks get it, or `null` when it is not installed. */
export function installed(name: string): string | null {
  // Not `require.resolve`: a package's exports may leave out its package.json.
  for (const folder of ['./node_modules', '../node_modules']) {
    try {
      const manifest = readFileSync(new URL(`${folder}/${name}/package.json`, import.meta.url), 'utf8')
      return (JSON.parse(manifest) as { version: string }).version
    } catch {}
  }
  return null
}

export interface Python {
  readonly path: string
  readonly version: string
  readonly apscheduler: string
}

/** The first Python that has APScheduler 3, or `null`. */
export async function findPython(): Promise<Python | null> {
  const code = 'import apscheduler, platform; print(platform.python_version(), apscheduler.version)'
  for (const path of ['/usr/bin/python3', 'python3']) {
    try {
      const { stdout } = await run(path, ['-c', code])
      const [version = '', apscheduler = ''] = stdout.trim().split(' ')
      if (apscheduler.startsWith('3.')) return { path, version, apscheduler }
    } catch {}
  }
  return null
}

/** What runs beside us, with its versions, or that it is not installed. */
export async function versions(): Promise<readonly string[]> {
  const manifest = readFileSync(new URL('package.json', import.meta.url), 'utf8')
  const { devDependencies } = JSON.parse(manifest) as { devDependencies: Readonly<Record<string, string>> }
  const peers = Object.keys(devDependencies).filter((name) => !name.startsWith('@types/'))
  const python = await findPython()
  return [
    await redisVersion(),
    ...[...new Set(['fastify', 'redlock', 'prom-client', ...peers])].map(
      (name) => `${name} ${installed(name)?.replace(/^v/, '') ?? '(not installed)'}`
    ),
    python === null ? 'APScheduler (not installed)' : `APScheduler ${python.apscheduler} on Python ${python.version}`
  ]
}

async function redisVersion(): Promise<string> {
  const path = findProgram('redis-server')
  if (path === null) return 'Redis (not installed)'
  const { stdout } = await run(path, ['--version'])
  return `Redis ${/v=(\S+)/.exec(stdout)?.[1] ?? 'of an unknown version'}`
}
