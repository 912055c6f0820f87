import { scheduleJob } from 'node-schedule'
import type { DispatchPeer } from './main.js'

export const peer: DispatchPeer = {
  tellsTime: false,
  start(meter) {
    for (let job = 0; job < meter.jobs; job++) {
      scheduleJob('* * * * * *', async (fireDate) => meter.fire(job, Math.floor(fireDate.getTime() / 1000) * 1000))
    }
  }
}
