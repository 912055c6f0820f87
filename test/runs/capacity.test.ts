import t from 'tap'
import { Capacity } from '../../lib/runs/capacity.js'

t.test('runs that go on and claims that wait for their answer take up room', async (t) => {
  const capacity = new Capacity(5, () => {})
  t.equal(capacity.room, 5)
  capacity.asked(3)
  t.equal(capacity.room, 2)
  capacity.answered(1)
  capacity.runStarted()
  t.equal(capacity.room, 2, 'a claim that became a run')
  capacity.answered(2)
  t.equal(capacity.room, 4, 'claims that became none')
  capacity.runEnded()
  t.equal(capacity.room, 5)
})

t.test('the listener is told of room only where there is some', async (t) => {
  const rooms: number[] = []
  const capacity = new Capacity(1, () => rooms.push(capacity.room))
  capacity.runStarted()
  capacity.runStarted()
  t.equal(capacity.room, -1, 'a run by hand starts in any case')
  capacity.runEnded()
  capacity.announceRoom()
  t.strictSame(rooms, [])
  capacity.runEnded()
  t.strictSame(rooms, [], 'it is told by the announcement')
  capacity.announceRoom()
  t.strictSame(rooms, [1])
})
