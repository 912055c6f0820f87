// Claims on a new connection: they wait until its server is known, and has been told what it has forgotten.
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import type { ClaimAnswer, ClaimRequest, Coordination } from '../../types/coordination.js'
import { type TcpProxy, withProxies } from '../chaos/fixtures/tcp-proxy.js'
import { FINGERPRINT, finish, granted, request } from '../fixtures/contract/requests.js'
import { redisReplica } from '../fixtures/redis-replicas.js'
import { type TestRedis, withRedis } from '../fixtures/with-redis.js'

/** How late replies are: long enough for claims between the new connection and the answer about its server. */
const DELAY = 300

/** Makes a claim as soon as there is a connection: the first one that is not refused at once. Resolves once it is made. */
async function claimWhenReady(
  replica: Coordination,
  asked: ClaimRequest
): Promise<{ readonly answers: Promise<readonly ClaimAnswer[]> }> {
  const end = performance.now() + 10_000
  while (performance.now() < end) {
    const answers = replica.claim([asked])
    const isRefused = await Promise.race([answers.then(() => true), sleep(20, false)])
    if (!isRefused) return { answers }
    await sleep(2)
  }
  throw new Error('there was no connection')
}

interface Returning {
  readonly redis: TestRedis
  readonly proxy: TcpProxy
  readonly replica: Coordination
  /** For the tick that has been claimed. */
  readonly again: ClaimRequest
}

/** With a Redis that was killed after a tick was claimed, and a replica that tells it of that when it comes back empty. */
function withReturning(t: Test, body: (parts: Returning) => Promise<void>): Promise<void> {
  return withRedis((redis) =>
    withProxies([redis.port], async ([proxy]) => {
      const tick = Date.now() - 100
      const claim = { jobId: 'job', runId: '', tick, run: null, retention: 60_000, fingerprint: FINGERPRINT }
      let past = 0
      const onPast = (): void => {
        past++
        void replica.reconcile('until', [], [claim])
      }
      const replica = redisReplica(proxy!.url, { listener: { onPast } })
      await replica.open()
      const asked = { jobId: 'job', scheduledTime: tick }
      await finish(replica, (await granted(t, replica, asked)).lock)
      await redis.kill()
      try {
        await body({ redis, proxy: proxy!, replica, again: request(asked) })
        t.equal(past, 1)
      } finally {
        proxy!.delay(0)
        await replica.close()
      }
    })
  )
}

t.test('a Redis that comes back empty is told of a claimed tick before it is asked for it again', (t) =>
  withReturning(t, async ({ redis, proxy, replica, again }) => {
    proxy.delayReplies(DELAY)
    await redis.restart()
    const { answers } = await claimWhenReady(replica, again)
    t.match(await answers, [{ status: 'claimed_elsewhere' }])
  })
)

t.test('so is one that hangs when it is there, for longer than the look at it is waited for', (t) =>
  withReturning(t, async ({ redis, proxy, replica, again }) => {
    proxy.delay(DELAY / 2)
    await redis.restart()
    // The look at the server is still on its way to it.
    const first = await claimWhenReady(replica, again)
    redis.hang()
    t.match(await first.answers, [{ status: 'unavailable', maybe: false }])
    const { answers } = await claimWhenReady(replica, again)
    redis.resume()
    t.match(await answers, [{ status: 'claimed_elsewhere' }])
  })
)

t.test('so is one that refuses everything at first', (t) =>
  withReturning(t, async ({ redis, proxy, replica, again }) => {
    proxy.refuse()
    await redis.restart()
    await redis.client.config('SET', 'maxmemory', '1')
    proxy.heal()
    const refusal = async (): Promise<string> => {
      const [answer] = await replica.claim([again])
      return answer?.status === 'unavailable' ? answer.error.message : ''
    }
    while (!/OOM/.test(await refusal())) await sleep(10)
    await redis.client.config('SET', 'maxmemory', '0')
    t.match(await replica.claim([again]), [{ status: 'claimed_elsewhere' }])
  })
)

t.test('while a new connection is silent, a claim is not sent, and is refused in time', (t) =>
  withRedis(({ port, client }) =>
    withProxies([port], async ([proxy]) => {
      const replica = redisReplica(proxy!.url)
      await replica.open()
      await granted(t, replica, { jobId: 'before' })
      // The look at the server is still on its way to it when replies begin to be lost.
      proxy!.delay(DELAY / 2)
      proxy!.cut()
      const { answers } = await claimWhenReady(replica, request({ jobId: 'job' }))
      proxy!.swallowReplies()
      t.match(await answers, [{ status: 'unavailable', maybe: false }])
      t.same(await client.keys('*:claim:job'), [])
      proxy!.delay(0)
      proxy!.heal()
      await replica.close()
    })
  )
)

t.test('a claim on a new connection takes no longer than any exchange, the wait included', (t) =>
  withRedis(({ port }) =>
    withProxies([port], async ([proxy]) => {
      const replica = redisReplica(proxy!.url)
      await replica.open()
      proxy!.delay(DELAY / 2)
      proxy!.cut()
      const asked = performance.now()
      const { answers } = await claimWhenReady(replica, request({ jobId: 'job' }))
      // The look is answered late, and what follows it is not answered at all.
      proxy!.delayReplies(1500)
      await sleep(1000)
      proxy!.swallowReplies()
      t.match(await answers, [{ status: 'unavailable' }])
      const took = performance.now() - asked
      t.ok(took < 3500, `it took ${Math.round(took)} ms`)
      proxy!.heal()
      await replica.close()
    })
  )
)
