import t from 'tap'
import { createScheduler, type Run } from '../../lib/index.js'
import { type Member, ticksOf, withFleet } from '../fixtures/simulated-fleet.js'

// Ticks that find no slot free, and wait in the store or replace a run: `overlap`.

const SECOND = 1000
const MINUTE = 60 * SECOND

interface Options {
  readonly overlap: 'wait' | 'replace'
  readonly maxInstances?: number
  readonly recovery?: 'rerun'
  /** Whether the handler ends when its signal aborts. */
  readonly listens?: boolean
}

/** Adds a job each minute whose runs take as long as `work` says of each. */
function slow(work: (run: Run) => number, { listens = true, ...options }: Options): (member: Member) => void {
  return ({ scheduler, replica }) => {
    const handler = ({ run, signal }: { run: Run; signal: AbortSignal }): Promise<unknown> => {
      const aborted = new Promise((_resolve, reject) => {
        if (listens) signal.addEventListener('abort', () => reject(signal.reason))
      })
      return Promise.race([replica.sleep(work(run)), aborted])
    }
    scheduler.add({ id: 'job', trigger: { interval: '1m' }, handler, lock: { ttl: '10s' }, ...options })
  }
}

const reasonsOf = (members: readonly Member[], reason: string): number[] => {
  const skipped = members.flatMap((member) => member.skipped)
  return skipped
    .filter(([, why]) => why === reason)
    .map(([tick]) => tick)
    .sort((a, b) => a - b)
}

t.test('the latest tick waits for a slot, those before it are coalesced, and each is accounted for once', (t) =>
  withFleet(async ({ simulation, start, join, runs }) => {
    const long = slow(({ scheduledTime }) => (scheduledTime === start + MINUTE ? 3.5 * MINUTE : 20 * SECOND), {
      overlap: 'wait'
    })
    const members = [await join(long), await join(long), await join(long)]
    await simulation.advance(6 * MINUTE + 30 * SECOND)
    t.same(ticksOf(runs(), start), [MINUTE, 4 * MINUTE, 5 * MINUTE, 6 * MINUTE])
    t.same(reasonsOf(members, 'coalesced'), [2 * MINUTE, 3 * MINUTE])
    t.same(reasonsOf(members, 'overlap'), [])
    const [first, second] = runs()
    const late = (second?.startedAt as number) - (first?.finishedAt as number)
    t.ok(late >= 0 && late <= 100, `it starts ${late} ms after the release`)
    t.ok(runs().every(({ outcome }) => outcome === 'success'))
    t.equal(second?.trigger, 'schedule')
  })
)

t.test('the tick waits over the death of the replica that put it there, and of the one that it waits for', (t) =>
  withFleet(async ({ simulation, start, join, runs }) => {
    const long = slow(({ scheduledTime }) => (scheduledTime === start + MINUTE ? 10 * MINUTE : SECOND), {
      overlap: 'wait'
    })
    const first = await join(long)
    const second = await join(long)
    const third = await join(long)
    await simulation.advance(2 * MINUTE + 10 * SECOND)
    t.equal(runs().length, 1)
    const holder = [first, second, third].find((member) => member.runs.length > 0) as Member
    holder.replica.crash()
    await simulation.advance(15 * SECOND)
    t.same(ticksOf(runs(), start), [MINUTE, 2 * MINUTE])
    const [before, after] = runs()
    t.not(after?.replicaId, before?.replicaId)
    t.equal(after?.outcome, 'success')
  })
)

t.test('a fleet that starts again begins what waits, however late', (t) =>
  withFleet(async ({ simulation, start, join, runs }) => {
    const long = slow(({ scheduledTime }) => (scheduledTime === start + MINUTE ? 10 * MINUTE : SECOND), {
      overlap: 'wait'
    })
    const only = await join(long)
    await simulation.advance(2 * MINUTE + SECOND)
    only.replica.crash()
    await simulation.advance('1h')
    await join(long)
    await simulation.advance(10 * SECOND)
    t.ok(ticksOf(runs(), start).includes(2 * MINUTE))
  })
)

t.test('a tick that waits when the scheduler closes is left to the others', (t) =>
  withFleet(async ({ simulation, start, join, runs }) => {
    const long = slow(({ scheduledTime }) => (scheduledTime === start + MINUTE ? 65 * SECOND : SECOND), {
      overlap: 'wait'
    })
    const first = await join(long)
    await simulation.advance(2 * MINUTE + SECOND)
    t.equal(runs().length, 1)
    const second = await join(long)
    const closed = first.scheduler.close()
    await simulation.advance(10 * SECOND)
    await closed
    t.same(ticksOf(runs(), start), [MINUTE, 2 * MINUTE])
    t.equal(second.runs.length, 1)
    const late = (runs()[1]?.startedAt as number) - (runs()[0]?.finishedAt as number)
    t.ok(late <= SECOND, `it starts ${late} ms after the release`)
  })
)

