import { AsyncTask, SimpleIntervalJob, ToadScheduler } from 'toad-scheduler'
import type { DispatchPeer } from './main.js'

// Intervals count from the time a job was added, so a run's nominal time is the job's first start plus n seconds.
export const peer: DispatchPeer = {
  tellsTime: false,
  start(meter) {
    const scheduler = new ToadScheduler()
    const next = new Float64Array(meter.jobs)
    for (let job = 0; job < meter.jobs; job++) {
      const task = new AsyncTask(`task-${job}`, async () => {
        const scheduledTime = next[job] || Date.now()
        next[job] = scheduledTime + 1000
        meter.fire(job, scheduledTime)
      })
      scheduler.addSimpleIntervalJob(new SimpleIntervalJob({ seconds: 1 }, task, { id: `job-${job}` }))
    }
  }
}
