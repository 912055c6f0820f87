import t from 'tap'
import { SECOND } from '../../lib/base/duration.js'
import { FleetChanges } from '../../lib/dispatch/fleet-changes.js'
import { VirtualClock } from '../../lib/testing/virtual-clock.js'

function makeChanges(failures: number, state = { up: true }) {
  const clock = new VirtualClock()
  let [asked, noted] = [0, 0]
  const standing = async (): Promise<object> => {
    if (asked++ < failures) throw new Error('not now')
    return {}
  }
  const changes = new FleetChanges({
    clock,
    coordination: { state, standing },
    jobs: {
      noteStanding: () => {
        noted++
        return []
      }
    },
    log: { debug() {} },
    beforeClaims() {}
  } as never)
  return { clock, changes, state, counts: () => [asked, noted] }
}

t.test('what is in force is read again where the store would not say', async (t) => {
  const { clock, changes, counts } = makeChanges(2)
  changes.onChanges([], false)
  await clock.advance(1 * SECOND)
  t.same(counts(), [1, 0])
  await clock.advance(10 * SECOND)
  t.same(counts(), [3, 1], 'until it says so, and once')
})

t.test('or once the store is up again, and never by one that is closed', async (t) => {
  const { clock, changes, state, counts } = makeChanges(2, { up: false })
  changes.onChanges([], false)
  await clock.advance(10 * SECOND)
  t.same(counts(), [1, 0])
  state.up = true
  changes.readOn()
  await clock.advance(1)
  t.same(counts(), [2, 0])
  changes.close()
  changes.readOn()
  await clock.advance(10 * SECOND)
  t.same(counts(), [2, 0])
})
