import t from 'tap'
import { createScheduler, type Scheduler } from '../../lib/index.js'
import { NEVER_DUE } from '../fixtures/never-due.js'
import { withRedis } from '../fixtures/with-redis.js'

function replica(redis: string, replicaId: string): Scheduler<undefined> {
  const scheduler = createScheduler({ redis, prefix: 'app', replicaId, logger: false })
  scheduler.add({ id: 'job', trigger: { interval: NEVER_DUE }, data: 'own', handler: ({ data }) => data })
  return scheduler
}

t.test('a run that is asked for anywhere begins on a replica that takes ticks, within a second or so', (t) =>
  withRedis(async ({ url }) => {
    const asking = replica(url, 'web')
    const running = replica(url, 'worker')
    await running.start()
    // Opened, and not started: it takes no ticks.
    await asking.start()
    asking.stop()
    const before = performance.now()
    const run = await asking.trigger('job', { on: 'any', wait: true, data: 7, by: 'anna', scheduledTime: 5 })
    t.match(run, { replicaId: 'worker', outcome: 'success', result: 7, by: 'anna', scheduledTime: 5 })
    // Without being told a replica looks for what waits each 5 s.
    t.ok(performance.now() - before < 3000, `${performance.now() - before} ms`)

    const waiting = await asking.trigger('job', { on: 'any' })
    t.match(waiting, { jobId: 'job', startedAt: null })
    const here = await running.trigger('job', { on: 'any', wait: true })
    t.match(here, { replicaId: 'worker', outcome: 'success' })
    await Promise.all([asking.close(), running.close()])
  })
)

t.test('the fleet is told of requests for a job ten times a second at most, also of the last of many', (t) =>
  withRedis(async ({ url, client }) => {
    const [asking, running] = [replica(url, 'web'), replica(url, 'worker')]
    await asking.start()
    asking.stop()
    await running.start()
    const before = performance.now()
    const asked: Promise<unknown>[] = []
    for (let count = 0; count < 300; count++) {
      asked.push(asking.trigger('job', { on: 'any', wait: true }))
      if (count % 30 === 0) await asked.at(-1)
    }
    await Promise.all(asked)
    const seconds = (performance.now() - before) / 1000
    const told = await client.xlen('rls:{app}:changes')
    t.ok(told >= 2 && told <= 2 + 10 * seconds, `${told} times in ${seconds} s`)
    await Promise.all([asking.close(), running.close()])
  })
)

t.test('what cannot wait cannot run anywhere', async (t) => {
  const scheduler = createScheduler({ logger: false })
  scheduler.add({ id: 'free', lock: false, handler: () => {} })
  scheduler.add({ id: 'job', handler: () => 1 })
  await scheduler.start()
  const invalid = { code: 'FST_ERR_RLS_OPTION_INVALID' }
  await t.rejects(scheduler.trigger('free', { on: 'any' }), { ...invalid, message: /lock: false/ })
  await t.rejects(scheduler.trigger('job', { on: 'any', overlap: 'skip' } as never), { ...invalid, message: /overlap/ })
  await t.rejects(scheduler.trigger('job', { on: 'there' } as never), { ...invalid, message: /there/ })
  await t.rejects(scheduler.trigger('job', { scheduledTime: Date.now() + 60_000 }), {
    ...invalid,
    message: /has passed/
  })
  await t.rejects(scheduler.trigger('job', { by: '' }), { code: /INVALID/ })
  t.match(await scheduler.trigger('job', { on: 'any', wait: true }), { result: 1 })
  await scheduler.close()
})
