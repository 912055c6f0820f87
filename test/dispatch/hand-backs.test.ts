import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { MINUTE } from '../../lib/base/duration.js'
import { createScheduler, type Scheduler } from '../../lib/index.js'
import { HandBacks } from '../../lib/jobs/hand-backs.js'
import { Simulation } from '../../lib/testing/index.js'
import { VirtualClock } from '../../lib/testing/virtual-clock.js'
import type { ClaimAnswer, Coordination, HeldLock } from '../../types/coordination.js'
import type { JobOptions } from '../../types/job-options.js'
import { request } from '../fixtures/contract/requests.js'
import { HeldAnswers } from '../fixtures/held-answers.js'
import { redisReplica } from '../fixtures/redis-replicas.js'
import { withRedis } from '../fixtures/with-redis.js'

/** Jobs of one trigger, each minute: as many as make a block, or more. */
function addJobs(
  scheduler: Scheduler<undefined>,
  count: number,
  runs: string[],
  options: Partial<JobOptions> = {}
): void {
  for (let index = 0; index < count; index++) {
    const handler: JobOptions['handler'] = ({ run }) => void runs.push(`${run.jobId} ${run.scheduledTime}`)
    scheduler.add({ ...options, id: `job-${index}`, trigger: { cron: '* * * * *' }, handler } as JobOptions<undefined>)
  }
}

for (const masters of [1, 3]) {
  t.test(`jobs of one trigger that a closing replica hands back run elsewhere: ${masters} store(s)`, async (t) => {
    for (const count of [3, 4, 8, 40]) {
      const simulation = new Simulation({ masters })
      const closing = simulation.replica()
      const staying = simulation.replica()
      const [early, runs]: [string[], string[]] = [[], []]
      const one = createScheduler(closing.options)
      const two = createScheduler(staying.options)
      addJobs(one, count, early)
      addJobs(two, count, runs)
      await one.start()
      await two.start()
      await simulation.advance('59s')
      for (const store of simulation.stores) store.disturb({ delay: [30, 30] })
      staying.freeze('2s')
      // Its claims are granted, and it learns of that while it closes.
      await simulation.advance('1045ms')
      const closed = one.close()
      await simulation.advance('10s')
      await closed
      t.same(early, [])
      t.equal(runs.length, count, `${runs.length} of ${count} ran`)
      const ended = two.close()
      await simulation.advance('10s')
      await ended
    }
  })
}

t.test('jobs of one trigger whose answers came after the TTL are asked for again, and had', async (t) => {
  for (const count of [4, 8]) {
    const simulation = new Simulation()
    const [store] = simulation.stores
    const replica = simulation.replica()
    const runs: string[] = []
    const scheduler = createScheduler(replica.options)
    addJobs(scheduler, count, runs, { lock: { ttl: '500ms' } })
    await scheduler.start()
    await simulation.advance('59s')
    store!.disturb({ delay: [400, 400] })
    await simulation.advance('1500ms')
    store!.disturb()
    await simulation.advance('10s')
    t.equal(runs.length, count)
    const closed = scheduler.close()
    await simulation.advance('10s')
    await closed
  }
})

/** A scheduler with a job of every minute, whose answers a test holds back; its clock stands just before the first tick. */
async function withHeldAnswers(
  body: (parts: {
    readonly clock: VirtualClock
    readonly answers: HeldAnswers
    readonly runs: string[]
    readonly tick: number
    /** Others claim the tick, and hand it back. */
    readonly claim: (replica: Coordination, runId: string) => Promise<HeldLock>
    readonly handBack: (replica: Coordination, lock: HeldLock) => Promise<void>
  }) => Promise<void>
): Promise<void> {
  const clock = new VirtualClock('2027-01-01T00:00:30Z')
  const answers = new HeldAnswers(clock)
  const runs: string[] = []
  const scheduler = createScheduler({ clock, coordination: answers.coordination })
  addJobs(scheduler, 1, runs)
  await scheduler.start()
  const tick = clock.now() + MINUTE / 2
  await clock.advance(MINUTE / 2 - 1)
  try {
    await body({
      clock,
      answers,
      runs,
      tick,
      claim: async (replica, runId) => {
        const asked = request({ jobId: 'job-0', scheduledTime: tick, runId })
        const [answer] = await replica.claim([asked])
        return (answer as Extract<ClaimAnswer, { status: 'granted' }>).lock as HeldLock
      },
      handBack: async (replica, lock) => {
        await replica.handBack([{ lock, scheduledTime: tick, afterCompletion: 0, tell: true }], `back-${lock.token}`)
      }
    })
  } finally {
    const closed = scheduler.close()
    await clock.advance(10_000)
    await closed
  }
}

