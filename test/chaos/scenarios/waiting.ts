import { setTimeout as sleep } from 'node:timers/promises'
import { type Fleet, withFleet } from '../fixtures/fleet.js'
import { judge, type RunFacts } from '../fixtures/judge.js'
import type { PlannedJob } from '../fixtures/protocol.js'
import { until } from '../fixtures/redis-process.js'
import type { Replica } from '../fixtures/replica.js'
import { type SingleRedis, withSingle } from '../fixtures/topologies.js'
import { trueNow } from '../fixtures/wrong-clock.js'
import { compare, type Scenario } from '../scenario.js'
import { type openAt, openBetween, PREFIX, planOf, scaled, TTL, withReplicas } from './common.js'

// What waits for a slot, when a replica dies, when Redis loses it, and when the handler that it waits for does not listen.

const DAY = 86_400_000
const POSTS = 5
const SLOTS = 3

/** What the measurement of a start may be off by, on a machine that is busy. */
const INEXACT = 100

const keyOf = (kind: string, jobId: string): string => `rls:{${PREFIX}}:${kind}:${jobId}`

/** A job that runs when it is triggered. */
function byHand(id: string, duration: number, options: object): PlannedJob {
  return {
    id,
    interval: DAY,
    offset: (trueNow() + DAY / 2) % DAY,
    duration,
    options: { lock: { ttl: TTL }, ...options }
  }
}

/** The ticks and the requests that wait for a job: `t tick cancelled by` and `r id key hasData`. */
function readQueue(members: readonly string[]): { ticks: { time: number; by: string }[]; requests: number } {
  const ticks = members.flatMap((member) => {
    const [kind, time, , by = ''] = member.split(' ')
    return kind === 't' ? [{ time: Number(time), by }] : []
  })
  return { ticks, requests: members.length - ticks.length }
}

/** What the ids of a process' runs have in common. */
function processOf(runId: string): string {
  return runId.split('-')[0] as string
}

function tell({ jobId, scheduledTime, replica, outcome }: RunFacts): string {
  return `${jobId} @ ${scheduledTime} on ${replica} (${outcome})`
}

function isOpen({ endedAt }: RunFacts): boolean {
  return endedAt === null
}

interface Post {
  readonly round: number
  readonly index: number
}

/** The runs of what was posted. */
function runsOfPost(fleet: Fleet, { round, index }: Post): readonly RunFacts[] {
  return fleet.runs.filter(({ jobId, data }) => {
    const post = data as Post | undefined
    return jobId === 'import' && post?.round === round && post.index === index
  })
}

async function post(replica: Replica | undefined, round: number, count: number, from = 0): Promise<Post[]> {
  const posts = Array.from({ length: count }, (_, index) => ({ round, index: from + index }))
  for (const data of posts) await replica?.tell({ type: 'post', jobId: 'import', data })
  return posts
}

/** A replica that has put a tick into a job's queue. */
async function ownerOfWaiting(fleet: Fleet, redis: SingleRedis, jobs: readonly PlannedJob[]): Promise<Replica> {
  let found: Replica | undefined
  await until('a tick that waits', async () => {
    for (const { id } of jobs) {
      const { ticks } = readQueue(await redis.client.zrange(keyOf('queue', id), '0', '-1'))
      const run = fleet.runs.find(({ runId }) => ticks.some(({ by }) => processOf(by) === processOf(runId)))
      found ??= fleet.replicas.find(({ alive, plan }) => alive && plan.name === run?.replica)
    }
    return found !== undefined
  })
  return found as Replica
}

/** For how long what a replica is to leave behind waits at least, when it is about to be killed. */
const LEFT = 600

/** Whether the runs of a job that go on do so for some time yet. */
function areLong(fleet: Fleet, jobId: string, duration: number): boolean {
  return fleet.runs.every((run) => run.jobId !== jobId || !isOpen(run) || trueNow() < run.startedAt + duration - LEFT)
}

