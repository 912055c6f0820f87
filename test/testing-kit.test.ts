import { readFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import t from 'tap'
import { createScheduler } from '../lib/index.js'
import { Simulation } from '../lib/testing/index.js'
import type { Coordination } from '../types/coordination.js'
import { logLines } from './fixtures/log-lines.js'
import { type Member, withFleet } from './fixtures/simulated-fleet.js'

// Where the simulated store must be as Redis is, and what simulated time waits for.

const SECOND = 1000
const MINUTE = 60 * SECOND

t.test('a reply that comes while its process stands still is read when that goes on, however late', (t) =>
  withFleet(async ({ simulation, join, runs }) => {
    const failed: string[] = []
    const { replica, lines } = await join(({ scheduler }) => {
      scheduler.interval('job', '1m', () => {}, { lock: { ttl: '1m' } })
      scheduler.on('lockFailed', ({ reason }) => void failed.push(reason))
    })
    simulation.store.disturb({ delay: [20, 20] })
    await simulation.advance(MINUTE + 10)
    replica.freeze('5s')
    await simulation.advance('4s')
    t.equal(runs().length, 0, 'nothing happens while it stands still')
    await simulation.advance('2s')
    t.match(runs(), [{ trigger: 'schedule' }], 'its claim was granted, and is so still')
    t.same(failed, [], 'Redis has answered')
    t.notOk(lines.some((line) => /does not answer/.test(JSON.stringify(line))))
  })
)

t.test('a reply that comes later than an exchange may take is not waited for', (t) =>
  withFleet(async ({ simulation, join }) => {
    const failed: string[] = []
    await join(({ scheduler }) => {
      scheduler.interval('job', '1m', () => {})
      scheduler.on('lockFailed', ({ reason }) => void failed.push(reason))
    })
    simulation.store.disturb({ delay: [1200, 1200] })
    await simulation.advance(MINUTE + 2500)
    t.same(failed, ['error'])
    simulation.store.disturb()
    await simulation.advance(SECOND)
  })
)

t.test('a hung store answers a process that stands still only when both go on', (t) =>
  withFleet(async ({ simulation, join, runs }) => {
    const { replica } = await join(({ scheduler }) =>
      scheduler.interval('job', '1m', () => {}, { lock: { ttl: '1m' } })
    )
    await simulation.advance(MINUTE - 10)
    simulation.store.hang()
    await simulation.advance(20)
    replica.freeze('6s')
    simulation.store.start()
    await simulation.advance('5s')
    t.equal(runs().length, 0)
    await simulation.advance('2s')
    t.equal(runs().length, 1)
  })
)

t.test('a connection that is closed fails what was under way at once', (t) =>
  withFleet(async ({ simulation, join }) => {
    const failed: number[] = []
    await join(({ scheduler }) => {
      scheduler.interval('job', '1m', () => {})
      scheduler.on('lockFailed', () => void failed.push(simulation.now))
    })
    simulation.store.disturb({ delay: [500, 500] })
    await simulation.advance(MINUTE + 100)
    simulation.store.kill()
    await simulation.advance(SECOND)
    t.equal(failed.length, 1)
    simulation.store.start()
    simulation.store.disturb()
    await simulation.advance('3s')
  })
)

for (const [what, isBusy] of [
  ['that asks for something hears of what was handed back by the reply', true],
  ['that asks for nothing hears of what was handed back when it next looks at the store', false]
] as const) {
  t.test(`a replica ${what}`, (t) =>
    withFleet(async ({ simulation, start, join, runs }) => {
      const define = ({ scheduler }: Member): void => void scheduler.interval('job', '1m', () => {})
      const leaving = await join(define)
      const staying = await join((member) => {
        define(member)
        if (isBusy) member.scheduler.interval('busy', '100ms', () => {}, { lock: { ttl: '10s' } })
      })
      simulation.store.disturb({ delay: [50, 50] })
      await simulation.advance(MINUTE - 10)
      staying.replica.freeze(50)
      await simulation.advance(70)
      const closed = leaving.scheduler.close()
      await simulation.advance(100)
      const isRun = (): boolean => runs().some(({ jobId }) => jobId === 'job')
      t.notOk(isRun(), 'not told in the moment it is handed back')
      await simulation.advance(isBusy ? 400 : 2500)
      await closed
      t.ok(isRun())
      const ran = runs().find(({ jobId }) => jobId === 'job')
      t.match(ran, { scheduledTime: start + MINUTE, replicaId: staying.scheduler.replicaId })
    })
  )
}

t.test('a request says of its job what that was when it was sent', (t) =>
  withFleet(async ({ simulation, join }) => {
    const { scheduler } = await join((member) => member.scheduler.interval('job', '1m', () => {}))
    const definition = (): string | undefined => simulation.store.memory.jobs.get('job')?.fingerprint.options
    await simulation.advance(MINUTE + 50)
    const before = definition()
    t.type(before, 'string')
    simulation.store.disturb({ delay: [100, 100] })
    await simulation.advance(MINUTE)
    scheduler.modify('job', { timeout: '5s' })
    await simulation.advance(500)
    t.equal(definition(), before, 'the claim that was under way is of the definition it was made with')
    await simulation.advance(MINUTE)
    t.not(definition(), before, 'the next one is of the new')
  })
)

t.test('simulated time stands still while a handler does real work', async (t) => {
  const server = createServer((_request, response) => void setTimeout(() => response.end('pong'), 5))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => void server.closeAllConnections())
  t.teardown(() => void server.close())
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const simulation = new Simulation({ patience: '1m' })
  const { options } = simulation.replica()
  const took: number[] = []
  const scheduler = createScheduler(options)
  scheduler.interval('job', '1s', async () => {
    const began = simulation.now
    await readFile(import.meta.filename)
    t.equal(await (await fetch(url)).text(), 'pong')
    await new Promise((resolve) => setTimeout(resolve, 2))
    took.push(simulation.now - began)
  })
  await scheduler.start()
  await simulation.advance('20s')
  t.same(took, Array(20).fill(0), 'each run has ended in its own tick')
  await scheduler.close()
})

