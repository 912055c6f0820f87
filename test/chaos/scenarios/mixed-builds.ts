import { setTimeout as sleep } from 'node:timers/promises'
import { brokenChains } from '../fixtures/chains.js'
import { type Fleet, withFleet } from '../fixtures/fleet.js'
import { type RunFacts, type Tick, ticksBetween } from '../fixtures/judge.js'
import type { PlannedJob } from '../fixtures/protocol.js'
import { until } from '../fixtures/redis-process.js'
import type { Replica } from '../fixtures/replica.js'
import { type SingleRedis, withSingle } from '../fixtures/topologies.js'
import { trueNow } from '../fixtures/wrong-clock.js'
import { compare, isSlow, type Result, type Scenario } from '../scenario.js'
import { openAt, PREFIX, scaled, TTL } from './common.js'

type Build = 'previous' | 'this'

export const PREVIOUS_BUILD = new URL('../fixtures/previous-build/index.js', import.meta.url).href

const LIBRARIES: Readonly<Record<Build, string | undefined>> = {
  previous: PREVIOUS_BUILD,
  this: undefined
}

const DAY = 86_400_000
const LOCK = { lock: { ttl: TTL } }

/** How long it takes at most until a run is found to be abandoned, from the end of its lock. */
const NOTICED = 15_000

/** How many ticks of slow jobs must be due while nothing befalls the fleet: all of these run. */
const CALM_TICKS = 30

/** How long the longest run takes: a tick finds it under way when it began late. */
const LONGEST_RUN = 1400

/** By how much a job that is measured from its last run's end may be late, from the end of what befell the fleet. */
const SLACK = 1500

/** One job a trigger and an option that is kept in the store; `dates` are those of jobs that are due once. */
function jobsOf(dates: readonly number[]): readonly PlannedJob[] {
  return [
    { id: 'interval', interval: 1000, duration: 50, options: LOCK },
    { id: 'cron', interval: 1000, duration: 200, options: LOCK, trigger: { cron: '* * * * * *' } },
    { id: 'fast', interval: 200, duration: 10, options: LOCK },
    { id: 'long', interval: 2000, duration: LONGEST_RUN, options: LOCK },
    { id: 'all', interval: 1000, duration: 20, options: { ...LOCK, coalesce: 'all', misfireGraceTime: 60_000 } },
    { id: 'paused', interval: 1000, duration: 20, options: LOCK },
    { id: 'chain', interval: 700, duration: 150, options: LOCK, trigger: { interval: 700, after: 'completion' } },
    // Half a day away: it runs when it is triggered.
    { id: 'by-hand', interval: DAY, offset: (trueNow() + DAY / 2) % DAY, duration: 50, options: LOCK },
    ...Array.from({ length: 6 }, (_, index) => {
      return { id: `block-${index}`, interval: 2000, duration: 20, options: LOCK }
    }),
    // Whoever has one of the first has the other, too.
    ...[500, 2500].flatMap((offset): PlannedJob[] => [
      {
        id: `rerun-${offset}`,
        interval: 4000,
        offset,
        duration: 1200,
        options: { ...LOCK, recovery: 'rerun', misfireGraceTime: 30_000 }
      },
      { id: `plain-${offset}`, interval: 4000, offset, duration: 1200, options: LOCK }
    ]),
    ...dates.map((date, index) => {
      return { id: `date-${index}`, interval: DAY, duration: 20, options: LOCK, trigger: { date } }
    })
  ]
}

/** The jobs that are due again and again. */
function recurring(jobs: readonly PlannedJob[]): readonly PlannedJob[] {
  return jobs.filter((job) => job.interval < DAY)
}

/** When ticks may be missed, as what befell the fleet then does that to a fleet of one build, too. */
interface Disturbed {
  readonly from: number
  readonly until: number
}

/** Of how many runs at least it is asked what the history says. */
const HISTORY = 5

