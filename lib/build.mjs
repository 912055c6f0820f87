// Makes dist/, which is what is published: of each entry one file of code and one of types. What both entries need of the code
// is in a third, as two copies of it would be two schedulers.
import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { build } from 'esbuild'
import { rollup } from 'rollup'
import { dts } from 'rollup-plugin-dts'

const ROOT = join(import.meta.dirname, '..')
const OUTDIR = join(ROOT, 'dist')

const ENTRIES = { index: 'lib/index', testing: 'lib/testing/index' }

/** The name under which Node and TypeScript look for what `require()` gives; TypeScript reads it from 5.6 on. */
const COMMONJS_EXPORT = / commonjs as "module\.exports",?/

/** `require` of an optional peer in our sources: by its own name esbuild would wrap it, and no bundler would see it. */
const REQUIRE = /\bREQUIRE_FOR_BUNDLERS(?=\()/g

async function buildCode() {
  const { outputFiles } = await build({
    write: false,
    absWorkingDir: ROOT,
    entryPoints: Object.fromEntries(Object.entries(ENTRIES).map(([name, source]) => [name, `${source}.ts`])),
    outdir: OUTDIR,
    chunkNames: 'shared-[hash]',
    bundle: true,
    splitting: true,
    packages: 'external',
    platform: 'node',
    target: 'node20',
    format: 'esm',
    logLevel: 'warning'
  })
  mkdirSync(OUTDIR, { recursive: true })
  for (const { path, text } of outputFiles) writeFileSync(path, text.replace(REQUIRE, 'require'))
}

async function buildTypes() {
  const folder = mkdtempSync(join(tmpdir(), 'rls-types-'))
  try {
    const tsc = join(ROOT, 'node_modules', 'typescript', 'bin', 'tsc')
    execFileSync(process.execPath, [tsc, '-p', 'lib', '--outDir', folder], { cwd: ROOT, stdio: 'inherit' })
    for (const [name, source] of Object.entries(ENTRIES)) {
      const bundle = await rollup({ input: join(folder, `${source}.d.ts`), external: /^[^./]/, plugins: [dts()] })
      const { output } = await bundle.generate({ format: 'es' })
      await bundle.close()
      const text = withOptionalFastify(output[0].code)
      writeFileSync(join(OUTDIR, `${name}.d.ts`), text)
      if (!COMMONJS_EXPORT.test(text)) continue
      writeFileSync(join(OUTDIR, `${name}.before-5.6.d.ts`), text.replace(COMMONJS_EXPORT, ''))
    }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/**
 * Without Fastify, which is an optional peer, its types are `any` and no error. That comment of the sources is lost where
 * imports are merged.
 *
 * @param {string} text
 */
function withOptionalFastify(text) {
  const ignore = '/** @ts-ignore */\n'
  return text
    .replaceAll(ignore, '')
    .replaceAll(/^(import .* from 'fastify';|declare module 'fastify' \{)$/gm, `${ignore}$1`)
}

rmSync(OUTDIR, { recursive: true, force: true })
await buildCode()
await buildTypes()
