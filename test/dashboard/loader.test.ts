import t from 'tap'
import { Loader } from '../../lib/dashboard/loader.js'

t.test('a page that goes cuts off its reading, but not that of the page which has come', async (t) => {
  const readings: AbortSignal[] = []
  const loader = new Loader((stop) => {
    readings.push(stop)
    return new Promise(() => {})
  })
  const leave = loader.hold()
  loader.load()
  const leaveNext = loader.hold()
  loader.load()
  t.match(readings, [{ aborted: true }, { aborted: false }], 'the last one asked for wins')
  leave()
  t.equal(readings[1]?.aborted, false)
  t.ok(loader.isLoading)
  leaveNext()
  t.equal(readings[1]?.aborted, true)
  t.notOk(loader.isLoading)
})
