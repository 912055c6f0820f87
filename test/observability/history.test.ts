import { createRequire } from 'node:module'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import {
  createScheduler,
  type HistoryEntry,
  type HistoryRun,
  type RunContext,
  type Scheduler,
  type SchedulerOptions
} from '../../lib/index.js'
import { HistoryReader } from '../../lib/observability/history/history.js'
import { logLines } from '../fixtures/log-lines.js'
import { nextEvent } from '../fixtures/next-event.js'
import { withFleet } from '../fixtures/simulated-fleet.js'
import { withVirtualScheduler } from '../fixtures/virtual-scheduler.js'
import { withRedis } from '../fixtures/with-redis.js'

// What became of ticks, as `history()` and `tick()` tell it. What stores must do with it is in the contract suites.

const SECOND = 1000
const MINUTE = 60 * SECOND
const START = Date.parse('2027-01-01T00:00:00Z')

const pino = createRequire(import.meta.resolve('fastify'))('pino') as typeof import('pino').pino

async function runsOf(scheduler: Scheduler<undefined>, id: string): Promise<HistoryRun[]> {
  return (await scheduler.history(id)).filter((entry) => entry.kind === 'run')
}

/** The ranges without a run, the newest first: nominal times in seconds from the start, and their reason. */
async function rangesOf(scheduler: Scheduler<undefined>, id: string): Promise<unknown[][]> {
  return (await scheduler.history(id)).flatMap((entry) =>
    entry.kind === 'ticks'
      ? [[(entry.first - START) / SECOND, (entry.last - START) / SECOND, entry.count, entry.reason]]
      : []
  )
}

t.test('a run that succeeds, with all that is known of it', (t) =>
  withVirtualScheduler(
    async ({ clock, scheduler }) => {
      const handler = async ({ progress, log }: RunContext): Promise<object> => {
        progress(0.25, 'a quarter')
        log.info('of no interest')
        await clock.sleep(1500)
        return { rows: 3 }
      }
      scheduler.add({ id: 'job', trigger: { interval: '1m' }, handler })
      await scheduler.start()
      await clock.advance(MINUTE + SECOND)
      const scheduledTime = START + MINUTE
      const going = {
        kind: 'run',
        jobId: 'job',
        scheduledTime,
        startedAt: scheduledTime,
        finishedAt: null,
        duration: null,
        outcome: null,
        trigger: 'schedule',
        by: null,
        attempt: 1,
        attempts: [],
        slot: 1,
        replicaId: 'here',
        result: null,
        error: null,
        log: []
      }
      t.match(await scheduler.history('job'), [{ ...going, progress: { share: 0.25, note: 'a quarter' } }])
      await clock.advance(SECOND)
      const [run, ...others] = await runsOf(scheduler, 'job')
      t.same(others, [])
      const { id, fencingToken, ...rest } = run as HistoryRun
      t.match(id, /^\S+$/)
      t.type(fencingToken, 'number')
      t.same(rest, {
        ...going,
        finishedAt: scheduledTime + 1500,
        duration: 1500,
        outcome: 'success',
        progress: { share: 0.25, note: 'a quarter', at: scheduledTime },
        result: '{"rows":3}'
      })
      const story = { scheduledTime, run, reason: null, by: 'here', at: scheduledTime }
      t.same(await scheduler.tick('job', scheduledTime), story)
      t.same(await scheduler.tick('job', new Date(scheduledTime)), story)
      t.same(await scheduler.tick('job', '2027-01-01T00:01:00Z'), story)
    },
    { replicaId: 'here' }
  )
)

t.test('a run that fails after retries has each attempt with its error', (t) =>
  withVirtualScheduler(async ({ clock, scheduler }) => {
    let calls = 0
    const handler = (): never => {
      calls++
      throw Object.assign(new TypeError(`failure ${calls}`), calls === 3 ? { code: 'E_LAST' } : {})
    }
    scheduler.add({ id: 'job', trigger: { interval: '1m' }, retry: { limit: 2, delay: '1s', jitter: false }, handler })
    await scheduler.start()
    await clock.advance(MINUTE + 30 * SECOND)
    const [run] = await runsOf(scheduler, 'job')
    t.match(run, { outcome: 'error', attempt: 3, error: { name: 'TypeError', message: 'failure 3', code: 'E_LAST' } })
    t.match(run?.error?.stack, /^TypeError: failure 3\n.*history\.test/)
    t.same(
      run?.attempts.map(({ attempt, error }) => [attempt, error]),
      [1, 2].map((attempt) => [attempt, { name: 'TypeError', message: `failure ${attempt}`, stack: null }])
    )
    t.equal(run?.attempts[0]?.at, START + MINUTE)
    t.ok((run?.attempts[1]?.at ?? 0) >= START + MINUTE + SECOND)
  })
)

