import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { type Running, run, start } from './fixtures/package/outside-tap.js'
import { withRedis } from './fixtures/with-redis.js'

const ROOT = join(import.meta.dirname, '..')
const TSX = ['--import', 'tsx']

const example = (file: string): string[] => [...(file.endsWith('.ts') ? TSX : []), join('examples', file)]

/** Runs an example that ends by itself. */
async function finish(file: string, env: Readonly<Record<string, string>> = {}): Promise<string[]> {
  const { code, stdout, stderr } = await run(process.execPath, example(file), { cwd: ROOT, env })
  if (code !== 0) throw new Error(`${file} ended with ${code}:\n${stdout}\n${stderr}`)
  return stdout.trim().split('\n')
}

/** Starts the service, and reads where it listens from what it prints. */
async function serve(env: Readonly<Record<string, string>> = {}): Promise<{ service: Running; urls: string[] }> {
  const service = start(process.execPath, example('service.ts'), { cwd: ROOT, env: { PORT: '0', ...env } })
  const output = await service.said(/^Jobs are .*$/m)
  return { service, urls: output.match(/http:\S+[\w/]/g) ?? [] }
}

/** The value of a metric's series of one job. */
function sampleOf(metrics: string, name: string, job: string): number {
  const value = new RegExp(`^apscheduler_${name}\\{job_id="${job}",job_name="${job}"\\} (\\d+)$`, 'm').exec(metrics)
  return Number(value?.[1])
}

// They wait for ticks and for processes most of their time: two at a time.
t.jobs = 2

t.test('all are short, but for replicas.ts, which starts a fleet', async (t) => {
  for (const file of await readdir(join(ROOT, 'examples'))) {
    const lines = (await readFile(join(ROOT, 'examples', file), 'utf8')).trimEnd().split('\n')
    t.ok(lines.length <= (file === 'replicas.ts' ? 90 : 40), `${file} has ${lines.length} lines`)
  }
})

t.test('service.ts is what `npm start` runs', async (t) => {
  const { scripts } = JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8')) as { scripts: { start: string } }
  t.equal(scripts.start, `node ${example('service.ts').join(' ')}`)
})

t.test('service.ts: every route it names answers, its jobs run, SIGTERM ends it', async (t) => {
  const { service, urls } = await serve()
  const ended = service.ended
  t.teardown(() => void service.child.kill('SIGKILL'))
  const [jobs = '', sessions = '', metrics = '', post = '', cleanup = ''] = urls
  t.match(
    urls.map((url) => new URL(url).pathname),
    ['/jobs', '/sessions', '/metrics', '/sessions', '/jobs/cleanup']
  )
  t.not(new URL(jobs).port, '0')

  const listed = (await (await fetch(jobs)).json()) as { id: string; nextRun: number }[]
  t.strictSame(
    listed.map(({ id }) => id),
    ['cleanup', 'warm-cache', 'health']
  )
  t.ok(listed.every(({ nextRun }) => nextRun > Date.now() - 1000))
  t.match(await (await fetch(sessions)).json(), { openSessions: 0, madeAt: /^\d{4}-/ }, 'the cache is warm')
  t.strictSame(await (await fetch(post, { method: 'POST' })).json(), { openSessions: 1 })
  const cleaned = await fetch(cleanup, { method: 'POST' })
  t.equal(cleaned.status, 200)
  t.match(await cleaned.json(), { jobId: 'cleanup', trigger: 'manual', outcome: 'success' })

  // The health check is due every 5 seconds.
  await service.said(/ ran health$/m)
  const response = await fetch(metrics)
  t.match(response.headers.get('content-type'), /^text\/plain/)
  const text = await response.text()
  t.ok(sampleOf(text, 'job_success_total', 'health') >= 1)
  t.equal(sampleOf(text, 'job_failure_total', 'health'), 0)
  t.ok(sampleOf(text, 'job_success_total', 'warm-cache') >= 1)
  t.ok(sampleOf(text, 'redis_lock_released_total', 'cleanup') >= 1)

  service.child.kill('SIGTERM')
  const { code, stdout, stderr } = await ended
  t.equal(code, 0)
  t.equal(stderr, '')
  t.match(stdout, 'in memory')
})

t.test('service.ts with Redis: two replicas, each tick on one of them', async (t) => {
  await withRedis(async ({ url, client }) => {
    const replicas = await Promise.all([serve({ REDIS_URL: url }), serve({ REDIS_URL: url })])
    let ran = 0
    try {
      await Promise.any(replicas.map(({ service }) => service.said(/ ran cleanup$/m)))
      await sleep(1000) // A second run of the tick would have begun by now.
      t.equal(await client.exists('rls:{example}:claim:cleanup'), 1)
      const texts = await Promise.all(replicas.map(async ({ urls }) => await (await fetch(urls[2] ?? '')).text()))
      t.ok(texts.every((text) => /^apscheduler_redis_up 1$/m.test(text)))
      ran = texts.reduce((sum, text) => sum + sampleOf(text, 'jobs_fired_total', 'cleanup'), 0)
    } finally {
      for (const { service } of replicas) service.child.kill('SIGTERM')
    }
    const outputs: string[] = []
    for (const { service } of replicas) {
      const { code, stdout } = await service.ended
      t.equal(code, 0)
      t.match(stdout, 'by Redis')
      outputs.push(stdout)
    }
    // `cleanup` is due every 10 seconds; a tick that ran on both would be here twice.
    const starts = Array.from(outputs.join('').matchAll(/^(\S+) ran cleanup$/gm), ([, at = '']) => Date.parse(at))
    const ticks = starts.map((at) => Math.floor(at / 10_000))
    t.ok(ran >= 1)
    t.equal(new Set(ticks).size, ticks.length, 'each tick ran once')
    t.equal(await client.exists('rls:{example}:lock:cleanup'), 0)
  })
})

