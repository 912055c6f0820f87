// What the dashboard is told as it happens.
import Fastify, { type FastifyInstance } from 'fastify'
import t from 'tap'
import scheduler from '../../../lib/index.js'
import { withRedis } from '../../fixtures/with-redis.js'

interface Told {
  readonly event: string
  readonly data: Record<string, unknown>
}

/** Follows the stream until `isLast` says so; then leaves. */
async function follow(
  origin: string,
  isLast: (told: Told, all: readonly Told[]) => boolean,
  onOpen = async () => {}
): Promise<Told[]> {
  const leave = new AbortController()
  const response = await fetch(`${origin}/ops/api/events`, { signal: leave.signal })
  if (response.body === null || response.status !== 200) throw new Error(`answered with ${response.status}`)
  await onOpen()
  const all: Told[] = []
  let text = ''
  for await (const chunk of response.body.pipeThrough(new TextDecoderStream())) {
    text += chunk
    const parts = text.split('\n\n')
    text = parts.pop() ?? ''
    for (const part of parts) {
      const [, event = '', data = ''] = /^event: (.*)\ndata: (.*)$/m.exec(part) ?? []
      if (event === '') continue
      const told = { event, data: JSON.parse(data) as Record<string, unknown> }
      all.push(told)
      if (!isLast(told, all)) continue
      leave.abort()
      return all
    }
  }
  return all
}

async function withService(
  options: object,
  body: (app: FastifyInstance, origin: string) => Promise<void>
): Promise<void> {
  const app = Fastify()
  try {
    await app.register(scheduler, { ...options, admin: { prefix: '/ops' } })
    app.jobs.add({ id: 'works', trigger: null, handler: () => {} })
    app.jobs.add({ id: 'rests', trigger: null, handler: () => {} })
    await body(app, await app.listen({ host: '127.0.0.1', port: 0 }))
  } finally {
    await app.close()
  }
}

const jobIn = ({ event, data }: Told): { id: string; ticks: { kind: string }[] } | undefined =>
  event === 'jobs'
    ? (data.jobs as { id: string; ticks: { kind: string }[] }[]).find(({ id }) => id === 'works')
    : undefined

for (const where of ['memory', 'redis'] as const) {
  t.test(`${where}: who has just come reads anew, and then hears of what changes, and of nothing else`, async (t) => {
    const body = async (options: object): Promise<void> =>
      withService(options, async (app, origin) => {
        const all = await follow(origin, (told, all) => {
          if (told.event === 'jobs' && all.filter(({ event }) => event === 'jobs').length === 1) {
            void app.jobs.trigger('works', { wait: true })
          }
          return jobIn(told)?.ticks.at(-1)?.kind === 'success'
        })
        t.equal(all[0]?.event, 'reset')
        t.match(all.find(({ event }) => event === 'store')?.data, {
          store: { kind: where, isUp: true },
          replicas: 1,
          takeTicks: 1
        })
        const ids = all.flatMap(({ event, data }) =>
          event === 'jobs' ? (data.jobs as { id: string }[]).map(({ id }) => id) : []
        )
        t.strictSame([...new Set(ids)], ['works'])
      })
    if (where === 'memory') await body({})
    else await withRedis(async ({ url }) => body({ redis: url, prefix: 'stream' }))
  })
}

t.test('while Redis is away the stream says so, reads are refused, and both recover', (t) =>
  withRedis((redis) =>
    withService({ redis: redis.url, prefix: 'away' }, async (app, origin) => {
      t.equal((await app.inject('/ops/api/jobs')).statusCode, 200)
      let phase: 'up' | 'away' | 'back' = 'up'
      let asked: Promise<void> = Promise.resolve()
      const look = async (): Promise<void> => {
        const [jobs, fleet] = await Promise.all([app.inject('/ops/api/jobs'), app.inject('/ops/api/fleet')])
        t.match([jobs.statusCode, jobs.json().code], [503, 'FST_ERR_RLS_REDIS_UNAVAILABLE'])
        t.match([fleet.statusCode, fleet.json().store.isUp], [200, false])
        await redis.restart()
      }
      await follow(origin, ({ event, data }) => {
        if (event !== 'store') return false
        const { isUp, awaySince } = data.store as { isUp: boolean; awaySince: number | null }
        if (phase === 'up' && isUp) {
          phase = 'away'
          void redis.kill()
        } else if (phase === 'away' && !isUp) {
          phase = 'back'
          t.type(awaySince, 'number')
          asked = look()
        }
        return phase === 'back' && isUp
      })
      await asked
      t.equal((await app.inject('/ops/api/jobs')).statusCode, 200)
    })
  )
)

t.test('a stream that is open does not hold up the closing of the app', async (t) => {
  const app = Fastify({ forceCloseConnections: false })
  await app.register(scheduler, { admin: { prefix: '/ops' } })
  const origin = await app.listen({ host: '127.0.0.1', port: 0 })
  let closed: Promise<unknown> = Promise.resolve()
  const all = await follow(origin, (told) => {
    if (told.event === 'store') closed = app.close()
    return false
  })
  await closed
  t.ok(all.length > 0, 'the stream has ended by itself')
})