t.test('a tick that two replicas hand back one after the other runs', (t) =>
  withHeldAnswers(async ({ clock, answers, runs, tick, claim, handBack }) => {
    const [first, second, third] = [answers.replica(), answers.replica(), answers.replica()]
    let lock = await claim(first, 'first')
    await clock.advance(100)
    // Each time that it is free another is there before.
    for (const [before, after, runId] of [
      [first, second, 'second'],
      [second, third, 'third']
    ] as const) {
      await handBack(before, lock)
      lock = await claim(after, runId)
      await clock.advance(1000)
      t.same(runs, [])
    }
    await handBack(third, lock)
    await clock.advance(1000)
    t.same(runs, [`job-0 ${tick}`])
  })
)

t.test("a notice that comes before the replica's own answer counts", (t) =>
  withHeldAnswers(async ({ clock, answers, runs, tick, claim, handBack }) => {
    const other = answers.replica()
    const lock = await claim(other, 'other')
    answers.hold('claim')
    await clock.advance(100)
    t.equal(answers.held('claim'), 1, 'it was claimed elsewhere when it was asked for')
    await handBack(other, lock)
    await clock.advance(100)
    await answers.letGo('claim')
    await clock.advance(100)
    t.same(runs, [`job-0 ${tick}`])
    await clock.advance(MINUTE)
    t.equal(runs.length, 2, 'and the next')
  })
)

t.test('a notice that comes again, or late, is no news', async (t) => {
  const heard = new HandBacks()
  t.ok(heard.note(1000, 'a', 1))
  t.notOk(heard.note(1000, 'a', 2))
  t.ok(heard.note(1000, 'b', 3))
  t.notOk(heard.note(1000, 'a', 4), 'a store that missed the second tells the first for ever')
  t.ok(heard.note(2000, 'c', 5))
  t.notOk(heard.note(1000, 'd', 6))
  t.ok(heard.note(2000, 'a', 7))
  t.ok(heard.isFreeSince(2000, 6))
  t.notOk(heard.isFreeSince(2000, 7))
  t.notOk(heard.isFreeSince(1000, 0))
})

for (const [what, changes, isRun] of [
  ['has another cron', { trigger: { cron: '0 3 * * *' } }, false],
  ['is a date', { trigger: { date: '2027-06-01T00:00:00Z' } }, false],
  ['has no lock', { trigger: { cron: '0 3 * * *' }, lock: false }, false],
  ['has all other ticks', { trigger: { cron: '0,2-59 * * * *' } }, false],
  ['has that tick too', { trigger: { any: [{ cron: '0 3 * * *' }, { date: '2027-01-01T00:01:00Z' }] } }, true]
] as const) {
  t.test(`a tick is handed back by a replica of before a deploy, after which the job ${what}`, async (t) => {
    const simulation = new Simulation()
    const [closing, staying] = [simulation.replica(), simulation.replica()]
    const [old, next] = [createScheduler(closing.options), createScheduler(staying.options)]
    const ticks: string[] = []
    const missed: number[] = []
    old.cron('job', '* * * * *', () => void t.fail('it closes first'))
    next.add({
      ...changes,
      id: 'job',
      handler: ({ run }) => void ticks.push(new Date(run.scheduledTime).toISOString())
    })
    next.on('missed', ({ scheduledTime }) => void missed.push(scheduledTime))
    await old.start()
    await next.start()
    await simulation.advance('59s')
    simulation.store.disturb({ delay: [30, 30] })
    staying.freeze('2s')
    await simulation.advance('1045ms')
    const closed = old.close()
    await simulation.advance('10s')
    await closed
    t.same(ticks, isRun ? ['2027-01-01T00:01:00.000Z'] : [])
    t.same(missed, [])
    const ended = next.close()
    await simulation.advance('10s')
    await ended
  })
}

t.test('a Redis that is another is told what is taken after it has told what was handed back', (t) =>
  withRedis(
    async ({ url, client, kill, restart }) => {
      const heard: string[] = []
      const replica = redisReplica(url, {
        prefix: 'order',
        listener: {
          onHandedBack: (jobId, tick) => void heard.push(`${jobId} ${tick}`),
          onPast: (isAll) => void heard.push(`past, of all: ${isAll}`)
        }
      })
      await replica.open()
      await client.hset('rls:{order}:handed', 'job', '1000 request')
      await client.save()
      heard.length = 0
      await kill()
      await restart()
      const until = Date.now() + 10_000
      while (!heard.some((each) => each.startsWith('past')) && Date.now() < until) await sleep(20)
      await replica.close()
      t.same(
        heard.filter((each, index) => heard.indexOf(each) === index),
        ['job 1000', 'past, of all: true']
      )
    },
    ['--dbfilename', 'dump.rdb']
  )
)
