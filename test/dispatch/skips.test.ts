import t from 'tap'
import { MINUTE } from '../../lib/base/duration.js'
import { createScheduler } from '../../lib/index.js'
import { type Member, withFleet } from '../fixtures/simulated-fleet.js'

for (const masters of [1, 3]) {
  t.test(`a skipped tick has no run, and is counted once in the fleet: ${masters} store(s)`, (t) =>
    withFleet(
      async ({ simulation, start, join, runs, missed }) => {
        const add = ({ scheduler }: Member): void => {
          for (let index = 0; index < 5; index++) scheduler.cron(`job-${index}`, '* * * * *', () => {})
          scheduler.cron('unlocked', '* * * * *', () => {}, { lock: false })
          scheduler.cron('jittered', '* * * * *', () => {}, { jitter: '20s' })
        }
        const members = [await join(add), await join(add), await join(add)]
        const [one, two] = members as [Member, Member]
        const ids = ['job-0', 'job-3', 'unlocked', 'jittered']
        // One replica is cut off: it cannot have heard of it.
        members[2]?.replica.disconnect()
        const asked = ids.flatMap((id) => [one, two].map(({ scheduler }) => scheduler.skip(id, start + 2 * MINUTE)))
        await simulation.advance('10s')
        await Promise.all(asked)
        members[2]?.replica.connect()
        for (const store of simulation.stores) store.disturb({ lostReplies: 0.1, lostRequests: 0.1, delay: [1, 20] })
        await simulation.advance('3m')
        for (const store of simulation.stores) store.disturb()
        await simulation.advance('1m')
        const ran = (id: string): number[] => {
          return runs().flatMap(({ jobId, scheduledTime }) => (jobId === id ? [(scheduledTime - start) / MINUTE] : []))
        }
        for (const id of ids) t.notOk(ran(id).includes(2), id)
        for (const id of ['job-1', 'job-2', 'job-4']) t.same(ran(id).slice(0, 3), [1, 2, 3], id)
        const counted = members.flatMap(({ skipped }) => skipped).filter(([, reason]) => reason === 'operator')
        t.ok(counted.every(([tick]) => tick === 2 * MINUTE))
        t.equal(counted.length, 3 + 3, 'each with a lock once, the other on each replica')
        t.same(missed(), [])
      },
      { masters, seed: 3 }
    )
  )
}

t.test('what is no future tick of the job is refused', async (t) => {
  const scheduler = createScheduler({ logger: false })
  scheduler.cron('job', '0 0 1 1 *', () => {})
  scheduler.add({ id: 'after', trigger: { interval: '1m', after: 'completion' }, handler() {} })
  scheduler.add({ id: 'by-hand', handler() {} })
  const next = scheduler.get('job')?.nextRun as number
  const refused: [string, unknown, object, string][] = [
    ['none', next, {}, 'JOB_UNKNOWN'],
    ['job', next + 1, {}, 'TICK_UNKNOWN'],
    ['job', Date.now(), {}, 'TICK_UNKNOWN'],
    ['job', '2020-01-01T00:00:00Z', {}, 'TICK_PASSED'],
    ['after', Date.now() + MINUTE, {}, 'TICK_UNKNOWN'],
    ['by-hand', Date.now() + MINUTE, {}, 'TICK_UNKNOWN'],
    ['job', 'soon', {}, 'DATE_INVALID'],
    ['job', next, { note: 5 }, 'OPTION_INVALID'],
    ['job', next, { by: '' }, 'OPTION_INVALID'],
    ['job', next, { reason: 'why' }, 'OPTION_UNKNOWN']
  ]
  for (const [id, time, options, code] of refused) {
    await t.rejects(scheduler.skip(id, time as number, options), { code: `FST_ERR_RLS_${code}` })
  }
  await scheduler.skip('job', new Date(next), { by: 'ada', note: 'a holiday' })
  await scheduler.close()
})

t.test('a tick that was skipped is none that was missed, also where no replica was there', (t) =>
  withFleet(async ({ simulation, start, join, missed }) => {
    const add = ({ scheduler }: Member): void => void scheduler.cron('job', '* * * * *', () => {})
    const one = await join(add)
    await simulation.advance('90s')
    const asked = one.scheduler.skip('job', start + 3 * MINUTE, { by: 'ada', note: 'maintenance' })
    await simulation.advance('2s')
    await asked
    const closed = one.scheduler.close()
    await simulation.advance('4m')
    await closed
    const two = await join(add)
    await simulation.advance('2m')
    t.same(
      two.skipped.filter(([, reason]) => reason === 'operator'),
      [[3 * MINUTE, 'operator']]
    )
    t.same(missed(), [2 * MINUTE, 4 * MINUTE, 5 * MINUTE])
    const story = two.scheduler.tick('job', start + 3 * MINUTE)
    await simulation.advance('1s')
    t.match(await story, { reason: 'operator', by: 'ada', run: null })
  })
)
