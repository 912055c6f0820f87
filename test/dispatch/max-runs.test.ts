import t from 'tap'
import { createScheduler, type JobOptions } from '../../lib/index.js'
import { job, type Member, withFleet } from '../fixtures/simulated-fleet.js'

// `maxRuns`: how many runs of a job the fleet begins.

const SECOND = 1000
const MINUTE = 60 * SECOND

t.test('after its runs a job ends on every replica, as one whose trigger has ended', (t) =>
  withFleet(async ({ simulation, join, runs }) => {
    const limited = job({ maxRuns: 3 })
    const members = [await join(limited), await join(limited), await join(limited)]
    const removed: string[] = []
    for (const { scheduler } of members) scheduler.on('removed', ({ reason }) => void removed.push(reason))
    await simulation.advance(2 * MINUTE + SECOND)
    t.ok(members.every(({ scheduler }) => scheduler.get('job')?.nextRun !== null))
    await simulation.advance(MINUTE + SECOND)
    t.equal(runs().length, 3)
    t.ok(members.every(({ scheduler }) => scheduler.get('job')?.nextRun === null))
    t.equal(members.flatMap(({ skipped }) => skipped).filter(([, reason]) => reason === 'claimed_elsewhere').length, 6)
    t.equal(members.flatMap(({ missed }) => missed).length, 0)
    const byHand = members[0]?.scheduler.trigger('job')
    await simulation.advance(SECOND)
    t.match(await byHand, { outcome: 'success' }, 'until it goes it runs by hand')
    await simulation.advance(5 * MINUTE)
    t.same(removed, ['finished', 'finished', 'finished'])
    t.ok(members.every(({ scheduler }) => scheduler.get('job') === undefined))
    const late = await join(limited)
    await simulation.advance(2 * SECOND)
    t.equal(late.scheduler.get('job')?.nextRun, null, 'also on a replica that starts later')
    await simulation.advance(7 * MINUTE)
    t.equal(runs().length, 4)
    t.equal(late.scheduler.get('job'), undefined)
    t.equal(late.missed.length, 0)
  })
)

t.test('a run counts that has begun: whatever became of it, by a tick or by hand', (t) =>
  withFleet(async ({ simulation, join, runs }) => {
    const failing = ({ scheduler }: Member): void => {
      scheduler.add({
        id: 'job',
        trigger: { interval: '1m' },
        maxRuns: 4,
        retry: 2,
        when: ({ run }) => (run.scheduledTime / MINUTE) % 2 === 0,
        handler() {
          throw new Error('it fails')
        }
      })
    }
    const members = [await join(failing), await join(failing)]
    const byHand = members[0]?.scheduler.trigger('job')
    await simulation.advance(20 * MINUTE)
    t.match(await byHand, { trigger: 'manual' })
    t.equal(runs().length, 4, 'a tick that its condition refuses is none')
    t.ok(runs().every(({ outcome }) => outcome === 'error'))
  })
)

t.test('a run that is given back is another tick’s, on whichever replica', (t) =>
  withFleet(async ({ simulation, start, join, runs }) => {
    let refused = 0
    const picky = (member: Member): void => {
      member.scheduler.add({
        id: 'job',
        trigger: { interval: '1m' },
        maxRuns: 2,
        when: async ({ run }) => {
          await member.replica.sleep(70 * SECOND)
          // The last one, too, is given back again and again.
          const isWanted = ((run.scheduledTime - start) / MINUTE) % 5 === 0
          if (!isWanted) refused++
          return isWanted
        },
        handler() {}
      })
    }
    const members = [await join(picky), await join(picky), await join(picky)]
    await simulation.advance(30 * MINUTE)
    t.ok(refused >= 4)
    t.equal(runs().length, 2)
    t.ok(members.every(({ scheduler }) => scheduler.get('job') === undefined))
  })
)

