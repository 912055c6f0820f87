import t from 'tap'
import {
  agreeOnDue,
  agreeOnPrevious,
  type Decision,
  decideClaim,
  decideWithoutMajority,
  isMine,
  isToConfirm,
  leftover
} from '../../lib/coordination/quorum/claim-votes.js'
import {
  decideAcquire,
  decideConfirm,
  decideHandBack,
  decideRelease,
  isFirstInSplit,
  majorityOf,
  type Vote
} from '../../lib/coordination/quorum/votes.js'
import type { AcquireVote, ClaimVote } from '../../types/coordination/node.js'
import type { HeldLock, ReleaseAnswer } from '../../types/coordination.js'
import { request } from '../fixtures/contract/requests.js'

const ERROR = new Error('down')

function lock(validUntil: number): HeldLock {
  return { name: 'job', kind: 'job', token: 'mine', ttl: 1000, validUntil }
}

function granted(changes: Partial<Extract<ClaimVote, { status: 'granted' }>> = {}): ClaimVote {
  const rest = { previous: null, resumedAt: null, fencingToken: 1, scheduledTime: 100, attempt: 1 }
  return { status: 'granted', lock: lock(1000), ...rest, ...changes }
}

const elsewhere = (by: string, last: number | null = null, previous: number | null = null): ClaimVote => ({
  status: 'claimed_elsewhere',
  last,
  by,
  previous
})
const unavailable = (maybe: boolean): ClaimVote => ({ status: 'unavailable', error: ERROR, maybe })
const early = (due: number): ClaimVote => ({ status: 'early', due })
const running = (remaining: number): ClaimVote => ({ status: 'running', remaining })
const overlap = (taken: boolean, previous: number | null = null): ClaimVote => ({
  status: 'overlap',
  taken,
  isLeft: false,
  previous,
  resumedAt: null,
  by: ''
})
const paused = (by: string | null, previous: number | null = null): ClaimVote =>
  by === null ? { status: 'paused', first: true, previous } : { status: 'paused', first: false, previous, by }

/** What a node may answer to a request of each kind; `null` for one that has not. */
const usual = [null, elsewhere('r1'), elsewhere('r2'), elsewhere(''), unavailable(true), unavailable(false)]
const KINDS = {
  tick: {
    asked: request({ jobId: 'job' }),
    answers: [granted(), overlap(true), paused(null), paused('r1'), paused('r2'), early(200), ...usual]
  },
  waiting: {
    asked: request({ jobId: 'job', waits: true }),
    answers: [granted(), overlap(false), paused(null), paused('r1'), early(200), ...usual]
  },
  interval: {
    asked: request({ jobId: 'job', afterCompletion: 100 }),
    answers: [granted(), overlap(true), paused(null), early(200), early(300), ...usual]
  },
  missed: {
    asked: request({ jobId: 'job', kind: 'miss' }),
    answers: [granted({ lock: null }), paused(null), paused('r1'), ...usual]
  },
  manual: {
    asked: request({ jobId: 'job', kind: 'manual' }),
    answers: [granted(), overlap(false), null, unavailable(true), unavailable(false)]
  },
  recover: {
    asked: request({ jobId: 'job', kind: 'recover' }),
    answers: [
      granted(),
      running(50),
      running(80),
      paused(''),
      elsewhere(''),
      null,
      unavailable(true),
      unavailable(false)
    ]
  }
}

function* combinations<Value>(values: readonly Value[], length: number): Generator<Value[]> {
  if (length === 0) yield []
  else for (const rest of combinations(values, length - 1)) for (const value of values) yield [...rest, value]
}

/** Of a tick that somebody else has it does not matter who says that the job is paused. */
function family(answer: Decision): string {
  return answer.status === 'paused' && !answer.first ? 'claimed_elsewhere' : answer.status
}

