import { once } from 'node:events'
import { setImmediate as turn } from 'node:timers/promises'
import Fastify from 'fastify'
import t from 'tap'
import scheduler, { createScheduler, type QueuedRun, type Run, type Scheduler } from '../../lib/index.js'
import { logLines } from '../fixtures/log-lines.js'
import { type Member, withFleet } from '../fixtures/simulated-fleet.js'
import { withRedis } from '../fixtures/with-redis.js'

// Runs by hand that wait for others: `trigger(id, { overlap: 'wait' })`, concurrency keys, and routes that trigger jobs.

const SECOND = 1000

/** Adds a job that is due once an hour, whose runs take a while and note their data. */
function slow(work: number, options: object = {}): (member: Member) => void {
  return ({ scheduler, replica }) =>
    void scheduler.add({
      id: 'job',
      trigger: { interval: '1h' },
      lock: { ttl: '10s' },
      handler: async ({ data, run }) => {
        await replica.sleep(work)
        return { data, replicaId: run.replicaId }
      },
      ...options
    })
}

/** Calls in the time of a simulation, which has to go on for it. */
async function within<Value>(
  simulation: { advance(time: number): Promise<void> },
  call: Promise<Value>,
  time = 200
): Promise<Value> {
  call.catch(() => {})
  await simulation.advance(time)
  return call
}

t.test('with data each request waits, in order, on whichever replica, and none is lost', (t) =>
  withFleet(async ({ simulation, join, runs }) => {
    const members = [await join(slow(2 * SECOND)), await join(slow(2 * SECOND))]
    const asked: (Run | QueuedRun)[] = []
    for (let index = 0; index < 5; index++) {
      const { scheduler } = members[index % 2] as Member
      asked.push(await within(simulation, scheduler.trigger('job', { data: { index }, overlap: 'wait' }), 10))
    }
    t.match(asked[0], { startedAt: Number, outcome: null }, 'nothing stood in the way of the first')
    for (const waiting of asked.slice(1)) t.match(waiting, { startedAt: null, outcome: null, trigger: 'manual' })
    await simulation.advance(12 * SECOND)
    t.same(
      runs().map(({ result }) => (result as { data: object }).data),
      [0, 1, 2, 3, 4].map((index) => ({ index }))
    )
    t.ok(runs().every(({ outcome, trigger }) => outcome === 'success' && trigger === 'manual'))
    for (const [index, run] of runs().slice(1).entries()) {
      const late = run.startedAt - (runs()[index]?.finishedAt as number)
      t.ok(late >= 0 && late <= 100, `${late} ms after the one before`)
    }
  })
)

t.test('without data one more run follows, however often it is asked for', (t) =>
  withFleet(async ({ simulation, join, runs }) => {
    const { scheduler } = await join(slow(2 * SECOND, { data: 'own' }))
    for (let count = 0; count < 5; count++) await within(simulation, scheduler.trigger('job', { overlap: 'wait' }), 10)
    await simulation.advance(10 * SECOND)
    t.same(
      runs().map(({ result }) => (result as { data: unknown }).data),
      ['own', 'own']
    )
  })
)

t.test('what waits outlives the replica that took it, and the one that runs', (t) =>
  withFleet(async ({ simulation, join, runs }) => {
    const first = await join(slow(2 * SECOND))
    const second = await join(slow(2 * SECOND))
    for (let index = 0; index < 5; index++) {
      await within(simulation, first.scheduler.trigger('job', { data: index, overlap: 'wait' }), 10)
    }
    first.replica.crash()
    await simulation.advance(30 * SECOND)
    t.same(
      second.runs.map(({ result }) => (result as { data: number }).data),
      [1, 2, 3, 4],
      'the four that waited; the one that went on ended with its replica'
    )
    t.equal(runs().length, 5)
  })
)

