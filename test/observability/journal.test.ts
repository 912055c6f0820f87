// The journal tells whoever listens, whatever listeners do.
import t from 'tap'
import type { JournalListener, TickRange } from '../../lib/observability/journal-listener.js'
import { Simulation } from '../../lib/testing/index.js'
import { everyMinute, joinListening } from '../fixtures/listening-replica.js'

for (const { paused, options } of [
  { paused: false, options: {} },
  { paused: true, options: { lock: false as const } }
]) {
  const fact = paused ? 'skipped as they are paused' : 'missed'
  t.test(`of very many ticks that are ${fact} the first are told one by one, the others as a range`, async (t) => {
    const simulation = new Simulation()
    const start = simulation.now
    const ticks: number[] = []
    const ranges: TickRange[] = []
    const one = (_job: unknown, tick: number): void => void ticks.push((tick - start) / 1000)
    const many = (_job: unknown, range: TickRange): void => void ranges.push(range)
    const listener: JournalListener = paused
      ? { tickSkipped: one, ticksSkipped: many }
      : { tickMissed: one, ticksMissed: many }
    const { replica, scheduler } = await joinListening(simulation, [listener], () => [
      { ...options, id: 'job', trigger: { interval: '1s' }, handler: () => {} }
    ])
    await simulation.advance('10s')
    if (paused) await scheduler.pause('job')
    replica.freeze('1h')
    await simulation.advance('1h')
    const first = ticks[0] as number
    // The last tick of all is told by itself.
    t.strictSame(
      ticks.slice(0, 1000),
      Array.from({ length: 1000 }, (_, index) => first + index)
    )
    t.strictSame(
      ranges.map(({ first, last, count }) => [(first - start) / 1000, (last - start) / 1000, count]),
      [[first + 1000, 3609, 3610 - (first + 1000)]]
    )
  })
}

t.test('a listener that fails stops neither runs nor locks nor other listeners', async (t) => {
  const simulation = new Simulation()
  const heard: unknown[] = []
  const failing = (isAsync: boolean): JournalListener => {
    const hear = (): unknown => {
      if (isAsync) return Promise.reject(new Error('later'))
      throw new Error('at once')
    }
    return new Proxy({}, { get: () => hear })
  }
  const listener: JournalListener = { runEnded: (_job, run) => void heard.push(run.outcome) }
  const { scheduler, lines } = await joinListening(simulation, [failing(false), failing(true), listener], () => [
    everyMinute('job', () => {})
  ])
  await simulation.advance('130s')
  t.strictSame(heard, ['success', 'success'])
  const byHand = scheduler.trigger('job', { wait: true })
  await simulation.advance('1s')
  t.match(await byHand, { outcome: 'success' }, 'its lock is free')
  const failed = lines.filter(({ message }) => message === 'a listener of the journal failed')
  for (const message of ['at once', 'later']) {
    const facts = failed
      .filter(({ level, fields }) => level === 'error' && (fields.err as Error).message === message)
      .map(({ fields }) => fields.fact)
    const expected = ['handlerSettled', 'jobAdded', 'lockReleased', 'runEnded', 'runStarted', 'started']
    t.strictSame([...new Set(facts)].sort(), expected)
  }
})
