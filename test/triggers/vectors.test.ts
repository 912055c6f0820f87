import t from 'tap'
import { resolveTrigger } from '../../lib/triggers/index.js'
import { vectors as apscheduler } from '../fixtures/triggers/apscheduler-vectors.js'
import { vectors as crontab } from '../fixtures/triggers/crontab-vectors.js'
import { vectors as dst } from '../fixtures/triggers/dst-vectors.js'
import { vectors as other } from '../fixtures/triggers/other-vectors.js'
import type { Vector } from '../fixtures/triggers/vector.js'

function ticksOf([, input, from, expected]: Vector): { found: string[]; wanted: string[] } {
  const trigger = resolveTrigger(input, { timezone: 'UTC' })
  const wanted = expected === '' ? ['-'] : expected.split(' ')
  const found: string[] = []
  let tick: number | null = Date.parse(from)
  while (found.length < wanted.length && tick !== null) {
    tick = trigger.next(tick)
    found.push(tick === null ? '-' : new Date(tick).toISOString().replace('.000Z', 'Z'))
  }
  return { found, wanted }
}

const tables = { crontab, dst, apscheduler, other }

for (const [name, vectors] of Object.entries(tables)) {
  t.test(`${name}: ${vectors.length} vectors`, async (t) => {
    for (const vector of vectors) {
      const { found, wanted } = ticksOf(vector)
      t.strictSame(found, wanted, `${vector[0]} after ${vector[2]}`)
    }
  })
}

t.test('the tables are as large as they should be', async (t) => {
  const all = Object.values(tables).flat()
  t.ok(all.length >= 300, `${all.length} vectors`)
  t.equal(new Set(all.map((vector) => JSON.stringify(vector.slice(1, 3)))).size, all.length, 'none is there twice')
})
