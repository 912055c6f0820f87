import t from 'tap'
import { type Ping, PingQueue } from '../../../lib/observability/pings/ping-queue.js'
import { VirtualClock } from '../../../lib/testing/virtual-clock.js'

const SECOND = 1000

/** One try of a ping, which a test answers. */
interface Try {
  readonly path: string
  readonly at: number
  readonly signal: AbortSignal
  readonly answer: (status: number) => void
  readonly fail: (code: string) => void
}

function withQueue(): {
  readonly clock: VirtualClock
  readonly queue: PingQueue
  readonly tries: Try[]
  readonly heard: string[]
  push(path: string): void
} {
  const clock = new VirtualClock()
  const start = clock.monotonic()
  const tries: Try[] = []
  const heard: string[] = []
  const queue = new PingQueue(
    clock,
    (url, _body, signal) =>
      new Promise((resolve, reject) => {
        const fail = (code: string): void => reject(Object.assign(new Error('secret'), { code }))
        signal.addEventListener('abort', () => fail('ABORT_ERR'))
        tries.push({ path: url.pathname.slice(1), at: clock.monotonic() - start, signal, answer: resolve, fail })
      }),
    {
      onTaken: ({ url }) => void heard.push(`taken ${url.pathname.slice(1)}`),
      onRefused: ({ url }, status) => void heard.push(`refused ${url.pathname.slice(1)}: ${status}`),
      onUnanswered: ({ url }, reason) => void heard.push(`unanswered ${url.pathname.slice(1)}: ${reason}`),
      onLeftOut: () => void heard.push('left out')
    }
  )
  const push = (path: string): void => {
    const [heartbeat = ''] = path.split('/')
    const ping: Ping = { jobId: heartbeat, heartbeat, url: new URL(`http://x/${path}`), body: new Uint8Array() }
    queue.push(ping)
  }
  return { clock, queue, tries, heard, push }
}

t.test('the pings of one URL are sent one after the other, those of others beside them', async (t) => {
  const { clock, queue, tries, heard, push } = withQueue()
  for (const path of ['a/1', 'a/2', 'b/1', 'a/3']) push(path)
  await clock.settle()
  t.strictSame(
    tries.map(({ path }) => path),
    ['a/1', 'b/1']
  )
  tries[0]?.answer(200)
  await clock.settle()
  tries[2]?.answer(201)
  await clock.settle()
  t.strictSame(
    tries.map(({ path }) => path),
    ['a/1', 'b/1', 'a/2', 'a/3']
  )
  const settled = queue.settled()
  tries[1]?.answer(204)
  tries[3]?.answer(200)
  await settled
  t.strictSame(heard, ['taken a/1', 'taken a/2', 'taken b/1', 'taken a/3'])
  t.equal(clock.pending, 0, 'no timer is left')
})

t.test('what passes is tried again, later each time, and later pings wait for it', async (t) => {
  const { clock, tries, heard, push } = withQueue()
  push('a/1')
  push('a/2')
  const answers = [503, 'ECONNREFUSED', 429, 500, 'EAI_AGAIN', 'ECONNRESET'] as const
  for (const [index, answer] of answers.entries()) {
    await clock.settle()
    t.equal(tries.length, index + 1)
    if (typeof answer === 'number') tries[index]?.answer(answer)
    else tries[index]?.fail(answer)
    await clock.settle()
    if (index < 5) await clock.advance(1000 * 2 ** index)
  }
  t.strictSame(
    tries.map(({ path, at }) => [path, at / SECOND]),
    [
      ['a/1', 0],
      ['a/1', 1],
      ['a/1', 3],
      ['a/1', 7],
      ['a/1', 15],
      ['a/1', 31],
      ['a/2', 31]
    ]
  )
  t.strictSame(heard, ['unanswered a/1: ECONNRESET'])
  for (let index = 6; index < 11; index++) {
    tries[index]?.answer(500)
    await clock.settle()
    await clock.advance(2 ** (index - 6) * SECOND)
  }
  tries[11]?.answer(200)
  await clock.settle()
  t.strictSame(heard, ['unanswered a/1: ECONNRESET', 'taken a/2'], 'it is tried again as often')
})

