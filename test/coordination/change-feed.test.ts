import { setImmediate as turn } from 'node:timers/promises'
import t from 'tap'
import { nextInSequence } from '../../lib/base/sequence.js'
import { ChangeFeed } from '../../lib/coordination/change-feed.js'
import type { Change } from '../../types/coordination.js'

type Reply = { readonly changes: readonly (Change | null)[]; readonly version: number }

/** A change that follows another: the one before it, where that is not said. */
const change = (version: number, after = version - 1): Change =>
  ({
    kind: 'pause',
    scope: 'all',
    note: null,
    until: null,
    id: `id-${version}`,
    by: 'ann',
    at: version,
    version,
    after
  }) as Change

/** A feed of a store whose replies are given one by one. */
function makeFeed() {
  const asked: { readonly after: number; readonly reply: (reply: Reply) => void }[] = []
  const told: [versions: number[], isComplete: boolean][] = []
  const feed = new ChangeFeed({
    read: (after) => new Promise((reply) => asked.push({ after, reply })),
    tell: (changes, isComplete) => told.push([changes.map(({ version }) => version), isComplete])
  })
  const reply = async (changes: readonly (Change | null)[], version: number): Promise<void> => {
    asked.shift()?.reply({ changes, version })
    await turn()
  }
  return { feed, asked, told, reply }
}

t.test('what was asked for before changes were missed does not say what is in force', async (t) => {
  const { feed, told } = makeFeed()
  const before = nextInSequence()
  feed.note(7)
  t.same(told, [[[], false]])
  feed.noteRead(before)
  t.equal(feed.applied, 0, 'claims are as of none')
  feed.noteRead(nextInSequence())
  t.equal(feed.applied, 7)
})

t.test('while changes are missing in between, claims are made as of none', async (t) => {
  const { feed, told, reply } = makeFeed()
  feed.note(1)
  feed.noteRead(nextInSequence())
  t.equal(feed.applied, 1)
  feed.note(4)
  await reply([change(3), change(4)], 4)
  t.same(told.at(-1), [[3, 4], false])
  t.equal(feed.known, 4)
  t.equal(feed.applied, 0)
  feed.noteRead(nextInSequence())
  t.equal(feed.applied, 4)
})

t.test('a store that has gone back is one whose changes were missed', async (t) => {
  const { feed, told, reply } = makeFeed()
  feed.note(5)
  feed.noteRead(nextInSequence())
  feed.note(2)
  await reply([], 2)
  t.same(told.at(-1), [[], false])
  t.equal(feed.known, 2)
  t.equal(feed.applied, 0)
})

t.test('what is read of a server that was forgotten meanwhile is left out', async (t) => {
  const { feed, asked, told, reply } = makeFeed()
  feed.note(5)
  feed.noteRead(nextInSequence())
  feed.note(6)
  t.equal(asked.length, 1)
  feed.forget()
  feed.note(1)
  t.same(told, [
    [[], false],
    [[], false]
  ])
  await reply([change(6)], 6)
  t.equal(told.length, 2, 'the change of the other server is not told')
  t.equal(feed.known, 1)
  t.equal(feed.applied, 0)
})

t.test('a change that is told of while others are read is read next', async (t) => {
  const { feed, asked, told, reply } = makeFeed()
  feed.note(0)
  feed.noteRead(nextInSequence())
  feed.note(1)
  feed.note(2)
  t.equal(asked.length, 1)
  await reply([change(1)], 1)
  t.equal(asked[0]?.after, 1)
  await reply([change(2)], 2)
  t.same(told.slice(1), [
    [[1], true],
    [[2], true]
  ])
  t.equal(feed.applied, 2)
})

t.test('an older reply that comes late tells nothing anew', async (t) => {
  const { feed, told, reply } = makeFeed()
  feed.note(5)
  feed.noteRead(nextInSequence())
  feed.note(4)
  await reply([], 5)
  t.equal(told.length, 1)
  t.equal(feed.known, 5)
  t.equal(feed.applied, 5)
})

t.test('a change that follows one which the store has lost does not pass for it, nor do those after it', async (t) => {
  const { feed, told, reply } = makeFeed()
  feed.note(100)
  feed.noteRead(nextInSequence())
  feed.note(300)
  await reply([change(200, 50), change(300, 200)], 300)
  t.same(told.at(-1), [[200, 300], false])
  t.equal(feed.applied, 0)
  feed.noteRead(nextInSequence())
  feed.note(400)
  await reply([change(400, 300)], 400)
  t.same(told.at(-1), [[400], true], 'and it goes on')
  t.equal(feed.applied, 400)
})
