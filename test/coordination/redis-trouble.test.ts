import { setTimeout as sleep } from 'node:timers/promises'
import Fastify from 'fastify'
import t from 'tap'
import plugin, {
  createScheduler,
  type JobHandler,
  type Run,
  type Scheduler,
  type SchedulerOptions
} from '../../lib/index.js'
import { type LogLine, logLines } from '../fixtures/log-lines.js'
import { nextEvent } from '../fixtures/next-event.js'
import { freePort, type TestRedis, withRedis } from '../fixtures/with-redis.js'

// They wait for most of their time: two at a time.
t.jobs = 2

const LOCK_KEY = 'rls:{app}:lock:job'

type TestScheduler = Scheduler<undefined>

async function withScheduler(
  redis: TestRedis,
  options: SchedulerOptions<undefined>,
  body: (scheduler: TestScheduler) => Promise<unknown>
): Promise<void> {
  const scheduler = createScheduler({ redis: redis.url, prefix: 'app', closeTimeout: 500, ...options })
  try {
    await scheduler.start()
    await body(scheduler)
  } finally {
    await scheduler.close()
  }
}

/** A job that is run by hand alone. */
const byHand = (handler: JobHandler<undefined>, ttl: number) =>
  ({ id: 'job', trigger: { date: '2099-01-01T00:00:00Z' }, handler, lock: { ttl } }) as const

async function value(scheduler: TestScheduler, name: string): Promise<number> {
  const text = (await scheduler.register?.metrics()) ?? ''
  const line = text.split('\n').find((line) => line.startsWith(`apscheduler_${name}`) && !line.startsWith('#'))
  return Number(line?.split(' ').at(-1))
}

t.test(
  'a Redis that is not there at start stops nothing: the service starts, says so once, and jobs begin with Redis',
  (t) =>
    withRedis(async (redis) => {
      await redis.kill()
      const { logger, lines } = logLines()
      const app = Fastify()
      const handled: Run[] = []
      const jobs = [
        { id: 'job', trigger: { interval: '100ms' }, handler: ({ run }: { run: Run }) => void handled.push(run) }
      ]
      await app.register(plugin, { redis: redis.url, prefix: 'app', jobs })
      app.get('/', async () => 'served')
      const scheduler = createScheduler({ redis: redis.url, prefix: 'app', logger })
      scheduler.interval('job', '100ms', ({ run }) => void handled.push(run))
      await scheduler.start()
      await app.ready()
      t.equal((await app.inject('/')).body, 'served')
      t.match((await app.inject('/metrics')).body, /^apscheduler_redis_up 0$/m)
      await sleep(1500)
      t.equal(handled.length, 0)
      t.equal(lines.filter(({ level }) => level === 'warn').length, 1, 'one warning, however often it is tried')
      const first = nextEvent(scheduler, 'executed')
      await redis.restart()
      await first
      t.equal(await value(scheduler, 'redis_up'), 1)
      t.equal(lines.filter(({ message }) => /answers again/.test(message)).length, 1)
      await Promise.all([app.close(), scheduler.close()])
      t.equal(new Set(handled.map(({ scheduledTime }) => scheduledTime)).size, handled.length, 'each tick once')
    })
)

t.test('a tick while Redis is down is asked for again, and runs late within its grace', (t) =>
  withRedis((redis) =>
    withScheduler(redis, {}, async (scheduler) => {
      await redis.kill()
      const tick = Date.now() + 300
      scheduler.date('job', tick, () => {})
      const failed = await nextEvent(scheduler, 'lockFailed')
      t.equal(failed.reason, 'error')
      const executed = nextEvent(scheduler, 'executed')
      await redis.restart()
      const { run } = await executed
      t.equal(run.scheduledTime, tick)
      t.ok(run.startedAt > tick)
      t.equal(await value(scheduler, 'missed_runs_total'), 0)
    })
  )
)

t.test('with the default grace the tick at which Redis falls silent is missed as redis_error', (t) =>
  withRedis((redis) =>
    withScheduler(redis, {}, async (scheduler) => {
      const missed: [number, string][] = []
      const ran: number[] = []
      scheduler.on('missed', ({ scheduledTime, reason }) => void missed.push([scheduledTime, reason]))
      scheduler.interval('job', '1s', ({ run }) => void ran.push(run.scheduledTime))
      await nextEvent(scheduler, 'executed')
      // Before it: a claim that is under way is told at once, and no tick after it until Redis answers.
      const failed = nextEvent(scheduler, 'lockFailed')
      await redis.kill()
      await failed
      await sleep(2500)
      await redis.restart()
      await nextEvent(scheduler, 'executed')
      t.ok(missed.length >= 2)
      t.same([...new Set(missed.map(([, reason]) => reason))], ['redis_error'])
      const all = [...ran, ...missed.map(([tick]) => tick)].sort()
      t.same(
        all,
        all.map((_, index) => (all[0] as number) + 1000 * index)
      )
    })
  )
)

