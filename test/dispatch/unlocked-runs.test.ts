// Runs that the store knows nothing of, as they have no lock, and what comes while they go on.
import t from 'tap'
import { createScheduler, type JobOptions } from '../../lib/index.js'
import { VirtualClock } from '../../lib/testing/virtual-clock.js'
import { withHeldAnswers } from '../fixtures/held-answers.js'
import { withFleet } from '../fixtures/simulated-fleet.js'

const SECOND = 1000
const MINUTE = 60 * SECOND

/** A handler that takes its time, and knows how many of it ran at once. */
function counted(sleep: () => Promise<void>): { readonly most: () => number; handler(): Promise<void> } {
  let [now, most] = [0, 0]
  return {
    most: () => most,
    async handler() {
      now++
      most = Math.max(most, now)
      await sleep()
      now--
    }
  }
}

t.test('a run that was begun as Redis did not answer is not joined by another in its process', (t) =>
  withFleet(async ({ simulation, start, join, runs }) => {
    const member = await join(({ scheduler, replica }) => {
      const work = () => replica.sleep('150s')
      scheduler.interval('job', '1m', work, { onRedisError: 'run', misfireGraceTime: '5s', recovery: 'rerun' })
    })
    await simulation.advance(50 * SECOND)
    simulation.store.hang()
    await simulation.advance(30 * SECOND)
    simulation.store.start()
    await simulation.advance(2 * MINUTE)
    t.match(runs(), [{ scheduledTime: start + MINUTE, fencingToken: null }])
    t.equal(runs().length, 1)
    t.match(
      member.skipped.filter(([tick]) => tick > MINUTE),
      [
        [2 * MINUTE, 'overlap'],
        [3 * MINUTE, 'overlap']
      ],
      'as a tick whose lock another run holds'
    )
    t.equal(await member.scheduler.trigger('job'), null, 'by hand neither')
    await simulation.advance(MINUTE)
    t.match(runs()[1], { scheduledTime: start + 4 * MINUTE }, 'after its end the next tick has a run')
    t.equal(typeof runs()[1]?.fencingToken, 'number')
  })
)

t.test(
  'a job that has a lock from now on, or was removed and added again, does not run beside its own run',
  async (t) => {
    for (const change of ['modified', 'added again'] as const) {
      const clock = new VirtualClock()
      const scheduler = createScheduler({ clock, logger: false })
      const { most, handler } = counted(() => clock.sleep(2500))
      const job: JobOptions = { id: 'job', trigger: { interval: '1s' }, lock: false, handler }
      scheduler.add(job)
      await scheduler.start()
      await clock.advance(1100)
      if (change === 'modified') scheduler.modify('job', { lock: '30s' })
      else {
        scheduler.remove('job')
        scheduler.add(job)
      }
      const skipped: string[] = []
      scheduler.on('skipped', ({ reason }) => void skipped.push(reason))
      const manual = scheduler.trigger('job')
      await clock.advance(1000)
      t.equal(await manual, null, change)
      t.same(skipped, ['overlap'])
      await clock.advance(5000)
      t.equal(most(), 1, change)
      const closed = scheduler.close()
      await clock.advance(20_000)
      await closed
    }
  }
)

t.test('a run by hand that is granted when one without a lock has begun meanwhile is none', (t) =>
  withHeldAnswers(async ({ clock, answers, scheduler }) => {
    const { most, handler } = counted(() => clock.sleep(2500))
    scheduler.interval('job', '1h', handler)
    answers.hold('claim')
    const asked = scheduler.trigger('job')
    await clock.advance(10)
    scheduler.modify('job', { lock: false })
    t.match(await scheduler.trigger('job'), { fencingToken: null })
    await answers.letGo('claim')
    t.equal(await asked, null)
    await clock.advance(5000)
    t.equal(most(), 1)
    scheduler.modify('job', { lock: '30s' })
    const again = scheduler.trigger('job')
    await clock.advance(10)
    t.match(await again, { jobId: 'job' }, 'and it keeps no lock')
  })
)

t.test('takeovers and ticks that are asked for at once have one `concurrency`', (t) =>
  Promise.all(
    [1, 2, 3, 4].map((seed) =>
      withFleet(
        async ({ simulation, join }) => {
          const options = { recovery: 'rerun', lock: '2s' } as const
          const first = await join(({ scheduler, replica }) => {
            for (const id of ['a', 'b', 'c']) scheduler.interval(id, '1m', () => replica.sleep('1h'), options)
          })
          await simulation.advance(MINUTE + SECOND)
          let most = (): number => 0
          const second = await join(
            ({ scheduler, replica }) => {
              const work = counted(() => replica.sleep(150))
              most = work.most
              for (const id of ['a', 'b', 'c']) scheduler.interval(id, '1m', work.handler, options)
              for (const id of ['d', 'e']) scheduler.interval(id, '1s', work.handler)
            },
            { concurrency: 1 }
          )
          simulation.store.disturb({ delay: [40, 200] })
          first.replica.crash()
          await simulation.advance(30 * SECOND)
          t.equal(most(), 1)
          t.equal(
            second.runs.filter(({ trigger }) => trigger === 'recovery').length,
            3,
            'all are taken over all the same'
          )
          simulation.store.disturb()
        },
        { seed }
      )
    )
  )
)
