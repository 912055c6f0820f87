import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { compiledProgram } from './fixtures/compiled.js'
import { type Running, run, start } from './fixtures/package/outside-tap.js'
import { withRedis } from './fixtures/with-redis.js'

const ROOT = join(import.meta.dirname, '..')
const TSX = ['--import', 'tsx']

/** What runs an example as its first line says. */
const example = (file: string): string[] => [...(file.endsWith('.ts') ? TSX : []), join('examples', file)]

/** The same, compiled beforehand: to load tsx takes each process two seconds of a processor. */
const compiled = (file: string): string[] =>
  file.endsWith('.ts') ? [compiledProgram(join('examples', file))] : example(file)

/** Runs an example that ends by itself. */
async function finish(file: string, env: Readonly<Record<string, string>> = {}, how = compiled): Promise<string[]> {
  const { code, stdout, stderr } = await run(process.execPath, how(file), { cwd: ROOT, env })
  if (code !== 0) throw new Error(`${file} ended with ${code}:\n${stdout}\n${stderr}`)
  return stdout.trim().split('\n')
}

/** Starts the service, and reads where it listens from what it prints. */
async function serve(env: Readonly<Record<string, string>> = {}): Promise<{ service: Running; url: string }> {
  const service = start(process.execPath, example('service.ts'), { cwd: ROOT, env: { PORT: '0', ...env } })
  const output = await service.said(/^Jobs are .*\n.*\n.*$/m)
  return { service, url: /http:\S+?(?=\/dashboard\/)/.exec(output)?.[0] ?? '' }
}

/** The starts of runs of a job that a service has told of, by the second they are due in. */
function beginnings(stdout: string, job: string): number[] {
  const found = stdout.matchAll(new RegExp(`^(\\S+) ${job} begins`, 'gm'))
  return Array.from(found, ([, at = '']) => Math.floor(Date.parse(at) / 1000))
}

/** The value of a metric's series of one job. */
function sampleOf(metrics: string, name: string, job: string): number {
  const value = new RegExp(`^apscheduler_${name}\\{job_id="${job}",job_name="${job}"\\} (\\d+)$`, 'm').exec(metrics)
  return Number(value?.[1])
}

// They wait for ticks and for processes most of their time: two at a time.
t.jobs = 2

/** What takes more: a fleet to start, and a guide to print. */
const LONG: Readonly<Record<string, number>> = { 'replicas.ts': 90, 'service.ts': 55 }

t.test('all are short', async (t) => {
  for (const file of await readdir(join(ROOT, 'examples'))) {
    const lines = (await readFile(join(ROOT, 'examples', file), 'utf8')).trimEnd().split('\n')
    t.ok(lines.length <= (LONG[file] ?? 40), `${file} has ${lines.length} lines`)
  }
})

t.test('service.ts is what `npm start` runs', async (t) => {
  const { scripts } = JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8')) as { scripts: { start: string } }
  t.equal(scripts.start, `node ${example('service.ts').join(' ')}`)
})

t.test('service.ts: what it says to open and to try works, its jobs run, SIGTERM ends it', async (t) => {
  const { service, url } = await serve()
  const ended = service.ended
  t.teardown(() => void service.child.kill('SIGKILL'))
  t.not(new URL(url).port, '0')
  const guide = await (await fetch(url)).text()
  t.match(guide, 'Jobs are coordinated in memory')

  // Each URL that it names: those to open, and those to post to.
  for (const [, post, path = ''] of guide.matchAll(/(curl -X POST )?http:\/\/[^/\s]+(\/\S+)/g)) {
    const ask = () => fetch(url + path, post ? { method: 'POST' } : {})
    let response = await ask()
    // As the guide says: a run of the schedule goes on.
    while (response.status === 409) {
      await sleep(200)
      response = await ask()
    }
    t.equal(response.status, 200, path)
    await response.text()
  }
  const listed = (await (await fetch(`${url}/jobs`)).json()) as { id: string; paused: boolean; nextRun: number }[]
  t.strictSame(
    listed.map(({ id, paused }) => [id, paused]),
    [
      ['cleanup', true],
      ['report', false],
      ['warm-cache', false],
      ['check-upstreams', false],
      ['capture-payments', false],
      ['import-prices', false],
      ['send-newsletter', true],
      ['close-books', false]
    ]
  )
  await service.said(/ cleanup does not run here: paused$/m)
  const resumed = await fetch(`${url}/jobs/cleanup/resume`, { method: 'POST' })
  t.match(await resumed.json(), { id: 'cleanup', paused: false })
  await service.said(/ cleanup ran$/m)

  const response = await fetch(`${url}/metrics`)
  t.match(response.headers.get('content-type'), /^text\/plain/)
  const text = await response.text()
  t.ok(sampleOf(text, 'job_success_total', 'cleanup') >= 1)
  t.ok(sampleOf(text, 'job_success_total', 'report') >= 1)
  t.ok(sampleOf(text, 'redis_lock_released_total', 'cleanup') >= 1)

  service.child.kill('SIGTERM')
  const { code, stderr } = await ended
  t.equal(code, 0)
  t.equal(stderr, '')
})

