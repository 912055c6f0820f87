import t from 'tap'
import { createScheduler, errors, type Run } from '../../lib/index.js'
import { type Member, withFleet } from '../fixtures/simulated-fleet.js'

// Jobs with several slots: `maxInstances`.

const SECOND = 1000
const MINUTE = 60 * SECOND

/** Adds a job each minute that takes `work`, in two slots. */
function slow(work: number, options: object = {}): (member: Member) => void {
  return ({ scheduler, replica }) =>
    void scheduler.interval('job', '1m', () => replica.sleep(work), {
      maxInstances: 2,
      lock: { ttl: '10s' },
      ...options
    })
}

/** How many runs went on at once at most. */
function mostAtOnce(runs: readonly Run[], now: number): number {
  const most = runs.map(({ startedAt: at }) => {
    return runs.filter(({ startedAt, finishedAt }) => startedAt <= at && at < (finishedAt ?? now)).length
  })
  return Math.max(...most)
}

t.test('as many runs go on in the fleet as there are slots, and the ticks between them overlap', (t) =>
  withFleet(async ({ simulation, join, runs }) => {
    const members = [await join(slow(2.5 * MINUTE)), await join(slow(2.5 * MINUTE)), await join(slow(2.5 * MINUTE))]
    const skipped: string[] = []
    for (const { scheduler } of members) scheduler.on('skipped', ({ reason }) => void skipped.push(reason))
    await simulation.advance(15 * MINUTE + SECOND)
    const [busy] = members.filter((member) => member.runs.length > 0)
    busy?.scheduler.stop()
    await simulation.advance(15 * MINUTE)
    t.equal(mostAtOnce(runs(), simulation.now), 2)
    t.equal(runs().length, 20, 'two of three ticks')
    t.equal(skipped.filter((reason) => reason === 'overlap').length, 10, 'the others are counted once')
    t.ok(new Set(runs().map(({ replicaId }) => replicaId)).size > 1)
  })
)

t.test('the runs of each slot are taken over when their replica dies', (t) =>
  withFleet(async ({ simulation, join, runs }) => {
    const define = slow(2.5 * MINUTE, { recovery: 'rerun' })
    const first = await join(define)
    await simulation.advance(2 * MINUTE + SECOND)
    t.equal(first.runs.length, 2)
    const second = await join(define)
    first.replica.crash()
    await simulation.advance(20 * SECOND)
    t.same(
      second.runs.map(({ trigger, attempt }) => [trigger, attempt]),
      [
        ['recovery', 2],
        ['recovery', 2]
      ]
    )
    t.same(
      second.runs.map(({ scheduledTime }) => scheduledTime).sort(),
      first.runs.map(({ scheduledTime }) => scheduledTime).sort()
    )
    await simulation.advance(3 * MINUTE)
    t.ok(second.runs.slice(0, 2).every(({ outcome }) => outcome === 'success'))
    t.ok(mostAtOnce(second.runs, simulation.now) <= 2)
    t.ok(runs().length > 4, 'and the next ticks run')
  })
)

t.test('late ticks that all run begin at once, as far as there are slots', (t) =>
  withFleet(async ({ simulation, join, runs }) => {
    const late = slow(20 * SECOND, { coalesce: 'all', misfireGraceTime: '10m' })
    const first = await join(late)
    await simulation.advance(MINUTE + SECOND)
    first.replica.crash()
    await simulation.advance(5 * MINUTE)
    const second = await join(late)
    await simulation.advance(5 * SECOND)
    t.equal(second.runs.length, 2)
    await simulation.advance(2 * MINUTE)
    t.equal(mostAtOnce(second.runs, simulation.now), 2)
    t.ok(runs().length >= 6)
  })
)

t.test('by hand, too', async (t) => {
  const scheduler = createScheduler({ logger: false })
  t.teardown(() => scheduler.close())
  let release = (): void => {}
  const released = new Promise<void>((resolve) => {
    release = resolve
  })
  scheduler.interval('job', '1h', () => released, { maxInstances: 2 })
  await scheduler.start()
  const runs = [await scheduler.trigger('job'), await scheduler.trigger('job')]
  t.ok(runs.every((run) => run !== null))
  t.equal(await scheduler.trigger('job'), null)
  t.equal(scheduler.get('job')?.running, 2)
  release()
})

t.test('what makes no sense is refused, and nothing has changed', async (t) => {
  const scheduler = createScheduler({ logger: false })
  t.teardown(() => scheduler.close())
  for (const maxInstances of [0, -1, 1001, 1.5, '2', null, Number.NaN, Number.POSITIVE_INFINITY]) {
    const options = { maxInstances } as { maxInstances: number }
    t.throws(() => scheduler.interval('job', '1m', () => {}, options), { code: 'FST_ERR_RLS_OPTION_INVALID' })
  }
  t.throws(() => scheduler.interval('job', '1m', () => {}, { maxInstances: 2, lock: false }), {
    code: 'FST_ERR_RLS_OPTION_INVALID',
    message: /Job 'job'.*`maxInstances`.*`lock: false`.* 2/
  })
  t.same(scheduler.list(), [])
  scheduler.interval('job', '1m', () => {}, { maxInstances: 2 })
  t.throws(() => scheduler.modify('job', { lock: false }), { code: 'FST_ERR_RLS_OPTION_INVALID' })
  t.throws(() => scheduler.modify('job', { maxInstances: 0 }), { code: 'FST_ERR_RLS_OPTION_INVALID' })
  scheduler.modify('job', { maxInstances: 1 })
  scheduler.modify('job', { lock: false })
  const masters = [1, 2, 3].map((port) => `redis://127.0.0.1:${port}`)
  const several = createScheduler({ redis: masters, prefix: 'x', logger: false })
  t.teardown(() => several.close())
  t.throws(() => several.interval('job', '1m', () => {}, { maxInstances: 2 }), {
    code: 'FST_ERR_RLS_OPTION_INVALID',
    message: /several Redis masters/
  })
  t.same(several.list(), [])
  t.ok(errors.OptionInvalidError)
})