/** A fleet in which replicas of two builds replace each other. */
class MixedFleet {
  readonly disturbed: Disturbed[] = []
  readonly crashes: number[] = []
  readonly failures: string[] = []
  /** Runs that one replica has recorded as abandoned, and no other may. */
  readonly abandoned: string[] = []
  readonly fleet: Fleet
  readonly #redis: SingleRedis
  readonly #jobs: readonly PlannedJob[]
  #byHand = 0

  constructor(fleet: Fleet, redis: SingleRedis, jobs: readonly PlannedJob[]) {
    this.fleet = fleet
    this.#redis = redis
    this.#jobs = jobs
  }

  async start(build: Build, count = 1): Promise<readonly Replica[]> {
    const library = LIBRARIES[build]
    const first = this.fleet.replicas.length
    return await this.fleet.start(
      ...Array.from({ length: count }, (_, index) => ({
        name: `${build}-${first + index}`,
        redis: this.#redis.proxy.url,
        prefix: PREFIX,
        jobs: this.#jobs,
        closeTimeout: 2000,
        ...(library === undefined ? {} : { library })
      }))
    )
  }

  /** The replicas of a build that are there, the oldest first. */
  of(build: Build): readonly Replica[] {
    return this.fleet.replicas.filter((replica) => replica.alive && !replica.ending && isOf(build, replica.plan.name))
  }

  /** Replaces the replicas of one build one by one; what is said or lost on the way is known to the other. */
  async replace(from: Build, to: Build): Promise<void> {
    await this.of(from)[0]?.tell({ type: 'pause', jobId: 'paused' })
    const pausedAt = trueNow()
    await this.#runByHand(from)
    await this.#handBack(from, to)
    while (this.of(from).length > 1) {
      await this.start(to)
      await this.of(from)[0]?.terminate()
    }
    await this.#runByHand(from)
    await this.#runByHand(to)
    const resumedAt = trueNow()
    await this.of(to)[0]?.tell({ type: 'resume', jobId: 'paused' })
    await this.fleet.awaitRun(({ jobId, startedAt }) => jobId === 'paused' && startedAt > resumedAt, 3000)
    const meanwhile = this.fleet.runs.filter(
      ({ jobId, startedAt }) => jobId === 'paused' && startedAt > pausedAt + 50 && startedAt < resumedAt
    )
    this.#check(meanwhile.length === 0, `a paused job ran ${meanwhile.length} times`)
    await this.#crash(from, to)
    await this.start(to, 3 - this.of(to).length)
  }

  /** All replicas end before the first of another build starts. */
  async restartAs(to: Build, pause: number): Promise<void> {
    const from = trueNow()
    await Promise.all(this.fleet.replicas.filter(({ alive }) => alive).map((replica) => replica.terminate()))
    await sleep(pause)
    await this.start(to, 3)
    this.disturbed.push({ from, until: trueNow() + LONGEST_RUN })
    this.fleet.healed()
    await this.fleet.recovered()
  }

  /** What the history says of the runs of this build, also of the time when replicas of both were there: each is in it, as it ended. */
  async checkHistory(): Promise<void> {
    const jobId = 'interval'
    const runs = this.fleet.runs
      .filter((run) => run.jobId === jobId && isOf('this', run.replica) && run.outcome !== null)
      .slice(-10 * HISTORY)
    const ticks = runs.map(({ scheduledTime }) => scheduledTime)
    const { stories = [] } = (await this.of('this')[0]?.ask({ type: 'stories', jobId, ticks })) ?? {}
    const known = runs.filter(({ runId, outcome }, index) => {
      const run = stories[index]?.run
      return run?.id === runId && run.outcome === outcome
    })
    this.#check(runs.length >= HISTORY, `only ${runs.length} runs of this build`)
    this.#check(known.length === runs.length, `the history has ${known.length} of ${runs.length} runs`)
  }

