import { spawnSync } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'
import Fastify from 'fastify'
import t from 'tap'
import plugin, { createScheduler } from '../../lib/index.js'
import type { JobRecord } from '../../lib/jobs/job.js'
import { DefinitionWarnings } from '../../lib/observability/definition-warnings.js'
import { Logbook } from '../../lib/observability/logbook.js'
import type { Coordination, Fingerprint, OtherDefinition } from '../../types/coordination.js'
import { type LogLine, logLines } from '../fixtures/log-lines.js'
import { nextEvent } from '../fixtures/next-event.js'
import { withVirtualScheduler } from '../fixtures/virtual-scheduler.js'
import { withRedis } from '../fixtures/with-redis.js'

// What a person on call reads, from top to bottom. docs/events.md lists these lines and their fields.

const SECOND = 1000

/** The lines at `info` and above. */
function told(lines: readonly LogLine[]): LogLine[] {
  return lines.filter(({ level }) => level !== 'debug' && level !== 'trace')
}

t.test('the start, a pause with its note and who, and closing with what it waits for', (t) =>
  withVirtualScheduler(
    async ({ clock, scheduler, lines }) => {
      scheduler.interval('quick', '1h', () => {})
      scheduler.interval('slow', '1h', () => clock.sleep(3 * SECOND))
      scheduler.interval('hung', '1h', () => new Promise(() => {}))
      await scheduler.start()
      await scheduler.pause('quick', 'the report is wrong')
      await scheduler.resume('quick')
      await scheduler.pause('quick')
      await scheduler.trigger('slow')
      await scheduler.trigger('hung')
      const closed = scheduler.close()
      await clock.advance(60 * SECOND)
      await closed
      const found = told(lines).filter(({ message }) => !/in memory/.test(message))
      t.match(found, [
        {
          level: 'info',
          message: 'the scheduler has started with 3 jobs',
          fields: { jobs: 3, coordination: 'memory', replicaId: 'one' }
        },
        { level: 'info', fields: { jobId: 'quick', by: 'one', note: 'the report is wrong' }, message: /was paused/ },
        { level: 'info', fields: { jobId: 'quick', by: 'one' }, message: /was resumed/ },
        { level: 'info', fields: { jobId: 'quick', by: 'one' }, message: /was paused/ },
        {
          level: 'info',
          message: 'the scheduler closes, and waits up to 5 s for 2 runs',
          fields: { runs: 2, jobIds: ['slow', 'hung'], closeTimeout: 5000 }
        },
        { level: 'warn', fields: { runs: 1, jobIds: ['hung'] }, message: /aborts 1 run / },
        { level: 'warn', fields: { runs: 1, jobIds: ['hung'] }, message: /leaves 1 run / },
        { level: 'error', fields: { jobId: 'hung', outcome: 'abandoned' }, message: /^a run failed/ }
      ])
      t.equal(found.length, 8)
      t.notOk('note' in (found[3] as LogLine).fields)
    },
    { replicaId: 'one', closeTimeout: '5s' }
  )
)

t.test('each run that succeeds has one line, at debug, made only where that is on', (t) =>
  withVirtualScheduler(async ({ clock, scheduler, lines }) => {
    scheduler.interval('a', '10s', () => clock.sleep(250))
    await scheduler.start()
    await clock.advance(35 * SECOND)
    const runs = lines.filter(({ level }) => level === 'debug' && lines.length > 0)
    t.match(
      runs,
      Array(3).fill({
        message: 'a run has ended',
        fields: { jobId: 'a', runId: /./, outcome: 'success', trigger: 'schedule', attempt: 1, duration: 250 }
      })
    )
    t.equal(runs.length, 3)
    t.equal(runs[1]?.fields.scheduledTime, '2027-01-01T00:00:20.000Z')
  })
)

t.test('nothing is made for a level that is off', async (t) => {
  for (const level of [{ level: 'info' }, { isLevelEnabled: (each: string) => each !== 'debug' }]) {
    let asked = 0
    const { logger } = logLines()
    const off = { ...logger, ...level, debug: () => asked++ } as never
    await withVirtualScheduler(
      async ({ clock, scheduler }) => {
        scheduler.interval('a', '1s', () => {})
        await scheduler.start()
        await clock.advance(5 * SECOND)
      },
      { logger: off }
    )
    t.equal(asked, 0)
  }
})

