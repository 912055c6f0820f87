import { createScheduler, type SchedulerOptions } from '../../../dist/index.js'
import type { DispatchPeer } from './main.js'

export const peer: DispatchPeer = ours({})

export function ours(options: SchedulerOptions): DispatchPeer {
  return {
    tellsTime: true,
    async start(meter) {
      const scheduler = createScheduler(options)
      for (let job = 0; job < meter.jobs; job++) {
        scheduler.cron(`job-${job}`, '* * * * * *', async ({ run }) => meter.fire(job, run.scheduledTime))
      }
      await scheduler.start()
    }
  }
}
