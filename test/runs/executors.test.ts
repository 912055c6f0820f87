import t from 'tap'
import { Engine } from '../../lib/engine.js'
import { createScheduler, type RunContext } from '../../lib/index.js'
import { resolveOptions } from '../../lib/options.js'
import { toRunMessage } from '../../lib/runs/executors/run-message.js'
import { Scheduler } from '../../lib/scheduler.js'
import type { Executor } from '../../types/executor.js'
import type { JobOptions } from '../../types/job-options.js'
import type { SchedulerOptions } from '../../types/scheduler-options.js'
import { logLines } from '../fixtures/log-lines.js'
import { NEVER_DUE } from '../fixtures/never-due.js'

function schedulerWith(executors: Readonly<Record<string, Executor>>, options: SchedulerOptions = {}): Scheduler {
  return new Scheduler(new Engine(resolveOptions({ logger: false, ...options }), { executors }), undefined)
}

function jobOf(handler: unknown): JobOptions {
  return { id: 'job', trigger: { interval: NEVER_DUE }, handler: handler as JobOptions['handler'] }
}

const echo: Executor = { run: (_, work) => work }

t.test(
  'the message has everything of the context but app, log and signal, and is carried by a clone and by JSON',
  async (t) => {
    const scheduler = createScheduler({ app: { of: 'this process' }, logger: false })
    const contexts: RunContext[] = []
    const data = { list: [1, 'two', null], flag: true }
    scheduler.add({
      id: 'job',
      name: 'A job',
      trigger: { interval: NEVER_DUE },
      data,
      handler: (context) => contexts.push(context)
    })
    await scheduler.start()
    await scheduler.trigger('job', { wait: true })
    const context = contexts[0] as RunContext
    const message = toRunMessage(context)
    t.strictSame(structuredClone(message), message)
    t.strictSame(JSON.parse(JSON.stringify(message)), message)
    t.strictSame(Object.getPrototypeOf(message), Object.prototype)
    // `log` and `signal` are on the prototype.
    const known = Object.keys(context).filter((key) => key !== 'app')
    t.strictSame(Object.keys(message).sort(), known.sort())
    // What is known of a run only at its end is nothing that its handler could be told.
    const ends = ['outcome', 'finishedAt', 'error', 'result']
    const ofRun = Object.keys(context.run).filter((key) => !ends.includes(key))
    t.strictSame(Object.keys(message.run).sort(), ofRun.sort())
    for (const key of ofRun as (keyof typeof message.run)[]) t.equal(message.run[key], context.run[key], key)
    t.strictSame(message.job, { id: 'job', name: 'A job' })
    t.equal(message.data, data)
    t.equal(message.fencingToken, context.fencingToken)
    t.type(message.fencingToken, 'number')
    await scheduler.close()
  }
)

t.test('a handler is a function, or names an executor that is known', async (t) => {
  const scheduler = schedulerWith({ echo, other: echo })
  const hostile = new Proxy(
    {},
    {
      ownKeys: () => {
        throw new Error('hostile')
      }
    }
  )
  const wrong = [undefined, null, 'echo', {}, { queue: 'x' }, { echo: 1, other: 2 }, { toString: 1 }, ['echo'], hostile]
  for (const handler of wrong) {
    t.throws(() => scheduler.add(jobOf(handler)), {
      code: 'FST_ERR_RLS_OPTION_INVALID',
      message: /`handler`.* a function or `\{ echo: \.\.\. \}` or `\{ other: \.\.\. \}`/
    })
  }
  t.strictSame(scheduler.list(), [])
  scheduler.add(jobOf({ echo: 'anything' }))
  await scheduler.start()
  t.match(await scheduler.trigger('job', { wait: true }), { outcome: 'success', result: 'anything' })
  scheduler.modify('job', { name: 'With the same handler' })
  t.match(await scheduler.trigger('job', { wait: true }), { outcome: 'success', result: 'anything' })
  scheduler.modify('job', { handler: () => 'a function' })
  t.match(await scheduler.trigger('job', { wait: true }), { outcome: 'success', result: 'a function' })
  await scheduler.close()
})

t.test('without further executors a handler is a function', async (t) => {
  t.throws(() => createScheduler().add(jobOf({ echo: 'anything' })), {
    message: /`handler`.* a function, got/
  })
})

t.test('executors are started once, and closed once when the runs have settled', async (t) => {
  const happened: string[] = []
  const scheduler = schedulerWith({
    slow: {
      start: async () => void happened.push('start'),
      run: async () => {
        happened.push('run')
        await new Promise((resolve) => setTimeout(resolve, 30))
        happened.push('settled')
      },
      close: async () => void happened.push('close')
    }
  })
  scheduler.add(jobOf({ slow: null }))
  await Promise.all([scheduler.start(), scheduler.start()])
  await scheduler.withLock('a-lock', { ttl: '1s' }, () => {})
  await scheduler.trigger('job')
  await Promise.all([scheduler.close(), scheduler.close()])
  t.strictSame(happened, ['start', 'run', 'settled', 'close'])
})

t.test('an executor that was not started is not closed; one that cannot start lets nothing start', async (t) => {
  const happened: string[] = []
  const parts = { run() {}, close: () => void happened.push('close') }
  await schedulerWith({ idle: parts }).close()
  t.strictSame(happened, [])
  const notReached: Executor = { run() {}, close: () => t.fail('it was not started') }
  const broken: Executor = { ...parts, start: () => Promise.reject(new Error('no threads')) }
  const failing = schedulerWith({ broken, notReached })
  await t.rejects(failing.start(), { message: 'no threads' })
  await failing.close()
  t.strictSame(happened, ['close'])
})

t.test('an executor that cannot be closed is told of, and keeps no other from it', async (t) => {
  const { lines, logger } = logLines()
  const happened: string[] = []
  const broken: Executor = {
    run() {},
    close() {
      throw new Error('still busy')
    }
  }
  const scheduler = schedulerWith({ broken, other: { run() {}, close: () => void happened.push('close') } }, { logger })
  await scheduler.start()
  await scheduler.close()
  t.strictSame(happened, ['close'])
  t.match(
    lines.filter(({ level }) => level === 'error'),
    [
      {
        fields: { executor: 'broken', err: { message: 'still busy' } },
        message: "the executor 'broken' could not be closed"
      }
    ]
  )
})

t.test('an executor that hangs as it closes keeps nobody waiting for ever', async (t) => {
  const hung: Executor = { run() {}, close: () => new Promise(() => {}) }
  const scheduler = schedulerWith({ hung }, { closeTimeout: 50 })
  await scheduler.start()
  const begun = performance.now()
  await scheduler.close()
  t.ok(performance.now() - begun < 5000)
})
