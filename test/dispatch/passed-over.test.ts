// Late ticks are accounted for, once, also where the tick that stands for them is asked for more than once, or runs otherwise.
import t from 'tap'
import { createScheduler, type JobHandler, type Scheduler } from '../../lib/index.js'
import { Simulation } from '../../lib/testing/index.js'

/** What becomes of ticks, as `what seconds reason`, from the last `clear` on. */
function listen(scheduler: Scheduler<undefined>, since: number): string[] {
  const heard: string[] = []
  const at = (scheduledTime: number): number => (scheduledTime - since) / 1000
  scheduler.on('submitted', ({ run }) => void (run.trigger === 'manual' || heard.push(`run ${at(run.scheduledTime)}`)))
  scheduler.on('missed', ({ scheduledTime, reason }) => void heard.push(`missed ${at(scheduledTime)} ${reason}`))
  return heard
}

async function close(scheduler: Scheduler<undefined>, simulation: Simulation): Promise<void> {
  const closed = scheduler.close()
  await simulation.advance('10s')
  await closed
}

const START = Date.parse('2027-01-01T00:00:00Z')

t.test('late ticks that wait for the lock of their job, and are too late by then', async (t) => {
  const simulation = new Simulation()
  const replica = simulation.replica()
  const scheduler = createScheduler({ ...replica.options, logger: false })
  const heard = listen(scheduler, START)
  let release = (): void => {}
  const handler: JobHandler<undefined> = ({ run }) => {
    return run.trigger === 'manual' ? new Promise<void>((resolve) => (release = resolve)) : undefined
  }
  scheduler.add({ id: 'a', trigger: { cron: '*/10 * * * * *' }, coalesce: 'all', lock: '2m', handler })
  await scheduler.start()
  await simulation.advance('25s')
  heard.length = 0
  void scheduler.trigger('a')
  await simulation.advance('1s')
  replica.freeze('30s')
  await simulation.advance('30500ms')
  release()
  await simulation.advance('10s')
  t.strictSame(heard, ['missed 30 misfire', 'missed 40 misfire', 'run 50', 'run 60'])
  await close(scheduler, simulation)
})

t.test('late ticks whose answer came later than the lock lasts, so that they are asked for once more', async (t) => {
  const simulation = new Simulation()
  const [store] = simulation.stores
  const replica = simulation.replica()
  const scheduler = createScheduler({ ...replica.options, logger: false })
  const heard = listen(scheduler, START)
  scheduler.add({ id: 'a', trigger: { cron: '*/10 * * * * *' }, lock: '500ms', handler() {} })
  await scheduler.start()
  await simulation.advance('25s')
  heard.length = 0
  replica.freeze('30s')
  await simulation.advance('29s')
  store!.disturb({ delay: [400, 400] })
  await simulation.advance('2500ms')
  store!.disturb()
  await simulation.advance('5s')
  t.strictSame(heard, ['missed 30 misfire', 'missed 40 misfire', 'run 50', 'run 60'])
  await close(scheduler, simulation)
})

for (const [onRedisError, expected] of [
  ['run', ['run 20', 'run 30', 'run 40']],
  ['skip', ['missed 20 redis_error', 'run 30', 'run 40']]
] as const) {
  t.test(`ticks of an outage, of a job that is changed to run without a lock meanwhile: ${onRedisError}`, async (t) => {
    const simulation = new Simulation()
    const scheduler = createScheduler({ ...simulation.replica().options, logger: false })
    const heard = listen(scheduler, START)
    scheduler.add({ id: 'a', trigger: { cron: '*/10 * * * * *' }, onRedisError, handler() {} })
    await scheduler.start()
    await simulation.advance('15s')
    heard.length = 0
    simulation.store.kill()
    await simulation.advance('15100ms')
    scheduler.modify('a', { lock: false })
    await simulation.advance('50ms')
    simulation.store.start()
    await simulation.advance('10s')
    t.strictSame(heard, [...expected])
    await close(scheduler, simulation)
  })
}

t.test('a store that has come back with older data does not have ticks counted again that ran here', async (t) => {
  const simulation = new Simulation()
  const { options } = simulation.replica()
  let isOlder = false
  const scheduler = createScheduler({
    ...options,
    logger: false,
    coordination: (parts) => {
      const coordination = options.coordination(parts)
      const claim = coordination.claim.bind(coordination)
      coordination.claim = async (...args) => {
        const answers = await claim(...args)
        if (!isOlder) return answers
        return answers.map((answer) => {
          return answer.status === 'granted' ? { ...answer, previous: (answer.previous as number) - 20_000 } : answer
        })
      }
      return coordination
    }
  })
  const heard = listen(scheduler, START)
  scheduler.add({ id: 'a', trigger: { cron: '*/10 * * * * *' }, handler() {} })
  await scheduler.start()
  await simulation.advance('45s')
  isOlder = true
  await simulation.advance('10s')
  t.strictSame(heard, ['run 10', 'run 20', 'run 30', 'run 40', 'run 50'])
  await close(scheduler, simulation)
})
