// What do 100,000 jobs cost? Time to register them and memory, with 20 distinct triggers, none due while it is measured.
import type { Redis } from 'ioredis'
import { withRedis } from '../test/fixtures/with-redis.js'
import { installed } from './installed.js'
import { median, runPeer } from './measure.js'
import { program } from './program.js'
import type { Answer, Goal, Question, Scale, Table } from './question.js'

interface Peer {
  readonly name: string
  /** Its file under peers/registering/. */
  readonly file: string
  /** The package it needs. */
  readonly needs?: string
  /** Sizes beyond it are brought down to it. */
  readonly atMost?: number
  readonly redis?: true
}

/** What a peer's process measured: times in milliseconds, memory in bytes. */
export interface Registered {
  readonly register: number
  readonly ready: number
  readonly memory: number
  readonly memoryAfterRuns: number | null
  readonly memoryAfterReading: number | null
  /** How long it took to read the metrics the first time. */
  readonly reading: number | null
}

interface Cost extends Registered {
  /** What Redis holds, in bytes. */
  readonly redis: number | null
}

const OURS = 'ours'
const OURS_AGGREGATE = 'ours, perJob: false'
const PEERS: readonly Peer[] = [
  { name: OURS, file: 'ours.ts' },
  { name: OURS_AGGREGATE, file: 'ours-aggregate.ts' },
  { name: 'croner', file: 'croner.ts', needs: 'croner', atMost: 20_000 },
  { name: 'toad-scheduler', file: 'toad-scheduler.ts', needs: 'toad-scheduler' },
  { name: 'BullMQ', file: 'bullmq.ts', needs: 'bullmq', atMost: 10_000, redis: true }
]

interface Settings {
  readonly sizes: readonly number[]
  readonly rounds: number
  /**
   * At which size the metrics are read, and memory after it. Beyond, the text of each job's metrics comes close to the longest
   * string that there can be.
   */
  readonly readAt: number
}

const SETTINGS: Readonly<Record<Scale, Settings>> = {
  full: { sizes: [1000, 10_000, 100_000], rounds: 2, readAt: 10_000 },
  smoke: { sizes: [200], rounds: 1, readAt: 200 }
}

/** By peer, then by its number of jobs: one result a round. */
type Results = ReadonlyMap<string, ReadonlyMap<number, readonly Cost[]>>

export const registering: Question = {
  title: 'What do 100,000 jobs cost?',
  async ask(scale) {
    const settings = SETTINGS[scale]
    const peers = PEERS.filter(({ needs }) => needs === undefined || installed(needs) !== null)
    const results = new Map(peers.map(({ name }) => [name, new Map<number, Cost[]>()]))
    for (const size of settings.sizes) {
      for (let round = 0; round < settings.rounds; round++) {
        for (const peer of peers) {
          const jobs = Math.min(size, peer.atMost ?? size)
          const bySize = results.get(peer.name)
          const before = bySize?.get(jobs) ?? []
          // A peer's largest size may be one that it was already run at.
          if (before.length > round) continue
          bySize?.set(jobs, [...before, await run(peer, jobs, jobs === settings.readAt)])
        }
      }
    }
    return answer(results, settings, peers)
  }
}

async function run({ file, redis }: Peer, jobs: number, read: boolean): Promise<Cost> {
  const registered = (port: number): Promise<Registered> =>
    runPeer(program('peers/registering/main.ts'), [file, `${jobs}`, `${port}`, read ? '1' : '0'])
  if (!redis) return { ...(await registered(0)), redis: null }
  let result: Cost | undefined
  await withRedis(async ({ port, client }) => {
    const before = await usedMemory(client)
    const measured = await registered(port)
    result = { ...measured, redis: (await usedMemory(client)) - before }
  })
  return result as Cost
}

async function usedMemory(client: Redis): Promise<number> {
  return Number(/used_memory:(\d+)/.exec(await client.info('memory'))?.[1])
}