t.test('a timeout is told while the handler goes on, and stays what was told', (t) =>
  withVirtualScheduler(async ({ clock, scheduler }) => {
    scheduler.add({ id: 'job', trigger: { interval: '1h' }, timeout: '5s', handler: () => clock.sleep(60 * SECOND) })
    await scheduler.start()
    await clock.advance(60 * MINUTE + 6 * SECOND)
    const told = { outcome: 'timeout', duration: 5000, error: { code: 'FST_ERR_RLS_RUN_TIMEOUT' } }
    const [early, ...others] = await runsOf(scheduler, 'job')
    t.match(early, told)
    t.same(others, [])
    t.match(await scheduler.status('job'), { lastRun: { id: early?.id, finishedAt: null }, consecutiveFailures: 1 })
    await clock.advance(2 * MINUTE)
    t.same(await runsOf(scheduler, 'job'), [early])
    t.match(await scheduler.status('job'), { lastRun: { finishedAt: Number }, consecutiveFailures: 1 })
  })
)

t.test('the outcomes that only several replicas have: cancelled at close, abandoned by a death', (t) =>
  withFleet(async ({ simulation, join, start }) => {
    const join1 = () =>
      join(({ scheduler, replica }) => {
        scheduler.interval('killed', '1h', ({ progress }) => {
          progress(0.5, 'half')
          return replica.sleep('30m')
        })
        scheduler.interval('cancelled', '1h', () => replica.sleep('30m'))
      })
    const members = [await join1(), await join1()]
    await simulation.advance('61m')
    const ran = (jobId: string) => members.findIndex(({ runs }) => runs.some((run) => run.jobId === jobId))
    const killed = members[ran('killed')]!
    const survivor = members.find((member) => member !== killed)!
    killed.replica.crash()
    await simulation.advance('50s')
    const [run] = await runsOf(survivor.scheduler, 'killed')
    t.match(run, {
      outcome: 'abandoned',
      scheduledTime: start + 60 * MINUTE,
      replicaId: killed.scheduler.replicaId,
      trigger: 'schedule',
      progress: { share: 0.5, note: 'half' },
      error: { code: 'FST_ERR_RLS_RUN_ABANDONED' }
    })
    t.match(await survivor.scheduler.tick('killed', start + 60 * MINUTE), { run: { outcome: 'abandoned' } })

    const third = await join1()
    await simulation.advance('60m')
    const holder = members.concat(third).find((member) => {
      return !member.replica.dead && member.runs.some((run) => run.jobId === 'cancelled' && run.outcome === null)
    })!
    const other = [survivor, third].find((member) => member !== holder)!
    const closed = holder.scheduler.close()
    await simulation.advance('30s')
    await closed
    const [last] = await runsOf(other.scheduler, 'cancelled')
    t.match(last, { replicaId: holder.scheduler.replicaId, error: { code: /^FST_ERR_RLS_RUN_/ } })
    t.match(last?.outcome, /^cancelled|abandoned$/)
  })
)

t.test('a handler that ends when closing aborts it is cancelled', (t) =>
  withVirtualScheduler(
    async ({ clock, scheduler }) => {
      const handler = ({ signal }: RunContext) => new Promise((resolve) => signal.addEventListener('abort', resolve))
      scheduler.add({ id: 'job', trigger: { interval: '1m' }, handler })
      await scheduler.start()
      await clock.advance(MINUTE)
      // What is told at the end is read before the end: a closed scheduler answers no more.
      const ended = nextEvent(scheduler, 'error')
      const closed = scheduler.close()
      await clock.advance(3 * SECOND)
      const { run } = await ended
      t.equal(run.outcome, 'cancelled')
      await closed
    },
    { closeTimeout: '2s' }
  )
)

