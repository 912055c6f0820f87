// The rules of claims: one table, to which memory and the script in Redis are held alike.
import t, { type Test } from 'tap'
import type { ClaimAnswer, ClaimRequest } from '../../types/coordination.js'
import { BEFORE, DATE, HOURLY, NOW, ROWS, type Row } from '../fixtures/claim-rows.js'
import { AROUND_ABANDONED, memorySide, redisSide, type Side } from '../fixtures/claim-sides.js'
import { pause, question, request } from '../fixtures/contract/requests.js'
import { withRedis } from '../fixtures/with-redis.js'

const DAY = 24 * 60 * 60 * 1000

/** Moves a row's times to a real now. */
function at<Value>(value: Value, now: number): Value {
  if (typeof value === 'number') return (Math.abs(value - NOW) < DAY ? value - NOW + now : value) as Value
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, at(each, now)])) as Value
}

async function check(t: Test, side: Side, row: Row, jobId: string): Promise<void> {
  const now = Date.now()
  const before = at({ ...BEFORE, ...row.before }, now)
  await side.write(jobId, before)
  if (row.isPaused) await pause(side.coordination, jobId)
  if (row.resumedAt !== undefined) await side.resumedAt(jobId, at(row.resumedAt, now))
  if (row.date !== undefined) await side.noteDate(jobId, DATE.trigger, row.date)
  const { scheduledTime = NOW } = row.ask
  const asked = request({ jobId, runId: 'mine', ...at({ scheduledTime, coversUntil: scheduledTime, ...row.ask }, now) })
  const [answer] = await side.coordination.claim([asked])
  t.match(partOf(answer, row.answer), at(row.answer, now), `${row.what}: the answer`)
  const after = await side.read(jobId)
  const wanted = { ...before, ...at(row.after ?? {}, now) }
  t.strictSame(after, wanted, `${row.what}: what is remembered`)
}

/** What a row says of an answer, and whether it says so of something that is not there. */
function partOf(answer: ClaimAnswer | undefined, wanted: Row['answer']): Record<string, unknown> {
  return Object.fromEntries(Object.keys(wanted).map((key) => [key, answer?.[key as keyof ClaimAnswer]]))
}

async function checkAll(t: Test, side: Side): Promise<void> {
  for (const [index, row] of ROWS.entries()) await check(t, side, row, `job-${index}`)

  const claim = async (jobId: string, changes: Partial<ClaimRequest> = {}): Promise<ClaimAnswer | undefined> => {
    return (await side.coordination.claim([request({ jobId, scheduledTime: Date.now() - 100, ...changes })]))[0]
  }
  t.match(await claim('new'), { status: 'granted', previous: null, attempt: 1 }, 'a job that is not known')
  t.match(await claim('new interval', { afterCompletion: 50, scheduledTime: 0 }), { status: 'early' })

  const micros = Date.now() * 1000
  const [first, second] = [await claim('one'), await claim('two')]
  if (first?.status !== 'granted' || second?.status !== 'granted') throw new Error('not granted')
  t.ok(first.fencingToken >= micros, 'a fencing token is no less than the time in microseconds')
  t.ok(second.fencingToken > first.fencingToken, 'and the next one is greater')
  await side.raiseFence(micros + 3_600_000_000)
  t.match(await claim('three'), { fencingToken: micros + 3_600_000_001 }, 'one more where the time is not')

  for (const [jobId, retention, isKept] of [
    ['short', 2 * DAY, false],
    ['long', 30 * DAY, true]
  ] as const) {
    await side.coordination.survey([question({ jobId, since: 5, accounted: 5, retention: 60 * DAY })])
    t.equal(await side.remembersSince(jobId, 59 * DAY), true, 'as long as it was asked for')
    await claim(jobId, { retention })
    t.equal(await side.remembersSince(jobId, 3 * DAY), isKept, 'from the first claim on as long as that')
    t.equal(await side.remembersSince(jobId, 8 * DAY), false, 'and a week at most')
  }

  const sinceOf = async (accounted: number): Promise<number | null | undefined> => {
    const asked = question({ jobId: 'two triggers', since: 5, accounted, fingerprint: HOURLY })
    return (await side.coordination.survey([asked]))[0]?.since
  }
  const tick = Date.now() - 100
  await claim('two triggers', { scheduledTime: tick })
  t.equal(await sinceOf(5), 5)
  await claim('two triggers', { scheduledTime: tick - 50, fingerprint: HOURLY })
  t.equal(await sinceOf(tick), tick - 50, 'a trigger whose tick is refused is accounted for up to that')

  const [still, over] = AROUND_ABANDONED
  await side.leaveOpen('still', still)
  await side.leaveOpen('over', over)
  const found = (await side.coordination.findAbandoned()) ?? []
  t.strictSame(
    found.map(({ jobId }) => jobId),
    ['over'],
    'some seconds after its lock has ended a run is abandoned'
  )
}

t.test('in memory', async (t) => {
  const side = memorySide()
  await checkAll(t, side)
  await side.close()
})

t.test('over Redis', (t) =>
  withRedis(async ({ url, client }) => {
    const side = await redisSide(url, client)
    await checkAll(t, side)
    await side.close()
  })
)