for (const [kind, { asked, answers }] of Object.entries(KINDS)) {
  t.test(`every combination of three nodes' answers: ${kind}`, async (t) => {
    const wrong: string[] = []
    for (const votes of combinations(answers, 3)) {
      const must = (holds: boolean, what: string): void => {
        if (!holds) wrong.push(`${what}: ${JSON.stringify(votes)}`)
      }
      const of = (status: string): number => votes.filter((vote) => vote?.status === status).length
      const mine = votes.filter((vote) => vote !== null && isMine(vote)).length
      const answer = decideClaim(asked, votes)
      const last = decideWithoutMajority(asked, votes)
      // Safety: nothing is had without a majority.
      must((answer?.status === 'granted') === of('granted') >= 2, 'granted by a majority, and only by one')
      must(last.status !== 'granted' || answer !== null, 'nothing less is granted')
      for (const each of [answer, last]) {
        if (each?.status === 'overlap' && each.taken) must(mine >= 2, 'taken on a majority')
        if (each?.status === 'paused' && each.first) must(mine >= 2, 'counted by one')
      }
      // No tick is lost: who leaves it to others has no vote, or one of the others has a majority.
      const others = votes.flatMap((vote) => (vote !== null && 'by' in vote ? [vote.by] : []))
      if (answer?.status === 'claimed_elsewhere') {
        const bys = ['r1', 'r2', ''].map((by) => others.filter((each) => each === by).length)
        must(
          Math.max(...bys) >= 2 || (others.length >= 2 && mine === 0 && !votes.includes(null)),
          'somebody else has it'
        )
      }
      must(last.status !== 'claimed_elsewhere' || answer !== null, 'nothing less is left to others')
      must(of('unavailable') < 2 || answer?.status === 'unavailable', 'a majority is down: said at once')
      // What nobody has answered may be anything: a decision must stand whatever comes, and be the same.
      if (answer !== null && votes.includes(null)) {
        for (const filled of answers.filter((each) => each !== null)) {
          const full = votes.map((vote) => vote ?? filled)
          const then = decideClaim(asked, full)
          if (votes.filter((vote) => vote === null).length === 1) {
            // For who has no vote, `elsewhere` and `early` may also be those of others whose votes are split.
            if (then === null) must(mine === 0 && isMine(filled), 'late votes open nothing again')
            else must(family(then) === family(answer), 'late votes change nothing')
          }
        }
      }
      // What becomes of what the nodes have given.
      for (const vote of votes) {
        if (vote === null) continue
        const isHeld = isMine(vote) || (vote.status === 'unavailable' && vote.maybe)
        const undone = asked.kind === 'manual' ? 'unused' : 'back'
        must(leftover(asked, null, vote) === (isHeld ? undone : 'keep'), 'undecided: just what is ours goes back')
        if (answer?.status === 'granted') must(leftover(asked, answer, vote) === 'keep', 'a grant is left as it is')
        if (answer?.status === 'early' || answer?.status === 'unavailable') {
          must(leftover(asked, answer, vote) === (isHeld ? undone : 'keep'), 'not taken: free again')
        }
        if (answer?.status === 'claimed_elsewhere') {
          const isLocked =
            isHeld && (vote.status === 'unavailable' || (vote.status === 'granted' && vote.lock !== null))
          const fate = isLocked ? (answer.by === '' ? 'end' : 'leave') : 'keep'
          must(leftover(asked, answer, vote) === fate, 'it stays claimed, and its lock is free')
        }
      }
    }
    t.same(wrong.slice(0, 5), [])
  })
}