t.test('what a handler returns, throws and logs is cut, and log lines are kept of failed runs only', async (t) => {
  const secret = 'x'.repeat(100_000)
  const written: string[] = []
  const logger = pino({ redact: ['password'] }, { write: (line: string) => void written.push(line) })
  const run = async (options: SchedulerOptions<undefined>): Promise<Record<string, HistoryRun>> => {
    const scheduler = createScheduler({ logger, ...options })
    scheduler.add({
      id: 'works',
      handler: ({ log }) => {
        log.info('of a success')
        return { secret }
      }
    })
    scheduler.add({
      id: 'fails',
      handler: ({ log }) => {
        for (let line = 1; line <= 25; line++) log.info({ password: 'geheim' }, `line ${line}`)
        log.child({ part: 'b' }).warn('the last')
        throw new Error(secret, { cause: new Error(secret) })
      }
    })
    await scheduler.start()
    for (const id of ['works', 'fails']) await scheduler.trigger(id, { wait: true })
    const runs = await Promise.all(['works', 'fails'].map(async (id) => (await runsOf(scheduler, id))[0]))
    await scheduler.close()
    return { works: runs[0] as HistoryRun, fails: runs[1] as HistoryRun }
  }
  const messagesOf = ({ log }: HistoryRun): unknown[] => log.map((line) => JSON.parse(line).msg)

  const { works, fails } = await run({})
  t.equal(works?.result?.length, 1024)
  t.ok(works?.result?.endsWith('…'))
  t.same(works?.log, [])
  t.equal(fails?.result, null)
  const { name = '', message = '', stack = '' } = fails?.error ?? {}
  t.ok(name.length + message.length + (stack as string).length <= 4096, 'the error is cut')
  t.ok(message.length > 1000)
  t.same(messagesOf(fails as HistoryRun), [
    ...Array.from({ length: 19 }, (_, index) => `line ${index + 7}`),
    'the last'
  ])
  t.match(JSON.parse(fails?.log[0] as string), { password: '[Redacted]', jobId: 'fails', runId: fails?.id })

  const all = await run({ history: { logs: 'all' } })
  t.same(messagesOf(all.works as HistoryRun), ['of a success'])
  t.equal(all.fails?.log.length, 20)
  const none = await run({ history: { logs: false } })
  t.same([none.works?.log, none.fails?.log], [[], []])
})

t.test('what is kept is redacted first; where that fails, a placeholder is kept, and it is told once', async (t) => {
  const kinds = new Set<string>()
  const read = async (redact: (text: string, kind: string) => unknown) => {
    const { logger, lines } = logLines()
    const scheduler = createScheduler({ logger, history: { redact: redact as never } })
    scheduler.add({
      id: 'works',
      handler: ({ progress }) => {
        progress(1, 'note 4111')
        return 'result 4111'
      }
    })
    scheduler.add({
      id: 'fails',
      retry: { limit: 1, delay: 1, jitter: false },
      handler: ({ log }) => {
        log.info('line 4111')
        throw new Error('error 4111')
      }
    })
    await scheduler.start()
    await scheduler.trigger('works', { wait: true })
    await scheduler.trigger('fails', { wait: true })
    const text = JSON.stringify([await scheduler.history('works'), await scheduler.history('fails')])
    const told = lines.filter(({ level, message }) => level === 'warn' && /redact/.test(message))
    await scheduler.close()
    return { text, told }
  }
  const clean = await read((text, kind) => {
    kinds.add(kind)
    return text.replaceAll('4111', '[card]')
  })
  t.notMatch(clean.text, '4111')
  for (const word of ['note', 'result', 'line', 'error']) t.match(clean.text, `${word} [card]`)
  t.same([...kinds].sort(), ['error', 'log', 'note', 'result'])
  t.same(clean.told, [])
  const fail = (): never => {
    throw new Error('no')
  }
  for (const broken of [fail, async (text: string) => text, async () => fail(), () => undefined]) {
    const { text, told } = await read(broken)
    t.notMatch(text, '4111')
    t.match(text, '[redact failed]')
    t.equal(told.length, 1)
  }
})

