// Votes of a claim that are asked for again after its job was overridden.
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { decideClaim } from '../../lib/coordination/quorum/claim-votes.js'
import type { ClaimVote, CoordinationNode } from '../../types/coordination/node.js'
import { listen, request } from '../fixtures/contract/requests.js'
import { redisReplica } from '../fixtures/redis-replicas.js'
import { withRedis } from '../fixtures/with-redis.js'

t.test('who has a vote learns so, and a request stays one of the definition that it was first made by', (t) =>
  withRedis(async ({ url }) => {
    const heard = listen()
    const a = redisReplica(url, { listener: heard }) as unknown as CoordinationNode
    const b = redisReplica(url) as unknown as CoordinationNode
    try {
      for (const replica of [a, b]) {
        await replica.open()
        await replica.standing()
      }
      const scheduledTime = Date.now() - 100
      const [mine, others, theirs] = ['held', 'other', 'other'].map((jobId) => request({ jobId, scheduledTime }))
      t.match(await a.vote([mine!]), [{ status: 'granted' }])
      const [held] = await b.vote([theirs!])
      t.match(await a.vote([others!]), [{ status: 'claimed_elsewhere' }])
      if (held?.status !== 'granted' || held.lock === null) throw new Error('not granted')
      await b.handBack([{ lock: held.lock, scheduledTime, tell: false, afterCompletion: 0 }], 'back')
      for (const jobId of ['held', 'other']) {
        const override = { kind: 'override', jobId, changes: { timeout: '1m' }, note: null } as const
        await b.changeAt({ ...override, id: `of-${jobId}`, by: 'somebody' }, Date.now())
      }
      t.match(await a.vote([mine!]), [{ status: 'granted' }], 'it has its vote already')
      for (let tries = 0; heard.changes.length < 2 && tries < 100; tries++) {
        await a.findAbandoned()
        await sleep(10)
      }
      t.equal(heard.changes.length, 2)
      t.match(await a.vote([others!]), [{ status: 'stale' }], 'it was made before')
      t.match(await a.vote([others!, request({ jobId: 'new', scheduledTime })]), [{ status: 'stale' }, {}])
      t.match(
        await a.vote([request({ jobId: 'other', scheduledTime })]),
        [{ status: 'granted' }],
        'and a new one since'
      )
    } finally {
      await Promise.all([a.close(), b.close()])
    }
  })
)

t.test('one node that knows of the change is enough, whatever the others grant', async (t) => {
  const rest = { previous: null, resumedAt: null, fencingToken: 1, scheduledTime: 100, attempt: 1 }
  const granted: ClaimVote = { status: 'granted', lock: null, ...rest }
  t.same(decideClaim(request({ jobId: 'job' }), [granted, granted, { status: 'stale' }]), { status: 'stale' })
})
