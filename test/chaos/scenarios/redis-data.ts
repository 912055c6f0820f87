import { setTimeout as sleep } from 'node:timers/promises'
import { freePort } from '../../fixtures/with-redis.js'
import type { PlannedJob } from '../fixtures/protocol.js'
import { withSingle } from '../fixtures/topologies.js'
import { compare, type Scenario } from '../scenario.js'
import { JOBS, PREFIX, SECONDS, scaled, withReplicas } from './common.js'
import { outage, RECONNECTS } from './redis-outages.js'

const keyOf = (kind: string, jobId: string): string => `rls:{${PREFIX}}:${kind}:${jobId}`

/** A job whose runs take longer than the distance between its ticks. */
const OVERLONG = { id: 'overlong', interval: 1000, duration: 1600, options: { lock: { ttl: 600 } } }

/** With a lock that a fault does not outlast. */
function slowToExpire(job: PlannedJob): PlannedJob {
  return { ...job, options: { ...job.options, lock: { ttl: 60_000 } } }
}

export const redisData: readonly Scenario[] = [
  {
    name: 'Redis becomes a read-only replica, and a master again',
    promise: 'An error that Redis answers is trouble and not contention: the tick is asked for again',
    run: async ({ scale }) => {
      const nobody = await freePort()
      return outage(
        scale,
        ({ client }) => client.replicaof('127.0.0.1', nobody),
        ({ client }) => client.replicaof('NO', 'ONE'),
        [2500, 12_000],
        { missed: 'some', reasons: ['redis_error'], recovery: RECONNECTS }
      )
    }
  },
  {
    name: 'Redis runs out of memory',
    promise: 'A claim that Redis has no room for is asked for again, and not half done',
    run: ({ scale }) =>
      outage(
        scale,
        ({ client }) => client.config('SET', 'maxmemory', '1'),
        ({ client }) => client.config('SET', 'maxmemory', '0'),
        [2500, 12_000],
        { missed: 'some', reasons: ['redis_error'], recovery: RECONNECTS }
      )
  },
  {
    name: 'Redis has too few replicas, and takes no writes',
    promise: 'A Redis that refuses is down: ticks of that time are missed, and counted once',
    run: ({ scale }) =>
      outage(
        scale,
        ({ client }) => client.config('SET', 'min-replicas-to-write', '1'),
        ({ client }) => client.config('SET', 'min-replicas-to-write', '0'),
        [2500, 12_000],
        { missed: 'some', reasons: ['redis_error'], recovery: RECONNECTS }
      )
  },
  {
    name: 'A Redis user may no longer run what claims need',
    promise: 'A Redis that refuses is down: ticks of that time are missed, and counted once',
    run: ({ scale }) =>
      outage(
        scale,
        ({ client }) => client.acl('SETUSER', 'default', '-hgetall'),
        ({ client }) => client.acl('SETUSER', 'default', '+@all'),
        [2500, 12_000],
        { missed: 'some', reasons: ['redis_error'], recovery: RECONNECTS }
      )
  },
  {
    name: 'The password is changed, and changed back',
    promise: 'Refused credentials in the midst of work are trouble like any other: it ends with the cause',
    run: ({ scale }) =>
      outage(
        scale,
        async ({ client }) => {
          await client.config('SET', 'requirepass', 'another')
          await client.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes')
        },
        ({ client }) => client.config('SET', 'requirepass', ''),
        [2500, 12_000],
        { missed: 'some', recovery: RECONNECTS }
      )
  },
  {
    name: 'Scripts are flushed again and again',
    promise: 'Every tick runs, also where Redis has forgotten the scripts',
    run: ({ scale }) =>
      withSingle((redis) =>
        withReplicas({ redis: redis.proxy.url }, async (fleet) => {
          const flushes = setInterval(() => void redis.client.script('FLUSH'), 20)
          await sleep(scaled(scale, 3000, 20_000))
          clearInterval(flushes)
          const verdict = await fleet.finish(500)
          return compare(fleet, verdict, { everyTickRuns: true })
        })
      )
  },
  {
    name: 'Foreign keys of another type are in the places of a claim and of a lock',
    promise: 'What cannot be read permits no run, and stops no other job',
    run: ({ scale }) =>
      withSingle((redis) =>
        withReplicas({ redis: redis.proxy.url }, async (fleet) => {
          const [claim, lock] = [keyOf('claim', 'second-1'), keyOf('lock', 'second-2')]
          const record = await redis.client.get(claim)
          const since = Date.now()
          await redis.client.multi().del(claim, lock).hset(claim, 'a', 'b').rpush(lock, 'a').exec()
          await sleep(scaled(scale, 2500, 12_000))
          const until = Date.now()
          // Nobody may say that what was taken is free: the record comes back as it was.
          const multi = redis.client.multi().del(lock, claim)
          await (record === null ? multi : multi.set(claim, record)).exec()
          fleet.healed(({ jobId }) => jobId === 'second-2')
          await fleet.recovered()
          const verdict = await fleet.finish(scaled(scale, 1500, 8000))
          const under = (id: string): number =>
            fleet.runs.filter(({ jobId, startedAt }) => jobId === id && startedAt > since + 50 && startedAt < until)
              .length
          const expected = Math.floor((until - since) / 1000)
          return compare(fleet, verdict, {
            reasons: ['overlap'],
            missed: 'any',
            recovery: 1500,
            // The record that comes back may be older than the last tick: that one is not known to have run.
            doubled: ({ jobId, time }) => jobId === 'second-1' && time <= since && since <= time + 1000,
            also: [
              [under('second-2') === 0, 'it ran beside the holder of its lock'],
              [under('second-1') === 0, 'it ran though nobody knows what of it has run'],
              [under('second-3') >= expected, `second-3 ran ${under('second-3')} times in ${expected} s`]
            ]
          })
        })
      )
  },
  {
    name: 'The key of a lock is deleted during a run',
    promise: 'A run that has lost its lock is told so, is no success, and the next one is possible',
    run: ({ scale }) =>
      withSingle((redis) =>
        withReplicas({ redis: redis.proxy.url, jobs: [...JOBS, OVERLONG] }, async (fleet) => {
          const times = scaled(scale, 2, 8)
          for (let count = 0; count < times; count++) {
            const since = Date.now()
            const run = await fleet.awaitRun(({ jobId, startedAt }) => jobId === 'overlong' && startedAt > since)
            await redis.client.del(keyOf('lock', 'overlong'))
            await fleet.awaitRun(({ runId, outcome }) => runId === run.runId && outcome === 'lock_lost')
          }
          fleet.healed(({ jobId }) => jobId === 'overlong')
          await fleet.recovered()
          const verdict = await fleet.finish(scaled(scale, 1000, 5000))
          return compare(fleet, verdict, {
            recovery: 2500,
            also: [[(verdict.outcomes.lock_lost ?? 0) === times, `${verdict.outcomes.lock_lost} of ${times} were told`]]
          })
        })
      )
  },
  {
    name: 'Redis comes back from a snapshot that was taken during runs',
    promise:
      'What a snapshot brings back of runs that have ended since, their replicas end: no lock stands until its TTL',
    run: ({ scale }) =>
      withSingle(
        (redis) =>
          withReplicas({ redis: redis.proxy.url, jobs: SECONDS.map(slowToExpire) }, async (fleet) => {
            for (let count = 0; count < scaled(scale, 1, 4); count++) {
              const since = Date.now()
              const run = await fleet.awaitRun(({ jobId, startedAt }) => jobId === 'second-3' && startedAt > since)
              await redis.client.save()
              await fleet.awaitRun(({ runId, outcome }) => runId === run.runId && outcome === 'success')
              // A later tick of each job, which the snapshot does not know.
              await sleep(1500)
              await redis.kill()
              await redis.restart()
              fleet.healed(({ jobId }) => jobId === 'second-3')
              await fleet.recovered()
            }
            const verdict = await fleet.finish(scaled(scale, 9000, 15_000))
            return compare(fleet, verdict, {
              missed: 'any',
              recovery: RECONNECTS,
              also: [[fleet.abandoned.length === 0, `${fleet.abandoned.length} runs were told as abandoned`]]
            })
          }),
        ['--dbfilename', 'dump.rdb']
      )
  },
  {
    name: 'The key of a lock is stolen during a run',
    promise: 'A run finds out that another holds its lock, and leaves that lock alone',
    run: ({ scale }) =>
      withSingle((redis) =>
        withReplicas({ redis: redis.proxy.url, jobs: [...JOBS, OVERLONG] }, async (fleet) => {
          const key = keyOf('lock', 'overlong')
          const since = Date.now()
          const run = await fleet.awaitRun(({ jobId, startedAt }) => jobId === 'overlong' && startedAt > since)
          const stolenFor = scaled(scale, 1500, 8000)
          const stolenUntil = Date.now() + stolenFor
          await redis.client.set(key, 'thief', 'PX', stolenFor)
          await fleet.awaitRun(({ runId, outcome }) => runId === run.runId && outcome === 'lock_lost')
          const holder = await redis.client.get(key)
          fleet.healed(({ jobId }) => jobId === 'overlong')
          await fleet.recovered()
          const verdict = await fleet.finish(scaled(scale, 1500, 8000))
          const beside = fleet.runs.filter(
            ({ jobId, runId, startedAt }) =>
              jobId === 'overlong' && runId !== run.runId && startedAt > since && startedAt < stolenUntil - 20
          )
          return compare(fleet, verdict, {
            reasons: ['overlap'],
            recovery: stolenFor + 2000,
            also: [
              [holder === 'thief', `the lock was ${holder}'s when the run had ended`],
              [beside.length === 0, 'a run began beside the thief']
            ]
          })
        })
      )
  }
]
