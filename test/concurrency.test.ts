import Fastify from 'fastify'
import t from 'tap'
import scheduler, { createScheduler } from '../lib/index.js'
import { withVirtualScheduler } from './fixtures/virtual-scheduler.js'

// `scheduler.concurrency`: how many runs there may be at once, set while runs go on.

const SECOND = 1000
const MINUTE = 60 * SECOND

t.test('more room: what waits starts at once; less: runs go on, and none starts until there is room', (t) =>
  withVirtualScheduler(
    async ({ clock, scheduler }) => {
      let [running, started] = [0, 0]
      for (let index = 0; index < 30; index++) {
        scheduler.interval(`job-${index}`, '1h', async () => {
          started++
          running++
          await clock.sleep(10 * SECOND)
          running--
        })
      }
      await scheduler.start()
      t.equal(scheduler.concurrency, 2)
      await clock.advance(60 * MINUTE + SECOND)
      t.equal(running, 2)
      scheduler.concurrency = 10
      t.equal(scheduler.concurrency, 10)
      await clock.advance(0)
      t.equal(running, 10)
      scheduler.concurrency = 3
      await clock.advance(5 * SECOND)
      t.equal(running, 10, 'none is ended')
      await clock.advance(4 * SECOND + 500)
      t.same([started, running], [10, 8], 'the end of two makes no room')
      await clock.advance(SECOND)
      t.same([started, running], [13, 3])
      await clock.advance(15 * SECOND)
      t.equal(running, 3)
    },
    { concurrency: 2, defaults: { misfireGraceTime: '10m' } },
    '2027-01-01T00:00:00.000Z'
  )
)

t.test('it can be set before the start, and after the end', async (t) => {
  const scheduler = createScheduler({ logger: false })
  t.equal(scheduler.concurrency, 64)
  scheduler.concurrency = 1
  await scheduler.start()
  t.equal(scheduler.concurrency, 1)
  await scheduler.close()
  scheduler.concurrency = 1_000_000
  t.equal(scheduler.concurrency, 1_000_000)
})

t.test('a wrong number is refused as the option is, and nothing changes', async (t) => {
  const scheduler = createScheduler({ logger: false, concurrency: 5 })
  for (const wrong of [0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, 1_000_001, '8', null, undefined]) {
    t.throws(
      () => {
        scheduler.concurrency = wrong as number
      },
      {
        code: 'FST_ERR_RLS_OPTION_INVALID',
        message: /^Expected `concurrency` to be a whole number from 1 to 1,000,000, got /
      }
    )
  }
  t.equal(scheduler.concurrency, 5)
  await scheduler.close()
})

t.test('of an app there is one, whichever instance sets it', async (t) => {
  const app = Fastify()
  await app.register(scheduler, { concurrency: 7 })
  app.register(async (child) => {
    t.equal(child.jobs.concurrency, 7)
    child.jobs.concurrency = 9
  })
  await app.ready()
  t.equal(app.jobs.concurrency, 9)
  await app.close()
})
