// `npm run soak [minutes]`: 500 locked runs a second on three replicas and one Redis, for 15 minutes unless told else.
// Nothing may grow, double or be lost. Writes its table into docs/faults.md when it ran for 10 minutes or more.
import { setTimeout as sleep } from 'node:timers/promises'
import { markdownTable, measuredOn, writeInto } from './fixtures/document.js'
import type { MemoryReport, PlannedJob } from './fixtures/protocol.js'
import type { RedisProcess } from './fixtures/redis-process.js'
import { Replica } from './fixtures/replica.js'
import { SoakAccount } from './fixtures/soak-account.js'
import { withSingle } from './fixtures/topologies.js'

const MINUTE = 60_000
const MEGABYTE = 1024 * 1024
const SAMPLE_EVERY = 30_000
/** How long a tick's fate may stay open. */
const SETTLING = 5000
/** Compiled code, pools and caches fill in this time. */
const WARM_UP = MINUTE

/** What may be called no growth: the less, the longer it is watched. */
const RESOURCES = 10
const KEYS = 10

const minutes = Number(process.argv[2] ?? 15)
if (!(minutes >= 2)) throw new Error(`Expected minutes to be a number from 2 and up, got \`${process.argv[2]}\``)
const HEAP_PER_MINUTE = Math.max(0.1, 1 / minutes) * MEGABYTE

const JOBS: readonly PlannedJob[] = Array.from({ length: 500 }, (_, index) => ({
  id: `job-${index}`,
  interval: 1000,
  duration: index % 20,
  options: { lock: { ttl: '10s' } }
}))

interface Sample {
  /** Minutes since the start. */
  readonly at: number
  readonly replicas: readonly MemoryReport[]
  readonly keys: number
  readonly redisMemory: number
  readonly runs: number
  readonly doubled: number
  readonly lost: number
  readonly missed: number
}

async function sampleOf(
  at: number,
  replicas: readonly Replica[],
  { client }: RedisProcess,
  account: SoakAccount
): Promise<Sample> {
  const { runs, doubled, lost, missed } = account
  const memory = await Promise.all(replicas.map((replica) => replica.tell({ type: 'memory' })))
  const info = await client.info('memory')
  return {
    at,
    replicas: memory.filter((report) => report !== undefined),
    keys: await client.dbsize(),
    redisMemory: Number(/used_memory:(\d+)/.exec(info)?.[1]),
    runs,
    doubled,
    lost,
    missed
  }
}

function soak(): Promise<Sample[]> {
  return withSingle(async (redis) => {
    let account: SoakAccount | null = null
    const replicas = [0, 1, 2].map(
      (index) =>
        new Replica(
          {
            name: `replica-${index}`,
            redis: `redis://127.0.0.1:${redis.port}`,
            prefix: 'soak',
            jobs: JOBS,
            reportEvery: 100
          },
          (reports) => {
            for (const report of reports) account?.note(report)
          },
          () => {}
        )
    )
    try {
      await Promise.all(replicas.map((replica) => replica.ready()))
      const begin = Math.ceil(Date.now() / 1000) * 1000
      account = new SoakAccount(JOBS, begin + 1000)
      const samples: Sample[] = []
      for (let at = SAMPLE_EVERY; at <= minutes * MINUTE; at += SAMPLE_EVERY) {
        // Between the ticks, when nothing runs.
        await sleep(begin + at + 500 - Date.now())
        account.judge(begin + at - SETTLING)
        const sample = await sampleOf(at / MINUTE, replicas, redis, account)
        samples.push(sample)
        console.log(cellsOf(sample).join('  '))
      }
      if (replicas.some(({ alive }) => !alive)) throw new Error('a replica has ended by itself')
      await Promise.all(replicas.map((replica) => replica.terminate()))
      return samples
    } finally {
      await Promise.all(replicas.map((replica) => replica.kill()))
    }
  })
}