/** A tick that a replica has put into a job's queue, while the job's run goes on elsewhere. */
async function findWaiting(fleet: Fleet, redis: SingleRedis, jobs: readonly PlannedJob[], victim: Replica) {
  const isVictims = ({ replica }: RunFacts): boolean => replica === victim.plan.name
  const own = processOf(fleet.runs.find(isVictims)?.runId ?? '')
  for (const { id, duration } of jobs) {
    const { ticks } = readQueue(await redis.client.zrange(keyOf('queue', id), '0', '-1'))
    const run = fleet.runs.find((one) => one.jobId === id && isOpen(one))
    const tick = ticks.find(({ by }) => processOf(by) === own)
    if (run && !isVictims(run) && tick && areLong(fleet, id, duration)) return { jobId: id, time: tick.time }
  }
}

/** How many requests wait for a job. */
async function requestsOf(redis: SingleRedis, jobId: string): Promise<number> {
  return readQueue(await redis.client.zrange(keyOf('queue', jobId), '0', '-1')).requests
}

/**
 * Posts that wait, and a tick that waits, both by the replica that is to die, and for a while yet. A machine that is
 * busy can be too late for it: then those posts are left to run, and others take their place.
 */
async function leftBehind(fleet: Fleet, redis: SingleRedis, jobs: readonly PlannedJob[], round: number) {
  const [posted, ...ticking] = jobs as [PlannedJob, ...PlannedJob[]]
  const openRuns = (): number => fleet.runs.filter((run) => run.jobId === posted.id && isOpen(run)).length
  for (let attempt = 0; attempt < 10; attempt++) {
    // One that puts ticks into queues: on a busy machine that is most often the same.
    const victim = await ownerOfWaiting(fleet, redis, ticking)
    const other = fleet.replicas.find((each) => each.alive && each !== victim) as Replica
    // As many as there are slots begin at once.
    const first = attempt * (SLOTS + POSTS)
    await post(other, round, SLOTS, first)
    await until('a run in each slot', () => openRuns() === SLOTS)
    const posts = await post(victim, round, POSTS, first + SLOTS)
    while ((await requestsOf(redis, posted.id)) === POSTS && areLong(fleet, posted.id, posted.duration)) {
      const tick = await findWaiting(fleet, redis, ticking, victim)
      if (tick) return { victim, posts, tick }
      await sleep(10)
    }
    await until('the posts have run', async () => openRuns() === 0 && (await requestsOf(redis, posted.id)) === 0)
  }
  throw new Error('no replica had posts and a tick that waited at once')
}

const killed: Scenario = {
  name: 'A replica that has taken five posts is killed (SIGKILL) while these wait, and ticks of its own',
  promise: 'What waits is not lost with its replica: each request and each tick runs on another one, once',
  run: ({ scale }) =>
    withSingle((redis) => {
      const ticking = Array.from({ length: 8 }, (_, index) => ({
        id: `waits-${index}`,
        interval: 500,
        offset: 60 * index,
        duration: 1200,
        options: { lock: { ttl: TTL }, overlap: 'wait' }
      }))
      const jobs = [byHand('import', 2500, { maxInstances: SLOTS }), ...ticking]
      const settings = { jobs, redis: redis.proxy.url, each: () => ({ isApp: true }) }
      return withFleet(jobs, async (fleet) => {
        await fleet.start(planOf(settings, 0), planOf(settings, 1), planOf(settings, 2))
        await fleet.steady(ticking)
        const crashes: number[] = []
        const failures: string[] = []
        for (let round = 0; round < scaled(scale, 1, 10); round++) {
          const { victim, posts, tick } = await leftBehind(fleet, redis, jobs, round)
          crashes.push(trueNow())
          await victim.kill()
          fleet.healed(({ jobId, replica }) => jobId === 'import' && replica !== victim.plan.name)
          const areDone = (): boolean =>
            posts.every((each) => runsOfPost(fleet, each).some(({ endedAt, outcome }) => endedAt !== null && outcome))
          await until('the posts have had their runs', areDone)
          for (const each of posts) {
            const runs = runsOfPost(fleet, each)
            const [run] = runs
            const isWell = runs.length === 1 && run?.outcome === 'success' && run.replica !== victim.plan.name
            if (!isWell) failures.push(`post ${each.index} ran as ${runs.map(tell).join(' and ')}`)
          }
          const isOfTick = ({ jobId, scheduledTime }: { jobId: string; scheduledTime: number }): boolean =>
            jobId === tick.jobId && scheduledTime === tick.time
          const fates = [...fleet.runs, ...fleet.skips.filter(({ type }) => type === 'skipped')].filter(isOfTick)
          const isRun = fates.length === 1 && fates[0]?.replica !== victim.plan.name
          if (!isRun) failures.push(`the tick ${tick.jobId} @ ${tick.time} that waited has ${fates.length} fates`)
          await fleet.start(planOf(settings, 3 + round))
        }
        // Begun, or displaced by a later one, by the dead, who had not told of it.
        const near = (tick: Parameters<ReturnType<typeof openAt>>[0]): boolean =>
          crashes.some((crash) => openBetween(crash - 2 * TTL, crash)(tick))
        const verdict = await fleet.finish(scaled(scale, 500, 5000), near)
        return compare(fleet, verdict, {
          lost: near,
          recovery: 5000,
          reasons: ['coalesced'],
          also: [[failures.length === 0, failures.join(', ')]]
        })
      })
    })
}

