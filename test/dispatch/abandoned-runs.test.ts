import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { MemoryCoordination } from '../../lib/coordination/memory/coordination.js'
import { MemoryStore } from '../../lib/coordination/memory/store.js'
import { createScheduler, errors, type Run } from '../../lib/index.js'
import { Deadlines } from '../../lib/runs/deadlines.js'
import type { Finisher } from '../../lib/runs/finisher.js'
import { NamedLocks } from '../../lib/runs/named-locks.js'
import { VirtualClock } from '../../lib/testing/virtual-clock.js'
import type { CoordinationListener, HeldLock } from '../../types/coordination.js'
import { withProxies } from '../chaos/fixtures/tcp-proxy.js'
import { listen } from '../fixtures/contract/requests.js'
import { HeldAnswers } from '../fixtures/held-answers.js'
import { logLines } from '../fixtures/log-lines.js'
import { withMasters } from '../fixtures/quorum-replicas.js'
import { type Fleet, type Member, withFleet } from '../fixtures/simulated-fleet.js'
import { withRedis } from '../fixtures/with-redis.js'

// Runs that end with their replica, or go on without their lock: told and counted once for the fleet, and a Redis that
// comes back with data of the past.

const SECOND = 1000
const DAY = 24 * 3600 * SECOND

interface Told {
  /** Outcomes as the events tell them, with the run and who told it. */
  readonly outcomes: [runId: string, outcome: string | null, replica: Member][]
  readonly join: (work: string, options?: object, trigger?: string) => Promise<Member>
}

/** Replicas that tell what they tell. */
function telling(fleet: Fleet): Told {
  const outcomes: Told['outcomes'] = []
  const join: Told['join'] = (work, options = {}, trigger = '1d') =>
    fleet.join((member) => {
      member.scheduler.interval('job', trigger, () => member.replica.sleep(work), options)
      member.scheduler.on('executed', ({ run }) => void outcomes.push([run.id, run.outcome, member]))
      member.scheduler.on('error', ({ run }) => void outcomes.push([run.id, run.outcome, member]))
    })
  return { outcomes, join }
}

/** Of all replicas the warnings about runs that were abandoned. */
function warnings(members: readonly Member[]): Record<string, unknown>[] {
  return members
    .flatMap(({ lines }) => lines.filter(({ message }) => /was abandoned/.test(message)))
    .map((line) => {
      return { ...line.fields, level: line.level }
    })
}