/** By how much a value grows in a minute: the slope of the line through all samples, by least squares. */
function growth(samples: readonly Sample[], value: (sample: Sample) => number): number {
  const middle = samples.reduce((sum, { at }) => sum + at, 0) / samples.length
  const mean = samples.reduce((sum, sample) => sum + value(sample), 0) / samples.length
  let above = 0
  let below = 0
  for (const sample of samples) {
    above += (sample.at - middle) * (value(sample) - mean)
    below += (sample.at - middle) ** 2
  }
  return below === 0 ? 0 : above / below
}

const HEADER = [
  'minute',
  'heap of each, MB',
  'resources',
  'open files',
  'keys',
  'Redis, MB',
  'runs',
  'doubled',
  'lost',
  'missed'
]

function cellsOf({ at, replicas, keys, redisMemory, runs, doubled, lost, missed }: Sample): (string | number)[] {
  const list = (value: (report: MemoryReport) => string | number): string => replicas.map(value).join(', ')
  return [
    at.toFixed(1),
    list(({ heapUsed }) => (heapUsed / MEGABYTE).toFixed(1)),
    list(({ activeResources }) => activeResources),
    list(({ openFiles }) => openFiles ?? '-'),
    keys,
    (redisMemory / MEGABYTE).toFixed(1),
    runs,
    doubled,
    lost,
    missed
  ]
}

/** What has grown, from the first minute on, or went wrong. */
function faultsOf(samples: readonly Sample[]): string[] {
  const [first, last] = [samples[0] as Sample, samples.at(-1) as Sample]
  const faults: string[] = []
  for (const index of [0, 1, 2]) {
    const heap = growth(samples, ({ replicas }) => replicas[index]?.heapUsed ?? 0)
    if (heap > HEAP_PER_MINUTE)
      faults.push(`the heap of replica ${index} grows by ${(heap / 1024).toFixed(0)} KB a minute`)
    const [before, after] = [first.replicas[index] as MemoryReport, last.replicas[index] as MemoryReport]
    if (after.activeResources > before.activeResources + RESOURCES)
      faults.push(`replica ${index} has more active resources`)
    if ((after.openFiles ?? 0) > (before.openFiles ?? 0) + RESOURCES)
      faults.push(`replica ${index} has more open files`)
  }
  if (last.keys > first.keys + JOBS.length + KEYS) faults.push(`Redis has ${last.keys} keys, after ${first.keys}`)
  if (growth(samples, ({ redisMemory }) => redisMemory) > HEAP_PER_MINUTE) faults.push('the memory of Redis grows')
  if (last.doubled > 0) faults.push(`${last.doubled} ticks ran twice`)
  if (last.lost > 0) faults.push(`${last.lost} ticks were lost`)
  if (last.runs === 0) faults.push('nothing ran')
  return faults
}

const samples = await soak()
const settled = samples.filter(({ at }) => at * MINUTE >= WARM_UP)
const faults = faultsOf(settled)
const heap = [0, 1, 2].map((index) =>
  (growth(settled, ({ replicas }) => replicas[index]?.heapUsed ?? 0) / 1024).toFixed(1)
)
const shown = samples.filter((_, index) => index % Math.ceil(samples.length / 5) === 0 || index === samples.length - 1)
const text = [
  `Written by \`npm run soak ${minutes}\` on ${measuredOn()}: ${JOBS.length} locked runs a second, three replicas, one Redis.`,
  markdownTable(HEADER, shown.map(cellsOf)),
  `Growth of the heap after the first minute, in KB a minute: ${heap.join(', ')}.`,
  faults.length === 0 ? 'Nothing grew, doubled or was lost.' : faults.map((fault) => `- ${fault}`).join('\n')
].join('\n\n')
console.log(`\n${text}`)
if (minutes >= 10) await writeInto('soak', text)
if (faults.length > 0) process.exitCode = 1
