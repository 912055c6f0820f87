import { createScheduler, type SchedulerOptions } from '../../../dist/index.js'
import type { RegisteringPeer } from './main.js'

export const peer: RegisteringPeer = ours({})

export function ours(options: SchedulerOptions): RegisteringPeer {
  return {
    register(jobs) {
      const scheduler = createScheduler(options)
      let runs = 0
      const handler = async (): Promise<void> => {
        runs++
      }
      for (const { id, cron } of jobs) scheduler.cron(id, cron, handler)
      return {
        ready: () => scheduler.start(),
        async runAll() {
          for (const { id } of jobs) await scheduler.trigger(id, { wait: true })
          return runs
        },
        async readMetrics() {
          // No regular expression: it would keep the whole text in memory as its last input.
          const lines = (await scheduler.register?.metrics())?.split('\n') ?? []
          const fired = lines.filter((line) => line.startsWith('apscheduler_jobs_fired_total'))
          const sum = fired.reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0)
          if (sum !== jobs.length) throw new Error(`${sum} runs of ${jobs.length} jobs in the metrics`)
        }
      }
    }
  }
}