for (const masters of [1, 3]) {
  const where = masters === 1 ? 'one Redis' : `${masters} masters`
  for (const recovery of ['none', 'rerun'] as const) {
    t.test(`a replica dies in a run, recovery ${recovery}, ${where}: told once, within 15 s of the lock's end`, (t) =>
      withFleet(
        async (fleet) => {
          const { simulation, runs } = fleet
          const { outcomes, join } = telling(fleet)
          const members = [
            await join('20s', { recovery }),
            await join('20s', { recovery }),
            await join('20s', { recovery })
          ]
          await simulation.advance(DAY + 2 * SECOND)
          const [first] = runs()
          const holder = members.find((member) => member.runs.length > 0) as Member
          holder.replica.crash()
          // Its lock of 30 s, and what the fleet takes to notice; the next tick is a day away.
          await simulation.advance(44 * SECOND)
          const others = members.filter((member) => member !== holder)
          t.match(warnings(others), [
            {
              level: 'warn',
              jobId: 'job',
              runId: first?.id,
              replicaId: first?.replicaId,
              attempt: 1,
              outcome: 'abandoned'
            }
          ])
          t.match(warnings(others)[0]?.startedAt, new Date(first?.startedAt as number).toISOString().slice(0, -5))
          const told = outcomes.filter(([runId]) => runId === first?.id)
          t.same(
            told.map(([, outcome]) => outcome),
            ['abandoned']
          )
          const taken = others.flatMap(({ lines }) => lines.filter(({ message }) => /is taken over/.test(message)))
          t.equal(taken.length, recovery === 'rerun' ? 1 : 0)
          if (recovery === 'rerun') {
            const fields = { replicaId: first?.replicaId, abandonedRunId: first?.id, runId: runs()[1]?.id, attempt: 2 }
            t.match(taken[0], { level: 'warn', fields })
          }
          await simulation.advance(DAY)
          t.equal(warnings(others).length, 1)
          const last = runs().at(-1)
          t.match(last, { trigger: 'schedule', attempt: 1 }, 'the next tick runs')
          const succeeded = outcomes.filter(([, outcome]) => outcome === 'success')
          t.equal(succeeded.length, recovery === 'rerun' ? 2 : 1)
        },
        { masters }
      )
    )
  }

  t.test(`a holder that stood still comes back: its run is counted once, ${where}`, (t) =>
    withFleet(
      async (fleet) => {
        const { simulation, runs } = fleet
        const { outcomes, join } = telling(fleet)
        const frozen = await join('5s')
        await simulation.advance(DAY + SECOND)
        await join('5s')
        const [run] = runs()
        frozen.replica.freeze('60s')
        await simulation.advance(70 * SECOND)
        t.match(outcomes, [[run?.id, 'abandoned']], 'by the other, and by it alone')
        t.not(outcomes[0]?.[2], frozen)
        t.equal(run?.outcome, 'lock_lost', 'its handler is told the truth')
      },
      { masters }
    )
  )

  t.test(`an end that an outage of one replica delays is counted once, ${where}`, (t) =>
    withFleet(
      async (fleet) => {
        const { simulation, runs } = fleet
        const { outcomes, join } = telling(fleet)
        const cut = await join('5s')
        await simulation.advance(DAY + SECOND)
        await join('5s')
        cut.replica.disconnect()
        await simulation.advance(20 * SECOND)
        const [run] = runs()
        t.equal(run?.outcome, 'success', 'who asked knows')
        t.same(outcomes, [], 'the fleet does not yet')
        await simulation.advance(30 * SECOND)
        t.match(outcomes, [[run?.id, 'abandoned']])
        cut.replica.connect()
        await simulation.advance(30 * SECOND)
        t.equal(outcomes.length, 1)
      },
      { masters }
    )
  )

  t.test(`an end that an outage of all delays is what it was, ${where}`, (t) =>
    withFleet(
      async (fleet) => {
        const { simulation, runs } = fleet
        const { outcomes, join } = telling(fleet)
        const members = [await join('5s'), await join('5s')]
        await simulation.advance(DAY + SECOND)
        for (const store of simulation.stores) store.kill()
        await simulation.advance(50 * SECOND)
        for (const store of simulation.stores) store.start()
        await simulation.advance(30 * SECOND)
        t.match(outcomes, [[runs()[0]?.id, 'success']])
        t.same(warnings(members), [])
      },
      { masters }
    )
  )
}

t.test('a run that ends, is cancelled by closing, timed out or hangs on a lost lock is not told as abandoned', (t) =>
  withFleet(async (fleet) => {
    const { simulation } = fleet
    const { outcomes, join } = telling(fleet)
    const options = { timeout: '10s', recovery: 'rerun', lock: '20s' }
    const first = await join('200s', options)
    await simulation.advance(DAY + 15 * SECOND)
    t.match(
      outcomes.map(([, outcome]) => outcome),
      ['timeout']
    )
    const other = await join('1s', options)
    first.replica.crash()
    await simulation.advance(60 * SECOND)
    t.same(warnings([other]), [], 'its outcome was known before')
    t.equal(outcomes.filter(([, outcome]) => outcome === 'abandoned').length, 0)
  })
)

for (const [what, options] of [
  ['times out', { timeout: '40s' }],
  ['hangs until its replica closes', {}]
] as const) {
  t.test(`a run that others have recorded as abandoned, and ${what}, is told and counted by them alone`, (t) =>
    withFleet(async (fleet) => {
      const { simulation, runs } = fleet
      const { outcomes, join } = telling(fleet)
      const frozen = await join('1h', options)
      await simulation.advance(DAY + SECOND)
      await join('1h', options)
      const [run] = runs()
      frozen.replica.freeze('60s')
      await simulation.advance(70 * SECOND)
      t.match(outcomes, [[run?.id, 'abandoned']])
      const closed = frozen.scheduler.close()
      await simulation.advance(60 * SECOND)
      await closed
      t.match(outcomes, [[run?.id, 'abandoned']])
      t.equal(outcomes.length, 1)
      t.not(outcomes[0]?.[2], frozen)
      const said = frozen.lines.map(({ message }) => message)
      t.ok(said.some((message) => /recorded as abandoned/.test(message)))
      t.notOk(said.some((message) => /keeps its lock/.test(message)))
    })
  )
}

