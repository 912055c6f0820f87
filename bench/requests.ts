// What do the web service's users notice? Latency and number of requests of a service in whose process 1,000 locked jobs run
// every second, and of the same service without jobs.
import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { installedPeers, inTurn, withServers } from './fleet.js'
import { installed } from './installed.js'
import { type Load, NAMES, type Peer } from './load.js'
import { median, ratios, runPeer } from './measure.js'
import { program } from './program.js'
import type { Answer, Question, Scale } from './question.js'
import { Replica, type ReplicaSettings, windowAfter } from './replica.js'
import { accuracy, summary, type Tally, tally } from './ticks.js'

/** What the client measured. */
export interface LoadResult {
  readonly answers: number
  /** In milliseconds. */
  readonly p50: number
  readonly p99: number
  readonly p999: number
}

interface Settings {
  readonly jobs: number
  /** Requests a second at which latency is measured. */
  readonly rate: number
  /** Before the window, in milliseconds. */
  readonly warmUp: number
  readonly seconds: number
  readonly rounds: number
}

/** A peer whose jobs run in the service's process; `none` is the bare service. */
type Beside = Peer | 'none'

interface Round {
  readonly load: LoadResult
  /** Answers a second at the fixed rate. */
  readonly answered: number
  /** Answers a second when it is asked as fast as it answers. */
  readonly most: number | null
  /** CPU time of the service's process in its window, in milliseconds per second. */
  readonly cpu: number
  readonly ticks: Pick<Tally, 'ran' | 'due' | 'doubled'>
}

interface Row {
  readonly beside: Beside
  readonly rounds: readonly Round[]
  readonly tally: Tally
}

const SETTINGS: Readonly<Record<Scale, Settings>> = {
  full: { jobs: 1000, rate: 3000, warmUp: 20_000, seconds: 10, rounds: 5 },
  smoke: { jobs: 50, rate: 200, warmUp: 2500, seconds: 2, rounds: 1 }
}

const CONNECTIONS = 10
const THROUGHPUT_SECONDS = 4

export const requests: Question = {
  title: "What do the web service's users notice?",

  async ask(scale: Scale): Promise<Answer> {
    const settings = SETTINGS[scale]
    const { peers, missing } = installedPeers()
    const variants = (['none', ...peers] as const).map((peer) => {
      // The others are far from it.
      const rounds = peer === 'none' || peer === 'scheduler' ? settings.rounds : 1
      return { peer, rounds }
    })
    const results = await inTurn(scale, settings.rounds, variants, ({ peer }) => measure(scale, settings, peer))
    const rows = variants.flatMap((variant): Row[] => {
      const rounds = results.get(variant) ?? []
      if (rounds.length === 0) return []
      return [{ beside: variant.peer, rounds, tally: tally(rounds.map(({ ticks }) => ticks)) }]
    })
    const bare = rows.find(({ beside }) => beside === 'none')
    const ours = rows.find(({ beside }) => beside === 'scheduler')
    if (bare === undefined || ours === undefined) throw new Error('the service could not be run')
    return {
      text: `${textOf(scale, settings)}${missing}`,
      tables: [tableOf(settings, rows, bare)],
      plots: [],
      goals: [
        { what: 'p99 in that of the service without jobs', limit: 1.2, rounds: ratios(p99s(ours), p99s(bare)) },
        ...accuracy([ours.tally])
      ]
    }
  }
}

function textOf(scale: Scale, { jobs, rate, seconds }: Settings): string {
  const throughput =
    installed('autocannon') === null
      ? ' autocannon is not installed, and how many requests it answers at most was left out.'
      : scale === 'full'
        ? ` Before that, autocannon asks for ${THROUGHPUT_SECONDS} s as fast as it is answered.`
        : ''
  return `A Fastify service answers \`GET /\` with a small JSON. In its process ${jobs.toLocaleString('en')} locked jobs are due every second,
with a Redis on the same machine; their handlers do nothing. A client in a process of its own asks
${rate.toLocaleString('en')} times a second over ${CONNECTIONS} connections for ${seconds} s, a part of what the service can do, as two cores carry the service,
Redis and the client. It asks whether or not answers come: when the service stands still, every request that is due meanwhile
waits, and is counted with its wait. autocannon's own latencies are whole milliseconds, too coarse for this.${throughput}`
}

async function measure(scale: Scale, settings: Settings, peer: Beside): Promise<Round> {
  const load: Load = { jobs: settings.jobs, due: 'second' }
  return withServers(1, async ([server]) => {
    if (server === undefined) throw new Error('no server')
    const replica: ReplicaSettings = { peer, load, ports: [server.port], first: true }
    const service = Replica.fork('peers/web.ts', replica)
    try {
      const { httpPort } = await service.ready
      const most = scale === 'full' ? await throughput(`http://127.0.0.1:${httpPort}/`) : null
      const window = windowAfter(settings.warmUp, settings.seconds)
      const numbers = [httpPort, settings.rate, CONNECTIONS, window.from, window.until]
      const [client, result] = await Promise.all([
        runPeer<LoadResult>(program('peers/load.ts'), numbers.map(String)),
        service.measure(window)
      ])
      const { ran, due, doubled, cpu } = summary([result], peer === 'none' ? { ...load, jobs: 0 } : load, window)
      return {
        load: client,
        answered: client.answers / settings.seconds,
        most,
        cpu: cpu / 1000 / settings.seconds,
        ticks: { ran, due, doubled }
      }
    } finally {
      service.end()
    }
  })
}

/** Answers a second, by autocannon in a process of its own; `null` when it is not installed. */
async function throughput(url: string): Promise<number | null> {
  if (installed('autocannon') === null) return null
  const file = fileURLToPath(new URL('./node_modules/autocannon/autocannon.js', import.meta.url))
  const args = [file, '--json', '--connections', `${CONNECTIONS}`, '--duration', `${THROUGHPUT_SECONDS}`, url]
  const { stdout } = await promisify(execFile)(process.execPath, args)
  const { requests, non2xx, errors } = JSON.parse(stdout) as {
    readonly requests: { readonly average: number }
    readonly non2xx: number
    readonly errors: number
  }
  if (non2xx > 0 || errors > 0) throw new Error(`${non2xx} answers were not 2xx, and ${errors} requests failed`)
  return requests.average
}

function tableOf({ rate }: Settings, rows: readonly Row[], bare: Row): Answer['tables'][number] {
  return {
    caption: `\`GET /\` at ${rate.toLocaleString('en')} requests a second`,
    header: [
      'beside it',
      'p50, ms',
      'p99, ms',
      'p99 in that of no jobs',
      'p99.9, ms',
      'CPU of the service, ms per second',
      'answers a second',
      'at most',
      'ran of due',
      'doubled, %'
    ],
    rows: rows.map((row) => {
      const of = (read: (round: Round) => number): number => median(row.rounds.map(read))
      const most = of(({ most }) => most ?? Number.NaN)
      return [
        NAMES[row.beside],
        of(({ load }) => load.p50).toFixed(3),
        median(p99s(row)).toFixed(3),
        median(ratios(p99s(row), p99s(bare))).toFixed(2),
        of(({ load }) => load.p999).toFixed(3),
        of(({ cpu }) => cpu).toFixed(1),
        Math.round(of(({ answered }) => answered)).toLocaleString('en'),
        Number.isNaN(most) ? '' : Math.round(most).toLocaleString('en'),
        ...row.tally.cells
      ]
    })
  }
}

/** In milliseconds, of each round. */
function p99s({ rounds }: Row): readonly number[] {
  return rounds.map(({ load }) => load.p99)
}
