import { AsyncTask, SimpleIntervalJob, ToadScheduler } from 'toad-scheduler'
import type { RegisteringPeer } from './main.js'

export const peer: RegisteringPeer = {
  register(jobs) {
    const scheduler = new ToadScheduler()
    const handler = async (): Promise<void> => {}
    for (const { id, minutes } of jobs) {
      scheduler.addSimpleIntervalJob(new SimpleIntervalJob({ minutes }, new AsyncTask(id, handler), { id }))
    }
    return {}
  }
}