const wiped: Scenario = {
  name: 'Redis is wiped (FLUSHALL) while runs hold slots, and ticks and posts wait for one',
  promise: 'Runs find their locks lost, what waits is lost, one more run a slot begins at most, and it goes on',
  run: ({ scale }) =>
    withSingle((redis) => {
      const crowded = (['skip', 'wait', 'replace'] as const).flatMap((overlap) =>
        Array.from({ length: 4 }, (_, index) => ({
          id: `${overlap}-${index}`,
          interval: 500,
          offset: 100 * index,
          duration: 1250,
          options: { lock: { ttl: TTL }, maxInstances: 2, overlap }
        }))
      )
      const jobs = [byHand('import', 3000, { maxInstances: SLOTS }), ...crowded]
      const settings = { jobs, redis: redis.proxy.url, each: () => ({ isApp: true }) }
      return withFleet(jobs, async (fleet) => {
        await fleet.start(planOf(settings, 0), planOf(settings, 1), planOf(settings, 2))
        await fleet.steady(crowded)
        const wipes: { before: number; after: number }[] = []
        const waited = new Set<string>()
        const failures: string[] = []
        for (let round = 0; round < scaled(scale, 1, 5); round++) {
          const posts = await post(fleet.replicas[round % 3], round, SLOTS + POSTS)
          await until('a tick that waits', async () => {
            const queues = await Promise.all(crowded.map(({ id }) => redis.client.exists(keyOf('queue', id))))
            return queues.includes(1)
          })
          const before = trueNow()
          const multi = redis.client.multi()
          for (const { id } of jobs) multi.zrange(keyOf('queue', id), '0', '-1')
          const answers = await multi.flushall().exec()
          const after = trueNow()
          wipes.push({ before, after })
          fleet.healed()
          const queues = jobs.map((_, index) => readQueue(answers?.[index]?.[1] as string[]))
          for (const [index, { ticks }] of queues.entries()) {
            for (const { time } of ticks) waited.add(`${jobs[index]?.id} @ ${time}`)
          }
          if (queues[0]?.requests !== POSTS) failures.push(`${queues[0]?.requests} posts waited`)
          await fleet.recovered()
          await sleep(2000)
          for (const each of posts.slice(SLOTS)) {
            if (runsOfPost(fleet, each).length > 0) failures.push(`post ${each.index} ran though it was lost`)
          }
          // What is asked for now is done.
          const [again] = await post(fleet.replicas[(round + 1) % 3], round, 1, SLOTS + POSTS)
          const isDone = (): boolean => runsOfPost(fleet, again as Post).some((run) => !isOpen(run))
          await until('a post after it has its run', isDone)
        }
        const verdict = await fleet.finish(scaled(scale, 1500, 5000))
        const during = fleet.runs.filter(({ startedAt, endedAt }) =>
          wipes.some(({ before, after }) => startedAt < before && (endedAt ?? 0) > after + INEXACT)
        )
        const unaware = during.filter(
          ({ jobId, outcome }) => outcome !== 'lock_lost' && !(outcome === 'cancelled' && jobId.startsWith('replace'))
        )
        const late = during.filter(
          ({ abortedAt }) =>
            abortedAt !== null && !wipes.some(({ before, after }) => before <= abortedAt && abortedAt < after + TTL)
        )
        // The runs between two wipes are not too many among themselves.
        const overlapping = [Number.NEGATIVE_INFINITY, ...wipes.map(({ after }) => after)].flatMap((from, index) => {
          const end = wipes[index]?.before ?? Number.POSITIVE_INFINITY
          const runs = fleet.runs.filter(({ startedAt }) => startedAt > from + INEXACT && startedAt < end)
          return judge({ ...fleet.record, runs }, jobs, fleet.from, trueNow()).overlapping
        })
        const isWiped = (tick: Parameters<ReturnType<typeof openAt>>[0]): boolean =>
          wipes.some(({ before, after }) => openBetween(before, after)(tick))
        return compare(fleet, verdict, {
          // docs/guarantees.md: a tick can run twice if a replica comes to it after the loss and within its grace.
          doubled: isWiped,
          // What waited.
          lost: ({ jobId, time }) => waited.has(`${jobId} @ ${time}`),
          // Beside each run that has lost its lock another may begin, until it is told: they are judged apart.
          overlapping: 2 * crowded.length * wipes.length,
          recovery: 1500,
          outcomes: ['success', 'lock_lost', 'cancelled'],
          also: [
            [during.length > 0, 'no run went on when Redis was wiped'],
            [unaware.length === 0, `not told: ${unaware.map(tell).join(', ')}`],
            [late.length === 0, `told late: ${late.map(tell).join(', ')}`],
            [overlapping.length === 0, `too many at once: ${overlapping.join(', ')}`],
            [failures.length === 0, failures.join(', ')]
          ]
        })
      })
    })
}

