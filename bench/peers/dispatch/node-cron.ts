import { schedule } from 'node-cron'
import type { DispatchPeer } from './main.js'

export const peer: DispatchPeer = {
  tellsTime: false,
  start(meter) {
    for (let job = 0; job < meter.jobs; job++) {
      // Its warning of each missed run would cost it more.
      schedule('* * * * * *', async ({ date }) => meter.fire(job, Math.floor(date.getTime() / 1000) * 1000), {
        suppressMissedWarning: true
      })
    }
  }
}
