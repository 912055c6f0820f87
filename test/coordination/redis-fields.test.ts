// Fields behind the words of records, as later builds write them, survive all that this one does; and what the build before
// has written, without any, is read by each script.
import t, { type Test } from 'tap'
import type { RedisCoordination } from '../../lib/coordination/redis/coordination.js'
import type { HeldLock, OpenRun, OtherDefinition } from '../../types/coordination.js'
import { FINGERPRINT, pause, question, request } from '../fixtures/contract/requests.js'
import { redisReplica } from '../fixtures/redis-replicas.js'
import { type TestRedis, withRedis } from '../fixtures/with-redis.js'

interface Words {
  readonly name: string
  /** The replica's word of a run, and the id in it. */
  readonly replica: string
  readonly replicaId: string
  /** What of it a run inherits that takes it over. */
  readonly inherited: string
  /** The fields of a job. */
  readonly job: string
}

const WORDS: readonly Words[] = [
  { name: 'as the build before writes them', replica: 'host.1:2', replicaId: 'host.1:2', inherited: '', job: '' },
  { name: 'with a semicolon in its id', replica: 'a;b=1;c', replicaId: 'a;b=1;c', inherited: '', job: '' },
  { name: 'as this build writes them', replica: 'a%3Bb;v=2', replicaId: 'a;b', inherited: '', job: '' },
  {
    name: 'of a later version',
    replica: 'host.1%3B2;v=9;z=2;K=k%2E1;X=%20;y',
    replicaId: 'host.1;2',
    inherited: ';K=k%2E1;X=%20',
    job: ';ok=1795687747600;failed=2;ov=3;new=%3A%2E'
  }
]

const TICK = Math.floor(Date.now() / 1000) * 1000 - 10_000
const KEYS = { record: 'rls:{test}:claim:job', open: 'rls:{test}:open', lock: 'rls:{test}:lock:job' }
const OWN = 'own;id'
const OWN_WORD = 'own%3Bid;v=2'

interface Planted {
  readonly claimedBy?: string
  readonly attempt?: number
  readonly runId?: string
  readonly endedAt?: number
  readonly fingerprint?: string
  /** When its lock has ended. */
  readonly lockedUntil?: number
}

