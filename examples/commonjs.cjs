// From CommonJS: `require()` of an ES module needs Node 20.19 or 22.12 and later.
const Fastify = require('fastify')
const scheduler = require('fastify-redlock-scheduler')

const app = Fastify()
app.register(scheduler, {
  jobs: [
    {
      id: 'heartbeat',
      trigger: { interval: '1s' },
      handler: ({ run }) => console.log(`heartbeat of ${new Date(run.scheduledTime).toISOString()}`)
    }
  ]
})

app.ready().then(() => {
  app.jobs.once('executed', () => app.close())
})
