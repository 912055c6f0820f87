// What does it cost to know? A locked run with history in one without, what it takes in Redis, the status of 5,000 jobs, and a
// replica that has nothing to do but to hear of changes.
import { createScheduler, type Scheduler } from '../dist/index.js'
import type { TestRedis } from '../test/fixtures/with-redis.js'
import { type FleetResult, runFleet, withServers } from './fleet.js'
import type { Load, Peer } from './load.js'
import { median, ratios } from './measure.js'
import type { Answer, Question, Scale } from './question.js'
import { windowAfter } from './replica.js'
import { accuracy, tally } from './ticks.js'

interface Size {
  /** Of the fleets: how many jobs, before the window, its length in seconds, and how often. */
  readonly jobs: number
  readonly warmUp: number
  readonly seconds: number
  readonly rounds: number
  /** Of the idle processes. */
  readonly idleWarmUp: number
  readonly idleSeconds: number
  readonly idleRounds: number
  /** Of the jobs whose status is read, and how often. */
  readonly listed: number
  readonly reads: number
}

const SIZES: Readonly<Record<Scale, Size>> = {
  full: {
    ...{ jobs: 1000, warmUp: 45, seconds: 10, rounds: 6 },
    ...{ idleWarmUp: 40, idleSeconds: 60, idleRounds: 3, listed: 5000, reads: 5 }
  },
  smoke: {
    ...{ jobs: 30, warmUp: 8, seconds: 2, rounds: 1 },
    ...{ idleWarmUp: 8, idleSeconds: 2, idleRounds: 1, listed: 50, reads: 2 }
  }
}

const DUE = 500

/** How many runs of a job are kept by default. */
const BOUND = 100

export const history: Question = {
  title: 'What does it cost to know?',

  async ask(scale: Scale): Promise<Answer> {
    const size = SIZES[scale]
    const pairs: Pair[] = []
    for (let round = 0; round < size.rounds; round++) pairs.push(await compareRuns(size, round % 2 === 0))
    const idle: Pair[] = []
    for (let round = 0; round < size.idleRounds; round++) idle.push(await compareIdle(size))
    const { few, many, reads } = await withServers(1, ([server]) => inOneStore(server as TestRedis, size))
    const [on, off] = [pairs.map((pair) => pair.ours), pairs.map((pair) => pair.other)]
    const row = (name: string, results: readonly FleetResult[]): string[] => {
      const per = (read: (result: FleetResult) => number): number => median(costs(results, read))
      return [
        name,
        per(({ cpu }) => cpu).toFixed(1),
        per(({ redisCpu }) => redisCpu).toFixed(1),
        per(({ sent }) => sent).toFixed(3),
        per(({ executed }) => executed).toFixed(2)
      ]
    }
    const idleRow = (name: string, results: readonly FleetResult[]): string[] => {
      const each = (read: (result: FleetResult) => number): number => median(results.map(read)) / size.idleSeconds
      return [name, each(({ cpu }) => cpu).toFixed(0), each(({ sent }) => sent).toFixed(2)]
    }
    return {
      text: TEXT,
      tables: [
        {
          caption: `${size.jobs.toLocaleString('en')} jobs, each due every half second, on three replicas`,
          header: [
            '',
            'CPU per run, µs',
            "Redis' CPU per run, µs",
            'commands sent per run',
            'with those inside scripts'
          ],
          rows: [row('ours, history as it is by default', on), row('ours, `history: false`', off)]
        },
        {
          caption: 'A process with nothing due',
          header: ['', 'CPU per second, µs', 'commands sent per second'],
          rows: [
            idleRow(
              'ours, ten jobs',
              idle.map((pair) => pair.ours)
            ),
            idleRow(
              'a PING each second',
              idle.map((pair) => pair.other)
            )
          ]
        },
        {
          caption: 'In one Redis',
          header: ['what', 'measured'],
          rows: [
            [`bytes of a run that succeeded, ${BOUND} runs`, (few.bytes / BOUND).toFixed(0)],
            [`keys, and bytes of the history, after ${BOUND} runs`, `${few.keys}, ${few.bytes}`],
            [`the same after ${10 * BOUND}`, `${many.keys}, ${many.bytes}`],
            [`CPU of the status of ${size.listed.toLocaleString('en')} jobs, ms`, median(reads).toFixed(0)]
          ]
        }
      ],
      plots: [],
      goals: [
        {
          what: 'CPU of replicas and Redis: a run with history in one without',
          limit: 1.15,
          rounds: ratios(costs(on, both), costs(off, both))
        },
        {
          what: 'commands inside scripts that a run with history has more',
          limit: 1,
          rounds: pairs.map(({ ours, other }) => ours.executed / ours.runs - other.executed / other.runs)
        },
        { what: 'bytes in Redis of a run that succeeded', limit: 400, rounds: [few.bytes / BOUND] },
        {
          what: 'keys after ten times as many runs as are kept, in those after as many',
          limit: 1,
          rounds: [many.keys / few.keys]
        },
        {
          what: 'bytes after ten times as many runs as are kept, in those after as many',
          limit: 1,
          rounds: [many.bytes / few.bytes]
        },
        { what: `CPU of the status of ${size.listed.toLocaleString('en')} jobs, ms`, limit: 300, rounds: reads },
        {
          what: 'CPU of a replica with nothing due, in that of a process that sends a PING each second',
          limit: 1.5,
          rounds: idle.map(({ ours, other }) => ours.cpu / other.cpu)
        },
        ...accuracy([tally([...on, ...off])])
      ]
    }
  }
}

