// What does a fire cost, without Redis? CPU per fire and lag of cron jobs that are all due every second, in memory,
// against croner alone: one croner timer a job, without a time zone, which is its fastest way.

import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { Cron } from 'croner'
import { createScheduler } from 'fastify-redlock-scheduler'
import { type Answer, type Measured, median, percentile, runPeer, table } from './measure.js'

const FILE = fileURLToPath(import.meta.url)
const PEERS = ['ours', 'ours, metrics off', 'croner'] as const
type Peer = (typeof PEERS)[number]

export interface DispatchSettings {
  readonly jobs: number
  readonly seconds: number
  readonly rounds: number
}

/** Runs all peers, alternating. */
export async function dispatch({ jobs, seconds, rounds }: DispatchSettings): Promise<Answer> {
  const results = new Map<Peer, Measured[]>(PEERS.map((peer) => [peer, []]))
  for (let round = 0; round < rounds; round++) {
    for (const peer of PEERS) {
      const measured = await runPeer<Measured>(FILE, ['--peer', peer, `${jobs}`, `${seconds}`])
      if (measured.ran !== measured.due || measured.doubled > 0) {
        console.warn(`${peer}: ${measured.ran} of ${measured.due} ticks ran, ${measured.doubled} twice`)
      }
      results.get(peer)?.push(measured)
    }
  }
  const perFire = (peer: Peer): number => median((results.get(peer) ?? []).map(({ cpu, ran }) => cpu / ran))
  const base = perFire('croner')
  const ratio = perFire('ours') / base
  const rows = table(
    ['peer', 'CPU per fire, µs', 'ratio to croner', 'lag p50, ms', 'lag p99, ms', 'ran of due'],
    PEERS.map((peer) => {
      const all = results.get(peer) ?? []
      const lags = all.flatMap((measured) => measured.lags)
      const ran = all.reduce((sum, measured) => sum + measured.ran, 0)
      const due = all.reduce((sum, measured) => sum + measured.due, 0)
      const cost = perFire(peer)
      return [
        peer,
        cost.toFixed(2),
        (cost / base).toFixed(3),
        percentile(lags, 0.5).toFixed(1),
        percentile(lags, 0.99).toFixed(1),
        `${ran} of ${due}`
      ]
    })
  )
  return { table: rows, ratio }
}

async function measure(peer: Peer, jobs: number, seconds: number): Promise<void> {
  const fires = new Map<number, number>()
  const lags: number[] = []
  let measuring = false
  let count = 0
  const fire = (scheduledTime: number): void => {
    fires.set(scheduledTime, (fires.get(scheduledTime) ?? 0) + 1)
    if (measuring && count++ % 16 === 0) lags.push(Date.now() - scheduledTime)
  }
  const start = peer === 'croner' ? startCroner : startOurs
  await start(peer, jobs, fire)
  // Two seconds to warm up, then from the middle of a second to the middle of another.
  await sleep(2500 - (Date.now() % 1000))
  globalThis.gc?.()
  const from = Date.now()
  measuring = true
  const before = process.cpuUsage()
  await sleep(seconds * 1000)
  const { user, system } = process.cpuUsage(before)
  measuring = false
  const ticks = [...fires].filter(([tick]) => tick > from && tick <= from + seconds * 1000)
  const measured: Measured = {
    due: seconds * jobs,
    ran: ticks.reduce((sum, [, ran]) => sum + Math.min(ran, jobs), 0),
    doubled: ticks.reduce((sum, [, ran]) => sum + Math.max(0, ran - jobs), 0),
    cpu: user + system,
    lags
  }
  process.send?.(measured, () => process.exit(0))
}

async function startOurs(peer: Peer, jobs: number, fire: (scheduledTime: number) => void): Promise<void> {
  const scheduler = createScheduler(peer === 'ours' ? {} : { metrics: false })
  for (let index = 0; index < jobs; index++) {
    scheduler.cron(`job-${index}`, '* * * * * *', async ({ run }) => fire(run.scheduledTime))
  }
  await scheduler.start()
}

async function startCroner(_peer: Peer, jobs: number, fire: (scheduledTime: number) => void): Promise<void> {
  for (let index = 0; index < jobs; index++) {
    new Cron('* * * * * *', async () => fire(Math.floor(Date.now() / 1000) * 1000))
  }
}

if (process.argv[2] === '--peer') {
  await measure(process.argv[3] as Peer, Number(process.argv[4]), Number(process.argv[5]))
}