t.test('five replicas whose votes on three nodes are split do not all leave', async (t) => {
  // A: r1, B: r2, C: r3; r4 and r5 have nothing.
  const asked = request({ jobId: 'job' })
  const view = (runId: string): Vote<ClaimVote>[] => {
    return ['r1', 'r2', 'r3'].map((holder) => (holder === runId ? granted() : elsewhere(holder)))
  }
  for (const runId of ['r1', 'r2', 'r3']) t.equal(decideClaim(asked, view(runId)), null, `${runId} stays`)
  for (const runId of ['r4', 'r5']) t.equal(decideClaim(asked, view(runId))?.status, 'claimed_elsewhere')
  t.match(decideClaim(asked, [granted(), elsewhere('r1'), elsewhere('r1')]), { status: 'claimed_elsewhere', by: 'r1' })
  const manual = request({ jobId: 'job', kind: 'manual' })
  t.equal(decideClaim(manual, [granted(), overlap(false), overlap(false)]), null)
  t.equal(decideWithoutMajority(manual, [granted(), overlap(false), overlap(false)]).status, 'overlap')
  const interval = request({ jobId: 'job', afterCompletion: 100 })
  t.equal(decideClaim(interval, [granted(), early(300), early(300)]), null)
  t.same(decideWithoutMajority(interval, [granted(), early(300), early(400)]), { status: 'early', due: 300 })
})

t.test('a grant has the greatest token and tick before, and the shortest validity', async (t) => {
  const answer = decideClaim(request({ jobId: 'job' }), [
    granted({ fencingToken: 5, previous: 70, lock: lock(900) }),
    granted({ fencingToken: 9, previous: null, lock: lock(800) }),
    overlap(true, 90)
  ])
  t.match(answer, { status: 'granted', fencingToken: 9, lock: { validUntil: 800 } })
  t.match(answer, { previous: 70 }, 'a majority has that; what one alone has may be given back')
  const asked = [granted({ previous: 70 }), granted({ previous: 90 }), null]
  t.match(decideClaim(request({ jobId: 'job' }), asked), { previous: 90 }, 'the third may have it too')
  const none = decideClaim(request({ jobId: 'job' }), [granted(), granted(), null])
  t.match(none, { previous: null })
  const refused = [granted({ previous: 90 }), granted({ previous: 70 }), elsewhere('r1', null, 70)]
  t.match(decideClaim(request({ jobId: 'job' }), refused), { previous: 70 }, 'who refuses the tick tells it too')
  const waiting = [granted({ previous: 90 }), granted({ previous: 70 }), overlap(false, 70)]
  const open = decideClaim(request({ jobId: 'job', waits: true }), waiting)
  t.match(open, { previous: 90 }, 'a node that has not taken the tick may still confirm one before it')
})

t.test('what was granted is decided at once where all nodes that grant it tell the same tick before', async (t) => {
  t.ok(agreeOnPrevious([granted({ previous: 70 }), overlap(true, 70), null]))
  t.notOk(agreeOnPrevious([granted({ previous: 70 }), granted({ previous: 90 }), null]))
  t.ok(
    agreeOnPrevious([granted({ previous: 70 }), elsewhere('r1', null, 90), unavailable(true)]),
    'of those that grant it'
  )
})

t.test('when a tick is due is decided at once where the nodes agree on it, as far as their clocks do', async (t) => {
  t.ok(agreeOnDue([early(5000), early(5090), null]))
  t.notOk(agreeOnDue([early(5000), early(5600), null]))
  t.ok(agreeOnDue([early(5000), granted(), null]), 'of those on which it is not due')
})

t.test('confirmations: every combination of three and of five nodes', async (t) => {
  for (const nodes of [3, 5]) {
    for (const votes of combinations<Vote<boolean>>([true, false, null], nodes)) {
      const of = (answer: boolean): number => votes.filter((vote) => vote === answer).length
      const most = majorityOf(nodes)
      const wanted = of(true) >= most ? true : of(true) + nodes - of(true) - of(false) < most ? false : null
      if (decideConfirm(votes) !== wanted) t.fail(JSON.stringify(votes))
    }
  }
})

