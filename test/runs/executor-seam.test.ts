// The seam for executors: one that runs handlers in a process of their own, from nothing but the contract in types/.
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import t from 'tap'
import { Engine } from '../../lib/engine.js'
import { resolveOptions } from '../../lib/options.js'
import { toRunMessage } from '../../lib/runs/executors/run-message.js'
import { Scheduler } from '../../lib/scheduler.js'
import type { Executor, RunMessage } from '../../types/executor.js'
import type { JobOptions } from '../../types/job-options.js'
import type { Run, RunContext } from '../../types/run.js'
import { NEVER_DUE } from '../fixtures/never-due.js'

interface Reply {
  readonly call: number
  readonly value?: RunMessage & { readonly pid: number }
  readonly error?: string
}

/** Sends each attempt to a child process, which is killed when an attempt is aborted; the next attempt has a new one. */
class ChildExecutor implements Executor {
  child: ChildProcess | null = null
  calls = 0

  start(): void {
    this.#fork()
  }

  async run(context: RunContext, work: unknown): Promise<unknown> {
    const child = this.child ?? this.#fork()
    const call = ++this.calls
    const onAbort = (): void => void child.kill('SIGKILL')
    context.signal.addEventListener('abort', onAbort)
    try {
      return await new Promise<unknown>((resolve, reject) => {
        child.on('exit', () => reject(new Error('the process has gone')))
        child.on('message', (reply: Reply) => {
          if (reply.call !== call) return
          if (reply.error === undefined) resolve(reply.value)
          else reject(new Error(reply.error))
        })
        child.send({ call, work, message: toRunMessage(context) })
      })
    } finally {
      context.signal.removeEventListener('abort', onAbort)
    }
  }

  async close(): Promise<void> {
    const { child } = this
    if (child === null) return
    child.kill()
    await once(child, 'exit')
  }

  #fork(): ChildProcess {
    const child = fork(join(import.meta.dirname, '../fixtures/echo-process.mjs'), { execArgv: [] })
    child.once('exit', () => {
      if (this.child === child) this.child = null
    })
    this.child = child
    return child
  }
}

async function withChild(body: (scheduler: Scheduler, executor: ChildExecutor) => Promise<void>): Promise<void> {
  const executor = new ChildExecutor()
  const engine = new Engine(resolveOptions({ logger: false }), { executors: { child: executor } })
  const scheduler = new Scheduler<unknown>(engine, undefined)
  try {
    await scheduler.start()
    await body(scheduler, executor)
  } finally {
    await scheduler.close()
  }
}

/** A job whose handler is of the kind `child`, which no type knows yet. */
function jobOf(work: string, options: Partial<JobOptions> = {}): JobOptions {
  return { id: 'job', trigger: { interval: NEVER_DUE }, handler: { child: work } as never, ...options }
}

async function runOf(scheduler: Scheduler): Promise<Run> {
  return (await scheduler.trigger('job', { wait: true })) as Run
}

t.test('a run goes to the child, and what the child answers is its result', (t) =>
  withChild(async (scheduler, { child }) => {
    scheduler.add(jobOf('echo', { name: 'A job', data: { of: ['its', 'own'] } }))
    const run = await runOf(scheduler)
    const { id, jobId, scheduledTime, startedAt, attempt, trigger, by, replicaId, fencingToken } = run
    t.strictSame([run.outcome, run.error], ['success', undefined])
    t.strictSame(run.result, {
      job: { id: 'job', name: 'A job' },
      run: { id, jobId, scheduledTime, startedAt, attempt, trigger, by, replicaId, fencingToken },
      data: { of: ['its', 'own'] },
      fencingToken,
      pid: child?.pid
    })
  })
)

t.test('what fails in the child is a failed run, and the next run is sent there again', (t) =>
  withChild(async (scheduler, executor) => {
    scheduler.add(jobOf('fail'))
    t.match(await runOf(scheduler), { outcome: 'error', error: { message: 'attempt 1 failed' } })
    scheduler.modify('job', { handler: { child: 'echo' } as never })
    t.equal((await runOf(scheduler)).outcome, 'success')
    scheduler.modify('job', { data: 'other' })
    t.match(await runOf(scheduler), { outcome: 'success', result: { data: 'other' } })
    t.equal(executor.calls, 3)
  })
)

t.test('each further attempt is a call of its own', (t) =>
  withChild(async (scheduler, executor) => {
    scheduler.add(jobOf('fail once', { retry: { limit: 2, delay: 10 } }))
    t.match(await runOf(scheduler), { outcome: 'success', attempt: 2, result: { run: { attempt: 2 } } })
    t.equal(executor.calls, 2)
  })
)

t.test('a timeout aborts the run and kills the child, and the next run has a new one', (t) =>
  withChild(async (scheduler, { child: first }) => {
    scheduler.add(jobOf('hang', { timeout: 100 }))
    const gone = once(first as ChildProcess, 'exit')
    t.match(await runOf(scheduler), { outcome: 'timeout', error: { code: 'FST_ERR_RLS_RUN_TIMEOUT' } })
    t.strictSame(await gone, [null, 'SIGKILL'])
    scheduler.add({ ...jobOf('echo'), id: 'other' })
    const { outcome, result } = (await scheduler.trigger('other', { wait: true })) as Run
    t.equal(outcome, 'success')
    t.not((result as { pid: number }).pid, first?.pid)
  })
)

t.test('closing lets the run settle, then closes the executor', async (t) => {
  let run: Promise<Run | null> | null = null
  let child: ChildProcess | null = null
  await withChild(async (scheduler, executor) => {
    child = executor.child
    scheduler.add(jobOf('take a while'))
    run = scheduler.trigger('job', { wait: true })
    while (executor.calls === 0) await new Promise((resolve) => setImmediate(resolve))
  })
  t.match(await run, { outcome: 'success', result: { job: { id: 'job' } } })
  t.match(child, { killed: true, signalCode: 'SIGTERM' }, 'the child has gone, as it was told to')
})