t.test('a tick that Redis does not answer for within the grace is missed, with the reason redis_error', (t) =>
  withRedis((redis) =>
    withScheduler(redis, {}, async (scheduler) => {
      await redis.kill()
      const tick = Date.now() + 200
      scheduler.date('job', tick, () => t.fail('it must not run'), { misfireGraceTime: 500 })
      await nextEvent(scheduler, 'lockFailed')
      await sleep(600)
      const missed = nextEvent(scheduler, 'missed')
      await redis.restart()
      t.match(await missed, { scheduledTime: tick, reason: 'redis_error', job: { id: 'job' } })
      t.equal(await value(scheduler, 'missed_runs_total'), 1)
      t.equal(await value(scheduler, 'run_skipped_total{reason="redis_error",job_id="job",job_name="job"}'), 1)
      t.equal(await redis.client.exists(LOCK_KEY), 0)
    })
  )
)

t.test('a claim that was executed but not answered in time runs, or leaves no lock behind', (t) =>
  withRedis((redis) =>
    withScheduler(redis, {}, async (scheduler) => {
      const runs: Run[] = []
      const handler: JobHandler = ({ run }) => void runs.push(run)
      const soon = Date.now() + 200
      scheduler.date('patient', soon, handler, { misfireGraceTime: '30s' })
      scheduler.date('job', soon, handler, { misfireGraceTime: 1000 })
      redis.hang()
      // The first question waits its time limit of two seconds out; then the short grace is over.
      await nextEvent(scheduler, 'lockFailed', ({ job }) => job.id === 'job')
      const executed = nextEvent(scheduler, 'executed')
      const missed = nextEvent(scheduler, 'missed', ({ job }) => job.id === 'job')
      redis.resume()
      await executed
      t.equal((await missed).reason, 'redis_error')
      await sleep(800)
      t.same(
        runs.map(({ jobId }) => jobId),
        ['patient']
      )
      t.equal(await redis.client.get(LOCK_KEY), null, 'the lock of the missed one is released')
      t.equal(await redis.client.get('rls:{app}:lock:patient'), null)
    })
  )
)

t.test('the lock is extended while the handler runs, far beyond its TTL', (t) =>
  withRedis((redis) =>
    withScheduler(redis, {}, async (scheduler) => {
      scheduler.add(byHand(() => sleep(1200, 'done'), 300))
      const running = scheduler.trigger('job', { wait: true })
      for (let count = 0; count < 4; count++) {
        await sleep(250)
        t.equal(await redis.client.exists(LOCK_KEY), 1)
      }
      t.match(await running, { outcome: 'success', result: 'done' })
      t.ok((await value(scheduler, 'redis_lock_extended_total')) >= 6)
      t.equal(await redis.client.exists(LOCK_KEY), 0)
    })
  )
)

for (const [how, spoil] of [
  ['deleted', (redis: TestRedis) => redis.client.del(LOCK_KEY)],
  ['taken over', (redis: TestRedis) => redis.client.set(LOCK_KEY, 'successor', 'PX', 60_000)]
] as const) {
  t.test(`a lock that was ${how}: the signal aborts, the outcome is lock_lost`, (t) =>
    withRedis((redis) =>
      withScheduler(redis, {}, async (scheduler) => {
        let reason: unknown
        scheduler.add(
          byHand(async ({ signal }) => {
            await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }))
            reason = signal.reason
            return 'a value that must not count'
          }, 300)
        )
        const lost = nextEvent(scheduler, 'lockLost')
        const running = scheduler.trigger('job', { wait: true })
        await nextEvent(scheduler, 'submitted')
        await spoil(redis)
        await lost
        t.match(await running, { outcome: 'lock_lost', error: { code: 'FST_ERR_RLS_LOCK_LOST' } })
        t.match(reason, { code: 'FST_ERR_RLS_LOCK_LOST' })
        t.equal(await value(scheduler, 'job_success_total'), 0)
        t.equal(await value(scheduler, 'job_failure_total'), 1)
        t.equal(await value(scheduler, 'redis_lock_lost_total'), 1)
        t.equal(
          await redis.client.get(LOCK_KEY),
          how === 'deleted' ? null : 'successor',
          'the successor keeps its lock'
        )
      })
    )
  )

  t.test(`a lock that was ${how} just before the end is found so at its release`, (t) =>
    withRedis((redis) =>
      withScheduler(redis, {}, async (scheduler) => {
        scheduler.add(byHand(() => spoil(redis), 60_000))
        const run = await scheduler.trigger('job', { wait: true })
        t.match(run, { outcome: 'lock_lost', error: { code: 'FST_ERR_RLS_LOCK_LOST' } })
        t.equal(await value(scheduler, 'redis_lock_lost_total'), 1)
      })
    )
  )
}

