import t from 'tap'
import { Bag } from '../../lib/base/bag.js'
import { type Deadline, Deadlines } from '../../lib/runs/deadlines.js'
import type { Clock } from '../../types/clock.js'

class Item implements Deadline {
  place = -1
  readonly checkedAt: number[] = []
  checkAt: number

  constructor(checkAt: number) {
    this.checkAt = checkAt
  }

  check(now: number): void {
    this.checkedAt.push(now)
    this.checkAt = Number.POSITIVE_INFINITY
  }
}

/** A clock with one timer at most, of which it is known whether it keeps the process alive. */
function setUp() {
  let now = 0
  let timer: { readonly at: number; readonly callback: () => void; isAlive: boolean } | null = null
  const clock: Clock = {
    now: () => now,
    monotonic: () => now,
    setTimeout: (callback, delay) => {
      const own = { at: now + delay, callback, isAlive: true }
      timer = own
      return {
        cancel: () => {
          if (timer === own) timer = null
        },
        ref: () => {
          own.isAlive = true
        },
        unref: () => {
          own.isAlive = false
        }
      }
    },
    setImmediate
  }
  const watch = new Deadlines(clock)
  const others = new Bag<Item>()
  watch.watchAlso(others)
  return {
    watch,
    others,
    /** Adds to what somebody else keeps, as the runner does. */
    begin: (item: Item) => {
      others.add(item)
      if (others.size === 1) watch.keepAlive()
      watch.touch(item)
    },
    end: (item: Item) => {
      others.delete(item)
      if (others.size === 0) watch.keepAlive()
    },
    keepsAlive: () => timer?.isAlive ?? false,
    pass: (until: number) => {
      now = until
      const due = timer
      if (due === null || due.at > now) return
      timer = null
      due.callback()
    }
  }
}

t.test('its own items and those of somebody else are looked at when their time has come', async (t) => {
  const { watch, begin, pass } = setUp()
  const [first, second, own] = [new Item(10), new Item(30), new Item(20)]
  begin(first)
  begin(second)
  watch.add(own)
  for (const now of [5, 10, 20, 30, 40]) pass(now)
  t.strictSame([first.checkedAt, own.checkedAt, second.checkedAt], [[10], [20], [30]])
})

t.test('what has ended before is not looked at', async (t) => {
  const { watch, begin, end, pass } = setUp()
  const [run, own] = [new Item(10), new Item(10)]
  begin(run)
  watch.add(own)
  end(run)
  watch.delete(own)
  pass(10)
  t.strictSame([run.checkedAt, own.checkedAt], [[], []])
})

t.test('what a check ends is not looked at any more', async (t) => {
  const { begin, end, pass } = setUp()
  const [run, last] = [new Item(10), new Item(10)]
  run.check = () => {
    run.checkAt = Number.POSITIVE_INFINITY
    end(last)
  }
  begin(run)
  begin(last)
  pass(10)
  t.strictSame(last.checkedAt, [])
})

t.test('its timer keeps the process alive while something goes on, of its own or of somebody else', async (t) => {
  const { watch, begin, end, keepsAlive } = setUp()
  const [run, own] = [new Item(10), new Item(20)]
  begin(run)
  t.equal(keepsAlive(), true)
  end(run)
  t.equal(keepsAlive(), false, 'left to lapse')
  begin(run)
  t.equal(keepsAlive(), true, 'the same timer again')
  watch.add(own)
  end(run)
  t.equal(keepsAlive(), true)
  watch.delete(own)
  t.equal(keepsAlive(), false)
  watch.add(own)
  t.equal(keepsAlive(), true)
  begin(run)
  watch.delete(own)
  t.equal(keepsAlive(), true)
})
