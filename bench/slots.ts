// What do slots cost? A locked run of a job with `maxInstances: 100` in that of one with a single slot.
import { type FleetResult, runFleet } from './fleet.js'
import { median, ratios } from './measure.js'
import type { Answer, Question, Scale } from './question.js'
import { windowAfter } from './replica.js'
import { accuracy, tally } from './ticks.js'

interface Size {
  readonly jobs: number
  /** Before the window, in seconds. */
  readonly warmUp: number
  readonly seconds: number
  /** Each is of both fleets, and every other one in opposite order. */
  readonly rounds: number
}

const SIZES: Readonly<Record<Scale, Size>> = {
  full: { jobs: 1000, warmUp: 45, seconds: 10, rounds: 6 },
  smoke: { jobs: 30, warmUp: 8, seconds: 2, rounds: 1 }
}

const SLOTS = 100
const DUE = 500

/** How many runs of each job go on while its ticks come. */
const HELD = [0, 5] as const

/** At most so much dearer is a run of a job with many slots. */
const LIMIT = 1.2

export const slots: Question = {
  title: 'What do slots cost?',

  async ask(scale: Scale): Promise<Answer> {
    const size = SIZES[scale]
    const compared = []
    for (const held of HELD) compared.push({ held, rounds: await compare(size, held) })
    const all = compared.flatMap(({ rounds }) => rounds.flatMap(({ one, many }) => [one, many]))
    const cost = (results: readonly FleetResult[], read: (result: FleetResult) => number): number[] =>
      results.map((result) => read(result) / result.runs)
    return {
      text: TEXT,
      tables: [
        {
          caption: `${size.jobs.toLocaleString('en')} jobs, each due every half second, on three replicas`,
          header: [
            'slots of each job',
            'runs of each that go on',
            'CPU per run, µs',
            "Redis' CPU per run, µs",
            'commands sent per run',
            'with those inside scripts'
          ],
          rows: compared.flatMap(({ held, rounds }) =>
            (['one', 'many'] as const).map((which) => {
              const results = rounds.map((round) => round[which])
              return [
                which === 'one' ? 1 : SLOTS,
                which === 'one' ? 0 : held,
                median(cost(results, ({ cpu }) => cpu)).toFixed(1),
                median(cost(results, ({ redisCpu }) => redisCpu)).toFixed(1),
                median(cost(results, ({ sent }) => sent)).toFixed(2),
                median(cost(results, ({ executed }) => executed)).toFixed(1)
              ]
            })
          )
        }
      ],
      plots: [],
      goals: [
        // Where runs go on their locks are extended, which is no part of a claim.
        ...compared.slice(0, 1).flatMap(({ held, rounds }) => {
          const ratio = (read: (result: FleetResult) => number): readonly number[] =>
            ratios(
              cost(
                rounds.map(({ many }) => many),
                read
              ),
              cost(
                rounds.map(({ one }) => one),
                read
              )
            )
          const what = `a run of ${SLOTS} slots in one of a single slot, ${held} under way`
          return [
            {
              what: `CPU of replicas and Redis: ${what}`,
              limit: LIMIT,
              rounds: ratio(({ cpu, redisCpu }) => cpu + redisCpu)
            },
            { what: `commands sent: ${what}`, limit: LIMIT, rounds: ratio(({ sent }) => sent) }
          ]
        }),
        ...accuracy([tally(all)])
      ]
    }
  }
}

const TEXT = `Two fleets beside each other, each with a Redis of its own, at work in turn: the jobs of one have \`maxInstances: ${SLOTS}\`,
those of the other a single slot. In the second pair of rows ${HELD[1]} runs of each job with many slots go on all the time, so that the first
slots are taken when a tick comes: their locks are extended meanwhile, which is in the figures. A claim is one script in each case.`

/** Both fleets at once, due in turn, in alternating order. */
async function compare(
  { jobs, warmUp, seconds, rounds }: Size,
  held: number
): Promise<{ one: FleetResult; many: FleetResult }[]> {
  const results = []
  for (let round = 0; round < rounds; round++) {
    const { from, until } = windowAfter(warmUp * 1000, seconds)
    const window = { from: from + 150, until: until + 150 }
    const run = (isMany: boolean, offset: number): Promise<FleetResult> => {
      const load = { jobs, due: DUE, offset, ...(isMany ? { slots: SLOTS, held } : {}) }
      return runFleet({ peer: 'scheduler', load, replicas: 3, warmUp: warmUp * 1000, seconds }, window)
    }
    const isOneFirst = round % 2 === 0
    // One that fails leaves the other to end its servers.
    const both = await Promise.allSettled([run(!isOneFirst, 0), run(isOneFirst, DUE / 2)])
    const [first, second] = both.map((each) => {
      if (each.status === 'rejected') throw each.reason
      return each.value
    }) as [FleetResult, FleetResult]
    results.push(isOneFirst ? { one: first, many: second } : { one: second, many: first })
  }
  return results
}
