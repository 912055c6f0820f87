import t from 'tap'
import { QuorumChanges } from '../../lib/coordination/quorum/changes.js'
import type { Change } from '../../types/coordination.js'

const pause = (id: string, at: number): Change =>
  ({ kind: 'pause', scope: 'job:job', note: null, until: null, id, by: 'ann', at, version: 1 }) as Change

t.test(
  'of two changes of the same the later counts, whichever a majority tells first; and a minority is not believed',
  (t) => {
    const told: string[] = []
    const masters = [{}, {}, {}] as const
    const changes = new QuorumChanges(3, (each) => void told.push(...each.map(({ id }) => id)))
    changes.note(masters[0], [pause('later', 20)], true)
    t.same(told, [])
    changes.note(masters[1], [pause('later', 20)], true)
    for (const master of masters) changes.note(master, [pause('earlier', 10)], true)
    changes.note(masters[2], [pause('later', 20)], true)
    t.same(told, ['later'])
    t.end()
  }
)
