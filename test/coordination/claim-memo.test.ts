import t from 'tap'
import { MemoryCoordination } from '../../lib/coordination/memory/coordination.js'
import { MemoryStore } from '../../lib/coordination/memory/store.js'
import { VirtualClock } from '../../lib/testing/virtual-clock.js'
import type { ClaimRequest } from '../../types/coordination.js'
import { listen } from '../fixtures/contract/requests.js'

// Where a store keeps a job's record between two claims, or with its lock, it finds what it would have looked up.

const KEEP = 60_000

function setUp() {
  const clock = new VirtualClock()
  const memo: ClaimRequest['memo'] = { store: null, record: null }
  const request = (runId: string, withMemo = true): ClaimRequest => {
    return {
      jobId: 'job',
      kind: 'tick',
      scheduledTime: clock.now(),
      coversUntil: clock.now(),
      runId,
      ttl: 1000,
      retention: KEEP,
      afterCompletion: 0,
      pausedInitially: false,
      waits: false,
      rerun: false,
      slots: 1,
      overlap: 'skip',
      maxRuns: null,
      fingerprint: { trigger: 'a', options: 'a' },
      ...(withMemo ? { memo } : {})
    }
  }
  const store = () => new MemoryCoordination(clock, new MemoryStore(), 1000, listen())
  return { clock, request, store }
}

t.test('of several stores each finds its own', async (t) => {
  const { clock, request, store } = setUp()
  const [one, two] = [store(), store()]
  t.match(await one.claim([request('of one')]), [{ status: 'granted', previous: null }])
  const later = clock.now() + 500
  t.match(await two.claim([{ ...request('of two'), coversUntil: later }]), [{ status: 'granted', previous: null }])
  const waiting = { ...request('other'), waits: true }
  t.match(await one.claim([waiting]), [{ status: 'claimed_elsewhere', last: clock.now() }])
  t.match(await two.claim([waiting]), [{ status: 'claimed_elsewhere', last: later }])
})

t.test('what has had its time is forgotten, and what took its place is found', async (t) => {
  const { clock, request, store } = setUp()
  const one = store()
  const tick = clock.now()
  t.match(await one.claim([request('first')]), [{ status: 'granted', previous: null }])
  await clock.advance(KEEP / 2)
  t.match(await one.claim([request('second')]), [{ status: 'granted', previous: tick }])
  await clock.advance(KEEP)
  // Another replica, whose record is a new one.
  t.match(await one.claim([request('third', false)]), [{ status: 'granted', previous: null }])
  t.match(await one.claim([request('fourth')]), [{ status: 'claimed_elsewhere' }])
})

t.test('a lock ends where it was taken, and nowhere else', async (t) => {
  const { request, store } = setUp()
  const [one, two] = [store(), store()]
  const [granted] = await one.claim([request('of one')])
  await two.claim([request('of two')])
  if (granted?.status !== 'granted' || granted.lock === null) throw new Error('not granted')
  const ending = { lock: granted.lock, finished: true }
  t.strictSame(await two.finish([ending]), ['lost'])
  t.equal(await one.extend(granted.lock), 'extended', 'it is held where it was taken')
  t.strictSame(await one.finish([ending]), ['released'])
})

t.test('the end of a run of a forgotten job ends none of the job that took its place', async (t) => {
  const { clock, request, store } = setUp()
  const one = store()
  const [granted] = await one.claim([request('first')])
  if (granted?.status !== 'granted' || granted.lock === null) throw new Error('not granted')
  await clock.advance(2 * KEEP)
  const [second] = await one.claim([request('second')])
  if (second?.status !== 'granted' || second.lock === null) throw new Error('not granted')
  t.strictSame(await one.finish([{ lock: granted.lock, finished: true }]), ['lost'])
  t.equal(await one.extend(second.lock), 'extended')
})