t.test('missed ticks are told together, a line a reason', (t) =>
  withVirtualScheduler(async ({ clock, scheduler, lines }) => {
    for (let index = 0; index < 30; index++) scheduler.interval(`job-${index}`, '1m', () => {})
    await scheduler.start()
    await clock.advance(30 * SECOND)
    await clock.freeze(600 * SECOND)
    await clock.advance(40 * SECOND)
    const missed = told(lines).filter(({ message }) => /missed/.test(message))
    t.equal(missed.length, 1)
    t.match(missed, [
      {
        level: 'warn',
        message: /ticks of 30 jobs missed \(misfire\)/,
        fields: { reason: 'misfire', jobs: 30, first: '2027-01-01T00:01:00.000Z', last: /2027-01-01T00:(09|10):00/ }
      }
    ])
    t.equal([missed[0]?.fields.jobIds].flat().length, 10)
    t.ok(Number(missed[0]?.fields.missed) >= 270)
  })
)

t.test('an outage is told with its length and what it cost', async (t) => {
  await withRedis(async (redis) => {
    const { logger, lines } = logLines()
    const scheduler = createScheduler({ redis: redis.url, prefix: 'log', logger, defaults: { misfireGraceTime: 300 } })
    let end: (() => void) | undefined
    // Begun by hand. An interval of an hour would be due in this outage whenever that lies at a full hour.
    scheduler.date('long', Date.now() + 86_400_000, () => new Promise<void>((resolve) => (end = resolve)), {
      lock: 500
    })
    scheduler.interval('often', 1000, () => {})
    await scheduler.start()
    await scheduler.trigger('long')
    // A tick whose claim was under way is told at once, and none after it until Redis answers.
    const noticed = Promise.all([nextEvent(scheduler, 'lockLost'), nextEvent(scheduler, 'lockFailed')])
    await redis.kill()
    await noticed
    // So long that a tick has been too late to run for some time, also on a machine that is busy.
    await sleep(2500)
    await redis.restart()
    await nextEvent(scheduler, 'executed', ({ job }) => job.id === 'often')
    end?.()
    await scheduler.close()
    const story = told(lines)
    const at = (message: RegExp): number => story.findIndex((line) => message.test(line.message))
    t.match(story[at(/does not answer/)], { level: 'warn', fields: { err: { code: 'FST_ERR_RLS_REDIS_UNAVAILABLE' } } })
    t.match(story[at(/has lost its lock/)], { level: 'warn', fields: { jobId: 'long' } })
    const back = story[at(/answers again/)] as LogLine
    t.match(back, { level: 'info', fields: { duration: Number, waiting: Number, locksLost: 1 } })
    t.ok((back.fields.duration as number) >= 100)
    t.match(story[at(/missed \(redis_error\)/)], {
      level: 'warn',
      fields: { reason: 'redis_error', jobIds: ['often'] }
    })
  })
})

t.test('without a logger warnings and errors go to stderr; with `false` nothing does', async (t) => {
  const script = (options: string): string => `
    import { createScheduler } from ${JSON.stringify(new URL('../../lib/index.ts', import.meta.url).href)}
    const scheduler = createScheduler(${options})
    scheduler.interval('broken', '1h', ({ log }) => {
      log.info('not told')
      log.warn({ table: 'orders' }, 'a word of its own')
      throw new Error('the disk is full')
    })
    await scheduler.start()
    await scheduler.trigger('broken', { wait: true })
    await scheduler.close()
  `
  const run = (options: string): { stderr: string; stdout: string; status: number | null } => {
    const args = ['--import', 'tsx', '--input-type=module', '-e', script(options)]
    return spawnSync(process.execPath, args, { encoding: 'utf8' })
  }
  const { stderr, stdout, status } = run('{}')
  t.equal(status, 0, stderr)
  t.match(stderr, /error: a run failed.*jobId: 'broken'/)
  t.match(stderr, /Error: the disk is full\n\s+at /)
  t.match(stderr, /warning: a word of its own.*table: 'orders'/)
  t.notMatch(stderr, /not told/)
  t.equal(stdout, '')
  t.equal(run('{ logger: false }').stderr, '')
  t.throws(() => createScheduler({ logger: true as never }), { code: 'FST_ERR_RLS_OPTION_INVALID' })
})

