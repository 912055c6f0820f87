// What this process knows of pauses and overrides, by the order in which it has learned of it.
import t from 'tap'
import { Overrides } from '../../lib/jobs/overrides.js'
import { Pauses } from '../../lib/jobs/pauses.js'

const pausable = { id: 'job', definition: { group: null, pausedInitially: false } }

t.test('what is in force does not undo what was learned since it was asked for', (t) => {
  const pauses = new Pauses(() => 0)
  const given = { by: 'ann', at: 1, note: null, until: null } as const
  pauses.note({ ...given, kind: 'pause', scope: 'job:job', id: 'first', version: 1 } as never, 10)
  const none = { pauses: [], resumed: [], skips: [], overrides: [] }
  pauses.noteAll(none, 5)
  t.equal(pauses.of(pausable).length, 1, 'asked for before')
  pauses.noteAll(none, 15)
  t.equal(pauses.of(pausable).length, 0, 'asked for since')

  const overrides = new Overrides()
  const override = { kind: 'override', jobId: 'job', by: 'ann', at: 1, note: null, changes: { timeout: 1 } } as const
  overrides.note({ ...override, id: 'first', version: 1 } as never, 10)
  overrides.noteAll([], 5)
  t.match(overrides.of('job'), { version: 'first' })
  overrides.noteAll([], 15)
  t.equal(overrides.of('job'), null)
  t.end()
})

t.test('an older override does not undo a newer one', (t) => {
  const overrides = new Overrides()
  const override = { kind: 'override', jobId: 'job', by: 'ann', at: 1, note: null } as const
  t.equal(overrides.note({ ...override, changes: { timeout: 2 }, id: 'second', version: 2 } as never, 1), true)
  t.equal(overrides.note({ ...override, changes: { timeout: 1 }, id: 'first', version: 1 } as never, 2), false)
  t.match(overrides.of('job'), { version: 'second', changes: { timeout: 2 } })
  t.end()
})
