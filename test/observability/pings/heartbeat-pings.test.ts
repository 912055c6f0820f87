// What a job's heartbeat is told, by whom, and that nothing waits for it.
import { AsyncLocalStorage } from 'node:async_hooks'
import t from 'tap'
import { uuidOf } from '../../../lib/base/uuid.js'
import { createScheduler, type JobOptions, type Run, type SchedulerOptions } from '../../../lib/index.js'
import type { SendPing } from '../../../lib/observability/pings/http-ping.js'
import type { Scheduler } from '../../../lib/scheduler.js'
import { Simulation } from '../../../lib/testing/index.js'
import { VirtualClock } from '../../../lib/testing/virtual-clock.js'
import type { LogLine } from '../../fixtures/log-lines.js'
import { heartbeatOf, pingedScheduler, pingsTo, type SentPing } from '../../fixtures/pinged.js'

const SECOND = 1000

interface Pinged {
  readonly clock: VirtualClock
  readonly scheduler: Scheduler<undefined>
  readonly pings: SentPing[]
  readonly lines: LogLine[]
  /** What was told so far, in order. */
  told(): string[]
}

/** Runs `body` with a scheduler in memory under simulated time, whose pings are kept. */
async function withPinged(
  body: (parts: Pinged) => Promise<void>,
  send?: (pings: SentPing[]) => SendPing,
  options: SchedulerOptions<undefined> = {}
): Promise<void> {
  const clock = new VirtualClock()
  const pings: SentPing[] = []
  const { scheduler, lines } = pingedScheduler({ clock, ...options }, send?.(pings) ?? pingsTo(pings))
  try {
    await body({ clock, scheduler, pings, lines, told: () => pings.map(({ what }) => what) })
  } finally {
    const closed = scheduler.close()
    await clock.advance(60 * SECOND)
    await closed
  }
}

const everyMinute = (id: string, options: Partial<JobOptions> = {}): JobOptions => {
  return { id, trigger: { interval: '1m' }, handler: () => {}, heartbeat: heartbeatOf(id), ...options }
}

t.test('a run that succeeds: its start, then its success, of one run', async (t) => {
  await withPinged(async ({ clock, scheduler, pings, told }) => {
    const runs: Run[] = []
    scheduler.on('executed', ({ run }) => void runs.push(run))
    scheduler.add(everyMinute('report', { handler: () => clock.sleep(SECOND) }))
    scheduler.add({ id: 'other', trigger: { interval: '1m' }, handler: () => {} })
    await scheduler.start()
    await clock.advance(60 * SECOND)
    t.strictSame(told(), ['start report'])
    await clock.advance(SECOND)
    t.strictSame(told(), ['start report', 'success report'])
    const run = runs.find(({ jobId }) => jobId === 'report') as Run
    for (const { rid, url } of pings) {
      t.equal(rid, uuidOf(run.id))
      t.equal(url.searchParams.get('create'), '1')
    }
    const about = `job report\nrun ${run.id}, attempt 1, by schedule\ntick 2027-01-01T00:01:00.000Z\nreplica ${run.replicaId}\n`
    t.equal(pings[0]?.body, about)
    t.equal(pings[1]?.body, `success after 1000 ms\n${about}`)
  })
})