t.test('what cannot be read of a result or an error neither breaks nor fails a run', (t) =>
  withVirtualScheduler(async ({ clock, scheduler, lines }) => {
    const hostile = (): object =>
      new Proxy(
        {},
        {
          get: (_, key) => {
            if (key !== 'then') throw new Error('a getter')
          },
          ownKeys: () => {
            throw new Error('no keys')
          },
          getPrototypeOf: () => {
            throw new Error('no prototype')
          }
        }
      )
    const circular: Record<string, unknown> = {}
    circular.self = circular
    const results: Record<string, () => unknown> = {
      getter: () => ({
        get value() {
          throw new Error('a getter')
        }
      }),
      json: () => ({
        toJSON() {
          throw new Error('toJSON')
        }
      }),
      proxy: hostile,
      circular: () => circular,
      bigint: () => 12n,
      symbol: () => Symbol('result'),
      handler: () => () => {},
      buffer: () => Buffer.alloc(50 * 1024 * 1024),
      array: () => Array.from({ length: 1_000_000 }, (_, index) => ({ index })),
      nothing: () => undefined
    }
    const thrown: Record<string, () => unknown> = {
      thrownProxy: hostile,
      thrownNothing: () => undefined,
      thrownText: () => 'a text',
      thrownGetter: () =>
        Object.defineProperty(new Error('x'), 'stack', {
          get() {
            throw new Error('no stack')
          }
        })
    }
    for (const [id, make] of Object.entries(results)) scheduler.add({ id, handler: make })
    for (const [id, make] of Object.entries(thrown)) {
      scheduler.add({
        id,
        handler: () => {
          throw make()
        }
      })
    }
    await scheduler.start()
    const ran = Object.keys(results).concat(Object.keys(thrown))
    const begun = performance.now()
    for (const id of ran) await scheduler.trigger(id)
    await clock.advance(SECOND)
    t.ok(performance.now() - begun < 2000, 'and quickly')
    for (const id of ran) {
      const [run] = await runsOf(scheduler, id)
      t.equal(run?.outcome, id in thrown ? 'error' : 'success', id)
      t.ok((run?.result ?? '').length <= 1024, id)
      if (id in thrown) t.type(run?.error?.message, 'string', id)
    }
    t.match((await runsOf(scheduler, 'thrownText'))[0]?.error, { name: 'NonError', message: 'a text', stack: null })
    t.equal((await runsOf(scheduler, 'nothing'))[0]?.result, null)
    t.same(
      lines.filter(({ level }) => level === 'error' || level === 'fatal').map(({ fields }) => fields.jobId),
      Object.keys(thrown),
      'nothing else failed'
    )
  })
)

t.test('`history: false` keeps nothing, and status goes on', (t) =>
  withVirtualScheduler(
    async ({ clock, scheduler }) => {
      scheduler.add({ id: 'job', trigger: { interval: '1m' }, handler: () => {} })
      scheduler.add({ id: 'free', trigger: { interval: '1m' }, lock: false, handler: () => Promise.reject(Error('x')) })
      await scheduler.start()
      await clock.advance(MINUTE + SECOND)
      const off = { code: 'FST_ERR_RLS_HISTORY_OFF' }
      await t.rejects(scheduler.history('job'), off)
      await t.rejects(scheduler.tick('job', START + MINUTE), off)
      t.match(await scheduler.status('job'), { lastSuccess: START + MINUTE, consecutiveFailures: 0 })
      t.match(await scheduler.status('free'), { lastSuccess: null, consecutiveFailures: 1 })
    },
    { history: false }
  )
)

t.test('bad input is refused with its code, and nothing has changed', async (t) => {
  const invalid = { code: 'FST_ERR_RLS_OPTION_INVALID' }
  for (const history of [
    true,
    null,
    'on',
    { runs: 0 },
    { runs: 1001 },
    { runs: 1.5 },
    { runs: '100' },
    { logs: 'some' },
    { logs: true },
    { redact: 'x' }
  ]) {
    t.throws(() => createScheduler({ history: history as never }), { code: /^FST_ERR_RLS_OPTION_/ }, `${history}`)
  }
  for (const retention of ['59s', '91d', 'a week', -1, null]) {
    const thrown = { code: /^FST_ERR_RLS_(DURATION|OPTION)_INVALID$/ }
    t.throws(() => createScheduler({ history: { retention: retention as never } }), thrown, `${retention}`)
  }
  t.throws(() => createScheduler({ history: { keep: 5 } as never }), { code: 'FST_ERR_RLS_OPTION_UNKNOWN' })

  await withVirtualScheduler(async ({ clock, scheduler }) => {
    let said: unknown
    scheduler.add({
      id: 'job',
      trigger: { interval: '1m' },
      handler: ({ progress }) => {
        for (const bad of [
          [-0.1],
          [1.1],
          [Number.NaN],
          ['0.5'],
          [undefined],
          [0.5, 'x'.repeat(201)],
          [0.5, 7],
          [0.5, null]
        ]) {
          try {
            progress(...(bad as [number]))
            said = bad
          } catch (error) {
            if ((error as { code?: string }).code !== invalid.code) said = error
          }
        }
      }
    })
    await scheduler.start()
    await clock.advance(MINUTE + SECOND)
    t.equal(said, undefined, 'progress refuses what it cannot show')
    const before = await scheduler.history('job')
    t.match(before, [{ outcome: 'success', progress: null }])
    for (const limit of [0, 1001, 1.5, '5', null, Number.NaN]) {
      await t.rejects(scheduler.history('job', { limit: limit as never }), invalid)
    }
    for (const time of ['yesterday', Number.NaN, new Date(Number.NaN), {}, null, Number.POSITIVE_INFINITY]) {
      await t.rejects(scheduler.history('job', { before: time as never }), { code: 'FST_ERR_RLS_DATE_INVALID' })
      await t.rejects(scheduler.tick('job', time as never), { code: 'FST_ERR_RLS_DATE_INVALID' })
    }
    await t.rejects(scheduler.tick('job', undefined as never), { code: 'FST_ERR_RLS_DATE_INVALID' })
    await t.rejects(scheduler.history('job', { since: 5 } as never), { code: 'FST_ERR_RLS_OPTION_UNKNOWN' })
    await t.rejects(scheduler.history('job', 5 as never), { code: /^FST_ERR_RLS_OPTION_/ })
    for (const id of ['other', '', undefined as never, {} as never]) {
      const unknown = { code: 'FST_ERR_RLS_JOB_UNKNOWN' }
      await t.rejects(scheduler.history(id), unknown)
      await t.rejects(scheduler.tick(id, START), unknown)
    }
    for (const by of ['', 'x'.repeat(201), 'a\nb', 5, {}]) {
      await t.rejects(scheduler.trigger('job', { by: by as never }), { code: /^FST_ERR_RLS_/ }, `by ${by}`)
    }
    t.same(await scheduler.history('job'), before)
  })
})