  async finish(): Promise<Result> {
    const crashed = (tick: Tick): boolean =>
      this.crashes.some((crash) => openAt(crash)(tick)) && !tick.jobId.startsWith('rerun')
    const end = trueNow() + SLACK
    const verdict = await this.fleet.finish(SLACK, crashed)
    const calm = ({ time, interval }: Tick): boolean =>
      !this.disturbed.some(({ from, until }) => time <= until && from <= time + Math.min(interval, 4000))
    const isPaused = ({ jobId }: Tick): boolean => jobId === 'paused'
    const inCalm = ticksBetween(this.#jobs, this.fleet.from, end).filter((tick) => isSlow(tick) && calm(tick))
    const unrun = verdict.unrun.filter((tick) => isSlow(tick) && calm(tick) && !isPaused(tick))
    const missed = verdict.missed.filter((tick) => isSlow(tick) && calm(tick))
    const byHand = this.fleet.runs.filter(({ trigger }) => trigger === 'manual')
    const chains = brokenChains(this.fleet.runs, this.#jobs, end, (at) => {
      const faults = this.disturbed.filter(({ from, until }) => from - SLACK <= at && at <= until)
      return SLACK + Math.max(0, ...faults.map(({ until }) => until - at))
    })
    const odd = this.fleet.runs
      .filter(({ outcome }) => outcome !== null && outcome !== 'success' && outcome !== 'abandoned')
      // A lock whose extension is answered late is lost, also in a fleet of one build.
      .filter((run) => run.outcome !== 'lock_lost' || calm({ ...run, time: run.startedAt, interval: LONGEST_RUN }))
      .map(({ jobId, outcome }) => `${jobId} as ${outcome}`)
    const times = this.abandoned.map((id) => this.fleet.abandoned.filter(({ runId }) => runId === id).length)
    const list = (ticks: readonly Tick[]): string => ticks.map(({ jobId, time }) => `${jobId} @ ${time}`).join(', ')
    return compare(this.fleet, verdict, {
      missed: 'any',
      // What a dead replica had claimed, and not begun or told of.
      lost: crashed,
      reasons: ['paused', 'shutdown'],
      recovery: 2500,
      also: [
        [inCalm.length >= CALM_TICKS, `only ${inCalm.length} ticks were due while nothing befell the fleet`],
        [unrun.length === 0, `without a run: ${list(unrun)}`],
        [missed.length === 0, `missed: ${list(missed)}`],
        [byHand.length === this.#byHand, `${byHand.length} of ${this.#byHand} runs by hand`],
        [chains.length === 0, chains.join(', ')],
        [times.every((count) => count === 1), `abandoned runs were recorded ${times} times`],
        [odd.length === 0, `runs ended otherwise: ${odd}`],
        [this.failures.length === 0, this.failures.join(', ')]
      ]
    })
  }

  /** Replicas of a build close while what they have asked for is answered, until one of them has handed a claim back. */
  async #handBack(from: Build, to: Build): Promise<void> {
    const since = trueNow()
    const isHandedBack = (): boolean => this.fleet.skips.some(({ reason, at }) => reason === 'shutdown' && at > since)
    await this.start(to)
    // Which replica is granted a tick is chance: two of four close each time, so that it is often one of them.
    for (let count = 0; count < 12 && !isHandedBack(); count++) {
      await this.start(from, Math.max(0, 3 - this.of(from).length))
      const disturbedFrom = trueNow()
      this.#redis.proxy.delayReplies(300)
      await sleep(2000 - (trueNow() % 2000) + 150)
      await Promise.all(
        this.of(from)
          .slice(1)
          .map((replica) => replica.terminate())
      )
      this.#redis.proxy.heal()
      this.disturbed.push({ from: disturbedFrom, until: trueNow() + LONGEST_RUN })
    }
    this.#check(isHandedBack(), `no replica of the ${from} build handed a claim back`)
  }

