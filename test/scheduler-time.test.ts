import t from 'tap'
import { createScheduler, type JobOptions, type TriggerInput } from '../lib/index.js'
import { VirtualClock } from '../lib/testing/virtual-clock.js'
import { type VirtualScheduler, withVirtualScheduler } from './fixtures/virtual-scheduler.js'

const START = Date.parse('2027-01-01T00:00:00Z')
const SECOND = 1000
const MINUTE = 60 * SECOND
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR

/** Adds a job that notes its ticks, in milliseconds from the start. */
function record(
  { scheduler }: Pick<VirtualScheduler, 'scheduler'>,
  trigger: TriggerInput,
  options: Partial<JobOptions<undefined>> = {}
): number[] {
  const ticks: number[] = []
  scheduler.add({ id: 'a', trigger, handler: ({ run }) => void ticks.push(run.scheduledTime - START), ...options })
  return ticks
}

function reasons({ events }: VirtualScheduler): [number, unknown][] {
  return events
    .filter(({ name }) => name === 'skipped')
    .map(({ event }) => [(event.scheduledTime as number) - START, event.reason])
}

t.test('a year of a daily job: 365 runs', async (t) => {
  await withVirtualScheduler(async (parts) => {
    const ticks = record(parts, { cron: '0 3 * * *', timezone: 'Europe/Vienna' })
    await parts.scheduler.start()
    await parts.clock.advance(365 * DAY)
    t.equal(ticks.length, 365)
    t.same([...new Set(ticks.map((tick) => (tick % DAY) / HOUR))].sort(), [1, 2], 'in winter and in summer time')
    t.same(reasons(parts), [])
  })
})

t.test('a date 60 days ahead is reached in hops, and runs once', async (t) => {
  await withVirtualScheduler(async (parts) => {
    const ticks = record(parts, { date: START + 60 * DAY + 1 })
    await parts.scheduler.start()
    await parts.clock.advance(60 * DAY)
    t.same(ticks, [])
    t.equal(parts.scheduler.get('a')?.nextRun, START + 60 * DAY + 1)
    await parts.clock.advance(1)
    t.same(ticks, [60 * DAY + 1])
    await parts.clock.advance(DAY)
    t.equal(ticks.length, 1)
    t.equal(parts.scheduler.get('a'), undefined, 'and the job is gone')
  })
})

t.test('a wall clock that jumps forwards: no tick twice, nothing loops, it goes on', async (t) => {
  await withVirtualScheduler(async (parts) => {
    const { clock, scheduler } = parts
    const ticks = record(parts, { interval: '10m' })
    await scheduler.start()
    await clock.advance(25 * MINUTE)
    const fired = clock.fired
    clock.jump(HOUR)
    await clock.advance(MINUTE)
    t.ok(clock.fired - fired < 100, 'nothing loops')
    t.same(ticks, [10 * MINUTE, 20 * MINUTE], 'the ticks it jumped over are too late to run')
    await clock.advance(4 * MINUTE)
    t.same(ticks, [10 * MINUTE, 20 * MINUTE, 90 * MINUTE])
    t.same(reasons(parts), [...[30, 40, 50, 60, 70, 80].map((minute) => [minute * MINUTE, 'misfire'])])
    const missed = parts.events.filter(({ name }) => name === 'missed')
    t.equal(missed.length, 6)
    t.match(missed[5], { event: { scheduledTime: START + 80 * MINUTE, reason: 'misfire' } })
  })
})

t.test('a wall clock that jumps backwards: no tick twice, nothing loops, it goes on', async (t) => {
  await withVirtualScheduler(async (parts) => {
    const { clock, scheduler } = parts
    const ticks = record(parts, { interval: '10m' })
    await scheduler.start()
    await clock.advance(25 * MINUTE)
    const fired = clock.fired
    clock.jump(-HOUR)
    await clock.advance(10 * MINUTE)
    t.ok(clock.fired - fired < 1000, 'nothing loops')
    t.same(ticks, [10 * MINUTE, 20 * MINUTE])
    await clock.advance(56 * MINUTE)
    t.same(
      ticks,
      [10, 20, 30].map((minute) => minute * MINUTE),
      'the next tick is the one after the last'
    )
    t.same(reasons(parts), [])
  })
})

