import { Cron } from 'croner'
import { Redis } from 'ioredis'
import Redlock from 'redlock'
import type { StartPeer } from './serve.js'

/** The classic pattern: croner timers without a time zone, their fastest way, and a redlock round each run. */
export const start: StartPeer = async ({ load, ports }, run) => {
  const client = new Redis(ports[0] as number)
  await client.ping()
  const redlock = new Redlock([client], { retryCount: 0 })
  redlock.on('error', () => {})
  for (let job = 0; job < load.jobs; job++) {
    new Cron(pattern(load.due, job), async () => {
      const scheduledTime = Math.floor(Date.now() / 1000) * 1000
      const lock = await redlock.acquire([`bench:${job}`], 300_000).catch(() => null)
      if (lock === null) return
      run(job, scheduledTime)
      await redlock.release(lock)
    })
  }
}

/** croner knows seconds at the finest, and patterns divide a minute at the longest. */
function pattern(due: 'second' | 'never' | number, job: number): string {
  if (due === 'second' || due === 1000) return '* * * * * *'
  if (due === 'never') return '0 0 29 2 *'
  const period = due / 1000
  if (!Number.isInteger(60 / period)) throw new Error(`no pattern for every ${due} ms`)
  const seconds = Array.from({ length: 60 / period }, (_, index) => (job % period) + index * period)
  return `${seconds.join()} * * * * *`
}
