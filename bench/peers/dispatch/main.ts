// One peer, in a process of its own: `main.ts <file of the peer> <jobs> <warm-up, ms> <seconds> [offset, ms]`.
import { basename } from 'node:path'
import { Meter } from '../../meter.js'

/** A peer's file. */
export interface DispatchPeer {
  /** Whether its handlers are told the nominal time of their run. */
  readonly tellsTime: boolean
  /** Adds one job for each index below `meter.jobs`, due every second, at `meter.offset` after it, and starts them. */
  start(meter: Meter): void | Promise<void>
}

const [file = '', ...numbers] = process.argv.slice(2)
const [jobs = 0, warmUp = 0, seconds = 0, offset = 0] = numbers.map(Number)
const { peer } = (await import(`./${basename(file, '.ts')}.ts`)) as { readonly peer: DispatchPeer }
const meter = new Meter(jobs, offset)
await peer.start(meter)
const measured = await meter.measure(warmUp, seconds, peer.tellsTime)
process.send?.(measured, () => process.exit(0))