t.test('what is refused is not tried again', async (t) => {
  for (const status of [301, 400, 401, 404, 409, 410]) {
    const { clock, tries, heard, push } = withQueue()
    push('a/1')
    await clock.settle()
    tries[0]?.answer(status)
    await clock.advance(60 * SECOND)
    t.equal(tries.length, 1)
    t.strictSame(heard, [`refused a/1: ${status}`])
  }
})

t.test('a ping that is not answered is ended, and tried again', async (t) => {
  const { clock, tries, heard, push } = withQueue()
  push('a/1')
  await clock.advance(9999)
  t.equal(tries[0]?.signal.aborted, false)
  await clock.advance(1)
  t.equal(tries[0]?.signal.aborted, true)
  await clock.advance(81_000 - 10_000)
  t.equal(tries.length, 6)
  t.strictSame(heard, [])
  await clock.advance(10_000)
  t.strictSame(heard, ['unanswered a/1: no answer within 10000 ms'])
  t.equal(clock.pending, 0)
})

t.test('ten are under way at most, twenty of a URL and a thousand in all wait', async (t) => {
  const { clock, queue, tries, heard, push } = withQueue()
  for (let index = 0; index < 25; index++) push(`a/${index}`)
  t.equal(heard.length, 5)
  for (let index = 0; index < 30; index++) push(`b${index}/0`)
  await clock.settle()
  t.equal(tries.length, 10)
  for (let index = 0; tries[index] !== undefined; index++) {
    tries[index]?.answer(200)
    await clock.settle()
    t.ok(tries.length - index - 1 <= 10)
  }
  t.strictSame(
    tries.filter(({ path }) => path.startsWith('a')).map(({ path }) => Number(path.slice(2))),
    [0, ...Array.from({ length: 19 }, (_, index) => index + 6)],
    'the oldest are left out, but for the one that is under way'
  )
  heard.length = 0
  for (let index = 0; index < 1500; index++) push(`c${index}/0`)
  t.equal(heard.length, 500, 'of many URLs with one each, the last')
  for (let index = 0; index < 4; index++) push(`c10/${index + 1}`)
  t.equal(heard.length, 504)
  t.equal(queue.close(), 1000)
})

t.test('in a hurry all is tried once more at once, and nothing again', async (t) => {
  const { clock, queue, tries, heard, push } = withQueue()
  for (const path of ['a/1', 'a/2', 'b/1']) push(path)
  await clock.settle()
  tries[0]?.answer(500)
  await clock.settle()
  queue.hurry()
  await clock.settle()
  t.strictSame(
    tries.map(({ path }) => path),
    ['a/1', 'b/1', 'a/1']
  )
  const settled = queue.settled()
  tries[1]?.answer(500)
  tries[2]?.answer(500)
  await clock.settle()
  tries[3]?.answer(200)
  await settled
  t.strictSame(heard, ['unanswered b/1: status 500', 'unanswered a/1: status 500', 'taken a/2'])
})

t.test('closed it ends what is under way, and hears of nothing more', async (t) => {
  const { clock, queue, tries, heard, push } = withQueue()
  for (const path of ['a/1', 'a/2', 'b/1', 'c/1']) push(path)
  await clock.settle()
  tries[1]?.answer(500)
  await clock.settle()
  const settled = queue.settled()
  t.equal(queue.close(), 4)
  await settled
  t.ok(tries[0]?.signal.aborted && tries[2]?.signal.aborted)
  push('d/1')
  await clock.advance(60 * SECOND)
  t.equal(tries.length, 3)
  t.strictSame(heard, [])
  t.equal(clock.pending, 0)
})