t.test('runs by hand say who asked for them, and which tick they repeat', (t) =>
  withVirtualScheduler(async ({ clock, scheduler }) => {
    const handler = (): Promise<void> => clock.sleep(10 * SECOND)
    scheduler.add({ id: 'direct', trigger: { interval: '1m' }, handler })
    scheduler.add({ id: 'free', lock: false, handler })
    scheduler.add({ id: 'waiting', handler })
    await scheduler.start()
    await clock.advance(MINUTE + 30 * SECOND)
    const scheduledTime = START + MINUTE
    const [before] = await runsOf(scheduler, 'direct')
    await scheduler.trigger('direct', { by: 'anna', scheduledTime })
    await scheduler.trigger('free', { by: 'bert' })
    await scheduler.trigger('waiting', { by: 'carla' })
    const queued = scheduler.trigger('waiting', { by: 'doris', overlap: 'wait', scheduledTime })
    await clock.advance(25 * SECOND)
    t.match(await queued, { startedAt: null, trigger: 'manual' })
    const [again] = await runsOf(scheduler, 'direct')
    t.match(again, { by: 'anna', trigger: 'manual', scheduledTime, outcome: 'success' })
    t.not(again?.id, before?.id)
    t.match(await scheduler.tick('direct', scheduledTime), { run: { id: again?.id } }, "the last one is the tick's")
    t.match(await runsOf(scheduler, 'free'), [{ by: 'bert', trigger: 'manual', slot: null, fencingToken: null }])
    const asked = START + 90 * SECOND
    t.match(await runsOf(scheduler, 'waiting'), [
      { by: 'carla', scheduledTime: asked, startedAt: asked },
      { by: 'doris', scheduledTime, startedAt: asked + 10 * SECOND, outcome: 'success' }
    ])
  })
)

t.test('pages of the history follow each other without gaps', (t) =>
  withVirtualScheduler(async ({ clock, scheduler }) => {
    let until = START + 20 * SECOND
    scheduler.add({
      id: 'job',
      trigger: { interval: '1s' },
      handler: () => {},
      when: () => clock.now() <= until || clock.now() > until + 10 * SECOND
    })
    await scheduler.start()
    await clock.advance(40 * SECOND + 500)
    until = 0
    const all = await scheduler.history('job')
    t.equal(all.length, 31, '30 runs, and a range in between')
    const pages: HistoryEntry[] = []
    for (let before: number | undefined; ; ) {
      const page = await scheduler.history('job', { limit: 7, ...(before === undefined ? {} : { before }) })
      if (page.length === 0) break
      pages.push(...page)
      const last = page.at(-1) as HistoryEntry
      before = last.kind === 'run' ? last.scheduledTime : last.last
    }
    t.same(pages, all)
    t.same(await scheduler.history('job', { before: START + 25 * SECOND }), all.slice(11))
    t.same(await scheduler.history('job', { before: START }), [])
  })
)