t.test('every other outcome is a failure, told once and when it is known', async (t) => {
  await withPinged(async ({ clock, scheduler, pings, told }) => {
    const failure = Object.assign(new Error('no table'), { code: 'E_TABLE' })
    const forever = (): Promise<never> => new Promise(() => {})
    const ids: Record<string, string> = {}
    scheduler.on('submitted', ({ run }) => {
      ids[run.jobId] = run.id
    })
    scheduler.add(everyMinute('error', { handler: () => Promise.reject(failure) }))
    scheduler.add(everyMinute('timeout', { handler: () => clock.sleep(30 * SECOND), timeout: '5s' }))
    scheduler.add(everyMinute('lost', { handler: forever }))
    scheduler.add(everyMinute('cancelled', { handler: forever }))
    const ofLast = (job: string): SentPing => pings.filter(({ url }) => url.pathname.includes(job)).at(-1) as SentPing
    await scheduler.start()
    await clock.advance(60 * SECOND)
    const [firstFailure, ...more] = pings.filter(({ what }) => what.startsWith('fail'))
    t.strictSame(more, [])
    t.match(
      firstFailure?.body,
      /^error after 0 ms\nError: no table \(E_TABLE\)\njob error\n[\s\S]*\n\nError: no table\n {4}at /
    )
    await clock.advance(4 * SECOND)
    t.equal(ofLast('timeout').what, 'start timeout')
    await clock.advance(SECOND)
    t.match(ofLast('timeout'), {
      what: 'fail timeout',
      body: /^timeout after 5000 ms\n.*\(FST_ERR_RLS_RUN_TIMEOUT\)\n/
    })
    await clock.advance(SECOND)
    await scheduler.release('lost')
    await clock.settle()
    await scheduler.cancel(ids.cancelled as string)
    await clock.advance(SECOND)
    t.notOk(told().includes('fail cancelled'), 'its handler does not listen, so that its outcome is not known')
    const closed = scheduler.close()
    await clock.advance(10 * SECOND)
    await closed
    t.match(ofLast('lost'), { what: 'fail lost' })
    t.match(ofLast('cancelled'), { what: 'fail cancelled' })
    t.equal(told().filter((what) => what === 'fail timeout').length, 1)
    t.equal(told().filter((what) => what.startsWith('success')).length, 0)
  })
})

t.test('attempts are not told, nor ticks without a run', async (t) => {
  await withPinged(async ({ clock, scheduler, told }) => {
    let calls = 0
    const handler = (): void => {
      if (++calls < 3) throw new Error('not yet')
    }
    scheduler.add(everyMinute('retried', { handler, retry: { limit: 3, delay: '1s' } }))
    scheduler.add(everyMinute('asked', { when: () => false }))
    scheduler.add(everyMinute('paused', { paused: true }))
    await scheduler.start()
    await clock.advance(70 * SECOND)
    t.equal(calls, 3)
    t.strictSame(told(), ['start retried', 'success retried'])
  })
})

t.test('runs by hand and at the start are told as any', async (t) => {
  await withPinged(async ({ clock, scheduler, pings, told }) => {
    scheduler.add(everyMinute('started', { runOnStart: true }))
    scheduler.add({ id: 'by-hand', handler: () => {}, heartbeat: heartbeatOf('by-hand') })
    await scheduler.start()
    await clock.advance(1)
    t.strictSame(told(), ['start started', 'success started'])
    await Promise.all([scheduler.trigger('by-hand', { wait: true }), clock.advance(1)])
    await clock.advance(1)
    t.strictSame(told().slice(2), ['start by-hand', 'success by-hand'])
    t.match(pings[2]?.body, /, by manual\n/)
  })
})

t.test('of a run that another replaces its successor tells', async (t) => {
  await withPinged(async ({ clock, scheduler, told }) => {
    const outcomes: unknown[] = []
    scheduler.on('error', ({ run }) => void outcomes.push(run.outcome))
    scheduler.add(
      everyMinute('job', {
        overlap: 'replace',
        handler: ({ signal }) =>
          new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)))
      })
    )
    await scheduler.start()
    await clock.advance(121 * SECOND)
    t.strictSame(outcomes, ['cancelled'])
    t.strictSame(told(), ['start job', 'start job'])
  })
})

t.test('a heartbeat can be given, changed and taken away at run time', async (t) => {
  await withPinged(async ({ clock, scheduler, told }) => {
    scheduler.add({ id: 'job', trigger: { interval: '1m' }, handler: () => {} })
    await scheduler.start()
    await clock.advance(60 * SECOND)
    t.strictSame(told(), [])
    scheduler.modify('job', { heartbeat: heartbeatOf('one') })
    await clock.advance(60 * SECOND)
    scheduler.modify('job', { heartbeat: heartbeatOf('two'), timeout: '5s' })
    scheduler.modify('job', { timeout: '6s' })
    await clock.advance(60 * SECOND)
    scheduler.modify('job', { heartbeat: null })
    await clock.advance(60 * SECOND)
    t.strictSame(told(), ['start one', 'success one', 'start two', 'success two'])
  })
})