for (const { name, replica: word, replicaId, inherited, job } of WORDS) {
  const fingerprint = `every-second.usual${job}`

  async function plant({ client }: TestRedis, planted: Planted = {}): Promise<string> {
    const { runId = 'run-0', claimedBy = runId, attempt = 1, endedAt = 0, lockedUntil = TICK } = planted
    const grant = `${runId} 5 ${TICK} ${word} ${TICK} ${attempt}`
    const record = `${TICK} ${TICK - 1000} ${claimedBy} ${endedAt} ${grant} ${planted.fingerprint ?? fingerprint}`
    await client.set(KEYS.record, record, 'PX', 60_000)
    if (endedAt === 0) await client.zadd(KEYS.open, lockedUntil, `${grant} job`)
    return `${grant} job`
  }

  const told: [string, OtherDefinition][] = []
  const listener = {
    onDefinitionDiffers: (id: string, _tick: number, other: OtherDefinition) => void told.push([id, other])
  }

  const test = (what: string, body: (t: Test, redis: TestRedis, replica: RedisCoordination) => Promise<void>): void => {
    t.test(`${name}: ${what}`, (t) =>
      withRedis(async (redis) => {
        told.length = 0
        const replica = redisReplica(redis.url, { replicaId: OWN, listener })
        await replica.open()
        await body(t, redis, replica)
        await replica.close()
      })
    )
  }
  const lock: HeldLock = { name: 'job', kind: 'job', token: 'run-0', ttl: 5000, validUntil: 0 }
  const record = async ({ client }: TestRedis): Promise<string[]> => ((await client.get(KEYS.record)) ?? '').split(' ')
  const members = ({ client }: TestRedis): Promise<string[]> => client.zrange(KEYS.open, '0', '-1')

  test('a claim, a run by hand and its end', async (t, redis, replica) => {
    await plant(redis, { endedAt: TICK + 1, claimedBy: '-' })
    t.match(await replica.claim([request({ jobId: 'job', scheduledTime: TICK + 1000, runId: 'run-1' })]), [
      { status: 'granted', previous: TICK }
    ])
    t.same(told, [], 'the fields of a job are no part of its fingerprint')
    const claimed = await record(redis)
    t.match(claimed.slice(0, 5), [`${TICK + 1000}`, `${TICK}`, 'run-1', '0', 'run-1'])
    t.same(claimed.slice(7), [OWN_WORD, `${TICK + 1000}`, '0', fingerprint])
    t.same(await members(redis), [`${claimed.slice(4, 10).join(' ')} job`])
    t.same(await replica.finish([{ lock: { ...lock, token: 'run-1' }, finished: true }]), ['released'])
    t.same((await record(redis)).slice(4), claimed.slice(4))
    t.same(await members(redis), [])
    t.match(await replica.claim([request({ jobId: 'job', kind: 'manual', runId: 'run-2' })]), [{ status: 'granted' }])
    const byHand = await record(redis)
    t.same([...byHand.slice(0, 3), byHand[10]], [`${TICK + 1000}`, `${TICK}`, '-', fingerprint])
    t.match(await replica.claim([request({ jobId: 'job', scheduledTime: TICK + 1000 })]), [
      { status: 'claimed_elsewhere' }
    ])
  })

  test('an interval from the last end, and one paused', async (t, redis, replica) => {
    await plant(redis, { endedAt: TICK + 1, claimedBy: '-' })
    const asked = request({ jobId: 'job', afterCompletion: 1000, scheduledTime: 0, runId: 'run-1', kind: 'miss' })
    t.match(await replica.claim([asked]), [{ status: 'granted', scheduledTime: TICK + 1001 }])
    await pause(replica, 'job')
    t.match(await replica.claim([request({ jobId: 'job' })]), [{ status: 'paused', first: true }])
    t.same((await record(redis)).slice(7), [word, `${TICK}`, '1', fingerprint])
  })

  test('a date beside the ticks of another trigger', async (t, redis, replica) => {
    await plant(redis, { endedAt: TICK + 1, claimedBy: '-' })
    const date = { trigger: '@date', options: 'usual' }
    const asked = request({ jobId: 'job', scheduledTime: TICK - 5000, runId: 'run-1', fingerprint: date })
    t.match(await replica.claim([asked]), [{ status: 'granted' }])
    t.same(await record(redis).then((words) => [words[0], words[2], words[10]]), [`${TICK}`, 'run-1', fingerprint])
    const back = { lock: { ...lock, token: 'run-1' }, scheduledTime: TICK - 5000, tell: true, afterCompletion: 0 }
    t.same(await replica.handBack([back], 'call-1'), ['free'])
    t.same((await record(redis)).at(10), fingerprint)
  })

  test('another fingerprint', async (t, redis, replica) => {
    await plant(redis, { endedAt: TICK + 1, claimedBy: '-' })
    const other = { trigger: 'hourly', options: 'other' }
    const asked = request({ jobId: 'job', scheduledTime: TICK + 1000, kind: 'miss', fingerprint: other })
    t.match(await replica.claim([asked]), [{ status: 'granted', previous: null }])
    t.same(told, [['job', { fingerprint: FINGERPRINT, replicaId }]])
    t.same((await record(redis)).slice(7), [word, `${TICK}`, '1', `hourly.other${job}`])
  })

  test('a takeover, and one that is given up', async (t, redis, replica) => {
    await plant(redis)
    const asked = request({ jobId: 'job', kind: 'recover', rerun: true, runId: 'run-1' })
    t.match(await replica.claim([request({ jobId: 'job', rerun: true })]), [{ status: 'overlap', isLeft: true }])
    t.match(await replica.claim([asked]), [{ status: 'granted', attempt: 2, from: { runId: 'run-0', replicaId } }])
    const taken = await record(redis)
    t.same(taken.slice(7), [OWN_WORD + inherited, `${TICK}`, '2', fingerprint])
    t.ok((await members(redis)).includes(`${taken.slice(4, 10).join(' ')} job`))
    t.same(await replica.finish([{ lock: { ...lock, token: 'run-1' }, finished: false, unbegun: true }]), ['released'])
    const given = await record(redis)
    t.same(given.slice(4), ['~', taken[5], taken[6], OWN_WORD + inherited, `${TICK}`, '1', fingerprint])
  })

  test('the end of a run, and a hand-back', async (t, redis, replica) => {
    await plant(redis)
    await redis.client.set(KEYS.lock, 'run-0')
    t.same(await replica.finish([{ lock, finished: true }]), ['released'])
    const words = ['run-0', '5', `${TICK}`, word, `${TICK}`, '1', fingerprint]
    t.same((await record(redis)).slice(4), words)
    t.same(await members(redis), [])
    // It has not begun.
    words[2] = '0'
    await plant(redis)
    t.same(await replica.handBack([{ lock, scheduledTime: TICK, tell: true, afterCompletion: 0 }], 'call-1'), ['free'])
    t.same(await record(redis).then((all) => [...all.slice(0, 3), ...all.slice(4)]), [
      ...[`${TICK - 1000}`, `${TICK - 1000}`, '-'],
      ...words
    ])
    t.same(await members(redis), [])
    await plant(redis, { claimedBy: 'later-1' })
    t.same(await replica.handBack([{ lock, scheduledTime: TICK, tell: true, afterCompletion: 0 }], 'call-2'), [
      'wasted'
    ])
    t.same((await record(redis)).slice(4), words)
    t.same(await members(redis), [])
  })

  test('a vote that is confirmed, and one that is not', async (t, redis, replica) => {
    await plant(redis, { claimedBy: '?run-0' })
    t.same(await replica.confirm([{ jobId: 'job', runId: 'run-0', due: TICK + 5 }], 7), [true])
    t.same(await record(redis).then((all) => [all[0], all[2], ...all.slice(7)]), [
      ...[`${TICK + 5}`, 'run-0'],
      ...[word, `${TICK + 5}`, '1', fingerprint]
    ])
    await plant(redis, { claimedBy: '?run-0' })
    t.match(await replica.vote([request({ jobId: 'job', scheduledTime: TICK + 1000, runId: 'run-1', kind: 'miss' })]), [
      { status: 'granted', previous: TICK - 1000 }
    ])
    t.same((await record(redis)).slice(3), [`${TICK}`, 'run-0', '5', `${TICK}`, word, `${TICK}`, '1', fingerprint])
    t.same(await members(redis), [])
  })

  test('a claim that is adopted, with a run and without', async (t, redis, replica) => {
    const claim = { jobId: 'job', runId: 'run-1', tick: TICK + 1000, retention: 60_000, fingerprint: FINGERPRINT }
    await plant(redis)
    await replica.adopt([{ ...claim, run: null }])
    t.same(await record(redis).then((all) => [all[0], all[2], ...all.slice(7)]), [
      ...[`${TICK + 1000}`, 'run-1'],
      ...[word, `${TICK}`, '1', fingerprint]
    ])
    await plant(redis)
    await replica.adopt([{ ...claim, run: { scheduledTime: TICK + 1000, fencingToken: 9, attempt: 1 } }])
    t.same((await record(redis)).slice(7), [OWN_WORD, `${TICK + 1000}`, '1', fingerprint])
  })

  test('an abandoned run: found, recorded, opened again and settled', async (t, redis, replica) => {
    const member = await plant(redis, { runId: 'dead-0-1' })
    const [found] = (await replica.findAbandoned()) as [OpenRun]
    t.match(found, { runId: 'dead-0-1', jobId: 'job', replicaId, fencingToken: 5, attempt: 1, lockedUntil: TICK })
    t.same(await replica.tryToAbandon([found], 'call-1'), ['recorded'])
    t.same(await members(redis), [])
    t.same(await replica.tryToAbandon([found], 'call-1'), ['recorded'], 'repeated')
    t.same(await replica.tryToAbandon([found], 'call-2'), ['elsewhere'])
    await replica.reopen([found], 'call-2')
    t.same(await members(redis), [], 'only what the call has recorded itself')
    await replica.reopen([found], 'call-1')
    t.same(await members(redis), [member], 'as it stood')
    await replica.reconcile('dead-0-2', [], [])
    t.same(await members(redis), [])
    t.match(await record(redis), { 3: /^[1-9]\d+$/, 4: 'dead-0-1', 7: word, 10: fingerprint })
  })

  test('an open run that still has its lock', async (t, redis, replica) => {
    const member = await plant(redis)
    await redis.client.set(KEYS.lock, 'run-0', 'PX', 5000)
    t.same(await replica.findAbandoned(), [])
    t.ok(Number(await redis.client.zscore(KEYS.open, member)) > Date.now())
  })

  test('an open run whose lock would soon end, before a build that knows no slots finds it overdue', async (t, redis, replica) => {
    const lockedUntil = Date.now() + 1000
    const member = await plant(redis, { lockedUntil })
    t.same(await replica.findAbandoned(), [], 'it is not overdue')
    t.equal(await redis.client.zscore(KEYS.open, member), `${lockedUntil}`)
    await redis.client.set(KEYS.lock, 'run-0', 'PX', 20_000)
    t.same(await replica.findAbandoned(), [])
    t.ok(Number(await redis.client.zscore(KEYS.open, member)) > Date.now() + 15_000, 'its lock was extended')
  })

  test('what is known of the job', async (t, redis, replica) => {
    await plant(redis)
    const since = TICK - 20_000
    await redis.client.set('rls:{test}:since:job', `${since} every-second`, 'PX', 1000)
    t.same(await replica.survey([question({ jobId: 'job', since: TICK, accounted: TICK })]), [
      { paused: false, previous: TICK, since, runs: 0, unfinished: true }
    ])
    t.ok((await redis.client.pttl('rls:{test}:since:job')) <= 1000, 'a claim of this trigger is later')
  })
}
