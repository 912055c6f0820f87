// A run is cancelled; the lock of one that does not listen is released. Run: node --import tsx examples/cancel.ts
import { setTimeout as sleep } from 'node:timers/promises'
import { createScheduler } from 'fastify-redlock-scheduler'

const scheduler = createScheduler({ closeTimeout: 100, logger: false })
scheduler.add({ id: 'polite', handler: ({ signal }) => sleep(60_000, undefined, { signal }) })
scheduler.add({ id: 'deaf', handler: () => new Promise(() => {}) })
scheduler.on('lockLost', ({ run }) => console.log(`the lock of ${run.jobId} was taken from it`))
await scheduler.start()

const polite = await scheduler.trigger('polite')
await scheduler.cancel(polite?.id ?? '', { by: 'ada' })
await sleep(50)
console.log(`polite: ${polite?.outcome}`)

const deaf = await scheduler.trigger('deaf')
await scheduler.cancel(deaf?.id ?? '')
await sleep(50)
console.log(`deaf: ${deaf?.outcome}, a second run: ${await scheduler.trigger('deaf')}`)
const released = await scheduler.release('deaf', { by: 'ada' })
console.log(`released: ${released.map(({ runId }) => runId === deaf?.id)}`)
await sleep(50)
console.log(`a second run: ${(await scheduler.trigger('deaf')) !== null}`)
await scheduler.close()
