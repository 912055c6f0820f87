// A Redis that speaks TLS only where it is asked: by options, by a URL, and through a client of the app's.
import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { Redis } from 'ioredis'
import { Redis as Redis5 } from 'ioredis5'
import t from 'tap'
import { createScheduler, type RedisInput } from '../../lib/index.js'
import { logLines } from '../fixtures/log-lines.js'
import { nextEvent } from '../fixtures/next-event.js'
import { freePort, withRedis } from '../fixtures/with-redis.js'

/** A certificate of the tests' own for localhost, which nobody else has signed. */
const fileOf = (name: string): string => fileURLToPath(new URL(`../fixtures/tls/${name}.pem`, import.meta.url))
const ca = readFileSync(fileOf('cert'), 'utf8')

async function withTls(body: (port: number, plainPort: number) => Promise<void>): Promise<void> {
  const port = await freePort()
  const files = [
    '--tls-cert-file',
    fileOf('cert'),
    '--tls-key-file',
    fileOf('key'),
    '--tls-ca-cert-file',
    fileOf('cert')
  ]
  await withRedis((redis) => body(port, redis.port), ['--tls-port', `${port}`, '--tls-auth-clients', 'no', ...files])
}

t.test('jobs run over TLS: with options, and with what a client of the app has', (t) =>
  withTls(async (port) => {
    const options = { host: 'localhost', port, tls: { ca } }
    const clients = [new Redis({ ...options, lazyConnect: true }), new Redis5({ ...options, lazyConnect: true })]
    for (const redis of [options, ...clients] as RedisInput[]) {
      const scheduler = createScheduler({ redis, prefix: 'app', closeTimeout: 1000, logger: logLines().logger })
      scheduler.interval('job', '1s', () => {})
      await scheduler.start()
      t.match(await nextEvent(scheduler, 'executed'), { job: { id: 'job' } })
      await scheduler.close()
    }
    t.same(
      clients.map(({ status }) => status),
      ['wait', 'wait'],
      'a client of the app is a template'
    )
  })
)

t.test(
  'a certificate that nobody vouches for, and a port that speaks the other protocol, are told with the reason',
  (t) =>
    withTls(async (port, plainPort) => {
      const cases = [
        [`rediss://localhost:${port}`, /self-signed certificate/],
        [`rediss://localhost:${plainPort}`, /no answer|wrong version number|closed|ETIMEDOUT/],
        [`redis://localhost:${port}`, /no answer|closed|ECONNRESET|ETIMEDOUT/]
      ] as const
      const tried = cases.map(async ([redis, reason]) => {
        const { logger, lines } = logLines()
        const scheduler = createScheduler({ redis, prefix: 'app', logger, closeTimeout: 500 })
        scheduler.interval('job', '1s', () => {})
        await scheduler.start()
        await sleep(3000)
        const told = lines.filter(({ message }) => /^Redis /.test(message))
        t.equal(told.length, 1, `${redis}: once, however often it is tried`)
        t.match((told[0]?.fields.err as Error | undefined)?.message, reason)
        await scheduler.close()
      })
      await Promise.all(tried)
    })
)
