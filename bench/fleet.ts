import { setTimeout as sleep } from 'node:timers/promises'
import type { Redis } from 'ioredis'
import { type TestRedis, withRedis } from '../test/fixtures/with-redis.js'
import { installed } from './installed.js'
import type { Load, Peer } from './load.js'
import type { Scale } from './question.js'
import { Replica, type Window, windowAfter } from './replica.js'
import { type Counted, summary } from './ticks.js'

export interface FleetSettings {
  /** `none`: processes with nothing in them. */
  readonly peer: Peer | 'none'
  readonly load: Load
  readonly replicas: number
  /** How many independent Redis masters hold the lock; only ours takes more than 1. */
  readonly masters?: number
  /** Time between the start of all replicas and the window. */
  readonly warmUp: number
  /** The window's length in seconds. */
  readonly seconds: number
  /** The checkout whose build the replicas run; this one by default. */
  readonly folder?: string
}

export interface FleetResult extends Counted {
  /** CPU time of all Redis servers, in microseconds. */
  readonly redisCpu: number
  /** Commands Redis executed, with the ones inside scripts. */
  readonly executed: number
}

/** Those of the peers that can be run, and a sentence on those that cannot. */
export function installedPeers(): { readonly peers: readonly Peer[]; readonly missing: string } {
  if (installed('bullmq') !== null) return { peers: ['scheduler', 'classic', 'bullmq'], missing: '' }
  return { peers: ['scheduler', 'classic'], missing: ' BullMQ is not installed and was left out.' }
}

/**
 * Runs a fleet on fresh Redis servers and measures one window.
 *
 * @param agreed the window, where others are measured in it as well
 */
export async function runFleet(settings: FleetSettings, agreed?: Window): Promise<FleetResult> {
  const { peer, load, replicas, folder } = settings
  return withServers(settings.masters ?? 1, async (servers) => {
    const ports = servers.map(({ port }) => port)
    const fleet = Array.from({ length: replicas }, (_, index) =>
      Replica.fork('peers/replica.ts', { peer, load, ports, first: index === 0 }, folder)
    )
    try {
      await Promise.all(fleet.map((replica) => replica.ready))
      const window = agreed ?? windowAfter(settings.warmUp, settings.seconds)
      if (window.from < Date.now()) throw new Error('the replicas were ready after the window had begun')
      const clients = servers.map(({ client }) => client)
      const [used, ...results] = await Promise.all([
        usedBetween(clients, window),
        ...fleet.map((replica) => replica.measure(window))
      ])
      return { ...summary(results, load, window), ...used }
    } finally {
      for (const replica of fleet) replica.end()
    }
  })
}

/** Runs `body` with so many fresh Redis servers. */
export async function withServers<Result>(
  count: number,
  body: (servers: readonly TestRedis[]) => Promise<Result>
): Promise<Result> {
  let result: Result | undefined
  const open = async (servers: readonly TestRedis[]): Promise<void> => {
    if (servers.length < count) await withRedis((server) => open([...servers, server]))
    else result = await body(servers)
  }
  await open([])
  return result as Result
}

/** What the servers did from the beginning of the window to its end. */
async function usedBetween(
  clients: readonly Redis[],
  { from, until }: Window
): Promise<{ redisCpu: number; executed: number }> {
  await sleep(from - Date.now())
  const before = await Promise.all(clients.map(used))
  await sleep(until - Date.now())
  const after = await Promise.all(clients.map(used))
  const sum = (values: readonly Used[], read: (value: Used) => number): number =>
    values.reduce((total, value) => total + read(value), 0)
  return {
    redisCpu: sum(after, ({ redisCpu }) => redisCpu) - sum(before, ({ redisCpu }) => redisCpu),
    executed: sum(after, ({ executed }) => executed) - sum(before, ({ executed }) => executed)
  }
}

interface Used {
  readonly redisCpu: number
  readonly executed: number
}

async function used(client: Redis): Promise<Used> {
  const stats = await client.info('commandstats')
  const cpu = await client.info('cpu')
  let executed = 0
  for (const [, name, calls] of stats.matchAll(/cmdstat_([^:]+):calls=(\d+)/g)) {
    if (name !== 'info') executed += Number(calls)
  }
  const seconds = (name: string): number => Number(new RegExp(`^${name}:([\\d.]+)`, 'm').exec(cpu)?.[1])
  return { redisCpu: (seconds('used_cpu_user') + seconds('used_cpu_sys')) * 1e6, executed }
}

/**
 * Runs every variant in each round, one after the other, and returns what each gave. A smoke run, which judges no time,
 * runs them at once. A variant may have fewer `rounds` of its own. A variant of a peer that throws is told of, and has no
 * further round, so that the results of all are in the order of the rounds.
 */
export async function inTurn<Variant extends { readonly peer: Peer | 'none'; readonly rounds?: number }, Result>(
  scale: Scale,
  rounds: number,
  variants: readonly Variant[],
  run: (variant: Variant) => Promise<Result>
): Promise<Map<Variant, Result[]>> {
  const results = new Map<Variant, Result[]>(variants.map((variant) => [variant, []]))
  const failed = new Set<Variant>()
  const runOne = async (variant: Variant): Promise<void> => {
    try {
      results.get(variant)?.push(await run(variant))
    } catch (error) {
      if (variant.peer === 'scheduler') throw error
      failed.add(variant)
      console.error(`${JSON.stringify(variant)} could not be run:`, error)
    }
  }
  if (scale === 'smoke') await Promise.all(variants.map(runOne))
  else {
    for (let round = 0; round < rounds; round++) {
      for (const variant of variants) {
        if (round < (variant.rounds ?? rounds) && !failed.has(variant)) await runOne(variant)
      }
    }
  }
  return results
}
