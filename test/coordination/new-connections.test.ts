// Claims on a new connection: they wait until its server is known, and has been told what it has forgotten.
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import type { ClaimAnswer, ClaimRequest, Coordination } from '../../types/coordination.js'
import { withProxies } from '../chaos/fixtures/tcp-proxy.js'
import { FINGERPRINT, finish, granted, request } from '../fixtures/contract/requests.js'
import { redisReplica } from '../fixtures/redis-replicas.js'
import { withRedis } from '../fixtures/with-redis.js'

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

t.test('a Redis that comes back empty is told of a claimed tick before it is asked for it again', (t) =>
  withRedis(({ port, kill, restart }) =>
    withProxies([port], async ([proxy]) => {
      const tick = Date.now() - 100
      const claim = { jobId: 'job', runId: '', tick, run: null, retention: 60_000, fingerprint: FINGERPRINT }
      let past = 0
      const onPast = (): void => {
        past++
        void replica.reconcile('until', [], [claim])
      }
      const replica = redisReplica(proxy!.url, { listener: { onPast } })
      await replica.open()
      await finish(replica, (await granted(t, replica, { jobId: 'job', scheduledTime: tick })).lock)
      await kill()
      proxy!.delayReplies(DELAY)
      await restart()
      const { answers } = await claimWhenReady(replica, request({ jobId: 'job', scheduledTime: tick }))
      t.match(await answers, [{ status: 'claimed_elsewhere' }])
      t.equal(past, 1)
      proxy!.delayReplies(0)
      await replica.close()
    })
  )
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
