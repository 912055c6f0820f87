// What docs/deployment.md says of replicas that come and go. The rights of the Redis user: coordination/redis-permissions.test.ts.
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { hostname, tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { createScheduler, type Scheduler, type SchedulerOptions } from '../lib/index.js'
import { Simulation } from '../lib/testing/index.js'
import { logLines } from './fixtures/log-lines.js'
import { start } from './fixtures/package/outside-tap.js'
import { withRedis } from './fixtures/with-redis.js'

const ROOT = join(import.meta.dirname, '..')
const page = await readFile(join(ROOT, 'docs', 'deployment.md'), 'utf8')

type Made = { readonly scheduler: Scheduler<undefined>; readonly warnings: () => string[] }

/** A replica of a simulated fleet, started. */
async function pod(simulation: Simulation, options: Partial<SchedulerOptions<undefined>>): Promise<Made> {
  const { logger, lines } = logLines()
  const scheduler = createScheduler({ ...simulation.replica().options, logger, ...options } as never)
  await scheduler.start()
  const warnings = () => lines.flatMap(({ level, message }) => (level === 'warn' ? [message] : []))
  return { scheduler: scheduler as Scheduler<undefined>, warnings }
}

t.test('a rolling deploy: what both versions have goes on, what one has is run by that one', async (t) => {
  const simulation = new Simulation({ start: '2027-01-01T00:00:00Z' })
  const ran = new Map<string, string[]>()
  const job = (id: string, version: string, trigger: object) => ({
    id,
    trigger,
    handler: ({ run }: { run: { scheduledTime: number } }) => {
      const at = new Date(run.scheduledTime).toISOString().slice(14, 19)
      ran.set(id, [...(ran.get(id) ?? []), `${at} ${version}`])
    }
  })
  const jobsOf = (version: 'old' | 'new') => [
    job('same', version, { interval: '1m' }),
    job('changed', version, { interval: '5m', offset: version === 'old' ? '1m' : '2m' }),
    job(version === 'old' ? 'removed' : 'added', version, { interval: '5m' })
  ]
  const old = await pod(simulation, { jobs: jobsOf('old') as never })
  await simulation.advance('10m')
  const fresh = await pod(simulation, { jobs: jobsOf('new') as never })
  await simulation.advance('10m')
  await old.scheduler.close()
  await simulation.advance('10m')
  await fresh.scheduler.close()

  const times = (id: string) => (ran.get(id) ?? []).map((each) => each.slice(0, 5))
  const minutes = (list: readonly number[]) => list.map((minute) => `${`${minute % 60}`.padStart(2, '0')}:00`)
  t.same(times('same'), minutes(Array.from({ length: 30 }, (_, minute) => minute + 1)), 'each tick once')
  t.same(
    ran.get('changed'),
    ['01:00 old', '06:00 old', '11:00 old', '12:00 new', '16:00 old', '17:00 new', '22:00 new', '27:00 new'],
    'both triggers have ticks while both are there'
  )
  t.same(times('removed'), minutes([5, 10, 15, 20]), 'until the last old one has ended')
  t.same(times('added'), minutes([15, 20, 25, 30]))
  const told = [...old.warnings(), ...fresh.warnings()].join('\n')
  t.match(told, /differently/, 'they are told to differ')
})

t.test('no replica at all: the latest tick within its grace has its run, the others are counted', async (t) => {
  const simulation = new Simulation({ start: '2027-01-01T00:00:00Z' })
  const ran: string[] = []
  const missed: string[] = []
  const start = async (): Promise<Made> => {
    const made = await pod(simulation, {
      jobs: [
        {
          id: 'nightly',
          trigger: { cron: '0 3 * * *' },
          misfireGraceTime: '12h',
          handler: ({ run }) => void ran.push(`nightly ${run.trigger}`)
        },
        { id: 'often', trigger: { interval: '1h' }, handler: ({ run }) => void ran.push(`often ${run.trigger}`) }
      ]
    })
    made.scheduler.on('missed', ({ job }) => void missed.push(job.id))
    return made
  }
  const first = await start()
  await simulation.advance('90m')
  await first.scheduler.close()
  t.same(ran, ['often schedule'])
  await simulation.advance('6h')
  const pods = [await start(), await start()]
  await simulation.advance('1m')
  t.same(ran, ['often schedule', 'nightly catch-up'])
  t.same(
    missed,
    Array.from({ length: 6 }, () => 'often'),
    'once for all that start'
  )
  for (const { scheduler } of pods) await scheduler.close()
})

t.test('how long closing takes at most: a drain, and then what goes on under locks by name', async (t) => {
  const simulation = new Simulation({ start: '2027-01-01T00:00:00Z', patience: 10 })
  const { scheduler } = await pod(simulation, { closeTimeout: '8s' })
  const order: string[] = []
  const note = (what: string) => () => void order.push(`${Math.ceil((simulation.now - began) / 1000)} s: ${what}`)
  let began = 0
  scheduler.interval('stubborn', '1m', ({ signal }) => {
    signal.addEventListener('abort', note('run aborted'))
    return new Promise(() => {})
  })
  await simulation.advance('1m')
  const locked = scheduler.withLock('name', {}, ({ signal }) => {
    signal.addEventListener('abort', note('lock aborted'))
    return new Promise(() => {})
  })
  locked.catch(() => {})
  await simulation.settle()
  began = simulation.now
  const ended = scheduler
    .drain()
    .then(note('drained'))
    .then(() => scheduler.close())
    .then(note('closed'))
  await simulation.advance('30s')
  await ended
  t.same(order, ['8 s: run aborted', '9 s: drained', '17 s: lock aborted', '18 s: closed'])
})

t.test('a replica is named after its host, which is its pod', async (t) => {
  const scheduler = createScheduler()
  t.ok(scheduler.replicaId.startsWith(`${hostname()}-${process.pid}`))
  await scheduler.close()
})

t.test('the examples: node is started itself, and is given more time than closing takes', async (t) => {
  const commands = Array.from(page.matchAll(/^CMD (.*)$/gm), ([, command = '']) => JSON.parse(command) as string[])
  t.ok(commands.length > 0)
  for (const [first] of commands) t.equal(first, 'node')
  const given = [
    ...Array.from(page.matchAll(/stop_grace_period: (\d+)s/g), ([, seconds]) => Number(seconds)),
    ...Array.from(page.matchAll(/terminationGracePeriodSeconds: (\d+)/g), ([, seconds]) => Number(seconds)),
    ...Array.from(page.matchAll(/TimeoutStopSec=(\d+)/g), ([, seconds]) => Number(seconds)),
    ...Array.from(page.matchAll(/kill_timeout: (\d+)/g), ([, ms]) => Number(ms) / 1000)
  ]
  t.equal(given.length, 4)
  for (const seconds of given) t.ok(seconds > 20)
  t.match(page, /--maxmemory-policy noeviction/)
})

t.test('the service of the page ends well by SIGTERM, and by SIGINT', (t) =>
  withRedis(async ({ url }) => {
    const folder = await mkdtemp(join(tmpdir(), 'rls-deployment-'))
    t.teardown(() => rm(folder, { recursive: true, force: true }))
    await mkdir(join(folder, 'node_modules'))
    await symlink(ROOT, join(folder, 'node_modules', 'fastify-redlock-scheduler'))
    await symlink(join(ROOT, 'node_modules', 'fastify'), join(folder, 'node_modules', 'fastify'))
    await writeFile(join(folder, 'package.json'), '{ "type": "module" }')
    await writeFile(join(folder, 'server.ts'), /^```ts\n(.*?)^```/ms.exec(page)?.[1] ?? '')
    const env = { REDIS_URL: url, REPLICA_ID: 'billing-7d4b9-x2x', PORT: '0' }
    for (const signal of ['SIGTERM', 'SIGINT'] as const) {
      const args = ['--import', import.meta.resolve('tsx'), 'server.ts']
      const { child, ended, said } = start(process.execPath, args, { cwd: folder, env })
      t.match(await said(/the ticks have begun|"coordination":"redis"/), /"replicaId":"billing-7d4b9-x2x"/)
      child.kill(signal)
      t.match(await ended, { code: 0, stderr: '' })
    }
  })
)