const TEXT = `Two fleets beside each other, each with a Redis of its own, at work in turn: one keeps the history as it is by default, the
other has \`history: false\`. Beside a replica whose jobs are not due, which hears of changes within a second, is a process that sends Redis a
PING each second with the same client. Status is read of jobs that have run once, on the replica that ran them, a few times in a row.`

interface Pair {
  readonly ours: FleetResult
  readonly other: FleetResult
}

const both = ({ cpu, redisCpu }: FleetResult): number => cpu + redisCpu

function costs(results: readonly FleetResult[], read: (result: FleetResult) => number): number[] {
  return results.map((result) => read(result) / result.runs)
}

/** A fleet with history beside one without. */
function compareRuns({ jobs, warmUp, seconds }: Size, isOnFirst: boolean): Promise<Pair> {
  const { from, until } = windowAfter(warmUp * 1000, seconds)
  const window = { from: from + 150, until: until + 150 }
  const run = (hasHistory: boolean, offset: number): Promise<FleetResult> => {
    const load: Load = { jobs, due: DUE, offset, history: hasHistory }
    return runFleet({ peer: 'scheduler', load, replicas: 3, warmUp: warmUp * 1000, seconds }, window)
  }
  return pairOf(run(true, isOnFirst ? 0 : DUE / 2), run(false, isOnFirst ? DUE / 2 : 0))
}

/** A replica with nothing due beside a process that sends a PING each second. */
function compareIdle({ idleWarmUp, idleSeconds }: Size): Promise<Pair> {
  const window = windowAfter(idleWarmUp * 1000, idleSeconds)
  const run = (peer: Peer): Promise<FleetResult> => {
    const load: Load = { jobs: 10, due: 'never' }
    return runFleet({ peer, load, replicas: 1, warmUp: idleWarmUp * 1000, seconds: idleSeconds }, window)
  }
  return pairOf(run('scheduler'), run('ping'))
}

/** One that fails leaves the other to end its servers. */
async function pairOf(...runs: readonly [ours: Promise<FleetResult>, other: Promise<FleetResult>]): Promise<Pair> {
  const [ours, other] = (await Promise.allSettled(runs)).map((each) => {
    if (each.status === 'rejected') throw each.reason
    return each.value
  }) as [FleetResult, FleetResult]
  return { ours, other }
}

interface Taken {
  readonly keys: number
  readonly bytes: number
}

async function inOneStore(
  { client, url }: TestRedis,
  { listed, reads }: Size
): Promise<{ few: Taken; many: Taken; reads: readonly number[] }> {
  const scheduler = createScheduler({ redis: url, prefix: 'bench', logger: false })
  const add = (id: string): unknown => scheduler.add({ id, trigger: { cron: '0 0 29 2 *' }, handler: async () => {} })
  add('kept')
  await scheduler.start()
  const few = await afterRuns(scheduler, client, BOUND)
  const many = await afterRuns(scheduler, client, 9 * BOUND)
  for (let job = 0; job < listed; job++) add(`job-${job}`)
  for (let job = 0; job < listed; job += 100) {
    const some = Array.from({ length: Math.min(100, listed - job) }, (_, index) => `job-${job + index}`)
    await Promise.all(some.map((id) => scheduler.trigger(id, { wait: true })))
  }
  const taken: number[] = []
  for (let read = 0; read < reads; read++) {
    const before = process.cpuUsage()
    await scheduler.status()
    const { user, system } = process.cpuUsage(before)
    taken.push((user + system) / 1000)
  }
  await scheduler.close()
  return { few, many, reads: taken }
}

/** What Redis keeps once so many more runs have ended. */
async function afterRuns(scheduler: Scheduler<undefined>, client: TestRedis['client'], runs: number): Promise<Taken> {
  for (let run = 0; run < runs; run++) await scheduler.trigger('kept', { wait: true })
  const bytes = (await client.memory('USAGE', 'rls:{bench}:history:kept', 'SAMPLES', 0)) as number
  // Calls are remembered for an hour by a key of each replica.
  return { keys: await client.dbsize(), bytes }
}