t.test('a wall clock that jumps back and forth over a tick runs it once', async (t) => {
  await withVirtualScheduler(async (parts) => {
    const { clock, scheduler } = parts
    const ticks = record(parts, { interval: '1m' })
    await scheduler.start()
    for (let count = 0; count < 20; count++) {
      await clock.advance(59_999)
      clock.jump(2000)
      await clock.advance(1)
      clock.jump(-2000)
      await clock.advance(1999)
      clock.jump(500)
      clock.jump(-2499)
      await clock.advance(2001)
    }
    t.same(ticks, [...new Set(ticks)], 'none ran twice')
    t.same(
      ticks,
      Array.from(ticks, (_, index) => (index + 1) * MINUTE),
      'and none was left out'
    )
    t.same(reasons(parts), [])
  })
})

t.test('a wall clock set back by an hour: what has been is not due again, and it is told once', async (t) => {
  await withVirtualScheduler(async (parts) => {
    const { clock, scheduler } = parts
    const ticks = record(parts, { interval: '10m' })
    await scheduler.start()
    await clock.advance(25 * MINUTE)
    clock.jump(-2 * HOUR)
    await clock.advance(HOUR)
    const warnings = parts.lines.filter(({ level }) => level === 'warn')
    t.match(warnings, [{ message: /set back by 7200 s: what was due until 2027-01-01T00:25.* is not due again/ }])
    t.equal(warnings.length, 1)
    await clock.advance(70 * MINUTE)
    t.same(
      ticks,
      [10, 20, 30].map((minute) => minute * MINUTE)
    )
    clock.jump(-90 * MINUTE)
    await clock.advance(MINUTE)
    t.equal(parts.lines.filter(({ level }) => level === 'warn').length, 2, 'each time')
    clock.jump(-2000)
    await clock.advance(MINUTE)
    t.equal(parts.lines.filter(({ level }) => level === 'warn').length, 2)
  })
})

for (const lock of [{}, false] as const) {
  t.test(`a wall clock set back by a day: jobs go on by it at once, lock: ${JSON.stringify(lock)}`, async (t) => {
    await withVirtualScheduler(async (parts) => {
      const { clock, scheduler } = parts
      const ticks = record(parts, { interval: '10m' }, { lock })
      const once: number[] = []
      scheduler.date('once', new Date(START + 5 * MINUTE), ({ run }) => void once.push(run.scheduledTime), { lock })
      const ends: number[] = []
      const after = { interval: '10m', after: 'completion' } as const
      scheduler.add({ id: 'after', trigger: after, lock, handler: () => void ends.push(clock.monotonic()) })
      const late: number[] = []
      const jitter = { jitter: '9m', lock }
      scheduler.interval('late', '10m', ({ run }) => void late.push(run.scheduledTime - START), jitter)
      await scheduler.start()
      await clock.advance(25 * MINUTE)
      clock.jump(-DAY)
      await clock.advance(35 * MINUTE)
      t.same(
        ticks,
        [10, 20, 30 - 1440, 40 - 1440, 50 - 1440, 60 - 1440].map((minute) => minute * MINUTE)
      )
      t.equal(new Set(late).size, late.length)
      t.ok(late.length >= 4, `${late.length} ticks with jitter`)
      t.ok(ends.length >= 4, `${ends.length} runs measured from the last end`)
      // Measured from the correction where it came after the last end.
      for (const [index, end] of ends.slice(1).entries()) t.ok(end - (ends[index] as number) <= 20 * MINUTE)
      t.match(
        parts.lines.filter(({ level }) => level === 'warn'),
        [{ message: 'the clock was set back by 86400 s, which is a correction: jobs go on by it at once' }]
      )
      await clock.advance(2 * DAY)
      t.equal(once.length, 1, 'a date is once')
      t.same(reasons(parts), [])
      t.equal(parts.events.filter(({ name }) => name === 'missed').length, 0)
    })
  })
}