t.test('a run is waited for wherever it runs, with its result or error', (t) =>
  withFleet(async ({ simulation, join }) => {
    const define = ({ scheduler, replica }: Member): void => {
      scheduler.add({
        id: 'job',
        trigger: { interval: '1h' },
        handler: async ({ data }) => {
          await replica.sleep(2 * SECOND)
          if (data === 'fails') throw Object.assign(new TypeError('no luck'), { code: 'E_LUCK' })
          return { data }
        }
      })
    }
    const [first, second] = [await join(define), await join(define)]
    const going = first.scheduler.trigger('job', { data: 'first', overlap: 'wait', wait: true })
    await simulation.advance(100)
    // Whoever ends the first begins the next, and so on: those of the second run on the first.
    const remote = second.scheduler.trigger('job', { data: 'remote', overlap: 'wait', wait: true })
    await simulation.advance(100)
    const failing = second.scheduler.trigger('job', { data: 'fails', overlap: 'wait', wait: true })
    await simulation.advance(10 * SECOND)
    t.match(await going, { outcome: 'success', result: { data: 'first' }, replicaId: first.scheduler.replicaId })
    t.match(await remote, { outcome: 'success', result: { data: 'remote' }, replicaId: first.scheduler.replicaId })
    const failed = await failing
    t.match(failed, { outcome: 'error', error: { name: 'TypeError', message: 'no luck', code: 'E_LUCK' } })
    t.ok(failed.error instanceof Error)
    t.match(failed.error, { stack: /no luck/ })
  })
)

t.test('whoever waits for a run that died with its replica is told so', (t) =>
  withFleet(async ({ simulation, join }) => {
    const first = await join(slow(60 * SECOND))
    const second = await join(slow(60 * SECOND))
    await within(simulation, first.scheduler.trigger('job', { data: 1, overlap: 'wait' }), 100)
    const waiting = second.scheduler.trigger('job', { data: 2, overlap: 'wait', wait: true })
    await simulation.advance(61 * SECOND)
    t.equal(first.runs.length, 2, 'the replica that has ended the first runs the next')
    first.replica.crash()
    await simulation.advance(60 * SECOND)
    t.match(await waiting, { outcome: 'abandoned', error: { code: 'FST_ERR_RLS_RUN_ABANDONED' } })
  })
)

t.test('with recovery the run of a request is taken over with its data', (t) =>
  withFleet(async ({ simulation, join, runs }) => {
    const rerun = slow(5 * SECOND, { recovery: 'rerun' })
    const first = await join(rerun)
    const second = await join(rerun)
    await within(simulation, first.scheduler.trigger('job', { data: { id: 7 }, overlap: 'wait' }), 100)
    first.replica.crash()
    await simulation.advance(30 * SECOND)
    t.equal(runs().length, 2)
    t.match(second.runs, [{ outcome: 'success', result: { data: { id: 7 } }, attempt: 2, trigger: 'recovery' }])
  })
)

t.test('with recovery a run that closing cancels waits again', (t) =>
  withFleet(async ({ simulation, join }) => {
    const define = ({ scheduler, replica }: Member): void => {
      const handler = ({ signal }: { signal: AbortSignal }): Promise<unknown> => {
        const aborted = new Promise((_resolve, reject) => {
          signal.addEventListener('abort', () => reject(signal.reason))
        })
        return Promise.race([replica.sleep(60 * SECOND), aborted])
      }
      scheduler.add({ id: 'job', lock: { ttl: '10s' }, recovery: 'rerun', handler })
    }
    const [first, second] = [await join(define), await join(define)]
    await within(simulation, first.scheduler.trigger('job', { data: 1, overlap: 'wait' }))
    const closed = first.scheduler.close()
    await simulation.advance(30 * SECOND)
    await closed
    t.equal(second.runs.length, 1)
  })
)

t.test('trigger() settles when the scheduler ends meanwhile', (t) =>
  withFleet(async ({ simulation, join }) => {
    const [first, second] = [await join(slow(180 * SECOND)), await join(slow(180 * SECOND))]
    await within(simulation, second.scheduler.trigger('job'))
    await within(simulation, first.scheduler.trigger('job', { data: 0, overlap: 'wait' }))
    simulation.stores[0]?.disturb({ delay: [50, 50] })
    const asked = first.scheduler.trigger('job', { data: 1, overlap: 'wait' })
    await simulation.advance(20)
    const drained = first.scheduler.drain()
    await simulation.advance(60 * SECOND)
    await drained
    t.match(await asked, { startedAt: null })
  })
)

