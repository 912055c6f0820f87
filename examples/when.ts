// A tick that runs only if there is something to do: `when` is asked by the one replica that has claimed it.
import { setTimeout as sleep } from 'node:timers/promises'
import { createScheduler } from 'fastify-redlock-scheduler'

const orders: string[] = ['a', 'b']

const scheduler = createScheduler({ logger: false })
scheduler.add({
  id: 'send-orders',
  trigger: { interval: '500ms' },
  when: () => orders.length > 0,
  handler: () => `sent ${orders.splice(0).join(', ')}`
})
scheduler.on('executed', ({ run }) => console.log(run.result))
scheduler.once('skipped', ({ reason }) => console.log(`nothing to send: ${reason}`))

await scheduler.start()
await sleep(1600)
await scheduler.close()
