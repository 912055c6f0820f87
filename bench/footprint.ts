import { execFile } from 'node:child_process'
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { installed } from './installed.js'
import { plainEnv } from './measure.js'

const ROOT = fileURLToPath(new URL('..', import.meta.url))

/** What an installation puts into node_modules. */
export interface Footprint {
  readonly packages: number
  readonly bytes: number
}

/** Where npm puts a package of our own, as a dependent of ours would install it. */
export const OUR_PACKAGE = 'fastify-redlock-scheduler'

/** What `npm install` brings for these packages, in an empty folder; `null` when there is no registry to ask. */
export async function footprint(names: readonly string[]): Promise<Footprint | null> {
  const folder = await mkdtemp(join(tmpdir(), 'rls-footprint-'))
  try {
    await writeFile(join(folder, 'package.json'), '{ "private": true }')
    const packages = await Promise.all(names.map((name) => (name === OUR_PACKAGE ? pack(folder) : pinned(name))))
    await npm(folder, ['install', '--omit=dev', '--ignore-scripts', '--no-audit', '--no-fund', ...packages])
    const lock = await readFile(join(folder, 'node_modules', '.package-lock.json'), 'utf8')
    const found = (JSON.parse(lock) as { packages: Readonly<Record<string, unknown>> }).packages
    return { packages: Object.keys(found).length, bytes: await bytesBelow(join(folder, 'node_modules')) }
  } catch (error) {
    console.error(`Not measured: npm install ${names.join(' ')}: ${error instanceof Error ? error.message : error}`)
    return null
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

/** Packs this project as `npm publish` would; returns the tarball's path. */
async function pack(folder: string): Promise<string> {
  const stdout = await npm(ROOT, ['pack', '--ignore-scripts', '--json', '--pack-destination', folder])
  // npm 12 names the packages it packed; before, it lists them.
  const [packed] = Object.values(JSON.parse(stdout) as Readonly<Record<string, { readonly filename: string }>>)
  if (packed === undefined) throw new Error('npm pack told of no tarball')
  return join(folder, packed.filename)
}

function pinned(name: string): string {
  return `${name}@${installed(name) ?? 'latest'}`
}

async function npm(cwd: string, args: readonly string[]): Promise<string> {
  const { stdout } = await promisify(execFile)('npm', [...args], { cwd, env: plainEnv(), timeout: 120_000 })
  return stdout
}

async function bytesBelow(folder: string): Promise<number> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  const sizes = await Promise.all(
    entries
      .filter((entry) => entry.isFile())
      .map(async (entry) => (await stat(join(entry.parentPath, entry.name))).size)
  )
  return sizes.reduce((sum, size) => sum + size, 0)
}
