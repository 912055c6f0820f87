// A service in one file, as esbuild, rollup and ncc make it, in a folder without node_modules.
import { existsSync } from 'node:fs'
import { copyFile, cp, mkdir, mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { asInstalled, install, pack } from './fixtures/package/installed.js'
import { run } from './fixtures/package/outside-tap.js'
import { withRedis } from './fixtures/with-redis.js'

const FIXTURES = join(import.meta.dirname, 'fixtures', 'package')

const FILES = ['esbuild', 'esbuild-minified', 'rollup', 'ncc'].flatMap((name) => [`${name}.cjs`, `${name}.mjs`])
const MINIFIED = FILES.filter((file) => file.includes('minified'))

/** Runs a file in a folder of its own, in which no package is found. */
async function alone(file: string, env: Readonly<Record<string, string>>): Promise<unknown> {
  const folder = await mkdtemp(join(tmpdir(), 'rls-bundle-'))
  try {
    const name = `service.${file.slice(-3)}`
    await copyFile(file, join(folder, name))
    const { code, stdout, stderr } = await run(process.execPath, [name], { cwd: folder, env })
    if (code !== 0) throw new Error(`${file} ended with ${code}:\n${stdout}\n${stderr}`)
    return JSON.parse(stdout.trim().split('\n').at(-1) ?? '')
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

t.test('no package is found where the files are run', async (t) => {
  const { code, stderr } = await run(process.execPath, ['-e', "require('ioredis')"], { cwd: tmpdir() })
  t.equal(code, 1)
  t.match(stderr, "Cannot find module 'ioredis'")
})

t.test('in one file', async (t) => {
  const packed = await pack(t)
  const programs = [
    {
      what: "the plugin, with a client of the app's ioredis, which is older than the package's",
      program: 'plugin.js',
      schema: 'FST_ERR_RLS_DATA_INVALID',
      folder: await install(packed, 'app', [await asInstalled('fastify'), await asInstalled('ioredis5', 'ioredis')])
    },
    {
      what: 'without the optional peers',
      program: 'alone.js',
      schema: 'FST_ERR_RLS_AJV_MISSING',
      folder: await install(packed, 'alone', [])
    }
  ]
  for (const { what, program, folder, schema } of programs) {
    await t.test(what, async (t) => {
      t.equal(existsSync(join(folder, 'node_modules', 'fastify')), program === 'plugin.js')
      await cp(join(FIXTURES, 'bundled', program), join(folder, program))
      const out = join(folder, 'out')
      await mkdir(out)
      // What a bundler itself does that Node will not allow for ever is no warning of a bundler.
      const args = ['--no-deprecation', join(FIXTURES, 'bundle.mjs'), join(folder, program), out]
      const made = await run(process.execPath, args, { cwd: folder })
      t.match(made, { code: 0, stderr: '' }, 'no bundler warns')
      t.strictSame((await readdir(out)).sort(), [...FILES].sort())
      await withRedis(async ({ url, client }) => {
        const expectAll = async (files: readonly string[], expected: unknown): Promise<void> => {
          const ended = await Promise.all(files.map((file) => alone(join(out, file), { REDIS_URL: url, PREFIX: file })))
          for (const [index, file] of files.entries()) t.strictSame(ended[index], expected, file)
        }
        await expectAll(FILES, { outcome: 'success', result: true, isCounted: true, acquired: true, schema })
        // What Redis replies is read as what it is, whatever a minifier calls the classes of errors.
        await client.config('SET', 'requirepass', 'secret')
        await expectAll(MINIFIED, { code: 'FST_ERR_RLS_REDIS_AUTH' })
      })
    })
  }
})
