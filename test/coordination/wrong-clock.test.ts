import t from 'tap'
import { HOUR, MINUTE, SECOND } from '../../lib/base/duration.js'
import { type Member, withFleet } from '../fixtures/simulated-fleet.js'

// A replica whose own clock is wrong starts while Redis is down: until Redis has said what time it is, it goes by its own.

const SKEWS = [10 * MINUTE, -10 * MINUTE, HOUR + 17 * SECOND + 0.3, -HOUR - 17 * SECOND - 0.3]

interface Course {
  readonly runs: [jobId: string, tick: number][]
  readonly missed: [tick: number, reason: string][]
}

/** What comes of claimed jobs, of which a replica learns while Redis is down. */
async function course(skew: number, masters: number, isKnown: boolean): Promise<Course> {
  const told: Course = { runs: [], missed: [] }
  const run = async ({ simulation, start, join }: Parameters<Parameters<typeof withFleet>[0]>[0]): Promise<void> => {
    const at = (minute: number): Date => new Date(start + minute * MINUTE)
    const define = ({ scheduler }: Member): void => {
      scheduler.cron('job', '* * * * *', () => {})
      scheduler.interval('jittered', '1m', () => {}, { jitter: '50s' })
      for (const minute of [1, 3.5, 4.9, 7]) {
        scheduler.date(`date-${minute}`, at(minute), () => {}, { misfireGraceTime: '1m' })
      }
      scheduler.add({ id: 'ends', trigger: { interval: '1m', endDate: at(5) }, handler() {} })
      scheduler.on('submitted', ({ run }) => void told.runs.push([run.jobId, run.scheduledTime - start]))
      scheduler.on('missed', ({ scheduledTime, reason }) => void told.missed.push([scheduledTime - start, reason]))
    }
    if (isKnown) {
      const { scheduler } = await join(define)
      await simulation.advance(2.5 * MINUTE)
      const closed = scheduler.close()
      await simulation.advance(SECOND)
      await closed
    } else {
      await simulation.advance(2.5 * MINUTE + SECOND)
    }
    for (const store of simulation.stores) store.kill()
    await join(define, {}, skew)
    await simulation.advance(160 * SECOND)
    for (const store of simulation.stores) store.start()
    await simulation.advance(4 * MINUTE)
  }
  await withFleet(run, { masters })
  return { runs: told.runs.sort(), missed: told.missed.sort() }
}

for (const masters of [1, 3]) {
  for (const isKnown of [false, true]) {
    t.test(`claimed jobs that ${isKnown ? 'the fleet knows' : 'are new'}, masters: ${masters}`, async (t) => {
      const right = await course(0, masters, isKnown)
      for (const skew of SKEWS) t.same(await course(skew, masters, isKnown), right, `a clock ahead by ${skew} ms`)
    })
  }
}

for (const masters of [1, 3]) {
  for (const skew of SKEWS) {
    t.test(`what ran without a claim by a clock ahead by ${skew} ms costs no tick later, masters: ${masters}`, (t) =>
      withFleet(
        async ({ simulation, start, join }) => {
          for (const store of simulation.stores) store.kill()
          const after = { interval: '1m', after: 'completion' } as const
          const begun: [jobId: string, at: number, tick: number][] = []
          const missed: number[] = []
          for (const ahead of [skew, 0]) {
            const define = ({ scheduler }: Member): void => {
              scheduler.on('submitted', ({ run }) => {
                begun.push([run.jobId, simulation.now - start, run.scheduledTime - start])
              })
              scheduler.on('missed', ({ scheduledTime }) => void missed.push(scheduledTime - start))
              scheduler.cron('either', '* * * * *', () => {}, { onRedisError: 'run', misfireGraceTime: '5s' })
              if (ahead === 0) return
              scheduler.cron('everywhere', '* * * * *', () => {}, { lock: false })
              scheduler.interval('jittered', '1m', () => {}, { lock: false, jitter: '50s' })
              scheduler.add({ id: 'after', trigger: after, lock: false, handler() {} })
              scheduler.add({ id: 'locked', trigger: after, handler() {} })
              scheduler.date('date', new Date(start + 90 * SECOND + skew), () => {}, { lock: false })
              scheduler.date('later', new Date(start + 5 * MINUTE), () => {}, { lock: false })
            }
            await join(define, {}, ahead)
          }
          await simulation.advance(150 * SECOND)
          const before = begun.filter(([jobId]) => jobId !== 'either').length
          t.ok(before >= 6, `${before} runs before`)
          for (const store of simulation.stores) store.start()
          await simulation.advance(10 * MINUTE)
          const of = (wanted: string): [number, number][] => {
            return begun.flatMap(([jobId, at, tick]) => (jobId === wanted && at > 151 * SECOND ? [[at, tick]] : []))
          }
          const ticks = Array.from({ length: 10 }, (_, index) => (index + 3) * MINUTE)
          const nominal = (wanted: string): number[] => of(wanted).map(([, tick]) => tick)
          t.same(nominal('either'), ticks, 'once in the fleet')
          t.same(nominal('everywhere'), ticks)
          t.equal(new Set(nominal('jittered')).size, nominal('jittered').length)
          t.same(
            nominal('jittered').filter((tick) => tick > 2 * MINUTE && tick < 12 * MINUTE),
            ticks.slice(0, 9)
          )
          for (const wanted of ['everywhere', 'jittered', 'either']) {
            for (const [at, tick] of of(wanted)) t.ok(at >= tick && at < tick + 51 * SECOND, 'when it is due')
          }
          t.same(missed, [])
          for (const wanted of ['after', 'locked']) {
            t.ok(of(wanted).length >= 9, `${of(wanted).length} runs of ${wanted}`)
          }
          for (const wanted of ['date', 'later']) {
            t.equal(begun.filter(([jobId]) => jobId === wanted).length, 1, `the ${wanted} is once`)
          }
        },
        { masters }
      )
    )
  }
}

t.test('the time stays what it was while none of several masters answers', (t) =>
  withFleet(
    async ({ simulation, join, runs, start }) => {
      await join(({ scheduler }) => void scheduler.cron('job', '* * * * *', () => {}, { lock: false }), {}, HOUR)
      await simulation.advance(2.5 * MINUTE)
      for (const store of simulation.stores) store.kill()
      await simulation.advance(2 * MINUTE)
      for (const store of simulation.stores) store.start()
      await simulation.advance(2 * MINUTE)
      t.same(
        runs().map(({ scheduledTime }) => (scheduledTime - start) / MINUTE),
        [1, 2, 3, 4, 5, 6]
      )
    },
    { masters: 3 }
  )
)