t.test('an override leaves the heartbeat as it is', async (t) => {
  await withPinged(async ({ clock, scheduler, told }) => {
    scheduler.add(everyMinute('job'))
    await scheduler.start()
    await Promise.all([scheduler.override('job', { timeout: '5s' }), clock.advance(1)])
    await clock.advance(60 * SECOND)
    t.strictSame(told(), ['start job', 'success job'])
    t.notMatch(JSON.stringify(scheduler.get('job')), 's3cret')
  })
})

t.test('no run waits for a ping, and what is told of the first comes before what is told of the next', async (t) => {
  const waiting: (() => void)[] = []
  const slow = (pings: SentPing[]): SendPing =>
    pingsTo(pings, () => new Promise((resolve) => waiting.push(() => resolve(200))))
  await withPinged(async ({ clock, scheduler, told }) => {
    const outcomes: unknown[] = []
    scheduler.on('executed', ({ run }) => void outcomes.push(run.outcome))
    scheduler.add({ ...everyMinute('job'), trigger: { interval: '1s' } })
    await scheduler.start()
    await clock.advance(3 * SECOND)
    t.strictSame(outcomes, ['success', 'success', 'success'])
    t.strictSame(told(), ['start job'])
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      next()
      await clock.settle()
    }
    t.strictSame(
      told(),
      [1, 2, 3].flatMap(() => ['start job', 'success job'])
    )
  }, slow)
})

t.test('a ping that throws, or fails, stops nothing', async (t) => {
  const broken = (pings: SentPing[]): SendPing => {
    return (url, body, signal) => {
      void pingsTo(pings)(url, body, signal)
      if (pings.length % 2 === 0) throw new Error('at once')
      return Promise.reject(undefined)
    }
  }
  await withPinged(async ({ clock, scheduler, pings }) => {
    scheduler.add(everyMinute('job'))
    await scheduler.start()
    await clock.advance(120 * SECOND)
    t.match(await scheduler.history('job'), [{ outcome: 'success' }, { outcome: 'success' }])
    t.ok(pings.length > 2)
  }, broken)
})

t.test('the log tells of trouble once, until it is over, and never of the secret', async (t) => {
  let status = 404
  const answering = (pings: SentPing[]): SendPing => pingsTo(pings, () => status)
  await withPinged(async ({ clock, scheduler, lines }) => {
    scheduler.add(everyMinute('job'))
    scheduler.add(everyMinute('other', { handler: () => Promise.reject(new Error('broken')) }))
    await scheduler.start()
    const told = (): unknown[] =>
      lines.splice(0).flatMap(({ level, fields }) => ('origin' in fields ? [{ level, ...fields }] : []))
    await clock.advance(120 * SECOND)
    const origin = 'https://hc.example'
    t.strictSame(told(), [
      { level: 'warn', jobId: 'job', origin, status: 404 },
      { level: 'warn', jobId: 'other', origin, status: 404 }
    ])
    status = 503
    await clock.advance(180 * SECOND)
    t.strictSame(told(), [{ level: 'warn', jobId: 'job', origin, reason: 'status 503' }], 'once for an origin')
    status = 200
    await clock.advance(120 * SECOND)
    t.match(told(), [
      { level: 'info', origin },
      { level: 'info', origin }
    ])
    status = 404
    await clock.advance(60 * SECOND)
    t.equal(told().length, 2, 'it is told again')
    t.notMatch(JSON.stringify(lines), 's3cret')
  }, answering)
})