t.test('runs of a process that stood still are its own to tell, whichever of its timers comes first', async (t) => {
  for (let index = 0; index < 12; index++) {
    const clock = new VirtualClock()
    const scheduler = createScheduler({ clock, replicaId: `replica-${index}`, logger: logLines().logger })
    const outcomes: (string | null)[] = []
    scheduler.on('error', ({ run }) => void outcomes.push(run.outcome))
    scheduler.interval('job', '1d', () => clock.sleep(90 * SECOND), { lock: '30s' })
    await scheduler.start()
    await scheduler.trigger('job')
    await clock.freeze(53 * SECOND)
    await clock.advance(60 * SECOND)
    t.same(outcomes, ['lock_lost'], `replica-${index}`)
    const closed = scheduler.close()
    await clock.advance(20 * SECOND)
    await closed
  }
})

t.test('a scheduler that was not started looks for nothing, also after an outage', async (t) => {
  const clock = new VirtualClock()
  const answers = new HeldAnswers(clock)
  let told: CoordinationListener | undefined
  const scheduler = createScheduler({
    clock,
    logger: logLines().logger,
    coordination: (parts) => {
      told = parts.listener
      return answers.coordination(parts)
    }
  })
  await scheduler.withLock('table', { ttl: '1s' }, () => {})
  const before = clock.pending
  told?.onDown(new Error('gone'))
  told?.onUp()
  await clock.advance(0)
  t.equal(clock.pending, before, 'no timer that would keep the process')
  await scheduler.close()
})

t.test('a replica that starts after all have died tells what they left', (t) =>
  withFleet(async (fleet) => {
    const { simulation, runs } = fleet
    const { outcomes, join } = telling(fleet)
    const first = await join('20s')
    await simulation.advance(DAY + SECOND)
    first.replica.crash()
    await simulation.advance(3600 * SECOND)
    const next = await join('20s')
    await simulation.advance(15 * SECOND)
    t.match(outcomes, [[runs()[0]?.id, 'abandoned']])
    t.equal(warnings([next]).length, 1)
    const error = next.lines.find(({ message }) => /was abandoned/.test(message))
    t.ok(error)
  })
)

t.test("a run of a job that no replica has any more is told in the log, after the others' jobs", (t) =>
  withFleet(async (fleet) => {
    const { simulation } = fleet
    const first = await telling(fleet).join('20s')
    await simulation.advance(DAY + SECOND)
    const other = await fleet.join(({ scheduler }) => void scheduler.interval('another', '1d', () => {}))
    first.replica.crash()
    await simulation.advance(60 * SECOND)
    t.same(warnings([other]), [])
    await simulation.advance(60 * SECOND)
    t.match(warnings([other]), [{ jobId: 'job', isCounted: false }])
  })
)

t.test('Redis restarted from a snapshot that was taken in a run: its lock is not there, its tick not free', (t) =>
  withRedis(
    async ({ url, client, kill, restart }) => {
      const { logger, lines } = logLines()
      const make = (replicaId: string) => {
        const scheduler = createScheduler({ redis: url, prefix: 'snapshot', replicaId, logger, closeTimeout: '2s' })
        const ends: Run[] = []
        const release: (() => void)[] = []
        const begun: Run[] = []
        const handler = ({ run }: { run: Run }) => {
          begun.push(run)
          return new Promise<void>((resolve) => release.push(resolve))
        }
        for (const id of ['a', 'b']) scheduler.interval(id, '1d', handler)
        scheduler.on('executed', ({ run }) => void ends.push(run))
        scheduler.on('error', ({ run }) => void ends.push(run))
        return { scheduler, ends, release, begun }
      }
      const [first, second] = [make('first'), make('second')]
      try {
        await Promise.all([first.scheduler.start(), second.scheduler.start()])
        await first.scheduler.trigger('a')
        await client.save()
        for (const end of first.release) end()
        while (first.ends.length === 0) await sleep(10)
        t.equal(await client.exists('rls:{snapshot}:lock:a'), 0)
        await kill()
        await restart()
        // The store says that the lock is held; its holder comes back to it.
        let run: Run | null = null
        const until = Date.now() + 10_000
        while (run === null && Date.now() < until) {
          run = await second.scheduler.trigger('a').catch(() => null)
          if (run === null) await sleep(50)
        }
        t.ok(run, 'long before the TTL of 30 s')
        t.equal(await client.zcard('rls:{snapshot}:open'), 1)
        for (const end of second.release) end()
        while (second.ends.length === 0) await sleep(10)
        await sleep(12_000)
        t.same(
          lines.filter(({ message }) => /abandoned/.test(message)),
          []
        )
        t.same([first.ends.length, second.ends.length], [1, 1])
      } finally {
        for (const end of [...first.release, ...second.release]) end()
        await Promise.all([first.scheduler.close(), second.scheduler.close()])
      }
    },
    ['--dbfilename', 'dump.rdb']
  )
)