t.test('a leap forwards that is taken back runs nothing twice', async (t) => {
  await withVirtualScheduler(async (parts) => {
    const { clock, scheduler } = parts
    const ticks = record(parts, { interval: '1m' })
    await scheduler.start()
    await clock.advance(MINUTE + 10 * SECOND)
    clock.jump(DAY)
    await clock.advance(15 * SECOND)
    clock.jump(-DAY - 30 * SECOND)
    await clock.advance(3 * MINUTE)
    const today = ticks.filter((tick) => tick < DAY)
    t.same(
      today,
      [1, 2, 3].map((minute) => minute * MINUTE),
      'the first minute does not come again'
    )
  })
})

t.test(
  "`after: 'completion'` without a lock goes on after a leap that is taken back to before where it began",
  async (t) => {
    await withVirtualScheduler(async ({ clock, scheduler }) => {
      const begun: number[] = []
      scheduler.add({
        id: 'after',
        trigger: { interval: '1m', after: 'completion' },
        lock: false,
        handler: () => void begun.push(clock.monotonic())
      })
      await scheduler.start()
      await clock.advance(150 * SECOND)
      clock.jump(DAY)
      await clock.advance(15 * SECOND)
      clock.jump(-DAY - 2 * MINUTE)
      await clock.advance(5 * MINUTE)
      t.ok(begun.length >= 7, `${begun.length} runs`)
    })
  }
)

t.test('a job added after such a jump starts with the first tick later than its adding', async (t) => {
  await withVirtualScheduler(async (parts) => {
    const { clock, scheduler } = parts
    scheduler.add({ id: 'other', trigger: { interval: '1m' }, handler() {} })
    await scheduler.start()
    await clock.advance(30 * SECOND)
    clock.jump(3 * MINUTE + 35 * SECOND)
    parts.events.length = 0
    const ticks = record(parts, { interval: '1m' })
    const added = clock.now() - START
    await clock.advance(MINUTE)
    t.ok(
      ticks.every((tick) => tick > added),
      `added at ${added}, its ticks are ${ticks}`
    )
    const skipped = parts.events.filter(({ name, event }) => name === 'skipped' && event.job === scheduler.get('a'))
    t.same(skipped, [], 'ticks of a time before it was there are none of its')
  })
})

for (const lock of [{}, false] as const) {
  const what = lock === false ? 'of a job without a lock' : 'of a job with a lock'
  t.test(`late ticks ${what}: the latest runs within the grace time, those before it are missed`, async (t) => {
    await withVirtualScheduler(async (parts) => {
      const { clock, scheduler } = parts
      const ticks = record(parts, { interval: '1m' }, { misfireGraceTime: '5s', lock })
      await scheduler.start()
      await clock.advance(MINUTE)
      await clock.freeze(3 * MINUTE + 5 * SECOND)
      t.same(ticks, [MINUTE, 4 * MINUTE])
      t.same(reasons(parts), [
        [2 * MINUTE, 'misfire'],
        [3 * MINUTE, 'misfire']
      ])
      parts.events.length = 0
      await clock.advance(54 * SECOND)
      await clock.freeze(7 * SECOND)
      t.same(ticks, [MINUTE, 4 * MINUTE], '6 s late is too late')
      t.same(reasons(parts), [[5 * MINUTE, 'misfire']])
      const missed = parts.events.filter(({ name }) => name === 'missed')
      t.match(missed, [{ event: { job: scheduler.get('a'), scheduledTime: START + 5 * MINUTE, reason: 'misfire' } }])
      await clock.advance(MINUTE)
      t.same(ticks, [MINUTE, 4 * MINUTE, 6 * MINUTE])
    })
  })
}