t.test('the log of an incident says nothing secret', async (t) => {
  const failing = (pings: SentPing[]): SendPing =>
    pingsTo(pings, () => Promise.reject(Object.assign(new Error('s3cret'), { code: 'ENOTFOUND' })))
  await withPinged(async ({ clock, scheduler, lines }) => {
    scheduler.add(everyMinute('job'))
    await scheduler.start()
    await clock.advance(180 * SECOND)
    t.ok(lines.some(({ fields }) => fields.reason === 'ENOTFOUND'))
    t.notMatch(JSON.stringify(lines), 's3cret')
  }, failing)
})

t.test('what is said of errors is what the history keeps, redacted', async (t) => {
  const redact = (text: string): string => text.replaceAll(/password=\S+/g, 'password=***')
  await withPinged(
    async ({ clock, scheduler, pings }) => {
      scheduler.add(everyMinute('job', { handler: () => Promise.reject('password=hunter2') }))
      await scheduler.start()
      await clock.advance(60 * SECOND)
      t.match(pings[1]?.body, /^error after 0 ms\nNonError: password=\*\*\*\n/)
      t.notMatch(pings[1]?.body, 'hunter2')
    },
    undefined,
    { history: { redact } }
  )
})

t.test('it is at most 10,000 bytes, cut between two characters', async (t) => {
  await withPinged(async ({ clock, scheduler, pings }) => {
    const long = Object.assign(new Error('€'.repeat(50_000)), { stack: '€'.repeat(50_000) })
    scheduler.add(everyMinute('job', { handler: () => Promise.reject(long) }))
    await scheduler.start()
    await clock.advance(60 * SECOND)
    const { body = '' } = pings[1] ?? {}
    t.notMatch(body, '\ufffd')
    t.ok(Buffer.byteLength(body) > 9990 && Buffer.byteLength(body) <= 10_000)
  })
})

for (const isHung of [true, false]) {
  t.test(
    `closing gives unsent pings a short time: ${isHung ? 'what hangs is left' : 'what waits is sent'}`,
    async (t) => {
      let isUp = false
      const send = (pings: SentPing[]): SendPing =>
        pingsTo(pings, (_, signal) => {
          if (isUp) return 200
          if (!isHung) return 500
          return new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason)))
        })
      await withPinged(async ({ clock, scheduler, pings, told, lines }) => {
        scheduler.add(everyMinute('job'))
        await scheduler.start()
        await clock.advance(61 * SECOND)
        isUp = !isHung
        let isClosed = false
        const before = pings.length
        const closed = scheduler.close().then(() => {
          isClosed = true
        })
        await clock.advance(1999)
        t.equal(isClosed, !isHung)
        await clock.advance(1)
        t.equal(isClosed, true)
        await closed
        t.strictSame(told().slice(before), isHung ? [] : ['start job', 'success job'])
        t.equal(
          lines.some(({ fields }) => fields.heartbeats === 2),
          isHung
        )
        const sent = pings.length
        await clock.advance(120 * SECOND)
        t.equal(pings.length, sent, 'nothing is sent afterwards')
        t.equal(clock.pending, 0)
      }, send)
    }
  )
}

t.test('closing waits no longer than closeTimeout and a second', async (t) => {
  const hung = (pings: SentPing[]): SendPing => pingsTo(pings, () => new Promise(() => {}))
  await withPinged(
    async ({ clock, scheduler }) => {
      scheduler.add(everyMinute('job'))
      await scheduler.start()
      await clock.advance(60 * SECOND)
      let isClosed = false
      const closed = scheduler.close().then(() => {
        isClosed = true
      })
      await clock.advance(1100)
      t.equal(isClosed, true)
      await closed
    },
    hung,
    { closeTimeout: 100 }
  )
})

t.test('a run that closing aborts is told as it ends', async (t) => {
  await withPinged(async ({ clock, scheduler, told }) => {
    scheduler.add(
      everyMinute('job', {
        handler: ({ signal }) =>
          new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)))
      })
    )
    await scheduler.start()
    await clock.advance(60 * SECOND)
    const closed = scheduler.close()
    await clock.advance(20 * SECOND)
    await closed
    t.strictSame(told(), ['start job', 'fail job'])
  })
})