t.test('over deaths and takeovers, with slots and what waits, it is never more and never fewer', async (t) => {
  const kinds: Partial<JobOptions<undefined>>[] = [
    { recovery: 'rerun' },
    { recovery: 'none' },
    { maxInstances: 3 },
    { overlap: 'wait' },
    { overlap: 'replace' },
    { maxInstances: 2, overlap: 'wait', recovery: 'rerun' }
  ]
  for (const options of kinds) {
    await withFleet(async ({ simulation, join, runs }) => {
      const long = (member: Member): void => {
        const handler = (): Promise<void> => member.replica.sleep(90 * SECOND)
        member.scheduler.add({ id: 'job', trigger: { interval: '1m' }, maxRuns: 6, lock: '20s', handler, ...options })
      }
      const members = [await join(long), await join(long), await join(long)]
      await simulation.advance(3 * MINUTE + 10 * SECOND)
      for (const member of members) if (member.scheduler.get('job')?.running === 1) member.replica.crash()
      await simulation.advance(MINUTE)
      const closing = (await join(long)).scheduler
      await simulation.advance(2 * MINUTE + 500)
      const closed = closing.close()
      await simulation.advance(30 * MINUTE)
      await closed
      const begun = runs().filter(({ trigger }) => trigger !== 'recovery').length
      t.equal(begun, 6, JSON.stringify(options))
    })
  }
})

t.test('a claim that is handed back, or whose reply is lost, is not counted twice', (t) =>
  withFleet(async ({ simulation, join, runs }) => {
    const limited = job({ maxRuns: 20, trigger: { interval: '10s' }, overlap: 'wait', maxInstances: 2 })
    const delayed = async (): Promise<Member> => {
      const joining = join(limited)
      let isDone = false
      void joining.then(() => {
        isDone = true
      })
      while (!isDone) await simulation.advance(SECOND)
      return joining
    }
    simulation.stores[0]?.disturb({ delay: [1, 20], lostReplies: 0.1, lostRequests: 0.05 })
    await delayed()
    await delayed()
    for (let count = 0; count < 30; count++) {
      const member = await delayed()
      await simulation.advance(10 * SECOND - (Math.round(simulation.now) % (10 * SECOND)) - 3)
      const closed = member.scheduler.close()
      await simulation.advance(20 * SECOND)
      await closed
    }
    t.equal(runs().length, 20)
  })
)

t.test('more runs by another definition', (t) =>
  withFleet(async ({ simulation, join, runs }) => {
    const { scheduler } = await join(job({ maxRuns: 1 }))
    await simulation.advance(3 * MINUTE)
    t.equal(runs().length, 1)
    scheduler.modify('job', { maxRuns: 3 })
    await simulation.advance(SECOND)
    t.not(scheduler.get('job')?.nextRun, null)
    await simulation.advance(10 * MINUTE)
    t.equal(runs().length, 3)
    t.equal(scheduler.get('job'), undefined)
  })
)

t.test('an interval from the last end has as many', (t) =>
  withFleet(async ({ simulation, join, runs }) => {
    const limited = job({ maxRuns: 3, trigger: { interval: '1m', after: 'completion' } })
    await join(limited)
    await join(limited)
    await simulation.advance(10 * MINUTE)
    t.equal(runs().length, 3)
  })
)

t.test('what makes no sense is refused, and nothing was changed', async (t) => {
  const scheduler = createScheduler()
  const add = (options: object): unknown =>
    scheduler.add({ id: 'job', trigger: { interval: '1m' }, handler() {}, ...options })
  for (const maxRuns of [0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, '3', true, 2 ** 53]) {
    t.throws(() => add({ maxRuns }), { code: 'FST_ERR_RLS_OPTION_INVALID', message: /`maxRuns`/ })
  }
  const code = 'FST_ERR_RLS_OPTION_INVALID'
  t.throws(() => add({ maxRuns: 2, lock: false }), { code, message: /`maxRuns`.*`lock: false`.* 2/ })
  t.throws(() => add({ maxRuns: 2, onRedisError: 'run' }), { code, message: /`maxRuns`.*`onRedisError: 'run'`/ })
  t.throws(() => scheduler.add({ id: 'job', maxRuns: 2, handler() {} }), { code, message: /`maxRuns`.*no trigger/ })
  t.throws(() => add({ limit: 2 }), { code: 'FST_ERR_RLS_OPTION_UNKNOWN', message: /`maxRuns`/ })
  t.throws(() => createScheduler({ defaults: { maxRuns: 2 } as object }), { message: /a job's own `maxRuns`/ })
  t.equal(scheduler.get('job'), undefined)
  add({ maxRuns: 2 })
  t.throws(() => scheduler.modify('job', { lock: false }), { code })
  await scheduler.close()
})