t.test('an event loop blocked beyond the TTL loses the lock, by the monotonic clock', (t) =>
  withRedis((redis) =>
    withScheduler(redis, {}, async (scheduler) => {
      scheduler.add(
        byHand(() => {
          const until = performance.now() + 500
          while (performance.now() < until);
        }, 300)
      )
      t.match(await scheduler.trigger('job', { wait: true }), { outcome: 'lock_lost' })
      t.match(await scheduler.withLock('name', { ttl: 60_000 }, () => 'kept'), { acquired: true, value: 'kept' })
      const blocked = scheduler.withLock('name', { ttl: 100 }, () => {
        const until = performance.now() + 200
        while (performance.now() < until);
      })
      await t.rejects(blocked, { code: 'FST_ERR_RLS_LOCK_LOST' })
    })
  )
)

t.test('a run whose Redis goes away keeps its lock until its validity has passed, and no longer', (t) =>
  withRedis((redis) =>
    withScheduler(redis, {}, async (scheduler) => {
      const started = performance.now()
      let abortedAfter = 0
      scheduler.add(
        byHand(async ({ signal }) => {
          await redis.kill()
          await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }))
          abortedAfter = performance.now() - started
        }, 600)
      )
      t.match(await scheduler.trigger('job', { wait: true }), { outcome: 'lock_lost' })
      t.ok(abortedAfter > 400 && abortedAfter < 2000, `aborted after ${abortedAfter} ms`)
    })
  )
)

t.test('pause and resume reach the other replicas', (t) =>
  withRedis((redis) =>
    withScheduler(redis, {}, (one) =>
      withScheduler(redis, {}, async (two) => {
        const runs: Run[] = []
        for (const scheduler of [one, two]) scheduler.interval('job', 200, ({ run }) => void runs.push(run))
        await nextEvent(one, 'submitted', () => true).catch(() => null)
        await one.pause('job', 'maintenance')
        await nextEvent(two, 'skipped', ({ reason }) => reason === 'paused' || reason === 'claimed_elsewhere')
        while (two.get('job')?.paused !== true) await sleep(20)
        const before = runs.length
        await sleep(700)
        t.equal(runs.length, before, 'nobody runs it')
        await two.resume('job')
        while (runs.length === before) await sleep(20)
        while (one.get('job')?.paused !== false) await sleep(20)
      })
    )
  )
)

t.test('what Redis remembers is asked for again when it was refused', (t) =>
  withRedis(async (redis) => {
    await redis.client.hset('rls:{app}:paused', 'unlocked', '{"at":1}')
    await redis.client.call('ACL', 'SETUSER', 'default', '-hmget')
    await withScheduler(redis, {}, async (scheduler) => {
      const job = scheduler.interval('unlocked', 100, () => {}, { lock: false })
      await nextEvent(scheduler, 'executed')
      t.notOk(job.paused)
      await redis.client.call('ACL', 'SETUSER', 'default', '+hmget')
      const started = performance.now()
      while (!job.paused && performance.now() - started < 8000) await sleep(50)
      t.ok(job.paused, 'before it would be looked at anyway')
    })
  })
)

t.test('a Redis that refuses the credentials: refused at ready, and nothing is left open', (t) =>
  withRedis(
    async ({ port }) => {
      const app = Fastify()
      await app.register(plugin, { redis: `redis://user:hunter2@127.0.0.1:${port}`, prefix: 'app' })
      const error = await app.ready().then(
        () => null,
        (reason: Error & { code: string }) => reason
      )
      t.equal(error?.code, 'FST_ERR_RLS_REDIS_AUTH')
      t.notMatch(`${error?.message} ${error?.stack}`, 'hunter2')
      await app.close()
    },
    ['--requirepass', 'another']
  )
)

t.test('what needs Redis says so when there is none', async (t) => {
  const scheduler = createScheduler({ redis: `redis://127.0.0.1:${await freePort()}`, prefix: 'app' })
  scheduler.add(byHand(() => {}, 1000))
  await scheduler.start()
  const unavailable = { code: 'FST_ERR_RLS_REDIS_UNAVAILABLE', statusCode: 503 }
  await t.rejects(scheduler.trigger('job'), unavailable)
  await t.rejects(
    scheduler.withLock('name', {}, () => {}),
    unavailable
  )
  await t.rejects(scheduler.pause('job'), unavailable)
  await t.rejects(scheduler.resume('job'), unavailable)
  await scheduler.close()
})

