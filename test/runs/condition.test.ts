import { setImmediate as turn } from 'node:timers/promises'
import t from 'tap'
import { createScheduler, type JobOptions } from '../../lib/index.js'
import { type Member, withFleet } from '../fixtures/simulated-fleet.js'

// `when`: whether a tick runs.

const SECOND = 1000
const MINUTE = 60 * SECOND

type When = NonNullable<JobOptions<undefined>['when']>

/** Adds a job each minute that asks `when`. */
function asking(
  when: (member: Member) => When,
  options: Partial<JobOptions<undefined>> = {}
): (member: Member) => void {
  return (member) =>
    void member.scheduler.add({ id: 'job', trigger: { interval: '1m' }, when: when(member), handler() {}, ...options })
}

t.test('a tick for which it says false has no run, and is counted once in the fleet', (t) =>
  withFleet(async ({ simulation, start, join, runs }) => {
    const even = asking(
      () =>
        ({ run }) =>
          (run.scheduledTime / MINUTE) % 2 === 0
    )
    const members = [await join(even), await join(even), await join(even)]
    await simulation.advance(10 * MINUTE + SECOND)
    t.equal(runs().length, 5)
    t.ok(runs().every(({ scheduledTime, outcome }) => (scheduledTime / MINUTE) % 2 === 0 && outcome === 'success'))
    const skipped = members.flatMap((member) => member.skipped).filter(([, reason]) => reason === 'condition')
    t.equal(skipped.length, 5)
    t.ok(skipped.every(([tick]) => ((start + tick) / MINUTE) % 2 !== 0))
    for (const { scheduler } of members) t.equal(scheduler.get('job')?.running, 0)
  })
)

t.test('it may take its time: its lock is kept meanwhile, and is free afterwards', (t) =>
  withFleet(async ({ simulation, join, runs }) => {
    let answer = false
    const slow = asking(
      ({ replica }) =>
        async () => {
          await replica.sleep(25 * SECOND)
          return answer
        },
      { lock: { ttl: '10s' } }
    )
    const members = [await join(slow), await join(slow)]
    await simulation.advance(MINUTE + 20 * SECOND)
    t.equal(runs().length, 0)
    const other = members.find((member) => member.skipped.length > 0) as Member
    const held = other.scheduler.trigger('job')
    await simulation.advance(SECOND)
    t.equal(await held, null, 'it holds the lock')
    await simulation.advance(10 * SECOND)
    const free = other.scheduler.trigger('job')
    await simulation.advance(SECOND)
    t.match(await free, { outcome: 'success' }, 'and a run by hand does not ask')
    answer = true
    await simulation.advance(MINUTE)
    t.equal(runs().length, 2)
    t.match(runs()[1], { trigger: 'schedule', outcome: 'success' })
  })
)

t.test('what it throws, or says beside true and false, is a failed run', (t) =>
  withFleet(async ({ simulation, join, runs }) => {
    const answers: (() => unknown)[] = [
      () => {
        throw new Error('no answer')
      },
      async () => {
        throw new Error('no answer later')
      },
      () => 1,
      () => undefined,
      async () => 'yes'
    ]
    await join(asking(() => (() => answers.shift()?.()) as When))
    await simulation.advance(5 * MINUTE + SECOND)
    t.same(
      runs().map(({ outcome }) => outcome),
      ['error', 'error', 'error', 'error', 'error']
    )
    t.match(
      runs().map(({ error }) => (error as Error).message),
      ['no answer', 'no answer later', /`when`.* 1/, /`when`.* undefined/, /`when`.*'yes'/]
    )
  })
)

t.test('an interval from the last end, and a job without a lock, ask too', (t) =>
  withFleet(async ({ simulation, join, runs }) => {
    const asked: string[] = []
    const note =
      (id: string): When =>
      () => {
        asked.push(id)
        return false
      }
    await join(({ scheduler }) => {
      const after = { interval: '1m', after: 'completion' } as const
      scheduler.add({ id: 'after', trigger: after, when: note('after'), handler() {} })
      scheduler.add({ id: 'free', trigger: { interval: '1m' }, lock: false, when: note('free'), handler() {} })
    })
    await simulation.advance(5 * MINUTE + SECOND)
    t.equal(runs().length, 0)
    t.equal(asked.filter((id) => id === 'free').length, 5)
    t.ok(asked.filter((id) => id === 'after').length >= 4, 'the interval begins anew')
  })
)

t.test('a timeout, a lost lock and closing end a run that only asks', (t) =>
  withFleet(async ({ simulation, join, runs }) => {
    const never = asking(() => () => new Promise<boolean>(() => {}), { timeout: '10s' })
    const first = await join(never)
    await simulation.advance(MINUTE + 5 * SECOND)
    t.equal(runs().length, 0)
    const closed = first.scheduler.close()
    await simulation.advance(30 * SECOND)
    await closed
    t.match(runs(), [{ outcome: 'abandoned' }], 'it counts as begun')
  })
)

t.test('a run that is replaced while it asks counts as begun', (t) =>
  withFleet(async ({ simulation, join, runs }) => {
    const member = await join(
      asking(() => () => new Promise<boolean>(() => {}), { overlap: 'replace', lock: { ttl: '10s' } })
    )
    await simulation.advance(2 * MINUTE + 30 * SECOND)
    t.match(runs()[0], { outcome: 'cancelled' })
    t.ok((member.scheduler.get('job')?.running ?? -1) >= 0)
  })
)

t.test('bad input is refused, and it can be changed', async (t) => {
  const scheduler = createScheduler({ logger: false })
  t.teardown(() => scheduler.close())
  const code = 'FST_ERR_RLS_OPTION_INVALID'
  for (const when of [true, 'true', {}, 5]) {
    t.throws(() => scheduler.interval('job', '1m', () => {}, { when } as never), { code, message: /`when`/ })
  }
  t.same(scheduler.list(), [])
  scheduler.interval('job', '1m', () => {}, { when: () => false })
  t.throws(() => scheduler.modify('job', { when: 5 } as never), { code })
  scheduler.modify('job', { when: () => true })
  await turn()
})