t.test('only a tick that was taken is to be confirmed', async (t) => {
  const tick = request({ jobId: 'job' })
  for (const answer of [granted(), granted({ lock: null }), overlap(true), paused(null)]) {
    t.ok(isToConfirm(tick, answer))
    t.notOk(isToConfirm(request({ jobId: 'job', kind: 'manual' }), answer))
    t.notOk(isToConfirm(request({ jobId: 'job', kind: 'recover' }), answer))
  }
  for (const answer of [overlap(false), paused('r1'), elsewhere('r1'), early(5), unavailable(true), null]) {
    t.notOk(isToConfirm(tick, answer))
  }
})

t.test('when a majority would grant', async (t) => {
  const tick = request({ jobId: 'job' })
  t.same(decideClaim(tick, [early(300), granted(), early(200)]), { status: 'early', due: 200 })
  t.same(decideClaim(tick, [early(300), early(400), early(200)]), { status: 'early', due: 300 })
  const recover = request({ jobId: 'job', kind: 'recover' })
  t.same(decideClaim(recover, [running(30), running(10), running(20)]), { status: 'running', remaining: 20 })
  t.equal(decideClaim(recover, [running(30), granted(), running(20)]), null, 'may be split')
  t.same(decideWithoutMajority(recover, [running(30), granted(), running(20)]), { status: 'running', remaining: 20 })
})

t.test('what cannot be had as it was asked for is accounted for, or free', async (t) => {
  const tick = request({ jobId: 'job' })
  t.same(decideWithoutMajority(tick, [overlap(true, 50), granted({ previous: 60 }), unavailable(false)]), {
    status: 'overlap',
    taken: true,
    isLeft: false,
    previous: 60,
    resumedAt: null
  })
  t.equal(decideWithoutMajority(tick, [overlap(true), elsewhere('r1'), unavailable(false)]).status, 'unavailable')
  t.equal(decideWithoutMajority(tick, [paused(null), granted(), unavailable(false)]).status, 'unavailable')
  const waiting = request({ jobId: 'job', waits: true })
  t.match(decideWithoutMajority(waiting, [overlap(false), granted(), unavailable(false)]), {
    status: 'overlap',
    taken: false
  })
  t.match(decideClaim(waiting, [elsewhere('r1', 70), elsewhere('r1', 50), elsewhere('r1', 60)]), { last: 60 })
})

t.test('the ticks until a resumption had no run, also where there is no tick before them', async (t) => {
  const resumed = (previous: number | null) => granted({ previous, resumedAt: 50 })
  const tick = request({ jobId: 'job' })
  t.match(decideClaim(tick, [resumed(null), granted(), resumed(null)]), { previous: null, resumedAt: 50 })
  t.match(decideClaim(tick, [resumed(null), granted({ previous: 60 }), granted({ previous: 60 })]), { resumedAt: null })
})

t.test('a run to be taken over stays one while its job is paused', async (t) => {
  const recover = request({ jobId: 'job', kind: 'recover' })
  const answer = decideClaim(recover, [paused(''), granted(), paused('')])
  t.match(answer, { status: 'paused', first: false })
  t.equal(leftover(recover, answer, granted()), 'back')
  const over = decideClaim(recover, [elsewhere(''), granted(), elsewhere('')])
  t.equal(leftover(recover, over, granted()), 'end', 'one that is over on a majority is over')
  const tick = request({ jobId: 'job' })
  t.equal(leftover(tick, paused('r1'), granted()), 'leave', 'who counts it may still give it back')
  t.equal(leftover(tick, paused(''), granted()), 'end')
  t.equal(leftover(tick, null, granted()), 'back')
  t.equal(
    leftover(tick, null, granted(), true),
    'keep',
    'a tick that a majority has is kept while its lock is asked for'
  )
})

