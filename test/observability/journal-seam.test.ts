// A listener plugs into the journal without a change to lib/: here a history that is kept in memory.
import t from 'tap'
import type { Job, JobOptions, Run, SkipReason } from '../../lib/index.js'
import type { JournalListener } from '../../lib/observability/journal-listener.js'
import { type SimulatedReplica, Simulation } from '../../lib/testing/index.js'
import { everyMinute, joinListening } from '../fixtures/listening-replica.js'

const MINUTE = 60_000

/** A run, or a tick that has none. */
interface Entry {
  readonly tick: number
  readonly run: Run | null
  /** The run's outcome, or why the tick had no run. */
  end: string | null
  duration: number
  readonly failedAttempts: unknown[]
}

class History implements JournalListener {
  /** By job, in the order in which they were heard. */
  readonly entries: Record<string, Entry[]> = {}
  readonly takeovers: { readonly from: string; readonly to: string; readonly attempt: number }[] = []

  /** The entries of a job, as text: the tick's minute, how it ended, its attempts. */
  textOf(jobId: string): string[] {
    const text = ({ tick, end, run }: Entry): string => `${(tick % (60 * MINUTE)) / MINUTE} ${end} ${run?.attempt ?? 0}`
    return (this.entries[jobId] ?? []).map(text)
  }

  runStarted(_job: Job, run: Run): void {
    this.#add(run.jobId, { tick: run.scheduledTime, run, end: null, duration: 0, failedAttempts: [] })
  }

  attemptFailed(_job: Job, run: Run, error: unknown): void {
    this.#entryOf(run.jobId, run.id)?.failedAttempts.push(error)
  }

  runEnded(_job: Job, run: Run, duration: number): void {
    Object.assign(this.#entryOf(run.jobId, run.id) ?? {}, { end: run.outcome, duration })
  }

  runAbandoned({ jobId, runId }: { jobId: string; runId: string }): void {
    Object.assign(this.#entryOf(jobId, runId) ?? {}, { end: 'abandoned' })
  }

  takenOver(from: { runId: string }, to: string, attempt: number): void {
    this.takeovers.push({ from: from.runId, to, attempt })
  }

  tickSkipped(job: Job, tick: number, reason: SkipReason): void {
    // Another replica tells what became of it.
    if (reason !== 'claimed_elsewhere') {
      this.#add(job.id, { tick, run: null, end: reason, duration: 0, failedAttempts: [] })
    }
  }

  tickMissed(job: Job, tick: number, reason: SkipReason): void {
    this.tickSkipped(job, tick, reason)
  }

  #add(jobId: string, entry: Entry): void {
    this.entries[jobId] = [...(this.entries[jobId] ?? []), entry]
  }

  #entryOf(jobId: string, runId: string): Entry | undefined {
    return this.entries[jobId]?.find(({ run }) => run?.id === runId)
  }
}

t.test('a history has every tick exactly once, with what became of it', async (t) => {
  const simulation = new Simulation()
  const start = simulation.now
  const history = new History()
  const boom = new Error('boom')
  const fail = (): never => {
    throw boom
  }
  const { replica, scheduler } = await joinListening(simulation, [history], (replica) => [
    everyMinute('good', () => 'done'),
    everyMinute('bad', fail),
    everyMinute('flaky', ({ run }) => (run.attempt === 1 ? fail() : null), { retry: { limit: 1, delay: '1s' } }),
    everyMinute('slow', () => replica.sleep('10s'), { timeout: '5s' }),
    everyMinute('long', () => replica.sleep('90s'))
  ])
  await simulation.advance('210s')
  await scheduler.pause('good')
  await simulation.advance('1m')
  await scheduler.resume('good')
  await simulation.advance('110s')
  // Ticks 7 and 8 go by beyond their grace, tick 9 within it; the run of `long` since tick 5 loses its lock.
  replica.freeze('170s')
  await simulation.advance('200s')
  // Tick 10 goes by without an answer, and so does tick 12, at which the scheduler closes.
  replica.disconnect()
  await simulation.advance('70s')
  replica.connect()
  await simulation.advance('50s')
  replica.disconnect()
  await simulation.advance('25s')
  const closed = scheduler.close()
  await simulation.advance('1m')
  await closed

  const withoutRun = { 7: 'misfire 0', 8: 'misfire 0', 10: 'redis_error 0', 12: 'shutdown 0' }
  const expected = (end: string, others: Record<number, string> = {}): string[] => {
    const ends: Record<number, string> = { ...withoutRun, ...others }
    return Array.from({ length: 12 }, (_, index) => `${index + 1} ${ends[index + 1] ?? end}`)
  }
  t.strictSame(history.textOf('good'), expected('success 1', { 4: 'paused 0' }))
  t.strictSame(history.textOf('bad'), expected('error 1'))
  t.strictSame(history.textOf('flaky'), expected('success 2'))
  t.strictSame(history.textOf('slow'), expected('timeout 1'))
  const overlaps = {
    2: 'overlap 0',
    4: 'overlap 0',
    6: 'overlap 0',
    5: 'lock_lost 1',
    9: 'lock_lost 1',
    11: 'abandoned 1'
  }
  t.strictSame(history.textOf('long'), expected('success 1', overlaps))
  t.match(history.entries.bad?.[0], { run: { error: boom, replicaId: 'replica-1', trigger: 'schedule' }, duration: 0 })
  t.match(history.entries.flaky?.[0], { failedAttempts: [boom], duration: 1000 })
  t.match(history.entries.slow?.[0], { run: { error: { code: 'FST_ERR_RLS_RUN_TIMEOUT' } }, duration: 5000 })
  const run = history.entries.long?.[0]?.run
  t.match(run, { startedAt: start + MINUTE, finishedAt: start + MINUTE + 90_000 })
})

t.test('a history has runs that ended with their replica, and who took them over', async (t) => {
  const simulation = new Simulation()
  const history = new History()
  const job = (replica: SimulatedReplica): JobOptions[] => [
    everyMinute('job', () => replica.sleep('5s'), { recovery: 'rerun', lock: { ttl: '10s' } })
  ]
  const members = [await joinListening(simulation, [history], job), await joinListening(simulation, [history], job)]
  await simulation.advance('62s')
  const first = history.entries.job?.[0]?.run
  members.find(({ replica }) => replica.options.replicaId === first?.replicaId)?.replica.crash()
  await simulation.advance('20s')
  t.strictSame(history.textOf('job'), ['1 abandoned 1', '1 success 2'])
  const second = history.entries.job?.[1]?.run
  t.match(second, { trigger: 'recovery', replicaId: members.find(({ replica }) => !replica.dead)?.scheduler.replicaId })
  t.strictSame(history.takeovers, [{ from: first?.id, to: second?.id, attempt: 2 }])
})