t.test('service.ts says what is wrong, in one line', async (t) => {
  const fails = async (env: Readonly<Record<string, string>>): Promise<string> => {
    const { code, stderr } = await run(process.execPath, example('service.ts'), { cwd: ROOT, env })
    t.equal(code, 1)
    return stderr
  }
  t.equal(await fails({ PORT: 'eighty' }), "PORT must be a number up to 65535, got 'eighty'\n")
  t.equal(await fails({ PORT: '65536' }), "PORT must be a number up to 65535, got '65536'\n")
  t.match(await fails({ PORT: '0', REDIS_URL: 'http://user:secret@host' }), /^Expected `redis` to be a URL .*\n$/)
  t.notMatch(await fails({ PORT: '0', REDIS_URL: 'http://user:secret@host' }), 'secret')

  const { service, urls } = await serve()
  t.teardown(() => void service.child.kill('SIGKILL'))
  t.match(await fails({ PORT: new URL(urls[0] ?? '').port }), /EADDRINUSE.*\n$/)
})

t.test('testing.ts: a year of a schedule', async (t) => {
  t.strictSame(await finish('testing.ts'), ['261 reports and 366 backups; the last attempts: 1,2'])
})

t.test('fencing-token.ts: a database refuses the write of a run that has lost its lock', async (t) => {
  const [line = ''] = await finish('fencing-token.ts')
  t.match(line, /^replica-(\d) wrote, replica-(?!\1)\d was refused; the report is that of replica-\1$/)
})

t.test('replicas.ts: every tick once, shared by at least two replicas', async (t) => {
  const lines = await finish('replicas.ts', { SECONDS: '4' })
  const summary = lines.pop() ?? ''
  const runs = lines.map((line) => /^(?<tick>\S+) (?<job>\w+) ran on (?<replica>[ABC])$/.exec(line)?.groups ?? {})
  for (const job of ['cleanup', 'mail', 'report', 'sync', 'warm']) {
    const ticks = runs.flatMap((run) => (run.job === job ? [Date.parse(run.tick ?? '')] : [])).sort()
    t.ok(ticks.length >= 3, `${job} ran ${ticks.length} times`)
    const seconds = ticks.map((_tick, index) => (ticks[0] ?? 0) + 1000 * index)
    t.strictSame(ticks, seconds, `each second of ${job} once, without a gap`)
  }
  t.ok(new Set(runs.map(({ replica }) => replica)).size >= 2)
  t.equal(summary, `${runs.length} ticks, 0 of them ran more than once`)
})

t.test('replicas.ts ends on Ctrl+C, and says when there is no server', async (t) => {
  const fleet = start(process.execPath, example('replicas.ts'), { cwd: ROOT })
  t.teardown(() => void fleet.child.kill('SIGKILL'))
  await fleet.said(/ ran on /)
  fleet.child.kill('SIGINT')
  t.match(await fleet.ended, { code: 0, stdout: /\d+ ticks, 0 of them ran more than once\n$/ })

  const nowhere = { REDIS_SERVER: join(ROOT, 'no-such-server') }
  const { code, stderr } = await run(process.execPath, example('replicas.ts'), { cwd: ROOT, env: nowhere })
  t.equal(code, 1)
  t.match(stderr, /^Cannot start .*no-such-server: install Redis or Valkey.*\n$/)
})

t.test('with-lock.ts: one of three gets in, and the lock is free afterwards', async (t) => {
  const check = (lines: string[]): void => {
    const written = lines.filter((line) => / written with fencing token \d+$/.test(line))
    t.equal(lines.filter((line) => line.endsWith('the lock is held, nothing was done')).length, 2)
    t.equal(written.length, 2)
    t.match(written[1], /^later: /)
    const [first = 0, second = 0] = written.map((line) => Number(/\d+$/.exec(line)?.[0]))
    t.ok(second > first, 'the later token is larger')
  }
  check(await finish('with-lock.ts'))
  await withRedis(async ({ url, client }) => {
    check(await finish('with-lock.ts', { REDIS_URL: url }))
    t.strictSame(await client.keys('rls:{example}:*'), ['rls:{example}:fence'])
  })
})

t.test('route-trigger.ts: after the answer, as the answer, refused, awaited', async (t) => {
  const lines = await finish('route-trigger.ts')
  t.match(lines, [
    'POST /orders: 201 {"id":7}',
    /^POST \/sync: 409 .*"FST_ERR_RLS_JOB_LOCKED"/,
    'sync-orders: synced by manual run',
    /^POST \/sync: 202 .*"outcome":null/,
    'sync-orders: synced by manual run',
    'sync-orders: synced by manual run',
    /^POST \/sync-and-wait: 200 .*"outcome":"success"/
  ])
  t.equal(lines.length, 7)
})

t.test('commonjs.cjs: runs one tick and ends', async (t) => {
  const [line = '', ...more] = await finish('commonjs.cjs')
  t.match(line, /^heartbeat of \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.000Z$/)
  t.strictSame(more, [])
})