t.test(
  'service.ts with Redis: two replicas, each tick on one of them, a run of the killed one is taken over',
  async (t) => {
    await withRedis(async ({ url: REDIS_URL, client }) => {
      const replicas = await Promise.all([serve({ REDIS_URL }), serve({ REDIS_URL })])
      t.teardown(() => {
        for (const { service } of replicas) service.child.kill('SIGKILL')
      })
      await Promise.any(replicas.map(({ service }) => service.said(/ cleanup ran$/m)))
      t.equal(await client.exists('rls:{example}:claim:cleanup'), 1)
      const [first] = await Promise.all(replicas.map(async ({ url }) => await (await fetch(`${url}/metrics`)).text()))
      t.match(first, /^apscheduler_redis_up 1$/m)

      // What it says to try: the replica that makes the report is killed, and the other makes it.
      const has = / report begins$/m
      const victim = await Promise.any(replicas.map(({ service }) => service.said(has).then(() => service)))
      const other = replicas.find(({ service }) => service !== victim)?.service as Running
      const guide = await victim.said(/ kill -9 (\d+) /)
      const pid = Number(/ kill -9 (\d+) /.exec(guide)?.[1])
      t.equal(pid, victim.child.pid)
      process.kill(pid, 'SIGKILL')
      await other.said(/ report begins, taken over$/m)
      await other.said(/ report ran$/m)

      other.child.kill('SIGTERM')
      t.equal((await other.ended).code, 0)
      const outputs = await Promise.all([victim.ended, other.ended])
      const starts = outputs.flatMap(({ stdout }) => beginnings(stdout, 'cleanup'))
      const ticks = starts.map((second) => Math.floor(second / 10))
      t.ok(ticks.length >= 1)
      t.equal(new Set(ticks).size, ticks.length, 'each tick ran once')
      t.equal(await client.exists('rls:{example}:lock:cleanup'), 0)
    })
  }
)

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

  const { service, url } = await serve()
  t.teardown(() => void service.child.kill('SIGKILL'))
  t.match(await fails({ PORT: new URL(url).port }), /EADDRINUSE.*\n$/)
})

t.test('testing.ts: a year of a schedule', async (t) => {
  t.strictSame(await finish('testing.ts'), ['261 reports and 366 backups; the last attempts: 1,2'])
})

t.test('calendar.ts: weeks and months counted, holidays left out', async (t) => {
  t.strictSame(await finish('calendar.ts'), [
    '2026-12-07T08:00:00.000Z payroll',
    '2026-12-10T08:00:00.000Z payroll',
    '2026-12-21T08:00:00.000Z payroll',
    '2027-01-07T08:00:00.000Z payroll',
    '2027-01-18T08:00:00.000Z payroll',
    '2027-01-21T08:00:00.000Z payroll',
    '2027-01-31T17:00:00.000Z close-books',
    '2027-02-01T08:00:00.000Z payroll',
    '2027-02-04T08:00:00.000Z payroll',
    '2027-02-15T08:00:00.000Z payroll',
    '2027-02-18T08:00:00.000Z payroll',
    '2027-02-28T17:00:00.000Z close-books',
    'stand-ups on 2026-12-04, 2026-12-09, 2026-12-10'
  ])
})

t.test('fencing-token.ts: a database refuses the write of a run that has lost its lock', async (t) => {
  const [line = ''] = await finish('fencing-token.ts')
  t.match(line, /^replica-(\d) wrote, replica-(?!\1)\d was refused; the report is that of replica-\1$/)
})

