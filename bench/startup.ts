// What does it cost to have it? Time from the start of a plain Node process to an app that is ready, what is loaded, and
// what is installed.
import { fileURLToPath } from 'node:url'
import { withRedis } from '../test/fixtures/with-redis.js'
import { type Footprint, footprint, OUR_PACKAGE } from './footprint.js'
import { installed } from './installed.js'
import { median, runPeer } from './measure.js'
import type { Answer, Question, Scale, Table } from './question.js'

interface Peer {
  readonly name: string
  /** Its file under peers/startup/. */
  readonly file: string
  readonly redis: boolean
  /** What an app with Fastify installs for it; all of it is needed here. */
  readonly packages: readonly string[]
}

const BARE = 'bare Fastify'
const OURS = 'ours'
const OURS_REDIS = 'ours, with Redis'
const PEERS: readonly Peer[] = [
  { name: BARE, file: 'bare.mjs', redis: false, packages: [] },
  { name: OURS, file: 'ours.mjs', redis: false, packages: [OUR_PACKAGE] },
  { name: OURS_REDIS, file: 'ours.mjs', redis: true, packages: [OUR_PACKAGE] },
  {
    name: '@fastify/schedule',
    file: 'fastify-schedule.mjs',
    redis: false,
    packages: ['@fastify/schedule', 'toad-scheduler']
  },
  { name: 'BullMQ', file: 'bullmq.mjs', redis: true, packages: ['bullmq', 'ioredis'] },
  { name: 'Agenda', file: 'agenda.mjs', redis: true, packages: ['agenda', '@agendajs/redis-backend'] }
]

const ROUNDS: Readonly<Record<Scale, number>> = { full: 21, smoke: 1 }

/** As peers/startup/report.mjs sends it, in milliseconds. */
interface Started {
  readonly wall: number
  readonly cpu: number
}

type Use = 'redis'

/** What a scheduler with a cron job is used with. */
const USES: readonly { readonly name: string; readonly uses: readonly Use[] }[] = [
  { name: 'nothing else, in memory', uses: [] },
  { name: 'Redis', uses: ['redis'] }
]

/** What a scheduler is used with, and the packages that are loaded with it. */
interface Loaded {
  readonly name: string
  readonly uses: readonly Use[]
  readonly packages: readonly string[]
}

export const startup: Question = {
  title: 'What does it cost to have it?',
  async ask(scale) {
    const peers = PEERS.filter(({ packages }) =>
      packages.every((name) => name === OUR_PACKAGE || installed(name) !== null)
    )
    const times = new Map<string, Started[]>()
    const loaded: Loaded[] = []
    await withRedis(async ({ url }) => {
      for (let round = 0; round < ROUNDS[scale]; round++) {
        for (const { name, file, redis } of peers) {
          const started = await run<Started>(file, redis ? [url] : [])
          times.set(name, [...(times.get(name) ?? []), started])
        }
      }
      for (const { name, uses } of USES) {
        const args = uses.map((use) => (use === 'redis' ? url : use))
        loaded.push({ name, uses, packages: await run<string[]>('loaded.mjs', args) })
      }
    })
    return answer(times, loaded, scale === 'full' ? await footprints(peers) : new Map(), peers, scale)
  }
}

/** Runs a file in a plain Node. */
function run<Result>(file: string, args: readonly string[]): Promise<Result> {
  return runPeer(fileURLToPath(new URL(`peers/startup/${file}`, import.meta.url)), args, [])
}

/** What each peer installs beyond Fastify; without those that could not be installed. */
async function footprints(peers: readonly Peer[]): Promise<ReadonlyMap<string, Footprint>> {
  const bare = await footprint(['fastify'])
  const found = new Map<string, Footprint>()
  for (const { name, packages } of peers) {
    // Ours installs the same with and without Redis.
    if (bare === null || packages.length === 0 || name === OURS_REDIS) continue
    const all = await footprint(['fastify', ...packages])
    if (all !== null) {
      found.set(name, { packages: all.packages - bare.packages, bytes: all.bytes - bare.bytes })
    }
  }
  return found
}

function answer(
  times: ReadonlyMap<string, readonly Started[]>,
  loaded: readonly Loaded[],
  footprints: ReadonlyMap<string, Footprint>,
  peers: readonly Peer[],
  scale: Scale
): Answer {
  const of = (name: string, read: (started: Started) => number): number => median((times.get(name) ?? []).map(read))
  const walls = (name: string): readonly number[] => (times.get(name) ?? []).map(({ wall }) => wall)
  const more = (name: string): readonly number[] => {
    const bare = walls(BARE)
    return walls(name).map((wall, round) => wall - (bare[round] as number))
  }
  const needless = (names: readonly string[], use: Use): number => {
    const without = loaded.filter(({ uses }) => !uses.includes(use))
    return names.filter((name) => without.some(({ packages }) => packages.includes(name))).length
  }
  const missing = PEERS.filter((peer) => !peers.includes(peer)).map(({ name }) => name)
  return {
    text: [
      `An app with one route and one job, from the start of a plain Node process to \`ready()\`, peers alternating, ${ROUNDS[scale]} ${ROUNDS[scale] === 1 ? 'round' : 'rounds'}, medians. With Redis: a local server; BullMQ has a queue, a worker and one job scheduler, Agenda its Redis backend, as its MongoDB is not here.`,
      'Packages loaded are told by V8 itself: a scheduler with a cron job is started, runs it, has its metrics read, and is closed.',
      'Packages and bytes are what `npm install` puts beside Fastify, without development dependencies.',
      ...(missing.length === 0 ? [] : [`Not installed, so left out: ${missing.join(', ')}.`])
    ].join('\n\n'),
    tables: [
      {
        caption: 'Until ready',
        header: ['peer', 'ms', 'more than bare, ms', 'CPU, ms'],
        rows: peers.map(({ name }) => [
          name,
          of(name, ({ wall }) => wall).toFixed(0),
          median(more(name)).toFixed(0),
          of(name, ({ cpu }) => cpu).toFixed(0)
        ])
      },
      {
        caption: 'Packages loaded by `createScheduler()`',
        header: ['with', 'packages', 'which'],
        rows: loaded.map(({ name, packages }) => [name, packages.length, packages.join(', ')])
      },
      footprintTable(footprints, peers)
    ],
    plots: [],
    goals: [
      { what: 'ready later than bare Fastify, ms, in memory', limit: 60, rounds: more(OURS) },
      { what: 'ready later than bare Fastify, ms, with Redis', limit: 60, rounds: more(OURS_REDIS) },
      {
        what: 'of ioredis and redlock, loaded without `redis`',
        limit: 0,
        rounds: [needless(['ioredis', 'redlock'], 'redis')]
      }
    ]
  }
}

function footprintTable(footprints: ReadonlyMap<string, Footprint>, peers: readonly Peer[]): Table {
  return {
    caption: 'Installed beside Fastify',
    header: ['peer', 'what', 'packages', 'MB'],
    rows: peers
      .filter(({ name, packages }) => packages.length > 0 && name !== OURS_REDIS)
      .map(({ name, packages }) => {
        const found = footprints.get(name)
        const cells = found === undefined ? ['–', 'not measured'] : [found.packages, (found.bytes / 1e6).toFixed(2)]
        return [name, packages.join(' and '), ...cells]
      })
  }
}
