import t from 'tap'
import { SECOND } from '../../lib/base/duration.js'
import { RunEntries } from '../../lib/observability/history/run-entries.js'
import { ProgressReports } from '../../lib/runs/progress.js'
import { VirtualClock } from '../../lib/testing/virtual-clock.js'
import type { Coordination } from '../../types/coordination.js'
import type { RunProgress } from '../../types/history.js'

function makeReports() {
  const clock = new VirtualClock()
  const written: [runId: string, share: number | null][][] = []
  const answers: ((isWritten: boolean) => void)[] = []
  const coordination = {
    state: { up: true },
    now: () => clock.now(),
    writeProgress: (news: ReadonlyMap<string, RunProgress | null>) => {
      written.push([...news].map(([runId, progress]) => [runId, progress?.share ?? null]))
      return new Promise<boolean>((resolve) => answers.push(resolve))
    }
  } as unknown as Coordination
  return { clock, written, answers, reports: new ProgressReports(clock, coordination) }
}

t.test('what was not written is told again, but not in the place of later news', async (t) => {
  const { clock, written, answers, reports } = makeReports()
  for (const runId of ['a', 'b']) reports.note(runId, reports.read(0.1, undefined))
  await clock.advance(1)
  reports.note('a', reports.read(0.5, undefined))
  answers.shift()?.(false)
  await clock.advance(2 * SECOND)
  t.same(written[0], [
    ['a', 0.1],
    ['b', 0.1]
  ])
  t.same(
    new Map(written[1]),
    new Map([
      ['a', 0.5],
      ['b', 0.1]
    ])
  )
  for (const answer of answers) answer(true)
  void reports.close()
})

t.test('a run that has ended is forgotten, also where that it had begun was not written', async (t) => {
  const { clock, written, answers, reports } = makeReports()
  reports.note('a', reports.read(0.1, undefined))
  await clock.advance(1)
  reports.end('a')
  answers.shift()?.(false)
  await clock.advance(2 * SECOND)
  t.same(written.slice(1), [[['a', null]]])
  for (const answer of answers) answer(true)
  void reports.close()
})

t.test('a redacted note is no longer than another', (t) => {
  const redact = (text: string): string => text.replaceAll('x', '[removed]')
  const entries = new RunEntries({ redact, logs: false } as never, () => {})
  const { note } = entries.progress({ share: 0.5, note: 'x'.repeat(200), at: 0 })
  t.ok((note?.length ?? 0) <= 200, `${note?.length}`)
  t.end()
})