t.test('replicas.ts: every tick once, shared by at least two replicas', async (t) => {
  const lines = await finish('replicas.ts', { SECONDS: '4' }, example)
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
  check(await finish('with-lock.ts', {}, example))
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

t.test('overlap.ts: skipped, waiting, replaced, and two at once', async (t) => {
  t.strictSame(await finish('overlap.ts'), [
    'skip: 0 ran, 1000 overlap, 2000 ran',
    'wait: 0 ran, 1000 ran, 2000 ran',
    'replace: 0 cancelled, 1000 ran, 2000 ran',
    'two at once: 0 ran, 1000 ran, 2000 ran'
  ])
})

t.test('when.ts: once there is something to do', async (t) => {
  t.strictSame(await finish('when.ts'), ['sent a, b', 'nothing to send: condition'])
})

t.test('skip.ts: a tick has no run, and one later', async (t) => {
  t.strictSame(await finish('skip.ts'), [
    'the report of second 0',
    'the report of second 2',
    'second 1: operator',
    'the report of second 1',
    'second 1: success, by ada'
  ])
})

t.test('status.ts: what is red, what runs, and what is done about it', async (t) => {
  t.strictSame(await finish('status.ts'), [
    'import: 2 failures, paused: true its last 2 runs failed []',
    "export: 0 failures, paused: false [ '40%, 400 of 1000' ]",
    'replicas: 1, runs under way: 1, health: ok',
    'the last tick again: success, by ada: true',
    'import: 0 failures'
  ])
})

t.test('override.ts: two people change a job, and it follows its code again', async (t) => {
  t.strictSame(await finish('override.ts'), [
    'changed by grace, as the main server is down: {"trigger":{"interval":"100ms"},"data":{"from":"mirror"}}',
    'it runs: true, with {"from":"mirror"}',
    'FST_ERR_RLS_DURATION_INVALID',
    'override: null, trigger: {"cron":"0 3 1 * *"}, runs: 0'
  ])
})

t.test('pause-group.ts: a group is paused, and a pause ends by itself', async (t) => {
  t.strictSame(await finish('pause-group.ts'), [
    'daily-report is paused with its group by ada: the totals are wrong',
    'meanwhile the reports ran 0 times, health goes on: true',
    'FST_ERR_RLS_JOB_CHANGED',
    'health is paused: true',
    'health is paused: false, the reports run: true'
  ])
})

t.test('cancel.ts: a run that listens ends, one that does not loses its lock', async (t) => {
  t.strictSame(await finish('cancel.ts'), [
    'polite: cancelled',
    'deaf: null, a second run: null',
    'the lock of deaf was taken from it',
    'released: true',
    'a second run: true'
  ])
})

t.test('history.ts: what became of each tick', async (t) => {
  t.strictSame(await finish('history.ts'), [
    '0 ms     success | {"rows":0}',
    '600 ms   success | {"rows":10}',
    '1200 ms  overlap',
    '1800 ms  error | the file is empty | file 3 is read',
    '2400 ms  paused',
    '3000 ms  paused',
    '3600 ms  success | {"rows":60}',
    'the newest first: success, 2 paused, error, 1 overlap, success, success'
  ])
})

t.test('waiting-runs.ts: in order, and one at a time for each user', async (t) => {
  t.strictSame(await finish('waiting-runs.ts'), [
    'imported a.csv',
    'imported b.csv',
    'imported c.csv',
    'exported 42',
    'exported 7',
    'exported 42'
  ])
})

t.test('typed-data.ts: defaults and transforms, and what is refused', async (t) => {
  t.strictSame(await finish('typed-data.ts'), [
    'orders since 1970-01-01',
    '200 users since 2026-12-01',
    '400 FST_ERR_RLS_DATA_INVALID'
  ])
})

t.test('priorities.ts: the higher first, and none waits for ever', async (t) => {
  t.strictSame(await finish('priorities.ts'), [
    'One at a time: high, high, normal, low, low',
    'A low one among 20 high ones began after 9 of them',
    '4 at a time: 20 ran'
  ])
})

t.test('opentelemetry.ts: a run is linked to its claim, and its attempts and their spans are in it', async (t) => {
  t.strictSame((await finish('opentelemetry.ts')).sort(), [
    'attempt 1 of import failed: in run of import',
    'attempt 2 of import: in run of import',
    'claim of import: in nothing',
    'read: in attempt 1 of import',
    'read: in attempt 2 of import',
    'run of import: in nothing linked to claim of import'
  ])
})

t.test('commonjs.cjs: runs one tick and ends', async (t) => {
  const [line = '', ...more] = await finish('commonjs.cjs')
  t.match(line, /^heartbeat of \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.000Z$/)
  t.strictSame(more, [])
})
