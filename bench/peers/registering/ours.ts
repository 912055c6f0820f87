import { createScheduler, type SchedulerOptions } from '../../../dist/lib/index.js'
import type { RegisteringPeer } from './main.js'

export const peer: RegisteringPeer = ours({})

export function ours(options: SchedulerOptions): RegisteringPeer {
  return {
    register(jobs) {
      const scheduler = createScheduler(options)
      const handler = async (): Promise<void> => {}
      for (const { id, cron } of jobs) scheduler.cron(id, cron, handler)
      return {
        ready: () => scheduler.start(),
        async runAll() {
          for (const { id } of jobs) await scheduler.trigger(id, { wait: true })
        }
      }
    }
  }
}