/** The lock's TTL of the jobs that do not listen: their replica stands still for a while. */
const STUBBORN_TTL = 2000

const stubborn: Scenario = {
  name: "A tick replaces a run on another replica whose handler does not listen (overlap: 'replace')",
  promise:
    "The tick runs when the lock's TTL is over, and not before; the run that it replaces is cancelled, and told once",
  run: ({ scale }) =>
    withSingle((redis) => {
      const jobs = Array.from({ length: 6 }, (_, index) => ({
        id: `stubborn-${index}`,
        interval: 3000,
        offset: 400 * index,
        duration: 4800,
        stubborn: true,
        options: { lock: { ttl: STUBBORN_TTL }, overlap: 'replace' }
      }))
      return withReplicas({ redis: redis.proxy.url, jobs, count: 2 }, async (fleet) => {
        const runsOf = (id: string): RunFacts[] => {
          return fleet.runs.filter(({ jobId }) => jobId === id).sort((a, b) => a.startedAt - b.startedAt)
        }
        const isAcross = (): boolean => {
          return jobs.some(({ id }) => new Set(runsOf(id).map(({ replica }) => replica)).size > 1)
        }
        await sleep(scaled(scale, 5000, 60_000))
        // The same replica is first for all of the ticks: while it stands still the other claims them.
        for (let count = 0; count < 12 && !isAcross(); count++) {
          const run = fleet.runs.findLast(isOpen)
          const busy = fleet.replicas.find(({ plan }) => plan.name === run?.replica)
          await busy?.tell({ type: 'block', duration: 500 })
          await sleep(2500)
        }
        const verdict = await fleet.finish(500)
        const failures: string[] = []
        let across = 0
        for (const { id } of jobs) {
          const runs = runsOf(id)
          for (const [index, run] of runs.entries()) {
            const next = runs[index + 1]
            if (next === undefined) continue
            if (next.replica !== run.replica) across++
            const { abortedAt, endedAt, outcome } = run
            const waited = next.startedAt - (abortedAt ?? Number.POSITIVE_INFINITY)
            // The lock may have been extended a third of its TTL before.
            const isHeld = next.startedAt < (endedAt ?? 0) && waited < (2 / 3) * STUBBORN_TTL - INEXACT
            const isLate = waited > STUBBORN_TTL + 1000
            if (isHeld || isLate || abortedAt === null)
              failures.push(`${tell(next)} began ${waited} ms after ${tell(run)}`)
            if (outcome !== 'cancelled') failures.push(`${tell(run)} was replaced`)
            const third = runs[index + 2]
            if (third !== undefined && third.startedAt < (endedAt ?? 0))
              failures.push(`three at once from ${tell(run)}`)
          }
        }
        return compare(fleet, verdict, {
          // Those that do not listen go on beside who has replaced them: how many is judged above.
          overlapping: Number.POSITIVE_INFINITY,
          outcomes: ['cancelled'],
          also: [
            [across > 0, 'no run was replaced by one on another replica'],
            [fleet.abandoned.length === 0, `${fleet.abandoned.length} runs were told as abandoned`],
            [failures.length === 0, failures.join(', ')]
          ]
        })
      })
    })
}

