// What does a locked run cost, and does it run once? CPU of three replica processes and commands of Redis per run, for
// jobs that are all due every second, against the classic pattern: croner timers, and a redlock acquire and release
// around each run.
import { fork } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { Cron } from 'croner'
import { createScheduler } from 'fastify-redlock-scheduler'
import { Redis } from 'ioredis'
import Redlock from 'redlock'
import { withRedis } from '../test/fixtures/with-redis.js'
import { type Answer, median, table } from './measure.js'

const FILE = fileURLToPath(import.meta.url)
const PEERS = ['ours', 'classic'] as const
type Peer = (typeof PEERS)[number]

export interface LockedSettings {
  readonly jobs: number
  readonly seconds: number
  readonly rounds: number
  readonly replicas: number
}

interface ReplicaResult {
  /** CPU time in the window, in microseconds. */
  readonly cpu: number
  /** How often each tick in the window ran here, by `tick:job`. */
  readonly runs: readonly (readonly [string, number])[]
}

interface Round {
  readonly cpuPerRun: number
  readonly sent: number
  readonly inside: number
  readonly due: number
  readonly ran: number
  readonly doubled: number
}

/** Runs both peers, alternating. */
export async function locked(settings: LockedSettings): Promise<Answer> {
  const results = new Map<Peer, Round[]>(PEERS.map((peer) => [peer, []]))
  for (let round = 0; round < settings.rounds; round++) {
    for (const peer of PEERS) results.get(peer)?.push(await runRound(peer, settings))
  }
  const of = (peer: Peer, read: (round: Round) => number): number => median((results.get(peer) ?? []).map(read))
  const base = of('classic', ({ cpuPerRun }) => cpuPerRun)
  const ratio = of('ours', ({ cpuPerRun }) => cpuPerRun) / base
  const rows = table(
    [
      'peer',
      'CPU per run, µs',
      'ratio to classic',
      'commands sent per run',
      'with those inside scripts',
      'ran of due',
      'doubled'
    ],
    PEERS.map((peer) => {
      const rounds = results.get(peer) ?? []
      const sum = (read: (round: Round) => number): number => rounds.reduce((total, round) => total + read(round), 0)
      const cost = of(peer, ({ cpuPerRun }) => cpuPerRun)
      return [
        peer,
        cost.toFixed(1),
        (cost / base).toFixed(3),
        of(peer, ({ sent }) => sent).toFixed(2),
        of(peer, ({ inside }) => inside).toFixed(1),
        `${sum(({ ran }) => ran)} of ${sum(({ due }) => due)}`,
        sum(({ doubled }) => doubled)
      ]
    })
  )
  return { table: rows, ratio }
}

async function runRound(peer: Peer, { jobs, seconds, replicas }: LockedSettings): Promise<Round> {
  let round: Round | undefined
  await withRedis(async ({ port, client }) => {
    // The window begins in the middle of a second, when all processes are long up.
    const from = Math.ceil(Date.now() / 1000) * 1000 + 5500
    const args = ['--peer', peer, `${port}`, `${jobs}`, `${from}`, `${seconds}`]
    const running = Array.from({ length: replicas }, () => runReplica(args))
    await sleep(from - Date.now())
    const before = await commandCounts(client)
    await sleep(from + seconds * 1000 - Date.now())
    const after = await commandCounts(client)
    const results = await Promise.all(running)
    const counts = new Map<string, number>()
    for (const { runs } of results) for (const [tick, count] of runs) counts.set(tick, (counts.get(tick) ?? 0) + count)
    const ran = counts.size
    const due = jobs * seconds
    const doubled = [...counts.values()].filter((count) => count > 1).length
    if (ran !== due || (doubled > 0 && peer === 'ours')) {
      console.warn(`${peer}: ${ran} of ${due} ticks ran, ${doubled} more than once`)
    }
    round = {
      cpuPerRun: results.reduce((sum, { cpu }) => sum + cpu, 0) / ran,
      sent: (after.sent - before.sent) / ran,
      inside: (after.executed - before.executed) / ran,
      due,
      ran,
      doubled
    }
  })
  return round as Round
}

function runReplica(args: readonly string[]): Promise<ReplicaResult> {
  return new Promise((resolve, reject) => {
    const child = fork(FILE, [...args], { execArgv: ['--import=tsx'] })
    let result: ReplicaResult | undefined
    child.on('message', (message) => {
      result = message as ReplicaResult
    })
    child.once('exit', (code) =>
      result === undefined ? reject(new Error(`a replica ended with ${code}`)) : resolve(result)
    )
  })
}

/** What clients have sent, and what Redis has executed with that inside scripts. */
async function commandCounts(client: Redis): Promise<{ sent: number; executed: number }> {
  const stats = await client.info('commandstats')
  let sent = 0
  let executed = 0
  for (const [, name, calls] of stats.matchAll(/cmdstat_([^:]+):calls=(\d+)/g)) {
    executed += Number(calls)
    if (name === 'evalsha' || name === 'eval') sent += Number(calls)
  }
  return { sent, executed }
}

async function measure(peer: Peer, port: number, jobs: number, from: number, seconds: number): Promise<void> {
  const until = from + seconds * 1000
  const runs = new Map<string, number>()
  const run = (job: number, scheduledTime: number): void => {
    if (scheduledTime < from || scheduledTime >= until) return
    const tick = `${scheduledTime}:${job}`
    runs.set(tick, (runs.get(tick) ?? 0) + 1)
  }
  const start = peer === 'ours' ? startOurs : startClassic
  await start(port, jobs, run)
  await sleep(from - Date.now())
  const before = process.cpuUsage()
  await sleep(until - Date.now())
  const { user, system } = process.cpuUsage(before)
  const result: ReplicaResult = { cpu: user + system, runs: [...runs] }
  process.send?.(result, () => process.exit(0))
}

async function startOurs(port: number, jobs: number, run: (job: number, scheduledTime: number) => void): Promise<void> {
  const scheduler = createScheduler({ redis: `redis://127.0.0.1:${port}`, prefix: 'bench' })
  for (let job = 0; job < jobs; job++) {
    scheduler.cron(`job-${job}`, '* * * * * *', async (context) => run(job, context.run.scheduledTime))
  }
  await scheduler.start()
}

async function startClassic(
  port: number,
  jobs: number,
  run: (job: number, scheduledTime: number) => void
): Promise<void> {
  const redlock = new Redlock([new Redis(port)], { retryCount: 0 })
  redlock.on('error', () => {})
  for (let job = 0; job < jobs; job++) {
    new Cron('* * * * * *', async () => {
      const scheduledTime = Math.floor(Date.now() / 1000) * 1000
      const lock = await redlock.acquire([`bench:${job}`], 300_000).catch(() => null)
      if (lock === null) return
      run(job, scheduledTime)
      await redlock.release(lock)
    })
  }
}

if (process.argv[2] === '--peer') {
  const [peer, ...numbers] = process.argv.slice(3)
  const [port, jobs, from, seconds] = numbers.map(Number) as [number, number, number, number]
  await measure(peer as Peer, port, jobs, from, seconds)
}
