import { performance } from 'node:perf_hooks'
import t from 'tap'
import { createScheduler } from '../../lib/index.js'

const JOBS = 64

t.test('between the runs of one call the event loop has its turns', async (t) => {
  const scheduler = createScheduler()
  const turnsAt: number[] = []
  let turns = 0
  const turn = (): void => {
    turns++
    if (turnsAt.length < JOBS) setImmediate(turn)
  }
  const done = new Promise<void>((resolve) => {
    for (let index = 0; index < JOBS; index++) {
      scheduler.date(`job-${index}`, Date.now(), () => {
        const until = performance.now() + 1
        while (performance.now() < until);
        if (turnsAt.length === 0) setImmediate(turn)
        turnsAt.push(turns)
        if (turnsAt.length === JOBS) resolve()
      })
    }
  })
  await scheduler.start()
  await done
  t.ok((turnsAt.at(-1) as number) >= JOBS / 8 - 2, `${turnsAt.at(-1)} turns`)
  await scheduler.close()
})
