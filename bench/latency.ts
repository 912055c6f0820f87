// How soon after the tick does the handler begin? One job on three replicas, seen from its first line.
import { installedPeers, inTurn, runFleet } from './fleet.js'
import { NAMES } from './load.js'
import { median, percentile } from './measure.js'
import type { Answer, Question, Scale } from './question.js'
import { accuracy, tally } from './ticks.js'

const SETTINGS: Readonly<Record<Scale, { readonly seconds: number; readonly rounds: number }>> = {
  full: { seconds: 12, rounds: 2 },
  smoke: { seconds: 2, rounds: 1 }
}

export const latency: Question = {
  title: 'How soon after the tick does the handler begin?',

  async ask(scale: Scale): Promise<Answer> {
    const { seconds, rounds } = SETTINGS[scale]
    const { peers, missing } = installedPeers()
    const variants = peers.map((peer) => ({ peer }))
    const results = await inTurn(scale, rounds, variants, ({ peer }) =>
      runFleet({
        peer,
        load: { jobs: 1, due: 'second' },
        replicas: 3,
        warmUp: scale === 'full' ? 3000 : 500,
        seconds
      })
    )
    const rows = variants.map((variant) => {
      const all = results.get(variant) ?? []
      return { peer: variant.peer, lags: all.map(({ lags }) => lags), tally: tally(all) }
    })
    const ours = rows.filter(({ peer }) => peer === 'scheduler')
    return {
      text: `One job is due every second on three replica processes with one Redis on the same machine. The time is that
from the scheduled time to the handler's first line, on the wall clock, which all replicas share. Nothing else runs, so that
a peer's timer, its way to Redis and back, and what it does before the handler are all there is in it. A handler that begins
at once can show less than 0: timers of Node.js are set in whole milliseconds.${missing}`,
      tables: [
        {
          caption: 'From the tick to the handler, in ms',
          header: ['peer', 'median', 'p90', 'max', 'ran of due', 'doubled, %'],
          rows: rows.map(({ peer, lags, tally }) => [
            NAMES[peer],
            median(lags.map(median)).toFixed(2),
            median(lags.map((each) => percentile(each, 0.9))).toFixed(2),
            Math.max(...lags.flat()).toFixed(2),
            ...tally.cells
          ])
        }
      ],
      plots: [],
      goals: [
        {
          what: "median time from the tick to the handler's first line, ms",
          limit: 3,
          rounds: ours.flatMap(({ lags }) => lags.map(median))
        },
        ...accuracy(ours.map(({ tally }) => tally))
      ]
    }
  }
}
