import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { createScheduler, errors, type HistoryEntry, type Run, type Scheduler } from '../../lib/index.js'
import { withMasters } from '../fixtures/quorum-replicas.js'
import { type Member, withFleet } from '../fixtures/simulated-fleet.js'
import { withRedis } from '../fixtures/with-redis.js'

/** Who asks for the run. */
const BY = 'eva; B=x:y.z é'

/** Goes on until its signal aborts, or for ever. */
function untilAborted(listens: boolean): (context: { signal: AbortSignal }) => Promise<unknown> {
  return ({ signal }) => {
    return new Promise((_resolve, reject) => {
      if (listens) signal.addEventListener('abort', () => reject(signal.reason))
    })
  }
}

/** Two replicas, of which the first has a run of `job` that does not end by itself. */
async function withRunningJob(
  redis: string | string[],
  options: { readonly listens?: boolean; readonly recovery?: 'rerun' },
  body: (one: Scheduler<undefined>, two: Scheduler<undefined>, run: Run, ended: Run[]) => Promise<void>
): Promise<void> {
  const { listens = true, ...more } = options
  const over = (): Scheduler<undefined> => {
    const common = {
      redis,
      prefix: `commands-${Math.random()}`.slice(0, 20),
      logger: false,
      closeTimeout: 200
    } as const
    return createScheduler({ ...common, prefix: 'commands' })
  }
  const [one, two] = [over(), over()]
  const ended: Run[] = []
  for (const scheduler of [one, two]) {
    scheduler.add({ id: 'job', handler: untilAborted(listens) as () => Promise<unknown>, ...more })
    scheduler.on('error', ({ run }) => void ended.push(run))
    await scheduler.start()
  }
  try {
    const run = await one.trigger('job', { by: BY })
    await body(one, two, run as Run, ended)
  } finally {
    await Promise.all([one.close(), two.close()])
  }
}

async function until(isSo: () => boolean, limit = 3000): Promise<number> {
  const begun = performance.now()
  while (!isSo() && performance.now() - begun < limit) await sleep(5)
  return performance.now() - begun
}

/** What must hold of commands, whatever the store is. */
function commandTests(t: Test, withStore: (body: (redis: string | string[]) => Promise<void>) => Promise<void>): void {
  for (const who of ['here', 'elsewhere'] as const) {
    t.test(`a run is cancelled ${who}`, (t) =>
      withStore((redis) =>
        withRunningJob(redis, { recovery: 'rerun' }, async (one, two, run, ended) => {
          await (who === 'here' ? one : two).cancel(run.id, { by: 'ada' })
          t.ok((await until(() => ended.length > 0)) < 1300)
          t.match(ended, [{ id: run.id, outcome: 'cancelled' }])
          t.ok(ended[0]?.error instanceof errors.RunCancelledError)
          t.match(`${ended[0]?.error}`, /cancelled, as 'ada' asked for it/)
          await sleep(300)
          t.equal(ended.length, 1, 'nobody takes it over')
          const other = await two.trigger('job')
          t.ok(other, 'its lock is free')
          await t.rejects(one.cancel(run.id), { code: 'FST_ERR_RLS_RUN_UNKNOWN', statusCode: 404 })
          await one.cancel(other?.id ?? '')
          await until(() => ended.length === 2)
          t.match(ended[1], { id: other?.id, outcome: 'cancelled' })
        })
      )
    )
  }

  t.test('a run that does not listen goes on and keeps its lock; a released lock is free, and the run is told', (t) =>
    withStore((redis) =>
      withRunningJob(redis, { listens: false }, async (one, two, run, ended) => {
        const lost: string[] = []
        one.on('lockLost', ({ run }) => void lost.push(run.id))
        t.match((await two.status('job')).running, [{ id: run.id, by: BY }], 'who has asked for it is known elsewhere')
        t.match(await two.history('job'), [{ id: run.id, by: BY, trigger: 'manual', outcome: null }])
        await two.cancel(run.id)
        await sleep(1100)
        t.equal(await two.trigger('job'), null, 'it has its lock')
        t.equal(ended.length, 0)
        t.same(await two.release('job', { slot: 2 }), [])
        t.same(await two.release('job', { by: 'ada' }), [{ slot: 1, runId: run.id }])
        t.same(await two.release('job'), [], 'nothing is held any more')
        const next = await two.trigger('job')
        t.ok(next)
        t.ok((await until(() => lost.length > 0)) < 1300)
        t.same(lost, [run.id], 'and only that one')
        t.equal(ended.length, 0, 'its handler goes on')
        let told: HistoryEntry | undefined
        for (let tries = 0; tries < 100 && !(told?.kind === 'run' && told.outcome !== null); tries++) {
          await sleep(20)
          told = (await two.history('job')).find((entry) => entry.kind === 'run' && entry.id === run.id)
        }
        t.match(told, { outcome: 'cancelled', finishedAt: Number }, 'the history has it all the same')
      })
    )
  )

  t.test('a run whose lock is released ends as lock_lost', (t) =>
    withStore((redis) =>
      withRunningJob(redis, {}, async (_one, two, run, ended) => {
        t.same(await two.release('job'), [{ slot: 1, runId: run.id }])
        t.ok((await until(() => ended.length > 0)) < 1300)
        t.match(ended, [{ id: run.id, outcome: 'lock_lost' }])
        t.match(`${ended[0]?.error}`, /has released it/)
      })
    )
  )
}