t.test('a paused job runs nothing that waits, and the tick counts as paused', (t) =>
  withFleet(async ({ simulation, start, join, runs }) => {
    const long = slow(() => 90 * SECOND, { overlap: 'wait' })
    const member = await join(long)
    await simulation.advance(2 * MINUTE + SECOND)
    const paused = member.scheduler.pause('job')
    await simulation.settle()
    await paused
    await simulation.advance(MINUTE)
    t.equal(runs().length, 1)
    t.same(reasonsOf([member], 'paused'), [2 * MINUTE, 3 * MINUTE])
    t.ok(start)
  })
)

t.test('the oldest run is cancelled, wherever it runs, and the tick that replaces it runs', (t) =>
  withFleet(async ({ simulation, start, join, runs }) => {
    const long = slow(() => 10 * MINUTE, { overlap: 'replace' })
    const members = [await join(long), await join(long), await join(long)]
    await simulation.advance(MINUTE + SECOND)
    // Another replica asks for the next tick.
    members.find((member) => member.runs.length > 0)?.scheduler.stop()
    await simulation.advance(3 * MINUTE)
    t.same(ticksOf(runs(), start), [MINUTE, 2 * MINUTE, 3 * MINUTE, 4 * MINUTE])
    const [first, second] = runs()
    t.match(first, { outcome: 'cancelled', error: { code: 'FST_ERR_RLS_RUN_REPLACED' } })
    t.match(first?.error, { message: /'job'.*replaces/ })
    t.not(second?.replicaId, first?.replicaId)
    t.ok((second?.startedAt as number) >= (first?.finishedAt as number), 'not before the handler has ended')
    t.ok((second?.startedAt as number) - start - 2 * MINUTE < 2 * SECOND)
    t.same(reasonsOf(members, 'overlap'), [])
    t.same(reasonsOf(members, 'coalesced'), [])
  })
)

t.test('a handler that ignores its signal is waited for until the TTL of its lock', (t) =>
  withFleet(async ({ simulation, start, join, runs }) => {
    const long = slow(({ scheduledTime }) => (scheduledTime === start + MINUTE ? 5 * MINUTE : SECOND), {
      overlap: 'replace',
      listens: false,
      recovery: 'rerun'
    })
    const members = [await join(long), await join(long)]
    await simulation.advance(2 * MINUTE + 5 * SECOND)
    t.equal(runs().length, 1)
    await simulation.advance(8 * SECOND)
    t.same(ticksOf(runs(), start), [MINUTE, 2 * MINUTE])
    t.match(runs()[0], { outcome: 'cancelled' }, 'its outcome is known by then')
    await simulation.advance(5 * MINUTE)
    t.equal(new Set(ticksOf(runs(), start)).size, runs().length, 'nobody takes it over')
    t.same(
      members.flatMap(({ lines }) => lines.filter(({ message }) => /abandoned/.test(message))),
      []
    )
  })
)

t.test('with several slots one run is replaced at a time', (t) =>
  withFleet(async ({ simulation, start, join, runs }) => {
    const long = slow(() => 10 * MINUTE, { overlap: 'replace', maxInstances: 2 })
    const members = [await join(long), await join(long)]
    await simulation.advance(4 * MINUTE + 10 * SECOND)
    t.same(ticksOf(runs(), start), [MINUTE, 2 * MINUTE, 3 * MINUTE, 4 * MINUTE])
    t.same(
      runs().map(({ outcome }) => outcome),
      ['cancelled', 'cancelled', null, null]
    )
    t.ok(members.length)
  })
)

t.test('combinations that make no sense are refused, and nothing has changed', async (t) => {
  const scheduler = createScheduler({ logger: false })
  t.teardown(() => scheduler.close())
  const code = 'FST_ERR_RLS_OPTION_INVALID'
  const add = (options: object): unknown => {
    return scheduler.add({ id: 'job', trigger: { interval: '1m' }, handler() {}, ...options } as never)
  }
  t.throws(() => add({ overlap: 'queue' }), { code, message: /'skip', 'wait', 'replace'.*'queue'/ })
  t.throws(() => add({ overlap: 'wait', lock: false }), { code, message: /`lock: false`/ })
  t.throws(() => add({ overlap: 'replace', lock: false }), { code })
  t.throws(() => add({ overlap: 'wait', coalesce: 'all' }), { code, message: /`coalesce: 'all'`/ })
  t.throws(() => add({ overlap: 'wait', trigger: { interval: '1m', after: 'completion' } }), { code })
  t.same(scheduler.list(), [])
  add({ overlap: 'wait' })
  t.throws(() => scheduler.modify('job', { coalesce: 'all' }), { code })
  t.throws(() => scheduler.modify('job', { lock: false }), { code })
  t.throws(() => scheduler.reschedule('job', { interval: '1m', after: 'completion' }), { code })
  const masters = [1, 2, 3].map((port) => `redis://127.0.0.1:${port}`)
  const several = createScheduler({ redis: masters, prefix: 'x', logger: false })
  t.teardown(() => several.close())
  for (const overlap of ['wait', 'replace'] as const) {
    t.throws(() => several.interval('job', '1m', () => {}, { overlap }), { code, message: /several Redis masters/ })
  }
  t.same(several.list(), [])
})