function answer(results: Results, { sizes, rounds, readAt }: Settings, peers: readonly Peer[]): Answer {
  const at = sizes.at(-1) ?? 0
  const of = (name: string, read: (result: Cost) => number, size = at): readonly number[] =>
    (results.get(name)?.get(size) ?? []).map(read)
  const perJob = (name: string, read: (result: Cost) => number | null, size = at): readonly number[] =>
    of(name, (result) => (read(result) ?? Number.NaN) / size / 1024, size)
  const jobs = at.toLocaleString('en')
  const memoryGoals = (name: string, metrics: string, limit: number): Goal[] => {
    const what = (jobs: number, after: string): string =>
      `memory per job, KB, ${jobs.toLocaleString('en')} jobs, ${metrics}, ${after}`
    return [
      { what: what(at, 'after registering'), limit, rounds: perJob(name, ({ memory }) => memory) },
      { what: what(at, 'after a run of each'), limit, rounds: perJob(name, (result) => result.memoryAfterRuns) },
      {
        what: what(readAt, 'after reading the metrics'),
        limit,
        rounds: perJob(name, (result) => result.memoryAfterReading, readAt)
      }
    ]
  }
  const missing = PEERS.filter((peer) => !peers.includes(peer)).map(({ name }) => name)
  return {
    text: [
      `Jobs with 20 distinct triggers (times of day half a day away; toad-scheduler: intervals of ten hours and more) and one handler for all, in fresh processes, ${rounds} ${rounds === 1 ? 'round' : 'rounds'}. Memory is the growth of \`heapUsed\` and \`external\` over collected heaps, by registering and starting, then by a run of each job and by reading the metrics once; that of Redis, its \`used_memory\`, stands apart. "Until ready" comes after registering: \`start()\` here, a ready worker for BullMQ. Croner and toad-scheduler start a job as they add it.`,
      `"ours" counts metrics for each job, "ours, perJob: false" for all together. croner is run with at most 20,000 jobs, as it takes some gigabytes beyond, and BullMQ with at most 10,000, as it takes a round trip or more for each.`,
      ...(missing.length === 0 ? [] : [`Not installed, so left out: ${missing.join(', ')}.`])
    ].join('\n\n'),
    tables: tables(results, readAt, peers),
    plots: [
      {
        file: 'registering.svg',
        title: 'Memory per job',
        x: { label: 'jobs', log: true },
        y: { label: 'memory of the process per job, KB', log: true },
        series: peers.map(({ name }) => ({
          name,
          points: [...(results.get(name) ?? [])].map(
            ([size, all]) => [size, median(all.map(({ memory }) => memory)) / size / 1024] as const
          )
        }))
      }
    ],
    goals: [
      { what: `time to register ${jobs} jobs, ms`, limit: 1000, rounds: of(OURS, ({ register }) => register) },
      {
        what: `time to register ${jobs} jobs, ms, perJob: false`,
        limit: 1000,
        rounds: of(OURS_AGGREGATE, ({ register }) => register)
      },
      ...memoryGoals(OURS, 'metrics per job', 12),
      ...memoryGoals(OURS_AGGREGATE, 'perJob: false', 3)
    ]
  }
}

/** One table for each size, with the peers that stopped below it at their largest. */
function tables(results: Results, readAt: number, peers: readonly Peer[]): readonly Table[] {
  const sizes = [...new Set([...results.values()].flatMap((bySize) => [...bySize.keys()]))].sort((a, b) => a - b)
  return sizes.map((size) => ({
    caption: `${size.toLocaleString('en')} jobs`,
    header: [
      'peer',
      'register, ms',
      'until ready, ms',
      'KB a job',
      'KB a job after a run of each',
      ...(size === readAt ? ['KB a job after reading metrics', 'reading metrics, ms'] : []),
      'KB a job in Redis'
    ],
    rows: peers.flatMap(({ name }) => {
      const all = results.get(name)?.get(size)
      if (all === undefined) return []
      const kilobytes = (read: (result: Cost) => number | null): string => {
        const values = all.map(read)
        return values.includes(null) ? '–' : (median(values as number[]) / size / 1024).toFixed(2)
      }
      const milliseconds = (read: (result: Cost) => number | null): string => {
        const values = all.map(read)
        return values.includes(null) ? '–' : median(values as number[]).toFixed(0)
      }
      return [
        [
          name,
          median(all.map(({ register }) => register)).toFixed(0),
          median(all.map(({ ready }) => ready)).toFixed(0),
          kilobytes(({ memory }) => memory),
          kilobytes(({ memoryAfterRuns }) => memoryAfterRuns),
          ...(size === readAt
            ? [kilobytes((result) => result.memoryAfterReading), milliseconds(({ reading }) => reading)]
            : []),
          kilobytes(({ redis }) => redis)
        ]
      ]
    })
  }))
}