t.test('runs with one key never overlap, those with different keys do', (t) =>
  withFleet(async ({ simulation, join, runs }) => {
    const keyed = slow(10 * SECOND, { maxInstances: 10 })
    const [first, second] = [await join(keyed), await join(keyed)]
    const call = (member: Member, concurrencyKey: string, overlap?: 'wait'): Promise<Run | QueuedRun | null> => {
      const options = { concurrencyKey, data: concurrencyKey }
      const { scheduler } = member as { scheduler: Scheduler }
      return within(
        simulation,
        overlap === undefined ? scheduler.trigger('job', options) : scheduler.trigger('job', { ...options, overlap }),
        20
      )
    }
    t.ok(await call(first, 'user-1'))
    t.ok(await call(second, 'user-2'))
    t.equal(await call(second, 'user-1'), null)
    t.match(await call(second, 'user-1', 'wait'), { startedAt: null })
    t.match(await call(second, 'user-3', 'wait'), { startedAt: Number })
    await simulation.advance(11 * SECOND)
    t.same(
      runs().map(({ result }) => (result as { data?: string })?.data),
      ['user-1', 'user-2', 'user-3', undefined]
    )
    await simulation.advance(10 * SECOND)
    t.match(runs()[3], { result: { data: 'user-1' } })
    t.ok((runs()[3]?.startedAt as number) >= (runs()[0]?.finishedAt as number))
  })
)

t.test('a scheduler that takes no ticks runs what is asked of it by hand, and no ticks', (t) =>
  withFleet(async ({ simulation, join }) => {
    const member = await join(slow(SECOND))
    member.scheduler.stop()
    const run = member.scheduler.trigger('job', { overlap: 'wait', wait: true })
    await simulation.advance(3 * SECOND)
    t.match(await run, { outcome: 'success' })
  })
)

t.test('bad input is refused, and nothing waits', async (t) => {
  const own = createScheduler({ logger: false })
  t.teardown(() => own.close())
  let runs = 0
  own.interval('job', '1h', () => void runs++)
  own.interval('free', '1h', () => void runs++, { lock: false })
  await own.start()
  const call = (id: string, options: object): Promise<unknown> => own.trigger(id, options as never)
  const invalid = { code: 'FST_ERR_RLS_OPTION_INVALID' }
  await t.rejects(call('job', { overlap: 'replace' }), invalid)
  await t.rejects(call('free', { overlap: 'wait' }), { ...invalid, message: /`lock: false`/ })
  await t.rejects(call('free', { concurrencyKey: 'k' }), invalid)
  for (const concurrencyKey of ['', 5, 'x'.repeat(201), 'a\nb', null, undefined]) {
    await t.rejects(call('job', { concurrencyKey }), { code: 'FST_ERR_RLS_JOB_ID_INVALID' })
  }
  const hostile: object[] = [{ data: () => {} }, { data: 1n }, { data: { a: new Map() } }, { data: Number.NaN }]
  for (const data of hostile) {
    await t.rejects(call('job', { ...data, overlap: 'wait' }), { code: 'FST_ERR_RLS_DATA_NOT_JSON', statusCode: 400 })
  }
  const large = { data: 'x'.repeat(262_145), overlap: 'wait' }
  await t.rejects(call('job', large), { code: 'FST_ERR_RLS_DATA_TOO_LARGE', statusCode: 413 })
  await t.rejects(call('job', { key: 'k' }), { code: 'FST_ERR_RLS_OPTION_UNKNOWN', message: /concurrencyKey/ })
  t.equal(runs, 0)
  const masters = [1, 2, 3].map((port) => `redis://127.0.0.1:${port}`)
  const several = createScheduler({ redis: masters, prefix: 'x', logger: false })
  t.teardown(() => several.close())
  several.interval('job', '1h', () => {})
  await t.rejects(several.trigger('job', { overlap: 'wait' }), { ...invalid, message: /several Redis masters/ })
  await t.rejects(several.trigger('job', { concurrencyKey: 'k' }), invalid)
})