t.test('real work and simulated time in one handler, and in one that runs another job and waits for it', async (t) => {
  const simulation = new Simulation({ patience: '1m' })
  const replica = simulation.replica()
  const took: [string, number][] = []
  const scheduler = createScheduler(replica.options)
  const run = async (name: string): Promise<void> => {
    const began = simulation.now
    await readFile(import.meta.filename)
    await replica.sleep('300ms')
    await readFile(import.meta.filename)
    await simulation.sleep('200ms')
    took.push([name, simulation.now - began])
  }
  scheduler.interval('inner', '1d', () => run('inner'))
  scheduler.interval('outer', '10s', async () => {
    await scheduler.trigger('inner', { wait: true })
    await run('outer')
  })
  await scheduler.start()
  const warnings: Error[] = []
  const note = (warning: Error): void => void warnings.push(warning)
  process.on('warning', note)
  t.teardown(() => void process.off('warning', note))
  await simulation.advance('15s')
  t.same(took, [
    ['inner', 500],
    ['outer', 500]
  ])
  await new Promise((resolve) => setImmediate(resolve))
  t.same(warnings, [], 'nobody was waited for in vain')
  await scheduler.close()
})

t.test('a handler that waits for something that never comes is waited for once, and told', async (t) => {
  const warnings: (Error & { code?: string })[] = []
  const note = (warning: Error): void => void warnings.push(warning)
  process.on('warning', note)
  t.teardown(() => void process.off('warning', note))
  const simulation = new Simulation({ patience: '50ms' })
  const scheduler = createScheduler({ ...simulation.replica().options, closeTimeout: 100 })
  scheduler.interval('stuck', '1s', () => new Promise(() => {}))
  scheduler.interval('other', '1s', () => {})
  await scheduler.start()
  await simulation.advance('10s')
  await new Promise((resolve) => setImmediate(resolve))
  const own = warnings.filter(({ code }) => code === 'RLS_SIMULATION_NOT_AWAITED')
  t.equal(own.length, 1)
  t.match(own[0]?.message, /'stuck' on replica-1 waits for something that is not simulated.*50 real ms/)
  t.ok((scheduler.get('other')?.lastRun ?? 0) > 0)
  const closed = scheduler.close()
  await simulation.advance('5s')
  await closed
})