t.test('locks by name: every combination of three nodes', async (t) => {
  const one: AcquireVote = { status: 'granted', lock: { ...lock(500), kind: 'named' }, fencingToken: 7 }
  const two: AcquireVote = { status: 'granted', lock: { ...lock(400), kind: 'named' }, fencingToken: 8 }
  const votes: Vote<AcquireVote>[] = [one, two, { status: 'held' }, { status: 'unavailable', error: ERROR }, null]
  for (const each of combinations(votes, 3)) {
    const of = (status: string): number => each.filter((vote) => vote?.status === status).length
    const answer = decideAcquire(each)
    const wanted =
      of('granted') >= 2
        ? 'granted'
        : of('unavailable') >= 2
          ? 'unavailable'
          : of('held') >= 2 && of('granted') === 0
            ? 'held'
            : undefined
    if (answer?.status !== wanted) t.fail(JSON.stringify(each))
  }
  t.match(decideAcquire([one, two, null]), { fencingToken: 8, lock: { validUntil: 400 } })
  const other: AcquireVote = { status: 'held', by: 'x' }
  t.match(decideAcquire([one, other, other]), { status: 'held' }, 'one other has a majority')
  t.equal(decideAcquire([one, other, { status: 'held', by: 'y' }]), null, 'no other has one')
})

t.test('in a split of a lock by name exactly one request stays, the lowest of those that have a vote', async (t) => {
  const one: AcquireVote = { status: 'granted', lock: { ...lock(500), kind: 'named' }, fencingToken: 7 }
  for (const nodes of [3, 5]) {
    for (const holders of combinations(['a', 'b', 'c', 'd'], nodes)) {
      const votesOf = (token: string): AcquireVote[] =>
        holders.map((by) => (by === token ? one : { status: 'held', by }))
      const staying = ['a', 'b', 'c', 'd', 'e'].filter((token) => isFirstInSplit(token, votesOf(token)))
      if (staying.join() !== [...holders].sort()[0]) t.fail(`${holders}: ${staying} stay`)
    }
  }
  t.notOk(isFirstInSplit('a', [one, { status: 'held', by: '' }, null]), 'a foreign key is waited for by nobody')
  t.notOk(isFirstInSplit('a', [{ status: 'held', by: 'b' }, { status: 'held', by: 'c' }, null]), 'nor by who has none')
})

t.test('releases: every combination of three and of five nodes', async (t) => {
  for (const nodes of [3, 5]) {
    for (const votes of combinations<Vote<ReleaseAnswer>>(['released', 'lost', 'unavailable', null], nodes)) {
      const of = (answer: string): number => votes.filter((vote) => vote === answer).length
      const most = majorityOf(nodes)
      const wanted = of('released') >= most ? 'released' : of('lost') >= most ? 'lost' : 'unavailable'
      if (decideRelease(votes) !== wanted) t.fail(JSON.stringify(votes))
    }
  }
})

t.test('a claim that is taken back is what a majority of the nodes says of it', async (t) => {
  t.equal(decideHandBack(['free', 'free', 'not_ours']), 'free')
  t.equal(decideHandBack(['not_ours', null, 'not_ours']), 'not_ours')
  t.equal(decideHandBack(['wasted', 'wasted', 'free']), 'wasted')
  t.equal(decideHandBack(['free', 'unavailable', 'wasted']), 'free', 'who takes it next accounts for it')
  t.equal(decideHandBack(['free', 'unavailable', null]), 'unavailable')
})

t.test(
  'a record that a majority cannot read is no outage; one that a minority cannot read changes nothing',
  async (t) => {
    const unreadable: ClaimVote = { status: 'unavailable', error: ERROR, maybe: false, unreadable: true }
    const asked = request({ jobId: 'job' })
    t.match(decideClaim(asked, [unreadable, granted(), unreadable]), { status: 'unavailable', unreadable: true })
    t.match(decideClaim(asked, [unreadable, granted(), granted()]), { status: 'granted' })
    const mixed = decideClaim(asked, [unreadable, unavailable(false), granted()])
    t.match(mixed, { status: 'unavailable' })
    t.notOk(mixed?.status === 'unavailable' && mixed.unreadable)
  }
)