t.test('a Redis that evicts keys, or refuses what it is asked, is warned about once an outage', (t) =>
  withRedis(
    async (redis) => {
      const { logger, lines } = logLines()
      await withScheduler(redis, { logger }, async (scheduler) => {
        scheduler.interval('job', '100ms', () => {})
        await nextEvent(scheduler, 'executed')
        await redis.client.set('rls:{app}:fence', 'x')
        await redis.client.del('rls:{app}:paused')
        await redis.client.lpush('rls:{app}:paused', 'a key of another type')
        await nextEvent(scheduler, 'lockFailed', ({ reason }) => reason === 'error')
        const missed = nextEvent(scheduler, 'missed', ({ reason }) => reason === 'redis_error')
        await sleep(500)
        await redis.client.del('rls:{app}:paused')
        await missed
        await nextEvent(scheduler, 'executed')
      })
      // Ticks that were missed are told apart.
      const isOfRedis = ({ level, fields }: LogLine): boolean => level === 'warn' && !('missed' in fields)
      const warnings = lines.filter(isOfRedis).map(({ message }) => message)
      t.equal(warnings.length, 2)
      t.match(warnings[0], /^Redis evicts keys \(maxmemory-policy allkeys-lru\)/)
      t.equal(warnings[1], 'Redis refuses what jobs need: jobs wait for it')
      t.equal(lines.filter(({ message }) => /answers again/.test(message)).length, 1, 'only when a claim was had')
    },
    ['--maxmemory-policy', 'allkeys-lru']
  )
)

t.test(
  'a record that cannot be read: its job waits, said once, and goes on when it is mended; the others are not kept up',
  (t) =>
    withRedis(async (redis) => {
      const { logger, lines } = logLines()
      await redis.client.set('rls:{app}:claim:broken', 'from the future')
      await withScheduler(redis, { logger }, async (scheduler) => {
        const runs: string[] = []
        for (const id of ['broken', 'good']) scheduler.interval(id, '1s', ({ run }) => void runs.push(run.jobId))
        for (let count = 0; count < 3; count++) await nextEvent(scheduler, 'executed')
        await t.rejects(scheduler.trigger('broken'), {
          code: 'FST_ERR_RLS_REDIS_UNAVAILABLE',
          message: /'broken' cannot be read/
        })
        t.same([...new Set(runs)], ['good'])
        t.equal(await redis.client.get('rls:{app}:claim:broken'), 'from the future')
        await redis.client.del('rls:{app}:claim:broken')
        await nextEvent(scheduler, 'executed', ({ run }) => run.jobId === 'broken')
        const warned = lines.filter(({ level, message }) => level === 'warn' && /broken/.test(message))
        t.equal(warned.length, 1)
        t.match(warned[0]?.message, /refuses the ticks of a job.*delete rls:\{app\}:claim:broken/)
        t.notOk(
          lines.some(({ message }) => /does not answer/.test(message)),
          'Redis is not down for that'
        )
      })
    })
)

t.test('deploys: a pause by code ends with it and comes back with a rollback, one by an operator stays', (t) =>
  withRedis(async (redis) => {
    const deploy = async (
      paused: boolean,
      meanwhile: (scheduler: TestScheduler) => Promise<unknown> = async () => {}
    ): Promise<string> => {
      let found = ''
      await withScheduler(redis, {}, async (scheduler) => {
        scheduler.interval('job', '1s', () => {}, { paused })
        const first = await Promise.race([
          nextEvent(scheduler, 'executed').then(() => 'runs'),
          nextEvent(scheduler, 'skipped', ({ reason }) => reason === 'paused').then(() => 'paused')
        ])
        t.equal(scheduler.get('job')?.paused, first === 'paused')
        found = first
        await meanwhile(scheduler)
      })
      return found
    }
    t.equal(await deploy(true), 'paused')
    t.equal(await deploy(false), 'runs')
    t.equal(await deploy(true), 'paused', 'a rollback')
    t.equal(await deploy(false, (scheduler) => scheduler.pause('job', 'by hand')), 'runs')
    t.equal(await deploy(true), 'paused')
    t.equal(await deploy(false, (scheduler) => scheduler.resume('job')), 'paused', 'by an operator')
    t.equal(await deploy(false), 'runs')
  })
)