t.test('over Redis', async (t) => commandTests(t, (body) => withRedis(({ url }) => body(url))))
t.test('over three masters', async (t) => {
  commandTests(t, (body) => withMasters(3, (masters) => body(masters.map(({ url }) => url))))
})

t.test('every slot has a lock of its own', (t) =>
  withRedis(async ({ url }) => {
    const options = { redis: url, prefix: 'slots', logger: false, closeTimeout: 100 } as const
    const [one, two] = [createScheduler(options), createScheduler(options)]
    for (const scheduler of [one, two]) {
      scheduler.add({ id: 'job', maxInstances: 3, handler: untilAborted(true) as () => Promise<unknown> })
      await scheduler.start()
    }
    const runs = [await one.trigger('job'), await two.trigger('job'), await one.trigger('job')]
    t.equal(await two.trigger('job'), null)
    const ids = runs.map((run) => run?.id)
    t.same(await two.release('job', { slot: 2 }), [{ slot: 2, runId: ids[1] }])
    t.ok(await two.trigger('job'))
    const released = await one.release('job')
    t.same(released.map(({ slot }) => slot).sort(), [1, 2, 3])
    t.ok(released.some(({ runId }) => runId === ids[0]) && released.some(({ runId }) => runId === ids[2]))
    await Promise.all([one.close(), two.close()])
  })
)

for (const masters of [1, 3]) {
  t.test(`in a simulated fleet, also where messages are lost: ${masters} store(s)`, (t) =>
    withFleet(
      async ({ simulation, join }) => {
        const add = ({ scheduler }: Member): void => {
          scheduler.add({ id: 'job', handler: untilAborted(true) as () => Promise<unknown> })
        }
        const [one, two] = [await join(add), await join(add)]
        const outcomes: string[] = []
        for (const { scheduler } of [one, two]) scheduler.on('error', ({ run }) => void outcomes.push(`${run.outcome}`))
        for (let round = 0; round < 6; round++) {
          for (const store of simulation.stores) store.disturb()
          const begun = one.scheduler.trigger('job')
          await simulation.advance('1s')
          const run = (await begun) as Run
          for (const store of simulation.stores) store.disturb({ delay: [1, 30], lostReplies: 0.2, lostRequests: 0.2 })
          const ask = async (): Promise<void> => {
            const asked = round % 2 === 0 ? two.scheduler.cancel(run.id) : two.scheduler.release('job')
            const done = (asked as Promise<unknown>).catch(() => {})
            await simulation.advance('10s')
            await done
          }
          for (let tries = 0; tries < 20 && outcomes.length <= round; tries++) await ask()
        }
        t.same(outcomes, ['cancelled', 'lock_lost', 'cancelled', 'lock_lost', 'cancelled', 'lock_lost'])
      },
      { masters, patience: 0 }
    )
  )
}

t.test('without a lock a run is cancelled where it goes on', async (t) => {
  const scheduler = createScheduler({ logger: false })
  scheduler.add({ id: 'job', lock: false, handler: untilAborted(true) as () => Promise<unknown> })
  await scheduler.start()
  const run = await scheduler.trigger('job')
  t.same(await scheduler.release('job'), [])
  await scheduler.cancel(run?.id ?? '')
  await until(() => run?.outcome !== null)
  t.equal(run?.outcome, 'cancelled')
  await scheduler.close()
})

t.test('bad input', async (t) => {
  const scheduler = createScheduler({ logger: false })
  scheduler.add({ id: 'job', handler() {} })
  for (const id of ['none', '', 'a b', 'x'.repeat(300), null, 5]) {
    await t.rejects(scheduler.cancel(id as string), { code: 'FST_ERR_RLS_RUN_UNKNOWN' })
  }
  await t.rejects(scheduler.cancel('none', { by: '' }), { code: 'FST_ERR_RLS_OPTION_INVALID' })
  await t.rejects(scheduler.cancel('none', { who: 'ada' } as object), { code: 'FST_ERR_RLS_OPTION_UNKNOWN' })
  await t.rejects(scheduler.release('none'), { code: 'FST_ERR_RLS_JOB_UNKNOWN' })
  for (const slot of [0, 1.5, '1', 1001]) {
    await t.rejects(scheduler.release('job', { slot: slot as number }), { code: 'FST_ERR_RLS_OPTION_INVALID' })
  }
  await scheduler.close()
})
