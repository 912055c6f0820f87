// Two builds in one process, in turn: `registering-in-turn.ts <checkout of one> <of the other> <jobs> <turns>`. In each turn a
// scheduler of each build gets so many jobs with 20 distinct triggers, starts, and loses them again. It sends what a job
// has cost each of the two, in that order: medians over the turns, but for the first, in which V8 compiles.
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type * as Library from '../dist/index.js'
import { median, type Sample } from './measure.js'

const WARM_UP_TURNS = 3
const TRIGGERS = 20

const [one = '', other = '', ...numbers] = process.argv.slice(2)
const [count = 0, turns = 0] = numbers.map(Number)
const libraries: (typeof Library)[] = []
for (const folder of [one, other]) libraries.push(await import(join(folder, 'dist/index.js')))
const hour = (new Date().getUTCHours() + 12) % 24
const jobs = Array.from({ length: count }, (_, index) => {
  return { id: `job-${index}`, cron: `${index % TRIGGERS} ${hour} * * *` }
})
const handler = async (): Promise<void> => {}

interface Turn {
  readonly register: number
  readonly remove: number
  readonly kept: number
  readonly left: number
}

/** What one turn of a build has cost a job, and how many jobs it has forgotten to add or to remove. */
async function turn({ createScheduler }: typeof Library): Promise<Turn> {
  const before = await memory()
  const scheduler = createScheduler({ timezone: 'UTC' })
  const register = await cpuOf(async () => {
    for (const { id, cron } of jobs) scheduler.cron(id, cron, handler)
    await scheduler.start()
  })
  const kept = (await memory()) - before
  const missing = count - scheduler.list().length
  const remove = await cpuOf(async () => {
    for (const { id } of jobs) scheduler.remove(id)
  })
  const left = missing + scheduler.list().length
  await scheduler.close()
  return { register: register / count, remove: remove / count, kept: kept / count, left }
}

/** CPU time in microseconds. */
async function cpuOf(work: () => Promise<void>): Promise<number> {
  const before = process.cpuUsage()
  await work()
  const { user, system } = process.cpuUsage(before)
  return user + system
}

/** What the process holds, in bytes. */
async function memory(): Promise<number> {
  await sleep(20)
  for (let round = 0; round < 3; round++) globalThis.gc?.()
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}

const all: [Turn[], Turn[]] = [[], []]
for (let index = 0; index < WARM_UP_TURNS + turns; index++) {
  // Each of them is the first as often as the other.
  const order = index % 2 === 0 ? [0, 1] : [1, 0]
  for (const side of order) {
    const result = await turn(libraries[side] as typeof Library)
    if (index >= WARM_UP_TURNS) all[side]?.push(result)
  }
}
const results = all.map((own): Sample => {
  const of = (read: (turn: Turn) => number): number => median(own.map(read))
  return {
    costs: {
      'CPU to register a job, µs': of(({ register }) => register),
      'CPU to remove a job, µs': of(({ remove }) => remove),
      'kept a job, bytes': of(({ kept }) => kept)
    },
    faults: own.reduce((sum, { left }) => sum + left, 0)
  }
})
process.send?.(results, () => process.exit(0))