t.test('five POSTs in a row are never four lost ones, and the sixth is told when too many wait', (t) =>
  withRedis(async ({ url, client }) => {
    const ran: unknown[] = []
    let release = (): void => {}
    const released = new Promise<void>((resolve) => {
      release = resolve
    })
    let end = (): void => {}
    const ended = new Promise<void>((resolve) => {
      end = resolve
    })
    const build = async (): Promise<ReturnType<typeof Fastify>> => {
      const app = Fastify()
      await app.register(scheduler, { redis: url, prefix: 'posts' })
      app.jobs.add({
        id: 'import',
        trigger: { interval: '1h' },
        handler: async ({ data }) => {
          await released
          ran.push(data)
        }
      })
      app.jobs.interval('full', '1h', () => ended)
      const full = { triggerJob: { id: 'full', data: (request: { body: unknown }) => request.body } }
      app.post('/full', { config: full }, async () => 'full')
      const config = { triggerJob: { id: 'import', data: (request: { body: unknown }) => request.body } }
      app.post('/import', { config }, async (_request, reply) => reply.code(202).send({ accepted: true }))
      app.post('/skip', { config: { triggerJob: { id: 'import', overlap: 'skip' } } }, async () => 'skipped')
      app.post('/again', { config: { triggerJob: 'import' } }, async () => 'again')
      const concurrencyKey = (request: { headers: object }): string => (request.headers as { user: string }).user
      app.post('/keyed', app.jobs.route('import', { overlap: 'wait', concurrencyKey }))
      app.post('/route', app.jobs.route('import', { overlap: 'wait', data: (request) => request.body }))
      await app.ready()
      return app
    }
    const app = await build()
    const other = await build()
    for (let index = 0; index < 5; index++) {
      const { statusCode } = await app.inject({ method: 'POST', url: '/import', payload: { index } })
      t.equal(statusCode, 202)
    }
    t.equal((await app.inject({ method: 'POST', url: '/skip' })).statusCode, 200)
    for (let count = 0; count < 3; count++) {
      t.equal((await other.inject({ method: 'POST', url: '/again' })).statusCode, 200)
    }
    const routed = await other.inject({ method: 'POST', url: '/route', payload: { index: 5 } })
    t.equal(routed.statusCode, 202)
    t.match(routed.json(), { jobId: 'import', trigger: 'manual', startedAt: null, outcome: null })
    for (const headers of [{}, { user: 'x'.repeat(201) }]) {
      const keyed = await app.inject({ method: 'POST', url: '/keyed', headers })
      t.match([keyed.statusCode, keyed.json()], [400, { code: 'FST_ERR_RLS_JOB_ID_INVALID' }], 'a wrong key')
    }
    const waiting = Number(await client.zcard('rls:{posts}:queue:import'))
    t.equal(waiting, 6, 'four with data, one without, and the one of the route')
    release()
    while (ran.length < 7) await once(app.server, 'x', { signal: AbortSignal.timeout(50) }).catch(() => {})
    t.same(ran, [...[0, 1, 2, 3, 4].map((index) => ({ index })), undefined, { index: 5 }])

    await app.jobs.trigger('full')
    const more = Array.from({ length: 1000 }, (_, index) => [index, `r full-${index} - 1`]).flat()
    await client.zadd('rls:{posts}:queue:full', ...(more as [number, string]))
    const refused = await app.inject({ method: 'POST', url: '/full', payload: { index: 6 } })
    t.equal(refused.statusCode, 503)
    t.match(refused.json(), { code: 'FST_ERR_RLS_JOB_QUEUE_FULL', message: /'full'/ })
    const large = await app.inject({ method: 'POST', url: '/full', payload: { text: 'x'.repeat(300_000) } })
    t.equal(large.statusCode, 413)
    await client.del('rls:{posts}:queue:full')
    end()
    await app.close()
    await other.close()
  })
)

t.test('one whose data Redis has lost is not run with other data, and is told of', (t) =>
  withRedis(async ({ url, client }) => {
    const { logger, lines } = logLines()
    const scheduler = createScheduler({ redis: url, prefix: 'lost', logger })
    const ran: unknown[] = []
    let end: () => void = () => {}
    scheduler.add({
      id: 'job',
      data: { whose: 'own' },
      handler: async ({ data }) => {
        ran.push(data)
        await new Promise<void>((resolve) => {
          end = resolve
        })
      }
    })
    await scheduler.start()
    await scheduler.trigger('job', { data: { whose: 'first' } })
    const waiting = await scheduler.trigger('job', { data: { whose: 'lost' }, overlap: 'wait' })
    const next = await scheduler.trigger('job', { data: { whose: 'next' }, overlap: 'wait' })
    t.equal(await client.hdel('rls:{lost}:requests:job', `${waiting?.id}`), 1)
    end()
    while (ran.length < 2) await turn()
    end()
    await scheduler.close()
    t.same(ran, [{ whose: 'first' }, { whose: 'next' }])
    t.not(waiting?.id, next?.id)
    t.match(
      lines.filter(({ message }) => /left out/.test(message)),
      [{ level: 'warn', fields: { jobId: 'job', requestId: waiting?.id } }]
    )
  })
)