const keyed: Scenario = {
  name: 'Replicas are killed while runs by hand with three concurrency keys wait for each other',
  promise: 'No two runs of one key at once, runs of different keys beside each other, and what was kept runs once',
  run: ({ scale }) =>
    withSingle((redis) => {
      const jobs = [
        byHand('export', 250, { maxInstances: 4 }),
        { id: 'second', interval: 1000, duration: 20, options: { lock: { ttl: TTL } } }
      ]
      const settings = { jobs, redis: redis.proxy.url }
      return withFleet(jobs, async (fleet) => {
        await fleet.start(planOf(settings, 0), planOf(settings, 1), planOf(settings, 2))
        await fleet.steady(jobs.slice(1))
        const kept: number[] = []
        const crashes: { readonly at: number; readonly name: string }[] = []
        const keyOfNumber = (index: number): string => `user-${index % 3}`
        let count = 0
        for (let round = 0; round < scaled(scale, 2, 10); round++) {
          const alive = fleet.replicas.filter(({ alive }) => alive)
          for (let each = 0; each < 24; each++) {
            const index = count++
            const replica = alive[each % alive.length] as Replica
            const concurrencyKey = keyOfNumber(index)
            const asked = replica.tell({ type: 'queue', jobId: 'export', data: { index }, concurrencyKey })
            const note = (): void => {
              if (replica.alive) kept.push(index)
            }
            void asked.then(note).catch(() => {})
            await sleep(50)
          }
          const [victim] = alive as [Replica, ...Replica[]]
          crashes.push({ at: trueNow(), name: victim.plan.name })
          await victim.kill()
          fleet.healed()
          await fleet.start(planOf(settings, 3 + round))
        }
        const runsOf = (index: number): RunFacts[] => {
          return fleet.runs.filter(
            ({ jobId, data }) => jobId === 'export' && (data as { index: number }).index === index
          )
        }
        // What a replica had taken when it was killed has gone with it.
        const isGone = (index: number): boolean =>
          runsOf(index).some(({ replica, outcome }) => outcome === null && crashes.some(({ name }) => name === replica))
        let missing: number[] = []
        const areDone = (): boolean => {
          missing = kept.filter((index) => !runsOf(index).some((run) => !isOpen(run)))
          return missing.length <= crashes.length
        }
        await until('what was kept has had its runs', areDone)
        const verdict = await fleet.finish(scaled(scale, 500, 5000), (tick) =>
          crashes.some(({ at }) => openBetween(at - 2 * TTL, at)(tick))
        )
        const runs = fleet.runs.filter(({ jobId }) => jobId === 'export').sort((a, b) => a.startedAt - b.startedAt)
        const failures: string[] = []
        let beside = 0
        for (const [index, run] of runs.entries()) {
          const number = (run.data as { index: number }).index
          for (const later of runs.slice(index + 1)) {
            if (later.startedAt + INEXACT / 2 >= (run.endedAt ?? 0)) continue
            if (keyOfNumber((later.data as { index: number }).index) === keyOfNumber(number))
              failures.push(`${tell(run)} and ${tell(later)} have one key`)
            else beside++
          }
        }
        for (const index of kept)
          if (runsOf(index).length > 1 && !isGone(index)) failures.push(`${index} ran ${runsOf(index).length} times`)
        return compare(fleet, verdict, {
          lost: (tick) => crashes.some(({ at }) => openBetween(at - 2 * TTL, at)(tick)),
          recovery: 5000,
          also: [
            [kept.length > count / 2, `${kept.length} of ${count} were kept`],
            [beside > 0, 'no two runs of different keys were beside each other'],
            [failures.length === 0, failures.slice(0, 10).join(', ')]
          ]
        })
      })
    })
}

export const waiting: readonly Scenario[] = [killed, wiped, stubborn, keyed]