  /** Kills the last replica of a build during runs, which the other build takes over or records as abandoned. */
  async #crash(from: Build, to: Build): Promise<void> {
    const [last] = this.of(from)
    const name = last?.plan.name
    let runs: readonly RunFacts[] = []
    // Which replica is granted them is chance.
    const isAtWork = (): boolean => {
      // Of those that have just begun, so that none is over by the time the kill arrives.
      const open = this.fleet.runs.filter(
        ({ replica, startedAt, endedAt }) => replica === name && endedAt === null && startedAt > trueNow() - 300
      )
      runs = ['rerun', 'plain'].flatMap((kind) => open.find(({ jobId }) => jobId.startsWith(kind)) ?? [])
      return runs.length === 2
    }
    await until(`runs of ${name} that are to be cut short`, isAtWork, 60_000)
    await last?.kill()
    const killedAt = trueNow()
    this.crashes.push(killedAt)
    const [rerun, plain] = runs as [RunFacts, RunFacts]
    const again = await this.fleet.awaitRun(
      ({ jobId, scheduledTime, attempt }) =>
        jobId === rerun.jobId && scheduledTime === rerun.scheduledTime && attempt === 2
    )
    this.disturbed.push({ from: killedAt - 2 * TTL, until: again.startedAt + 2 * TTL })
    this.#check(isOf(to, again.replica), `a run of ${name} was taken over by ${again.replica}`)
    this.#check(again.trigger === 'recovery', `it was taken over by the trigger ${again.trigger}`)
    this.#check(Number(again.fencingToken) > Number(rerun.fencingToken), 'it was taken over with a smaller token')
    this.#check(again.startedAt - killedAt <= 2 * TTL, `it was taken over after ${again.startedAt - killedAt} ms`)
    const told = () => this.fleet.abandoned.filter(({ runId }) => runId === plain.runId)
    await until('the end of a run with its replica is noticed', () => told().length > 0, TTL + NOTICED)
    this.#check(isOf(to, told()[0]?.replica ?? ''), `a run of ${name} was recorded by ${told()[0]?.replica}`)
    this.abandoned.push(plain.runId)
  }

  async #runByHand(build: Build): Promise<void> {
    this.#byHand++
    const before = this.fleet.runs.filter(({ trigger }) => trigger === 'manual').length
    // The end of a run is told before its lock is released, and with that no other is begun by hand.
    const isFree = async (): Promise<boolean> => (await this.#redis.client.exists(`rls:{${PREFIX}}:lock:by-hand`)) === 0
    await until('the lock of the last run by hand is released', isFree)
    await this.of(build)[0]?.tell({ type: 'trigger', jobId: 'by-hand' })
    const runs = (): readonly RunFacts[] => this.fleet.runs.filter(({ trigger }) => trigger === 'manual')
    await until(`a run by hand on the ${build} build`, () => runs().length > before && runs().at(-1)?.endedAt !== null)
  }

  #check(holds: boolean, what: string): void {
    if (!holds) this.failures.push(what)
  }
}

function isOf(build: Build, replica: string): boolean {
  return replica.startsWith(build)
}

/** Deploys of this build over the previous one, and back. */
export const mixedBuilds: readonly Scenario[] = [
  {
    name: 'A rolling deploy from the previous build to this one, and a rollback',
    promise: 'Two builds in one fleet lose no tick and double none, and each goes on with what the other has begun',
    run: ({ scale }) =>
      withSingle((redis) => {
        const from = Math.ceil(trueNow() / 1000) * 1000
        const dates = Array.from({ length: scaled(scale, 40, 120) }, (_, index) => from + 4000 + index * 1500)
        const jobs = jobsOf(dates)
        return withFleet(jobs, async (fleet) => {
          const mixed = new MixedFleet(fleet, redis, jobs)
          await mixed.start('previous', 3)
          await fleet.steady(recurring(jobs))
          for (let count = 0; count < scaled(scale, 1, 3); count++) {
            await mixed.replace('previous', 'this')
            await mixed.replace('this', 'previous')
          }
          await mixed.restartAs('this', scaled(scale, 2000, 6000))
          await mixed.checkHistory()
          if (scale === 'long') await mixed.restartAs('previous', 6000)
          return await mixed.finish()
        })
      })
  }
]