t.test('ticks without a run have their reason, who said it, and when', (t) =>
  withVirtualScheduler(
    async ({ clock, scheduler }) => {
      const work = (ms: number) => (): Promise<void> => clock.sleep(ms)
      scheduler.add({ id: 'overlaps', trigger: { interval: '1m' }, handler: work(2.5 * MINUTE) })
      scheduler.add({ id: 'paused', trigger: { interval: '1m' }, handler: () => {} })
      scheduler.add({ id: 'refused', trigger: { interval: '1m' }, handler: () => {}, when: () => false })
      scheduler.add({ id: 'slept', trigger: { interval: '1m' }, handler: () => {} })
      scheduler.add({
        id: 'coalesced',
        trigger: { interval: '1m' },
        misfireGraceTime: '1h',
        handler: () => {}
      })
      await scheduler.start()
      await scheduler.pause('paused')
      await clock.advance(4 * MINUTE + 30 * SECOND)
      const said = (jobId: string, first: number, last: number, reason: string, at: number) => ({
        kind: 'ticks',
        jobId,
        first: START + first * MINUTE,
        last: START + last * MINUTE,
        count: last - first + 1,
        reason,
        by: 'here',
        at: START + at * MINUTE
      })
      const ticksOf = async (id: string) => (await scheduler.history(id)).filter(({ kind }) => kind === 'ticks')
      t.same(await ticksOf('overlaps'), [said('overlaps', 2, 3, 'overlap', 3)])
      t.same(await scheduler.history('refused'), [said('refused', 1, 4, 'condition', 4)])
      await scheduler.resume('paused')
      await clock.advance(MINUTE)
      t.match(await ticksOf('paused'), [
        { first: START + MINUTE, last: START + 4 * MINUTE, count: 4, reason: 'paused' }
      ])
      t.match(await scheduler.tick('paused', START + 2 * MINUTE), { run: null, reason: 'paused', by: 'here' })
      t.match(await scheduler.tick('paused', START + 5 * MINUTE), { run: { outcome: 'success' }, reason: null })
      // The process stands still.
      await clock.freeze(4 * MINUTE + 20 * SECOND)
      await clock.advance(SECOND)
      t.same(await ticksOf('slept'), [said('slept', 6, 9, 'misfire', 9 + 50 / 60)])
      t.match(await ticksOf('coalesced'), [said('coalesced', 6, 8, 'coalesced', 9 + 50 / 60)])
    },
    { replicaId: 'here' }
  )
)

t.test('thousands of ticks at once are one range', (t) =>
  withVirtualScheduler(
    async ({ clock, scheduler }) => {
      scheduler.add({ id: 'interval', trigger: { interval: '1s' }, handler: () => {} })
      scheduler.add({ id: 'cron', trigger: { cron: '* * * * * *' }, handler: () => {} })
      await scheduler.start()
      await clock.advance(2500)
      await clock.freeze(9000 * SECOND)
      await clock.advance(2 * SECOND)
      for (const id of ['interval', 'cron']) {
        t.same(await rangesOf(scheduler, id), [[3, 9001, 8999, 'misfire']], id)
        const middle = START + 5000 * SECOND
        t.match(await scheduler.tick(id, middle), { scheduledTime: middle, run: null, reason: 'misfire' })
        t.equal(await scheduler.tick(id, middle + 1), null, 'within the range, and no tick')
      }
    },
    {},
    '2027-01-01T00:00:00Z'
  )
)

t.test('ticks are known for as long as the history goes back', (t) =>
  withVirtualScheduler(
    async ({ clock, scheduler }) => {
      const at = (seconds: number): number => START + seconds * SECOND
      scheduler.add({ id: 'job', trigger: { interval: '1s' }, handler: () => {} })
      await scheduler.start()
      await clock.advance(30_500)
      t.equal((await runsOf(scheduler, 'job')).length, 10)
      t.match(await scheduler.tick('job', at(21)), { run: { outcome: 'success' } })
      t.equal(await scheduler.tick('job', at(20)), null, 'beyond the bound it is forgotten, and not concluded')
      t.equal(await scheduler.tick('job', at(31)), null, 'to come')
      t.equal(await scheduler.tick('job', at(21.5)), null, 'no tick')
      await scheduler.trigger('job', { scheduledTime: at(3) })
      await clock.settle()
      t.match(await scheduler.tick('job', at(3)), { run: { trigger: 'manual', outcome: 'success' } })
      t.equal(await scheduler.tick('job', at(10)), null, 'what is run again does not make others be known again')
      await scheduler.pause('job')
      await clock.advance(50 * SECOND)
      t.match(await scheduler.tick('job', at(30)), { run: { outcome: 'success' } })
      // The time of its retention passes, during which the job is paused and nothing is told.
      await clock.advance(60 * SECOND)
      t.equal(await scheduler.tick('job', at(30)), null, 'too old')
      t.same(await runsOf(scheduler, 'job'), [])
    },
    { history: { runs: 10, retention: '1m' } }
  )
)

