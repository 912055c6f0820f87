// What does a fire cost, without Redis? CPU per fire and lag of jobs that are all due every second, in memory.
import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { findPython, installed, type Python } from './installed.js'
import { median, percentile, ratios, runPeer } from './measure.js'
import type { Measured } from './meter.js'
import { program } from './program.js'
import type { Answer, Plot, Question, Scale, Table } from './question.js'

interface Peer {
  readonly name: string
  /** Its file under peers/dispatch/. */
  readonly file: string
  /** The package it needs. */
  readonly needs?: string
}

const OURS = 'ours'
const OURS_METRICS_OFF = 'ours, metrics off'
const APSCHEDULER = 'APScheduler'
const PEERS: readonly Peer[] = [
  { name: OURS, file: 'ours.ts' },
  { name: OURS_METRICS_OFF, file: 'ours-metrics-off.ts' },
  { name: 'croner', file: 'croner.ts', needs: 'croner' },
  { name: 'toad-scheduler', file: 'toad-scheduler.ts', needs: 'toad-scheduler' },
  { name: 'node-schedule', file: 'node-schedule.ts', needs: 'node-schedule' },
  { name: 'node-cron', file: 'node-cron.ts', needs: 'node-cron' },
  { name: APSCHEDULER, file: 'apscheduler.py' }
]

/** The number of jobs the goals are set at. */
const GOALS_AT = 10_000

interface Size {
  readonly jobs: number
  readonly rounds: number
  /** How long the jobs run before the window, in seconds: V8 compiles what has run often enough, and that takes its time. */
  readonly warmUp: number
}

interface Settings {
  readonly sizes: readonly Size[]
  /** How long the window is. */
  readonly seconds: number
}

const SETTINGS: Readonly<Record<Scale, Settings>> = {
  full: {
    sizes: [
      { jobs: 1000, rounds: 1, warmUp: 25 },
      { jobs: GOALS_AT, rounds: 5, warmUp: 12 },
      { jobs: 50_000, rounds: 1, warmUp: 8 }
    ],
    seconds: 6
  },
  smoke: { sizes: [{ jobs: 100, rounds: 1, warmUp: 1 }], seconds: 2 }
}

/** By number of jobs, then by peer: one result a round. */
type Results = ReadonlyMap<number, ReadonlyMap<string, readonly Measured[]>>

export const dispatch: Question = {
  title: 'What does a fire cost, without Redis?',
  async ask(scale) {
    const settings = SETTINGS[scale]
    const python = await findPython()
    const peers = PEERS.filter(({ name, needs }) =>
      name === APSCHEDULER ? python !== null : needs === undefined || installed(needs) !== null
    )
    const results = scale === 'smoke' ? await atOnce(peers, settings, python) : await inTurn(peers, settings, python)
    return answer(results, settings, peers)
  }
}

/**
 * Peer after peer, alternating. One that lost more than half in a round is not asked again, and none at a size at which its
 * fires would need more than twice the time there is.
 */
async function inTurn(peers: readonly Peer[], settings: Settings, python: Python | null): Promise<Results> {
  const results = new Map<number, Map<string, Measured[]>>()
  const behind = new Set<string>()
  const costs = new Map<string, number>()
  for (const size of settings.sizes) {
    const { jobs, rounds } = size
    const bySize = new Map<string, Measured[]>()
    results.set(jobs, bySize)
    for (let round = 0; round < rounds; round++) {
      for (const peer of peers) {
        if (behind.has(peer.name) || (costs.get(peer.name) ?? 0) * jobs > 2e6) continue
        const measured = await run(peer, size, settings.seconds, python)
        bySize.set(peer.name, [...(bySize.get(peer.name) ?? []), measured])
        if (measured.ran < measured.due / 2) behind.add(peer.name)
      }
    }
    for (const [name, rounds] of bySize) costs.set(name, perFire(rounds))
  }
  return results
}

/** All peers at once, which is quick and says nothing of their times. */
async function atOnce(peers: readonly Peer[], settings: Settings, python: Python | null): Promise<Results> {
  const results = new Map<number, Map<string, Measured[]>>()
  for (const size of settings.sizes) {
    const measured = await Promise.all(
      peers.map(
        async (peer): Promise<[string, Measured[]]> => [peer.name, [await run(peer, size, settings.seconds, python)]]
      )
    )
    results.set(size.jobs, new Map(measured))
  }
  return results
}

async function run({ file }: Peer, { jobs, warmUp }: Size, seconds: number, python: Python | null): Promise<Measured> {
  const folder = new URL('peers/dispatch/', import.meta.url)
  const args = [`${jobs}`, `${warmUp * 1000}`, `${seconds}`]
  if (!file.endsWith('.py')) return runPeer(program('peers/dispatch/main.ts'), [file, ...args])
  if (python === null) throw new Error('no Python with APScheduler 3')
  const { stdout } = await promisify(execFile)(python.path, [fileURLToPath(new URL(file, folder)), ...args], {
    maxBuffer: 2 ** 26
  })
  return JSON.parse(stdout) as Measured
}