for (const lock of [{ ttl: '5m' }, false] as const) {
  t.test(`late ticks that end in an overlap or a pause are counted too, lock: ${JSON.stringify(lock)}`, async (t) => {
    await withVirtualScheduler(async (parts) => {
      const { clock, scheduler } = parts
      let end = (): void => {}
      const handler = (): Promise<void> =>
        new Promise((resolve) => {
          end = resolve
        })
      scheduler.add({ id: 'a', trigger: { interval: '1m' }, misfireGraceTime: '50s', lock, handler })
      await scheduler.start()
      await clock.advance(MINUTE)
      await clock.freeze(2 * MINUTE + SECOND)
      t.same(reasons(parts), [
        [2 * MINUTE, 'misfire'],
        [3 * MINUTE, 'overlap']
      ])
      end()
      await scheduler.pause('a')
      parts.events.length = 0
      await clock.freeze(2 * MINUTE)
      t.same(reasons(parts), [
        [4 * MINUTE, 'paused'],
        [5 * MINUTE, 'paused']
      ])
    })
  })
}

t.test('the default grace time is capped below the distance to the next tick', async (t) => {
  await withVirtualScheduler(async (parts) => {
    const ticks = record(parts, { any: [{ date: START + SECOND }, { date: START + 3 * SECOND }] })
    await parts.scheduler.start()
    await parts.clock.freeze(33 * SECOND)
    t.same(ticks, [3 * SECOND], 'the last tick has no next one: its grace time is whole')
    t.same(reasons(parts), [[SECOND, 'misfire']])
  })
})

t.test("`after: 'completion'` measures from the end of the last run", async (t) => {
  for (const lock of [{}, false] as const) {
    await withVirtualScheduler(async ({ clock, scheduler }) => {
      const starts: number[] = []
      scheduler.add({
        id: 'a',
        trigger: { interval: '10s', after: 'completion' },
        lock,
        async handler() {
          starts.push(clock.now() - START)
          await clock.sleep(starts.length === 2 ? 25 * SECOND : 3 * SECOND)
        }
      })
      await scheduler.start()
      await clock.advance(75 * SECOND)
      const [first, ...others] = starts as [number]
      t.ok(first >= 10 * SECOND && first < 10_010, 'the first is measured from the start')
      t.same(
        others.map((start) => start - first),
        [13, 48, 61].map((second) => second * SECOND),
        lock === false ? 'unlocked' : 'locked'
      )
    })
  }
})

t.test("`after: 'completion'` measures from the end of a run by hand too", async (t) => {
  for (const lock of [{}, false] as const) {
    for (const asked of [0, 9 * MINUTE]) {
      await withVirtualScheduler(async ({ clock, scheduler }) => {
        const starts: [string, number][] = []
        scheduler.add({
          id: 'a',
          trigger: { interval: '10m', after: 'completion' },
          lock,
          async handler({ run }) {
            starts.push([run.trigger, Math.round((clock.now() - START) / SECOND) * SECOND])
            if (asked > 0) await clock.sleep(2 * MINUTE)
          }
        })
        await scheduler.start()
        await clock.advance(asked)
        const active = scheduler.trigger('a')
        await clock.advance(0)
        await active
        await clock.advance(20 * MINUTE - 1)
        const due = asked === 0 ? 10 * MINUTE : 21 * MINUTE
        t.same(
          starts,
          [
            ['manual', asked],
            ['schedule', due]
          ],
          lock === false ? 'unlocked' : 'locked'
        )
      })
    }
  }
})

t.test("`after: 'completion'` keeps to startDate and endDate", async (t) => {
  await withVirtualScheduler(async ({ clock, scheduler }) => {
    const starts: number[] = []
    const bounds = { startDate: START + 60 * SECOND, endDate: START + 90 * SECOND }
    scheduler.add({
      id: 'a',
      trigger: { interval: '10s', after: 'completion', ...bounds },
      handler: ({ run }) => {
        starts.push(clock.now() - START)
        t.ok(run.scheduledTime >= bounds.startDate && run.scheduledTime <= bounds.endDate)
      }
    })
    await scheduler.start()
    await clock.advance(5 * MINUTE)
    t.ok(starts.length > 0, 'it ran')
    t.same(
      starts.filter((start) => start < 60 * SECOND),
      [],
      'not before its startDate'
    )
    t.same(
      starts.filter((start) => start > 90 * SECOND),
      [],
      'not after its endDate'
    )
  })
})