t.test('what becomes of a tick that waits for a slot is open until it is known', (t) =>
  withFleet(async ({ simulation, join, start }) => {
    const members = await Promise.all(
      [0, 1].map(() =>
        join(({ scheduler, replica }) => {
          scheduler.interval('job', '1m', () => replica.sleep('90s'), { overlap: 'wait' })
        })
      )
    )
    const told = async (minutes: number) => {
      const stories = await Promise.all(members.map(({ scheduler }) => scheduler.tick('job', start + minutes * MINUTE)))
      t.same(stories[0], stories[1], 'the same on both')
      return stories[0]
    }
    await simulation.advance('125s')
    const open = { scheduledTime: start + 2 * MINUTE, run: null, reason: null, by: null, at: null }
    t.same(await told(2), open)
    t.match(await told(1), { run: { outcome: null, finishedAt: null } })
    await simulation.advance('60s')
    t.match(await told(2), { run: { startedAt: start + 150 * SECOND, outcome: null } })
    await simulation.advance('180s')
    t.match(await told(2), { run: { outcome: 'success' }, reason: null })
    for (const minutes of [1, 2, 3, 4]) {
      const story = await told(minutes)
      t.ok(story?.run != null || story?.reason === 'coalesced' || story?.reason === 'overlap', `minute ${minutes}`)
    }
  })
)

t.test('what follows for a tick whose replica died before it told of it', (t) =>
  withFleet(async ({ simulation, join, start }) => {
    const members = await Promise.all(
      [0, 1, 2].map(() =>
        join(({ scheduler, replica }) => {
          scheduler.interval('refuses', '10s', () => {}, { when: () => false })
          scheduler.interval('overlaps', '10s', () => replica.sleep('15s'))
        })
      )
    )
    const reasons = async (member: (typeof members)[number], jobId: string, seconds: number) => {
      const story = await member.scheduler.tick(jobId, start + seconds * SECOND)
      return story === null ? null : [story.run?.outcome ?? null, story.reason, story.by]
    }
    await simulation.advance(20_100)
    // The tick of 20 s was refused just now, and what is collected has not been told.
    const [first, ...others] = members
    for (const { replica } of members) replica.crash()
    t.ok(first && others.length === 2)
    const late = [0, 1]
    const survivors = []
    for (const _ of late) {
      survivors.push(
        await join(({ scheduler, replica }) => {
          scheduler.interval('refuses', '10s', () => {}, { when: () => false })
          scheduler.interval('overlaps', '10s', () => replica.sleep('15s'))
        })
      )
    }
    await simulation.advance('2m')
    for (const survivor of survivors) {
      t.same(await reasons(survivor, 'refuses', 20), [null, 'misfire', null], 'nobody said why')
      t.same(await reasons(survivor, 'overlaps', 10), [
        'abandoned',
        null,
        members.find((each) => each.runs.some((run) => run.jobId === 'overlaps'))?.scheduler.replicaId
      ])
      t.same(await reasons(survivor, 'overlaps', 20), [null, 'overlap', null], 'a run went on')
    }
  })
)