t.test('simulations in one process wait each for its own handlers', async (t) => {
  const warnings: Error[] = []
  const note = (warning: Error): void => void warnings.push(warning)
  process.on('warning', note)
  t.teardown(() => void process.off('warning', note))
  const real = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))
  const patient = new Simulation({ patience: '1m' })
  const working = createScheduler(patient.replica().options)
  let begin = (): void => {}
  const begun = new Promise<void>((resolve) => {
    begin = resolve
  })
  let end = (): void => {}
  const ended = new Promise<void>((resolve) => {
    end = resolve
  })
  const took: number[] = []
  working.interval('work', '20s', async () => {
    const before = patient.now
    begin()
    await ended
    took.push(patient.now - before)
  })
  await working.start()
  const advanced = patient.advance('30s')
  await begun
  const other = new Simulation({ patience: '50ms' })
  const quick = createScheduler(other.replica().options)
  quick.interval('quick', '10s', () => {})
  await quick.start()
  await other.advance('20s')
  t.ok((quick.get('quick')?.lastRun ?? 0) > 0)
  await real(100)
  end()
  await advanced
  await real(0)
  t.same(took, [0], 'its time stood still meanwhile')
  t.same(warnings, [], 'and nobody else has waited for it')
  await working.close()
  await quick.close()
})

t.test('what the test itself waits for goes on while much simulated time passes', (t) =>
  withFleet(async ({ simulation, join, runs }) => {
    await join(({ scheduler }) => void scheduler.interval('job', '1s', () => {}))
    let turns = 0
    let isOver = false
    const turn = (): void => {
      turns++
      if (!isOver) setImmediate(turn)
    }
    turn()
    await simulation.advance('1h')
    isOver = true
    t.equal(runs().length, 3600)
    t.ok(turns > 36, `the event loop had ${turns} turns`)
  })
)

t.test('with `patience: 0` nothing real is waited for', async (t) => {
  const simulation = new Simulation({ patience: 0 })
  const scheduler = createScheduler(simulation.replica().options)
  let end = (): void => {}
  const work = (): Promise<void> =>
    new Promise((resolve) => {
      end = resolve
    })
  scheduler.interval('job', '1s', work, { lock: { ttl: '1m' } })
  await scheduler.start()
  await simulation.advance('3s')
  t.equal(scheduler.get('job')?.running, 1)
  end()
  await simulation.settle()
  t.equal(scheduler.get('job')?.running, 0)
  await scheduler.close()
})

t.test(
  'a claim that is answered while its replica is told nothing else tells of other definitions with its reply',
  (t) =>
    withFleet(async ({ simulation, join }) => {
      const { logger, lines } = logLines()
      await join(({ scheduler }) => scheduler.interval('job', '1m', () => {}))
      const told: number[] = []
      const { options } = simulation.replica()
      const coordination: typeof options.coordination = (parts) =>
        options.coordination({
          ...parts,
          listener: {
            ...parts.listener,
            onDefinitionDiffers: (...differing) => {
              told.push(simulation.now)
              parts.listener.onDefinitionDiffers(...differing)
            }
          }
        }) as Coordination
      const other = createScheduler({ ...options, coordination, logger })
      other.interval('job', '1m', () => {}, { timeout: '5s' })
      await other.start()
      await simulation.advance(MINUTE - 10)
      simulation.store.disturb({ delay: [30, 30] })
      await simulation.advance(200)
      t.ok(told.length > 0)
      for (const at of told) t.ok(at % MINUTE >= 60, 'not before its reply has come')
      t.ok(lines.length > 0)
      const closed = other.close()
      await simulation.advance(SECOND)
      await closed
    })
)
