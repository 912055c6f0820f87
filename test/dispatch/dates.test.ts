import t from 'tap'
import type { JobOptions } from '../../lib/index.js'
import { jitterOf } from '../../lib/triggers/index.js'
import { type Fleet, type Member, withFleet } from '../fixtures/simulated-fleet.js'

// Jobs with one tick: what becomes of a date that passes while nobody is there, and of one that had passed before.

const SECOND = 1000
const MINUTE = 60 * SECOND
const DAY = 24 * 60 * MINUTE

type Options = Partial<JobOptions<undefined>>

/** Adds a job for a date. */
function on(date: number, options: Options = {}): (member: Member) => void {
  return ({ scheduler }) => void scheduler.add({ id: 'job', trigger: { date }, handler: () => {}, ...options })
}

/** Deploys again: the replica goes, and after `down` another one comes. */
async function redeploy({ simulation, join }: Fleet, old: Member, define: (member: Member) => void, down = SECOND) {
  old.replica.crash()
  await simulation.advance(down)
  const member = await join(define)
  await simulation.advance(5 * SECOND)
  return member
}

for (const days of [8, 20, 34]) {
  t.test(`a date that ran ${days} days ago runs never again, whatever its grace is by now`, (t) =>
    withFleet(async (fleet) => {
      const { simulation, start, join, runs, missed } = fleet
      const first = await join(on(start + MINUTE))
      await simulation.advance(days * DAY)
      let member = await redeploy(fleet, first, on(start + MINUTE, { misfireGraceTime: '365d' }))
      await simulation.advance(30 * DAY)
      for (const misfireGraceTime of ['30d', '200d', '1s'] as const) {
        member = await redeploy(fleet, member, on(start + MINUTE, { misfireGraceTime }))
        await simulation.advance(30 * DAY)
      }
      t.equal(runs().length, 1)
      t.same(missed(), [])
    })
  )
}

t.test('a date that was forgotten is not run', (t) =>
  withFleet(async (fleet) => {
    const { simulation, start, join, runs } = fleet
    const first = await join(on(start + MINUTE))
    await simulation.advance(100 * DAY)
    await redeploy(fleet, first, on(start + MINUTE, { misfireGraceTime: '365d' }))
    t.equal(runs().length, 1)
  })
)

t.test('a date long past as it is added is missed, once for the fleet', (t) =>
  withFleet(async (fleet) => {
    const { simulation, start, join, runs, missed } = fleet
    const define = on(start - 3 * 365 * DAY)
    const members = [await join(define), await join(define)]
    await simulation.advance(SECOND)
    t.same(missed(), [-3 * 365 * DAY])
    t.same(
      members.flatMap((member) => member.missed.map(([, reason]) => reason)),
      ['misfire']
    )
    for (const { replica } of members) replica.crash()
    await simulation.advance(30 * DAY)
    const later = await join(define)
    await simulation.advance(SECOND)
    later.scheduler.date('other', start, () => {})
    later.scheduler.reschedule('job', { date: start - DAY })
    await simulation.advance(SECOND)
    t.same(missed(), [-3 * 365 * DAY, -DAY, 0], 'also one that is added at run time')
    t.same(runs(), [])
  })
)

t.test('without claims nobody knows whether a date long past ran: it is told by nobody', (t) =>
  withFleet(async (fleet) => {
    const { simulation, start, join, runs, missed } = fleet
    const define = on(start + MINUTE, { lock: false })
    let member = await join(define)
    await simulation.advance(2 * MINUTE)
    for (let count = 0; count < 3; count++) member = await redeploy(fleet, member, define, MINUTE)
    t.equal(runs().length, 1)
    t.same(missed(), [])
  })
)

t.test('a date that passed within its grace before the job was added runs, late as it is', (t) =>
  withFleet(async ({ simulation, start, join, runs, missed }) => {
    const define = ({ scheduler }: Member): void => {
      scheduler.date('recent', start - 20 * SECOND, () => {})
      scheduler.date('patient', start - 6 * DAY, () => {}, { misfireGraceTime: '30d' })
      scheduler.date('old', start - 8 * DAY, () => {}, { misfireGraceTime: '30d' })
      scheduler.date('over', start - 31 * SECOND, () => {})
    }
    await join(define)
    const other = await join(define)
    await simulation.advance(SECOND)
    t.same(
      runs().map(({ jobId }) => jobId),
      ['recent', 'patient']
    )
    t.same(missed(), [-8 * DAY, -31 * SECOND])
    t.ok(other.skipped.every(([, reason]) => reason === 'claimed_elsewhere'))
  })
)

for (const since of [SECOND, 40 * SECOND]) {
  t.test(`a replica that starts ${since / SECOND} s after a date waits for its jitter`, (t) =>
    withFleet(async ({ simulation, start, join, runs }) => {
      const [jitter, date] = [2 * MINUTE, start - since]
      const ids = Array.from({ length: 20 }, (_, index) => `job-${index}`)
      await join(({ scheduler }) => {
        for (const id of ids) scheduler.date(id, date, () => {}, { jitter })
      })
      await simulation.advance(2 * jitter)
      for (const id of ids) {
        const delay = jitterOf(id, date, jitter, null)
        const run = runs().find(({ jobId }) => jobId === id)
        t.equal(run === undefined, since > delay + 30 * SECOND)
        if (run === undefined) continue
        t.ok(run.startedAt >= date + delay && run.startedAt <= date + Math.max(delay, since) + 60)
      }
    })
  )
}

t.test('a job that ran lately is rescheduled to a date just before, and back, and runs each tick once', (t) =>
  withFleet(async ({ simulation, start, join, runs, missed }) => {
    const often = ({ scheduler }: Member): void => void scheduler.interval('job', '1m', () => {})
    const members = [await join(often), await join(often)]
    await simulation.advance(2 * MINUTE + SECOND)
    const date = start + 2 * MINUTE - 5 * SECOND
    for (let count = 0; count < 3; count++) {
      for (const { scheduler } of members) scheduler.reschedule('job', { date })
      await simulation.advance(SECOND)
      for (const { scheduler } of members) scheduler.reschedule('job', { interval: '1m' })
      await simulation.advance(SECOND)
    }
    await simulation.advance(MINUTE)
    const ticks = runs().map(({ scheduledTime }) => scheduledTime - start)
    t.same(ticks, [MINUTE, 2 * MINUTE, 2 * MINUTE - 5 * SECOND, 3 * MINUTE])
    t.same(missed(), [])
  })
)
