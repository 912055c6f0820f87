import t from 'tap'
import { Idle } from '../../lib/base/idle.js'

/** What a promise has come to after a turn of the event loop. */
async function isReached(promise: Promise<void>): Promise<boolean> {
  const later = new Promise<boolean>((resolve) => setImmediate(() => resolve(false)))
  return Promise.race([promise.then(() => true), later])
}

t.test('a part that has nothing under way is idle at once', async (t) => {
  t.ok(await isReached(new Idle(() => false).reached()))
})

t.test('all who wait go on once the part is idle, and not before', async (t) => {
  let busy = true
  const idle = new Idle(() => busy)
  const first = idle.reached()
  const second = idle.reached()
  idle.announce()
  t.notOk(await isReached(first), 'an announcement of a part that is busy again is none')
  busy = false
  t.notOk(await isReached(first), 'it is the announcement that lets them go on')
  idle.announce()
  t.ok(await isReached(first))
  t.ok(await isReached(second))
})

t.test('who waits later waits for the next time', async (t) => {
  let busy = true
  const idle = new Idle(() => busy)
  const first = idle.reached()
  busy = false
  idle.announce()
  await first
  busy = true
  const second = idle.reached()
  idle.announce()
  t.notOk(await isReached(second))
  busy = false
  idle.announce()
  t.ok(await isReached(second))
})
