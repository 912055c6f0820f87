import Fastify, { type FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import t from 'tap'
import scheduler, { type Run, type RunContext } from '../lib/index.js'
import { NEVER_DUE } from './fixtures/never-due.js'

declare module 'fastify' {
  interface FastifyInstance {
    /** A decorator of which each of this file's plugins has its own. */
    shop: string
  }
}

const NEVER = { date: '2099-01-01T00:00:00Z' }
const shopOf = ({ app }: RunContext<FastifyInstance>): string => app.shop

async function resultOf(app: FastifyInstance, id: string): Promise<unknown> {
  return ((await app.jobs.trigger(id, { wait: true })) as Run).result
}

t.test("a job's handler has the instance on which it was added", async (t) => {
  const app = Fastify()
  const apps = new Map<string, FastifyInstance>()
  const keep = (context: RunContext<FastifyInstance>): void => void apps.set(context.job.id, context.app)
  await app.register(scheduler, { jobs: [{ id: 'options', trigger: NEVER, handler: keep }] })
  app.jobs.add({ id: 'root', trigger: NEVER, handler: keep })
  const children: FastifyInstance[] = []
  for (const name of ['books', 'music']) {
    await app.register(async (child) => {
      children.push(child)
      child.jobs.add({ id: `${name}-add`, trigger: NEVER, handler: shopOf })
      // Decorated after the job was added, and before it runs.
      child.decorate('shop', name)
      child.jobs.cron(`${name}-cron`, '@daily', shopOf)
      child.jobs.interval(`${name}-interval`, NEVER_DUE, keep)
      await child.register(fp(async (same) => void same.jobs.date(`${name}-date`, '2099-01-01', keep)))
      await child.register(async (grandchild) => {
        grandchild.decorate('shop', `${name} of a grandchild`, [])
        grandchild.jobs.add({ id: `${name}-deep`, trigger: NEVER, handler: shopOf })
      })
      child.addHook('onReady', async function () {
        this.jobs.add({ id: `${name}-ready`, trigger: NEVER, handler: shopOf })
      })
      child.get(`/${name}`, async function (request) {
        if (request.server.jobs !== this.jobs) throw new Error('a request has the instance of its route')
        this.jobs.add({ id: `${name}-request`, trigger: NEVER, handler: shopOf })
        return 'added'
      })
    })
  }
  await app.ready()
  for (const id of ['options', 'root', 'books-interval', 'books-date', 'music-interval', 'music-date']) {
    await resultOf(app, id)
  }
  const [books, music] = children as [FastifyInstance, FastifyInstance]
  t.ok(apps.get('options') === app)
  t.ok(apps.get('root') === app)
  t.ok(apps.get('books-interval') === books)
  t.ok(apps.get('books-date') === books, 'a plugin that is not encapsulated belongs to the instance that registers it')
  t.ok(apps.get('music-interval') === music)
  t.ok(apps.get('music-date') === music)
  for (const name of ['books', 'music']) {
    t.equal((await app.inject(`/${name}`)).payload, 'added')
    for (const how of ['add', 'cron', 'ready', 'request']) t.equal(await resultOf(app, `${name}-${how}`), name, how)
    t.equal(await resultOf(app, `${name}-deep`), `${name} of a grandchild`)
  }
  await app.close()
})

t.test('all instances have one scheduler: its jobs, events, registry, runs', async (t) => {
  const app = Fastify()
  await app.register(scheduler)
  const heard: string[] = []
  let child: FastifyInstance = app
  await app.register(async (instance) => {
    child = instance
    child.decorate('shop', 'child')
    child.jobs.on('executed', ({ job }) => void heard.push(`child: ${job.id}`))
  })
  for (const instance of [app, child]) {
    const { jobs } = instance
    t.ok(jobs === instance.jobs, 'the same each time')
  }
  t.equal(child.hasDecorator('jobs'), true)
  t.ok(child.getDecorator('jobs') === child.jobs)
  app.jobs.on('executed', ({ job }) => void heard.push(`root: ${job.id}`))
  child.jobs.add({ id: 'a', trigger: NEVER, handler: shopOf })
  t.equal(app.jobs.get('a'), child.jobs.get('a'))
  t.same(app.jobs.list(), child.jobs.list())
  t.throws(() => app.jobs.add({ id: 'a', trigger: NEVER, handler: shopOf }), { code: 'FST_ERR_RLS_JOB_DUPLICATE' })
  t.equal(app.jobs.register, child.jobs.register)
  t.equal(app.jobs.replicaId, child.jobs.replicaId)
  await app.ready()

  // What changes a job leaves it with its instance.
  app.jobs.reschedule('a', { interval: NEVER_DUE })
  t.equal(await resultOf(app, 'a'), 'child')
  app.jobs.modify('a', { handler: ({ app }) => `${app.shop}, changed` })
  t.equal(await resultOf(app, 'a'), 'child, changed')
  t.same(heard, ['child: a', 'root: a', 'child: a', 'root: a'])

  t.equal(app.jobs.remove('a'), true)
  t.equal(child.jobs.get('a'), undefined)
  app.jobs.add({ id: 'a', trigger: NEVER, handler: ({ app: given }) => given === app })
  t.equal(await resultOf(child, 'a'), true, 'removed by one and added by another: it is the other one')
  child.jobs.remove('a')
  await app.close()
})

t.test('a child may remove its jobs when it closes, and two schedulers do not meet', async (t) => {
  const app = Fastify()
  const removed: boolean[] = []
  for (const name of ['a', 'b']) {
    app.register(async (child) => {
      child.decorate('shop', name)
      await child.register(scheduler, { metrics: { endpoint: `/${name}` } })
      child.jobs.add({ id: 'same', trigger: NEVER, handler: shopOf })
      child.addHook('onClose', async (instance) => void removed.push(instance.jobs.remove('same')))
      child.get(`/run-${name}`, child.jobs.route('same', { wait: true }))
    })
  }
  await app.ready()
  t.equal(app.hasDecorator('jobs'), false)
  for (const name of ['a', 'b']) t.equal((await app.inject(`/run-${name}`)).json().result, name)
  await app.close()
  t.same(removed, [true, true])
})