t.test(
  "with Redis, each replica tells the same: of runs that lost their lock, of others' jobs, beside what cannot be read",
  (t) =>
    withRedis(async ({ url, client }) => {
      const { logger, lines } = logLines()
      const make = (replicaId: string) => createScheduler({ redis: url, prefix: 'told', replicaId, logger })
      const [a, b] = [make('a'), make('b')]
      a.add({
        id: 'loses',
        lock: { ttl: '300ms' },
        handler: ({ signal }) => new Promise((resolve) => signal.addEventListener('abort', resolve))
      })
      // It hears of the loss with the answer to its end, which said that it was a success.
      a.add({
        id: 'loses late',
        handler: async () => {
          await client.del('rls:{told}:lock:loses late')
          return 'done'
        }
      })
      await Promise.all([a.start(), b.start()])
      await a.trigger('loses')
      t.equal(await client.del('rls:{told}:lock:loses'), 1)
      await nextEvent(a, 'error', ({ run }) => run.jobId === 'loses')
      await a.trigger('loses late', { wait: true, by: 'anna' })
      const lost = { outcome: 'lock_lost', replicaId: 'a', error: { code: 'FST_ERR_RLS_LOCK_LOST' }, result: null }
      for (const replica of [a, b]) {
        t.match(await replica.history('loses'), [lost], 'also where nobody else has the job')
        const [late, ...others] = await untilKnown(
          () => replica.history('loses late'),
          ([run]) => isLost(run)
        )
        t.match(late, { ...lost, by: 'anna' })
        t.same(others, [], 'what was told before is corrected')
        const { scheduledTime } = late as HistoryRun
        t.match(await replica.tick('loses late', scheduledTime), { run: lost })
      }
      t.match(await a.status('loses late'), { consecutiveFailures: 1 })
      t.match(await a.tick('loses', 5), null)
      await t.rejects(b.history('unknown'), { code: 'FST_ERR_RLS_JOB_UNKNOWN' })

      const at = Date.now()
      for (const text of ['{', 'null', '{"i":5}', '"text"'])
        await client.xadd('rls:{told}:history:loses', '*', 'e', text)
      await client.zadd('rls:{told}:ticks:loses', at, 'no range')
      for (let count = 0; count < 3; count++) {
        t.match(await b.history('loses'), [lost])
        t.match(await b.tick('loses', at), null)
      }
      const told = lines.filter(({ message }) => /cannot be read/.test(message))
      t.match(told, [{ level: 'warn', fields: { jobId: 'loses', entries: 5 } }])
      t.equal(told.length, 1, 'once')
      await Promise.all([a.close(), b.close()])
    })
)

function isLost(entry: HistoryEntry | undefined): boolean {
  return entry?.kind === 'run' && entry.outcome === 'lock_lost'
}

/** What is read, once it is as it is to be: what happens elsewhere has no event here. */
async function untilKnown<Value>(read: () => Promise<Value>, isKnown: (value: Value) => boolean): Promise<Value> {
  for (const end = performance.now() + 5000; ; await sleep(20)) {
    const value = await read()
    if (isKnown(value) || performance.now() > end) return value
  }
}

t.test('one of three masters that is down or has lost all changes no answer', (t) =>
  withFleet(
    async ({ simulation, join, start }) => {
      const members = await Promise.all(
        [0, 1].map(() =>
          join(
            ({ scheduler, replica }) => {
              scheduler.interval('job', '10s', () => replica.sleep('1s'))
              scheduler.interval('long', '10s', () => replica.sleep('24s'))
            },
            { history: { runs: 20 } }
          )
        )
      )
      await simulation.advance('301s')
      const read = async () => {
        const stories = []
        for (const { scheduler } of members) {
          for (let tick = 1; tick <= 30; tick++) {
            for (const id of ['job', 'long'])
              stories.push(await settled(scheduler.tick(id, start + tick * 10 * SECOND)))
          }
          stories.push(await settled(scheduler.history('job')), await settled(scheduler.history('long')))
        }
        return stories
      }
      // Its answers take no time to be waited for.
      const settled = async <Value>(asked: Promise<Value>): Promise<Value> => {
        await simulation.advance(1)
        return asked
      }
      await simulation.advance('8s')
      const before = await read()
      const half = before.length / 2
      t.same(before.slice(0, half), before.slice(half), 'the same on both')
      t.ok(before.slice(0, 60).filter((story) => story !== null).length >= 30)
      t.same(
        before.slice(0, 20).filter((story) => story !== null && 'reason' in story && story.by === null),
        []
      )
      const [master] = simulation.stores
      master?.kill()
      t.same(await read(), before, 'down')
      master?.wipe()
      master?.start()
      t.same(await read(), before, 'wiped')
    },
    { masters: 3 }
  )
)

t.test('a tick whose claim was given up is told as it was counted, not by the run that never began', async (t) => {
  const run = { id: 'run', scheduledTime: 5, outcome: 'abandoned', trigger: 'schedule', replicaId: 'one', startedAt: 5 }
  const ticks = [{ first: 5, last: 5, count: 1, reason: 'misfire', by: 'two', at: 9 }]
  const stored = { runs: [run], ticks, ongoing: [], unreadable: 0, waiting: null }
  const coordination = { readHistory: async () => stored }
  const reader = new HistoryReader({ coordination, jobs: { get: () => undefined }, history: {} } as never)
  t.same(await reader.tick('job', 5), { scheduledTime: 5, run: null, reason: 'misfire', by: 'two', at: 9 })
})
