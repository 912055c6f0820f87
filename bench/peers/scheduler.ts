import { createScheduler } from '../../dist/index.js'
import type { Load } from '../load.js'
import type { StartPeer } from './serve.js'

/** Ours, as it is by default: metrics and finish records on. */
export const start: StartPeer = async ({ load, ports, first }, run) => {
  const urls = ports.map((port) => `redis://127.0.0.1:${port}`)
  const redis = urls.length === 1 ? urls[0] : urls
  const scheduler = createScheduler({ redis, prefix: 'bench', ...(load.history === false ? { history: false } : {}) })
  for (let job = 0; job < load.jobs; job++) {
    scheduler.add({
      id: `job-${job}`,
      trigger: trigger(load, job),
      ...(load.slots === undefined ? {} : { maxInstances: load.slots }),
      handler: async (context) => {
        if (context.run.trigger === 'manual') await new Promise(() => {})
        run(job, context.run.scheduledTime)
      }
    })
  }
  await scheduler.start()
  if (!first) return
  for (let count = 0; count < (load.held ?? 0); count++) {
    for (let job = 0; job < load.jobs; job++) await scheduler.trigger(`job-${job}`)
  }
}

function trigger(
  { due, offset = 0 }: Load,
  job: number
): { readonly cron: string } | { readonly interval: string; readonly offset: number } {
  if (due === 'second') return { cron: '* * * * * *' }
  // The next 29th of February.
  if (due === 'never') return { cron: '0 0 29 2 *' }
  return { interval: `${due}ms`, offset: ((job * 1000) % due) + offset }
}