t.test('jitter is the same each time, and below the next tick', async (t) => {
  const startsOf = async (id: string): Promise<number[]> => {
    const starts: number[] = []
    await withVirtualScheduler(async ({ clock, scheduler }) => {
      scheduler.interval(id, '10s', ({ run }) => void starts.push(run.startedAt - run.scheduledTime), { jitter: '1h' })
      await scheduler.start()
      await clock.advance(1000 * SECOND)
    })
    return starts
  }
  const [first, again, other] = [await startsOf('a'), await startsOf('a'), await startsOf('b')]
  t.ok(first.length >= 99)
  t.same(again, first)
  t.notSame(other, first)
  t.ok(first.every((delay) => delay >= 0 && delay < 10 * SECOND))
  t.ok(Math.max(...first) > 8 * SECOND && Math.min(...first) < 2 * SECOND, 'and spread')
})

t.test('lock: false runs without a lock, and not twice at once', async (t) => {
  await withVirtualScheduler(async (parts) => {
    const { clock, scheduler } = parts
    const tokens: unknown[] = []
    const handler = async ({ fencingToken }: { fencingToken: unknown }): Promise<void> => {
      tokens.push(fencingToken)
      await clock.sleep(1500)
    }
    const job = scheduler.interval('a', '1s', handler, { lock: false })
    await scheduler.start()
    await clock.advance(SECOND)
    t.equal(job.running, 1)
    t.equal(await scheduler.trigger('a'), null)
    await clock.advance(3 * SECOND)
    t.same(tokens, [null, null])
    t.same(
      reasons(parts),
      [2, 4].map((second) => [second * SECOND, 'overlap'])
    )
    t.same(
      parts.events.filter(({ name }) => name.startsWith('lock')),
      []
    )
  })
})

t.test('100,000 jobs of 20 triggers: one run each a tick, under the concurrency', async (t) => {
  const clock = new VirtualClock()
  const scheduler = createScheduler({ clock, concurrency: 100 })
  const runs = new Uint8Array(100_000)
  let running = 0
  let most = 0
  for (let index = 0; index < runs.length; index++) {
    const handler = async (): Promise<void> => {
      most = Math.max(most, ++running)
      await null
      running--
      runs[index] = (runs[index] as number) + 1
    }
    scheduler.add({ id: `job-${index}`, trigger: { interval: '1m', offset: (index % 20) * SECOND }, handler })
  }
  t.equal(scheduler.list().length, 100_000)
  await scheduler.start()
  await clock.advance(19 * SECOND)
  await clock.advance(41 * SECOND)
  t.ok(runs.every((count) => count === 1))
  t.ok(most <= 100, `at most ${most} at once`)
  t.ok(clock.pending < 10, 'all jobs share a few timers')
  await scheduler.close()
})

t.test('a step back in memory is told once, whatever is added or started again meanwhile', (t) =>
  withVirtualScheduler(async (parts) => {
    const { clock, scheduler, lines } = parts
    scheduler.cron('job', '* * * * *', () => {})
    await scheduler.start()
    await clock.advance(3 * MINUTE)
    clock.jump(-60 * MINUTE)
    await clock.advance(MINUTE)
    scheduler.stop()
    await scheduler.start()
    scheduler.remove('job')
    scheduler.cron('job', '* * * * *', () => {})
    await clock.advance(MINUTE)
    const told = lines.flatMap(({ level, message }) => (level === 'warn' ? [message] : []))
    t.equal(told.length, 1, told.join('; '))
    t.match(told[0], /^the clock was set back by 3600 s: what was due until/)
  })
)