t.test('an app that has given a registry is not told how to give one', async (t) => {
  for (const isGiven of [false, true]) {
    const { logger, lines } = logLines()
    const app = Fastify({ loggerInstance: logger })
    app.get('/metrics', async () => '')
    const { Registry } = await import('prom-client')
    await app.register(plugin, { metrics: isGiven ? { register: new Registry() } : {} })
    await app.close()
    t.equal(lines.filter(({ message }) => /metrics\.register/.test(message)).length, isGiven ? 0 : 1)
  }
})

t.test('another definition of a job is told with who has it, and in which words it differs', (t) =>
  withRedis(async ({ url }) => {
    const { logger, lines } = logLines()
    const common = { redis: url, prefix: 'differs', logger }
    const one = createScheduler({ ...common, replicaId: 'one' })
    const two = createScheduler({ ...common, replicaId: 'two' })
    one.cron('report', '* * * * * *', () => {})
    two.cron('report', '* * * * * *', () => {}, { timeout: '2s' })
    await two.start()
    await one.start()
    const differing = (): LogLine[] => lines.filter(({ message }) => /differently/.test(message))
    const isTold = new Promise<void>((resolve) => {
      const look = (): void => void (differing().length > 0 && resolve())
      for (const scheduler of [one, two]) scheduler.on('skipped', look).on('executed', look)
    })
    await isTold
    const [told] = differing()
    t.equal(told?.level, 'warn')
    t.match(told?.fields, { jobId: 'report', replicaId: /^(one|two)$/, differs: ['options'] })
    t.match(told?.message, /^the replica (one|two) defines the job 'report' differently: options$/)
    await Promise.all([one.close(), two.close()])
  })
)

t.test('a difference of very many jobs, as of a default, is not a warning of each', async (t) => {
  const { logger, lines } = logLines()
  const warnings = new DefinitionWarnings(
    { now: () => 0, shareDefinition: async () => null } as unknown as Coordination,
    new Logbook(logger)
  )
  for (let index = 0; index < 500; index++) {
    const job = {
      id: `job-${index}`,
      trigger: { key: 'cron' },
      definition: { id: `job-${index}`, jitter: 0 },
      fingerprint: { trigger: 'same', options: 'a' }
    } as unknown as JobRecord
    await warnings.note(job, { fingerprint: { trigger: 'same', options: 'b' }, replicaId: 'two' })
  }
  const warned = lines.filter(({ level }) => level === 'warn')
  t.equal(warned.length, 21)
  t.match(warned.at(-1)?.message, /^more than 20 jobs are defined differently/)
  t.equal(lines.length, 501, 'the others are told at debug')
})

t.test('what differs in two definitions is told once the other replica has said what its own is', async (t) => {
  const { logger, lines } = logLines()
  const texts = new Map<string, string>()
  const coordination = {
    now: () => 0,
    shareDefinition: async (_jobId: string, own: Fingerprint, text: string, other: Fingerprint) => {
      texts.set(own.options, text)
      return texts.get(other.options) ?? null
    }
  } as unknown as Coordination
  const job = (options: string, timeout: number): JobRecord =>
    ({
      id: 'report',
      trigger: { key: 'cron' },
      definition: { id: 'report', name: 'report', timeout, jitter: 0 },
      fingerprint: { trigger: 'same', options }
    }) as unknown as JobRecord
  const [here, there] = [job('a', 2000), job('b', 0)]
  const [one, two] = [here, there].map(() => new DefinitionWarnings(coordination, new Logbook(logger)))
  const other = (of: JobRecord, replicaId: string): OtherDefinition => ({ fingerprint: of.fingerprint, replicaId })
  await one?.note(here, other(there, 'two'))
  await one?.note(here, other(there, 'two'))
  t.match(lines, [{ fields: { jobId: 'report', replicaId: 'two', differs: ['options'] } }])
  t.equal(lines.length, 1, 'that it differs is told once')
  await two?.note(there, other(here, 'one'))
  await one?.note(here, other(there, 'two'))
  await one?.note(here, other(there, 'two'))
  t.equal(lines.length, 3)
  t.match(lines[1]?.fields, { replicaId: 'one', differs: ['timeout'], here: { timeout: 0 }, there: { timeout: 2000 } })
  t.match(lines[2]?.fields, { replicaId: 'two', differs: ['timeout'], here: { timeout: 2000 }, there: { timeout: 0 } })
  await one?.note(here, other(here, 'two'))
  t.equal(lines.length, 3, 'a definition that is the same by now is none')
})
