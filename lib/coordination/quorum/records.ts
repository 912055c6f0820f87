import type { Clock } from '../../../types/clock.js'
import type {
  HistoryFact,
  OngoingRun,
  Records,
  ReplicaReport,
  SeenReplica,
  StatusRequest,
  StoredHistory,
  StoredStatus,
  StoredTail
} from '../../../types/coordination.js'
import type { HistoryRun, RunProgress } from '../../../types/history.js'
import { onePerRun, withoutCovered } from '../history-rules.js'
import { ballot } from './ballot.js'
import type { Member } from './member.js'
import { majorityOf, noMajorityError } from './votes.js'

/**
 * What became of ticks, and how jobs and replicas stand, as several masters have it: each is told all, and what those that answer
 * have is put together.
 */
export class QuorumRecords implements Records {
  readonly #members: readonly Member[]
  readonly #clock: Clock
  readonly #most: number

  constructor(members: readonly Member[], clock: Clock) {
    this.#members = members
    this.#clock = clock
    this.#most = majorityOf(members.length)
  }

  async note(facts: readonly HistoryFact[]): Promise<boolean> {
    const votes = await ballot<Member, boolean>(this.#members, this.#clock, {
      ask: ({ node }) => node.note(facts),
      isAnswer: (isNoted) => isNoted,
      isDecided: () => false
    })
    return votes.filter((isNoted) => isNoted === true).length >= this.#most
  }

  async readHistory(jobId: string): Promise<StoredHistory> {
    return combineHistories(await this.#read('read the history', ({ node }) => node.readHistory(jobId)), this.#most)
  }

  async readTails(jobIds: readonly string[], count: number): Promise<readonly StoredTail[]> {
    const answers = await this.#read('read the history', ({ node }) => node.readTails(jobIds, count))
    return jobIds.map((_, index) => {
      const tails = answers.map((each) => each[index] as StoredTail)
      const runs = tails.flatMap((tail) => withoutFewAbandoned(tail.runs, tails, this.#most))
      const ticks = withoutCovered(tails.flatMap((tail) => tail.ticks))
      return { runs: onePerRun(runs).slice(0, count), ticks: ticks.slice(0, count) }
    })
  }

  async readStatus(jobs: readonly StatusRequest[], withLocks: boolean): Promise<readonly StoredStatus[]> {
    const answers = await this.#read('read how jobs stand', ({ node }) => node.readStatus(jobs, withLocks))
    return jobs.map((_, index) => {
      return combineStatus(
        answers.map((states) => states[index] as StoredStatus),
        this.#most
      )
    })
  }

  async writeProgress(progress: ReadonlyMap<string, RunProgress | null>): Promise<boolean> {
    const written = await this.#tell(({ node }) => node.writeProgress(progress))
    return written.filter(Boolean).length >= this.#most
  }

  async beat(report: ReplicaReport | null): Promise<void> {
    await this.#tell(({ node }) => node.beat(report))
  }

  async readReplicas(): Promise<readonly SeenReplica[]> {
    const replicas = new Map<string, SeenReplica>()
    for (const replica of (await this.#read('read the replicas', ({ node }) => node.readReplicas())).flat()) {
      const known = replicas.get(replica.replicaId)
      if (known === undefined || known.seenAt < replica.seenAt) replicas.set(replica.replicaId, replica)
    }
    return [...replicas.values()]
  }

  /** Tells those that are up; the others hear the next time. */
  #tell<Answer>(tell: (member: Member) => Promise<Answer>): Promise<Answer[]> {
    return Promise.all(this.#members.filter(({ node }) => node.state.up).map(tell))
  }

  /** What those say that answer. @throws RedisUnavailableError where a majority does not */
  async #read<Value>(what: string, ask: (member: Member) => Promise<Value>): Promise<Value[]> {
    const votes = await ballot<Member, Value | Error>(this.#members, this.#clock, {
      ask: (member) => ask(member).catch((error: Error) => error),
      isAnswer: (answer) => !(answer instanceof Error),
      isDecided: () => false
    })
    const answers = votes.filter((vote) => vote !== null && !(vote instanceof Error)) as Value[]
    if (answers.length >= this.#most) return answers
    const error = votes.find((vote) => vote instanceof Error)
    throw noMajorityError(what, error instanceof Error ? error.message : 'they do not answer')
  }
}

function combineHistories(histories: readonly StoredHistory[], most: number): StoredHistory {
  const runs = histories.flatMap((history) => withoutFewAbandoned(history.runs, histories, most))
  return {
    runs: onePerRun(runs),
    ticks: withoutCovered(histories.flatMap(({ ticks }) => ticks)),
    ongoing: combineOngoing(
      histories.map(({ ongoing }) => ongoing),
      most
    ),
    claimedUntil: latest(histories.map(({ claimedUntil }) => claimedUntil)),
    since: earliest(histories.map(({ since }) => since)),
    waiting: null,
    // One that has lost all does not know how much it has forgotten.
    forgottenUntil: Math.max(...histories.map((history) => history.forgottenUntil)),
    unreadable: Math.max(...histories.map(({ unreadable }) => unreadable))
  }
}

/** A run is abandoned where a majority of those that know it has recorded that: the others have heard of its end. */
function withoutFewAbandoned(
  runs: readonly HistoryRun[],
  histories: readonly Pick<StoredHistory, 'runs'>[],
  most: number
): readonly HistoryRun[] {
  return runs.filter(({ id, outcome }) => {
    if (outcome !== 'abandoned') return true
    const known = histories.flatMap((history) => history.runs.filter((run) => run.id === id))
    const abandoned = known.filter((run) => run.outcome === 'abandoned').length
    return abandoned === known.length || abandoned >= most
  })
}

function combineStatus(states: readonly StoredStatus[], most: number): StoredStatus {
  // One that has heard of the latest run, and of its end, if any has: some may have to be told yet.
  const [latestRun] = [...states].sort((a, b) => (b.last?.startedAt ?? 0) - (a.last?.startedAt ?? 0))
  const [newest] = states
    .filter(({ last }) => last?.runId === latestRun?.last?.runId)
    .sort((a, b) => (b.lastEnd ?? 0) - (a.lastEnd ?? 0))
  const { last, lastEnd } = newest as StoredStatus
  // What most of them say that have heard of it.
  const heard = states.filter(
    (state) => state.last?.runId === last?.runId && (state.lastEnd === null) === (lastEnd === null)
  )
  const failures = heard.map((state) => state.failures).sort((a, b) => a - b)
  const lastSuccess = latest(states.map((state) => state.lastSuccess))
  return {
    last,
    lastEnd,
    lastSuccess,
    failures: failures[Math.floor((failures.length - 1) / 2)] as number,
    firstEnd: earliest(states.map(({ firstEnd }) => firstEnd)),
    longest: Math.max(...states.map(({ longest }) => longest)),
    ongoing: combineOngoing(
      states.map(({ ongoing }) => ongoing),
      most
    ),
    since: earliest(states.map(({ since }) => since)),
    resumedAt: latest(states.map(({ resumedAt }) => resumedAt))
  }
}

/** Runs that go on by most of the masters: one that has not heard of a run's end does not make it go on. */
function combineOngoing(lists: readonly (readonly OngoingRun[])[], most: number): OngoingRun[] {
  const found = new Map<string, OngoingRun[]>()
  for (const run of lists.flat()) found.set(run.runId, [...(found.get(run.runId) ?? []), run])
  return [...found.values()]
    .filter((runs) => runs.length >= Math.min(most, lists.length))
    .map((runs) => {
      const [first] = runs as [OngoingRun]
      const ttls = runs.flatMap(({ lockTtl }) => (lockTtl === null ? [] : [lockTtl]))
      const progress = runs.find((run) => run.progress !== null)?.progress ?? null
      return { ...first, lockTtl: ttls.length >= most ? Math.min(...ttls) : null, progress }
    })
}

function latest(times: readonly (number | null)[]): number | null {
  const known = times.filter((time) => time !== null)
  return known.length === 0 ? null : Math.max(...known)
}

function earliest(times: readonly (number | null)[]): number | null {
  const known = times.filter((time) => time !== null)
  return known.length === 0 ? null : Math.min(...known)
}