t.test('nothing that is sent has the async context of who called in', async (t) => {
  const storage = new AsyncLocalStorage<string>()
  const seen: unknown[] = []
  const spying = (pings: SentPing[]): SendPing => {
    const send = pingsTo(pings)
    return (...ping) => {
      seen.push(storage.getStore())
      return send(...ping)
    }
  }
  await withPinged(async ({ clock, scheduler }) => {
    scheduler.add({ id: 'job', handler: () => storage.getStore(), heartbeat: heartbeatOf('job') })
    await scheduler.start()
    const run = storage.run('a request', () => scheduler.trigger('job', { wait: true }))
    await clock.advance(SECOND)
    t.match(await run, { result: 'a request' })
    t.strictSame(seen, [undefined, undefined])
    // What an operator ends waits for its next attempt, and so ends within the operator's call.
    const broken = (): never => {
      throw new Error('broken')
    }
    const options = { lock: false, retry: { limit: 1, delay: '30s' }, heartbeat: heartbeatOf('retried') } as const
    scheduler.add({ id: 'retried', handler: broken, ...options })
    const { id } = (await scheduler.trigger('retried')) as Run
    await Promise.all([storage.run('an operator', () => scheduler.cancel(id)), clock.advance(SECOND)])
    t.strictSame(seen, [undefined, undefined, undefined, undefined])
  }, spying)
})

t.test('under simulated time nothing is sent, unless a test receives it', async (t) => {
  const timers: number[] = []
  for (const heartbeat of [null, 'http://127.0.0.1:1/x']) {
    const clock = new VirtualClock()
    const scheduler = createScheduler({ clock, logger: false })
    scheduler.add(everyMinute('job', { heartbeat }))
    await scheduler.start()
    await clock.advance(60 * SECOND)
    timers.push(clock.pending)
    const closed = scheduler.close()
    await clock.advance(60 * SECOND)
    await closed
  }
  t.equal(timers[0], timers[1], 'none for the limit of a ping')
})

t.test(
  'in a fleet the replica tells that has the run; with `lock: false` each; of a death who notices it',
  async (t) => {
    const simulation = new Simulation()
    const told: Record<string, SentPing[]> = { one: [], two: [] }
    const member = async (name: string, isStuck: boolean) => {
      const replica = simulation.replica()
      const { scheduler } = pingedScheduler(replica.options, pingsTo(told[name] as SentPing[]))
      scheduler.add(everyMinute('locked'))
      scheduler.add(everyMinute('each', { lock: false }))
      scheduler.add({
        id: 'stuck',
        handler: () => (isStuck ? new Promise(() => {}) : undefined),
        heartbeat: heartbeatOf('stuck')
      })
      const started = scheduler.start()
      await simulation.settle()
      await started
      return { replica, scheduler }
    }
    const one = await member('one', true)
    const two = await member('two', false)
    await simulation.advance('3m')
    const whats = (name: string, job: string): string[] =>
      (told[name] ?? []).flatMap(({ what }) => (what.endsWith(job) ? [what] : []))
    t.equal([...whats('one', 'locked'), ...whats('two', 'locked')].length, 6)
    for (const name of ['one', 'two']) t.equal(whats(name, 'each').length, 6)
    const triggered = one.scheduler.trigger('stuck')
    await simulation.settle()
    const run = (await triggered) as Run
    await simulation.settle()
    t.strictSame(whats('one', 'stuck'), ['start stuck'])
    one.replica.crash()
    await simulation.advance('2m')
    t.strictSame(whats('two', 'stuck'), ['fail stuck'])
    const pinged = Object.values(told)
      .flat()
      .filter(({ what }) => what.endsWith('stuck'))
    t.strictSame(
      pinged.map(({ rid }) => rid),
      [uuidOf(run.id), uuidOf(run.id)],
      'as one run'
    )
    t.match(pinged[1]?.body, /^abandoned after \d+ ms\n.*\(FST_ERR_RLS_RUN_ABANDONED\)\njob stuck\n/)
    const closed = two.scheduler.close()
    await simulation.advance('1m')
    await closed
  }
)