for (const delay of [0, 300]) {
  // With late replies the next ticks are due before it is known that Redis has older data.
  t.test(
    `Redis restarted from a snapshot, replies after ${delay} ms: what ran is not missed, also on replicas that have left`,
    (t) =>
      withRedis(
        (redis) =>
          withProxies([redis.port], async ([proxy]) => {
            const { client, kill, restart } = redis
            const ran = new Set<string>()
            const missed: string[] = []
            const make = async (replicaId: string) => {
              const options = { redis: proxy!.url, prefix: 'left', replicaId, logger: logLines().logger }
              const scheduler = createScheduler(options)
              for (const id of ['a', 'b', 'c', 'd', 'e']) {
                scheduler.interval(id, '250ms', async ({ run }) => void ran.add(`${run.jobId} ${run.scheduledTime}`), {
                  misfireGraceTime: '2s'
                })
              }
              scheduler.on('missed', ({ job, scheduledTime }) => void missed.push(`${job.id} ${scheduledTime}`))
              await scheduler.start()
              return scheduler
            }
            const stays = await make('stays')
            try {
              const leaves = await make('leaves')
              await sleep(1000)
              await client.save()
              await sleep(1500)
              await leaves.close()
              await kill()
              proxy!.delayReplies(delay)
              await restart()
              const before = ran.size
              const until = Date.now() + 10_000
              while (ran.size < before + 10 && Date.now() < until) await sleep(50)
              t.ok(ran.size >= before + 10, 'jobs go on')
              t.same(
                missed.filter((tick) => ran.has(tick)),
                []
              )
            } finally {
              proxy!.delayReplies(0)
              await stays.close()
            }
          }),
        ['--dbfilename', 'dump.rdb']
      )
  )
}

for (const count of [1, 3]) {
  const where = count === 1 ? 'Redis' : 'a majority of the masters'
  t.test(`${where} restarted from a snapshot: a lock by name that was released since is free`, (t) =>
    withMasters(count, async (masters) => {
      const redis = masters.map(({ url }) => url)
      const options = { redis: count === 1 ? (redis[0] as string) : redis, prefix: 'snapshot', logger: false } as const
      const [first, second] = [createScheduler(options), createScheduler(options)]
      const stale = masters.slice(0, Math.ceil(count / 2))
      const lock = { ttl: '1h' }
      const save = async (): Promise<void> => {
        await Promise.all(stale.map(({ client }) => client.save()))
      }
      t.equal((await first.withLock('export', lock, save)).acquired, true)
      await second.withLock('other', lock, () => {})
      for (const { client } of stale) t.equal(await client.exists('rls:{snapshot}:named:export'), 0)
      for (const { kill } of stale) await kill()
      await Promise.all(stale.map(({ restart }) => restart()))
      const until = Date.now() + 10_000
      let isFree = false
      while (!isFree && Date.now() < until) {
        isFree = (await second.withLock('export', lock, () => {}).catch(() => null))?.acquired ?? false
        if (!isFree) await sleep(50)
      }
      t.ok(isFree, 'long before its TTL')
      await Promise.all([first.close(), second.close()])
    })
  )
}

t.test('locks by name that were let go of are remembered until their end, and not without bounds', async (t) => {
  const clock = new VirtualClock()
  let released = 0
  const told: HeldLock[] = []
  const tools = {
    clock,
    deadlines: new Deadlines(clock),
    coordination: Object.assign(new MemoryCoordination(clock, new MemoryStore(), 1000, listen()), {
      release: async () => {
        released++
        return 'released' as const
      }
    })
  }
  const finisher = { giveUpNamed: (lock: HeldLock) => void told.push(lock) } as unknown as Finisher
  let ids = 0
  const locks = new NamedLocks(tools, finisher, () => `token-${++ids}`)
  await locks.with('short', 1000, () => {})
  await clock.advance(1500)
  for (let count = 0; count < 10_010; count++) await locks.with(`name-${count}`, 60_000, () => {})
  t.equal(released, 10_011)
  locks.releaseAgain()
  t.equal(told.length, 10_000)
  t.match(told[0], { name: 'name-10', token: 'token-12', validUntil: clock.monotonic() + 60_000 })
  await clock.advance(61_000)
  await locks.with('last', 1000, () => {})
  told.length = 0
  locks.releaseAgain()
  t.equal(told.length, 1)
})

t.test('the error of an abandoned run has a code, and says whose it was', async (t) => {
  const error = new errors.RunAbandonedError('job', 'replica-1')
  t.match(error, { code: 'FST_ERR_RLS_RUN_ABANDONED', message: /'job'.*'replica-1'/ })
})
