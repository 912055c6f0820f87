// Makes lib/http/admin/assets.ts: the dashboard as compressed files in a module, so that it is served from memory, also out of one
// file that a bundler has made. It is checked first, by its own tsconfig: browser code has other globals than the rest.
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { build } from 'esbuild'

const ROOT = join(import.meta.dirname, '../..')
const OUT = join(ROOT, 'lib/http/admin/assets.ts')

/** How large all files are together at most, compressed by gzip: what a page costs that somebody opens in an incident. */
const LIMIT = 100 * 1024

const TYPES = {
  'index.html': 'text/html; charset=utf-8',
  'app.js': 'text/javascript; charset=utf-8',
  'app.css': 'text/css; charset=utf-8',
  'icon.svg': 'image/svg+xml'
}

/** The files of the page, by their names. */
async function files() {
  const { outputFiles } = await build({
    write: false,
    absWorkingDir: ROOT,
    entryPoints: { app: 'lib/dashboard/main.tsx', styles: 'lib/dashboard/app.css' },
    outdir: 'out',
    bundle: true,
    minify: true,
    target: 'es2022',
    format: 'esm',
    jsx: 'automatic',
    jsxImportSource: 'preact',
    legalComments: 'none',
    charset: 'utf8',
    logLevel: 'warning'
  })
  const named = (/** @type {string} */ end) => Buffer.from(outputFiles.find(({ path }) => path.endsWith(end)).contents)
  return {
    'index.html': readFileSync(join(import.meta.dirname, 'index.html')),
    'app.js': named('app.js'),
    'app.css': named('styles.css'),
    'icon.svg': readFileSync(join(import.meta.dirname, 'icon.svg'))
  }
}

function asModule(assets) {
  const entries = assets.map(
    ({ name, type, hash, gzip }) =>
      `  '${name}': {\n    type: '${type}',\n    hash: '${hash}',\n    gzip: '${gzip.toString('base64')}'\n  }`
  )
  return `// Made by lib/dashboard/build.mjs out of lib/dashboard.

/** A file of the dashboard. */
export interface Asset {
  readonly type: string
  /** Of what it holds: for its \`ETag\`. */
  readonly hash: string
  /** What it holds, compressed by gzip, in base64. Brotli would save a tenth, and double what the package carries. */
  readonly gzip: string
}

/** The files of the dashboard, by their names. */
export const ASSETS: Readonly<Record<string, Asset>> = {
${entries.join(',\n')}
}
`
}

const tsc = join(ROOT, 'node_modules', 'typescript', 'bin', 'tsc')
execFileSync(process.execPath, [tsc, '-p', 'lib/dashboard', '--noEmit'], { cwd: ROOT, stdio: 'inherit' })

const assets = Object.entries(await files()).map(([name, content]) => ({
  name,
  type: TYPES[name],
  hash: createHash('sha256').update(content).digest('base64url').slice(0, 16),
  gzip: gzipSync(content, { level: 9 })
}))
const size = assets.reduce((sum, { gzip }) => sum + gzip.length, 0)
if (process.argv.includes('--sizes')) {
  for (const { name, gzip } of assets) console.log(`${name}: ${gzip.length}`)
  console.log(`all: ${size}`)
}
if (size > LIMIT) throw new Error(`The dashboard has ${size} bytes compressed, more than ${LIMIT}`)
mkdirSync(join(OUT, '..'), { recursive: true })
writeFileSync(OUT, asModule(assets))
