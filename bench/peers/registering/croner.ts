import { Cron } from 'croner'
import type { RegisteringPeer } from './main.js'

export const peer: RegisteringPeer = {
  register(jobs) {
    let runs = 0
    const handler = async (): Promise<void> => {
      runs++
    }
    const crons = jobs.map(({ cron }) => new Cron(cron, handler))
    return {
      async runAll() {
        for (const cron of crons) await cron.trigger()
        return runs
      }
    }
  }
}
