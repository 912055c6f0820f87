import t from 'tap'
import { type FleetRecord, judge, type RunFacts, ticksBetween } from './fixtures/judge.js'
import type { PlannedJob, TickSkipped } from './fixtures/protocol.js'
import { withSingle } from './fixtures/topologies.js'
import { compare } from './scenario.js'
import { withReplicas } from './scenarios/common.js'

// Who judges the scenarios must see what is wrong: records made by hand, and a fleet that runs every tick thrice.

const JOB: PlannedJob = { id: 'job', interval: 1000, duration: 0 }

let count = 0
function run(facts: Partial<RunFacts>): RunFacts {
  count++
  const scheduledTime = facts.scheduledTime ?? 1000
  const startedAt = facts.startedAt ?? scheduledTime + 10
  return {
    type: 'begun',
    jobId: 'job',
    runId: `run-${count}`,
    scheduledTime,
    startedAt,
    endedAt: startedAt + 300,
    attempt: 1,
    trigger: 'schedule',
    fencingToken: count,
    replica: 'one',
    abortedAt: null,
    outcome: 'success',
    lostAt: null,
    ...facts
  }
}

function skip(scheduledTime: number, type: 'skipped' | 'missed' = 'skipped', reason = 'misfire'): TickSkipped {
  return { type, jobId: 'job', scheduledTime, reason, at: scheduledTime, replica: 'one' }
}

const judged = (record: Partial<FleetRecord>) =>
  judge({ runs: [], skips: [], stalls: [], ...record }, [JOB], 1000, 3000)

t.test('ticks are arithmetic', async (t) => {
  t.same(
    ticksBetween([{ ...JOB, interval: 200 }], 900, 1400).map(({ time }) => time),
    [1000, 1200, 1400]
  )
})

t.test('a tick has a run, or a reason, or is lost', async (t) => {
  const { ticks, ran, lost, missed, reasons } = judged({
    runs: [run({})],
    skips: [skip(2000), skip(2000, 'missed')]
  })
  t.equal(ticks, 3)
  t.equal(ran, 1)
  t.same(lost, [{ jobId: 'job', time: 3000, interval: 1000 }])
  t.same(missed, [{ jobId: 'job', time: 2000, interval: 1000 }])
  t.same(reasons, { misfire: 1 })
})

t.test('two first attempts are a double; a takeover is none', async (t) => {
  t.same(judged({ runs: [run({}), run({ startedAt: 1400 })] }).doubled, [{ jobId: 'job', time: 1000, interval: 1000 }])
  t.same(judged({ runs: [run({}), run({ attempt: 2 }), run({ trigger: 'recovery' })] }).doubled, [])
})

t.test('a reason beside a run, or beside another one, is counted twice', async (t) => {
  t.equal(judged({ runs: [run({})], skips: [skip(1000)] }).countedTwice.length, 1)
  t.equal(judged({ skips: [skip(1000), skip(1000)] }).countedTwice.length, 1)
  t.equal(judged({ runs: [run({})], skips: [skip(1000, 'skipped', 'shutdown'), skip(2000)] }).countedTwice.length, 0)
})

t.test('runs overlap while both believe in their lock and work', async (t) => {
  const first = run({ endedAt: 2500 })
  const second = run({ scheduledTime: 2000, replica: 'two' })
  t.equal(judged({ runs: [first, second] }).overlapping.length, 1)
  t.equal(judged({ runs: [{ ...first, lostAt: 1900 }, second] }).overlapping.length, 0, 'the first was told')
  const stall = { type: 'stalled', replica: 'one', from: 1500, until: 2400 } as const
  t.equal(judged({ runs: [first, second], stalls: [stall] }).overlapping.length, 0, 'the first stood still')
  t.equal(judged({ runs: [first, second], stalls: [{ ...stall, until: 2050 }] }).overlapping.length, 1)
  t.equal(judged({ runs: [{ ...first, endedAt: null }, second] }).overlapping.length, 1, 'it goes on for ever')
})

t.test('tokens, and times of starts', async (t) => {
  const inOrder = [run({ fencingToken: 1 }), run({ scheduledTime: 2000, fencingToken: 2 })]
  t.same(judged({ runs: inOrder }).tokens, [])
  t.equal(judged({ runs: [run({ fencingToken: 2 }), run({ scheduledTime: 2000, fencingToken: 2 })] }).tokens.length, 1)
  t.equal(judged({ runs: [run({ startedAt: 900 })] }).early.length, 1)
  t.equal(judged({ runs: [run({ startedAt: 2200 })] }).late.length, 1)
})

t.test('control: a fleet without claims and locks runs every tick thrice, and that is seen', (t) =>
  withSingle((redis) => {
    const jobs = [{ id: 'job', interval: 200, duration: 0, options: { lock: false } }]
    return withReplicas({ redis: redis.proxy.url, jobs }, async (fleet) => {
      const verdict = await fleet.finish(1000)
      t.equal(verdict.doubled.length, verdict.ticks)
      t.match(compare(fleet, verdict, {}).failures, [/^ran twice: /])
    })
  })
)

t.test('control: a replica that ends by itself is seen', (t) =>
  withSingle((redis) =>
    withReplicas({ redis: redis.proxy.url, count: 1 }, async (fleet) => {
      process.kill(fleet.replicas[0]?.pid as number, 'SIGKILL')
      const verdict = await fleet.finish(500, () => true)
      t.match(compare(fleet, verdict, { lost: () => true }).failures, [/^crashed: replica-0/])
    })
  )
)

t.test('more runs at once than a job has slots overlap', async (t) => {
  const slotted = { ...JOB, options: { maxInstances: 2 } }
  const runs = [run({}), run({ scheduledTime: 1050 }), run({ scheduledTime: 1100, replica: 'two' })]
  t.equal(judge({ runs, skips: [], stalls: [] }, [slotted], 1000, 3000).overlapping.length, 1)
  t.same(judge({ runs: runs.slice(0, 2), skips: [], stalls: [] }, [slotted], 1000, 3000).overlapping, [])
  t.equal(judge({ runs: runs.slice(0, 2), skips: [], stalls: [] }, [JOB], 1000, 3000).overlapping.length, 1)
})