function answer(results: Results, { sizes, seconds }: Settings, peers: readonly Peer[]): Answer {
  const at = sizes.some(({ jobs }) => jobs === GOALS_AT) ? GOALS_AT : (sizes[0]?.jobs ?? 0)
  const costs = (name: string): readonly number[] => (results.get(at)?.get(name) ?? []).map(costOf)
  const oursOf = (read: (measured: Measured) => number): number =>
    [OURS, OURS_METRICS_OFF]
      .flatMap((name) => [...results.values()].flatMap((bySize) => bySize.get(name) ?? []))
      .reduce((sum, measured) => sum + read(measured), 0)
  const lags = (results.get(at)?.get(OURS) ?? []).map((measured) => percentile(measured.lags, 0.99))
  const jobs = at.toLocaleString('en')
  return {
    text: text(results, sizes, seconds, peers),
    tables: sizes.map((size) => sizeTable(results, size, peers)),
    plots: [plot(results, peers)],
    goals: [
      {
        what: `CPU per fire in that of croner, ${jobs} jobs`,
        limit: 0.1,
        rounds: ratios(costs(OURS), costs('croner'))
      },
      {
        what: `CPU per fire in that of APScheduler, ${jobs} jobs`,
        limit: 1 / 30,
        rounds: ratios(costs(OURS), costs(APSCHEDULER))
      },
      {
        what: `CPU per fire in that of toad-scheduler, ${jobs} jobs, metrics on`,
        limit: 2,
        rounds: ratios(costs(OURS), costs('toad-scheduler'))
      },
      {
        what: `CPU per fire in that of toad-scheduler, ${jobs} jobs, metrics off`,
        limit: 1,
        rounds: ratios(costs(OURS_METRICS_OFF), costs('toad-scheduler'))
      },
      { what: `lag p99, ms, ${jobs} jobs`, limit: 15, rounds: lags },
      { what: 'ticks of ours that were lost', limit: 0, rounds: [oursOf(({ due, ran }) => due - ran)] },
      { what: 'ticks of ours that ran more than once', limit: 0, rounds: [oursOf(({ doubled }) => doubled)] }
    ]
  }
}

function perFire(rounds: readonly Measured[]): number {
  return median(rounds.map(costOf))
}

function costOf({ cpu, fires }: Measured): number {
  return cpu / fires
}

function text(results: Results, sizes: readonly Size[], seconds: number, peers: readonly Peer[]): string {
  const missing = PEERS.filter((peer) => !peers.includes(peer)).map(({ name }) => name)
  const stopped = peers.filter(({ name }) => !results.get(sizes.at(-1)?.jobs ?? 0)?.has(name)).map(({ name }) => name)
  const count = ({ jobs, rounds, warmUp }: Size): string =>
    `${rounds} of ${jobs.toLocaleString('en')} jobs after ${warmUp} s`
  return [
    `Jobs that are all due every second, coordination in memory, an async handler that counts. Rounds: ${sizes.map(count).join(', ')} to warm up, for ${seconds} s from the middle of a second to the middle of another. CPU is divided by the fires that began in that window. "ours" has metrics on.`,
    "croner runs without a time zone, its fastest way. toad-scheduler's jobs are intervals, which do not begin at full seconds: lag is counted from a job's first start plus n seconds, so it shows their drift. A lag of croner is counted from the second a run began in, as it does not tell the nominal time: one above a second shows as less.",
    'APScheduler 3 has its asyncio scheduler and memory store, `max_instances` 100 and a `misfire_grace_time` of a minute.',
    ...(missing.length === 0 ? [] : [`Not installed, so left out: ${missing.join(', ')}.`]),
    ...(stopped.length === 0
      ? []
      : [
          `Left out at ${sizes.at(-1)?.jobs.toLocaleString('en')} jobs, as they lost more than half at fewer, or their fires would need more than twice the time there is: ${stopped.join(', ')}. One that lost more than half had no further round.`
        ])
  ].join('\n\n')
}

function sizeTable(results: Results, { jobs }: Size, peers: readonly Peer[]): Table {
  const bySize = results.get(jobs)
  const base = (bySize?.get('croner') ?? []).map(costOf)
  return {
    caption: `${jobs.toLocaleString('en')} jobs each second`,
    header: ['peer', 'CPU per fire, µs', 'in that of croner', 'lag p50, ms', 'lag p99, ms', 'ran of due'],
    rows: peers.flatMap(({ name }) => {
      const rounds = bySize?.get(name)
      if (rounds === undefined) return []
      const lag = (part: number): number => median(rounds.map(({ lags }) => percentile(lags, part)))
      const sum = (read: (measured: Measured) => number): number =>
        rounds.reduce((total, measured) => total + read(measured), 0)
      return [
        [
          name,
          perFire(rounds).toFixed(2),
          median(ratios(rounds.map(costOf), base)).toFixed(3),
          lag(0.5).toFixed(1),
          lag(0.99).toFixed(1),
          `${sum(({ ran }) => ran)} of ${sum(({ due }) => due)}`
        ]
      ]
    })
  }
}

function plot(results: Results, peers: readonly Peer[]): Plot {
  return {
    file: 'dispatch.svg',
    title: 'CPU per fire without Redis',
    x: { label: 'jobs, each due every second', log: true },
    y: { label: 'CPU per fire, µs', log: true },
    series: peers.map(({ name }) => ({
      name,
      points: [...results].flatMap(([jobs, bySize]) => {
        const rounds = bySize.get(name)
        return rounds === undefined ? [] : [[jobs, perFire(rounds)] as const]
      })
    }))
  }
}
