import t from 'tap'
import { uuidOf } from '../../lib/base/uuid.js'
import { createScheduler, type JobOptions } from '../../lib/index.js'
import { checkHeartbeat, originOf, showHeartbeat, signalUrl } from '../../lib/jobs/heartbeat-url.js'
import { NEVER_DUE } from '../fixtures/never-due.js'

const RID = uuidOf('a run')
const SECRET = '5bf66975-d4c7-4bf5-bcc8-b8d8a82ea278'

t.test('the URL of each signal, whatever the given one looks like', async (t) => {
  const cases: [given: string, start: string, success: string][] = [
    ['https://hc-ping.com/uuid', 'https://hc-ping.com/uuid/start?', 'https://hc-ping.com/uuid?'],
    ['https://hc-ping.com/uuid/', 'https://hc-ping.com/uuid/start?', 'https://hc-ping.com/uuid/?'],
    ['https://hc-ping.com/uuid//', 'https://hc-ping.com/uuid/start?', 'https://hc-ping.com/uuid//?'],
    [
      'https://hc-ping.com/key/slug?create=1',
      'https://hc-ping.com/key/slug/start?create=1&',
      'https://hc-ping.com/key/slug?create=1&'
    ],
    ['http://10.0.0.1:8000/ping/uuid?', 'http://10.0.0.1:8000/ping/uuid/start?', 'http://10.0.0.1:8000/ping/uuid?'],
    ['https://example.com', 'https://example.com/start?', 'https://example.com/?'],
    ['https://example.com/?key=a/b', 'https://example.com/start?key=a/b&', 'https://example.com/?key=a/b&'],
    ['https://ann:pw@example.com/a%2Fb', 'https://ann:pw@example.com/a%2Fb/start?', 'https://ann:pw@example.com/a%2Fb?']
  ]
  for (const [given, start, success] of cases) {
    checkHeartbeat(given)
    const written = (text: string): string => text.replace('key=a/b', 'key=a%2Fb')
    t.equal(signalUrl(given, 'start', RID).href, written(`${start}rid=${RID}`), given)
    t.equal(signalUrl(given, 'fail', RID).href, written(`${start.replace('/start?', '/fail?')}rid=${RID}`), given)
    t.equal(signalUrl(given, 'success', RID).href, written(`${success}rid=${RID}`), given)
  }
  const twice = signalUrl('https://hc-ping.com/uuid?rid=mine', 'success', RID)
  t.same(twice.searchParams.getAll('rid'), [RID], 'there is one run id')
})

t.test("a run's UUID is canonical, the same everywhere, and another for another run", async (t) => {
  t.match(RID, /^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
  t.equal(uuidOf('a run'), RID)
  t.not(uuidOf('another run'), RID)
})

t.test('what is no URL to be pinged is refused, and the error does not say the secret', async (t) => {
  const scheduler = createScheduler({ logger: false })
  t.teardown(() => scheduler.close())
  const cases: [value: unknown, got: RegExp][] = [
    ['', /got ''/],
    [`hc-ping.com/${SECRET}`, /got a string of 48 characters$/],
    [`ftp://hc-ping.com/${SECRET}`, /got a string of 54 characters that begins with ftp:\/\/hc-ping\.com$/],
    [`javascript:${SECRET}`, /got a string of 47 characters$/],
    [`https:///`, /got a string of 9 characters$/],
    [`https://hc-ping.com/${SECRET}\n`, /got a string of 57 characters that begins with https:\/\/hc-ping\.com$/],
    [` https://hc-ping.com/${SECRET}`, /begins with https:\/\/hc-ping\.com$/],
    [`https://hc-ping.com/${SECRET}#a`, /begins with https:\/\/hc-ping\.com$/],
    [`https://ann:${SECRET}@hc-ping.com/ a`, /begins with https:\/\/hc-ping\.com$/],
    [`https://hc-ping.com/${SECRET}${'a'.repeat(500)}`, /got a string of 556 characters that begins with/],
    [new URL(`https://hc-ping.com/${SECRET}`), /got an object$/],
    [{ url: `https://hc-ping.com/${SECRET}` }, /got an object$/],
    [[`https://hc-ping.com/${SECRET}`], /got an object$/],
    [Promise.resolve(SECRET), /got an object$/],
    [5, /got 5 \(number\)$/],
    [true, /got true \(boolean\)$/]
  ]
  const options: JobOptions = { id: 'report', trigger: { interval: NEVER_DUE }, handler: () => {} }
  scheduler.add({ ...options, id: 'other' })
  for (const [heartbeat, got] of cases) {
    for (const call of [
      () => scheduler.add({ ...options, heartbeat } as never),
      () => scheduler.modify('other', { heartbeat } as never)
    ]) {
      try {
        call()
        t.fail(`${showHeartbeat(heartbeat)} was taken`)
      } catch (error) {
        const { code, message } = error as Error & { code: string }
        t.equal(code, 'FST_ERR_RLS_OPTION_INVALID')
        t.match(message, /^Job '(report|other)': Expected `heartbeat` to be an http or https URL/)
        t.match(message, got)
        t.notMatch(message, SECRET)
      }
    }
  }
  t.same(
    scheduler.list().map(({ id }) => id),
    ['other']
  )
  await t.rejects(scheduler.override('other', { heartbeat: `https://hc-ping.com/${SECRET}` } as never), {
    code: 'FST_ERR_RLS_OPTION_INVALID',
    message: /^(?!.*5bf66975)Expected `heartbeat` to be left to the job's code/
  })
  const defaults = { heartbeat: `https://hc-ping.com/${SECRET}` }
  t.throws(() => createScheduler({ defaults } as never), {
    code: 'FST_ERR_RLS_OPTION_UNKNOWN',
    message: /^(?!.*5bf66975).*a job's own `heartbeat`/
  })
  t.throws(() => scheduler.add({ ...options, pingUrl: `https://hc-ping.com/${SECRET}` } as never), {
    message: /^(?!.*5bf66975).*`pingUrl`.*`heartbeat`/
  })
})

t.test('it is not in what is seen of a job', async (t) => {
  const scheduler = createScheduler({ logger: false })
  t.teardown(() => scheduler.close())
  const heartbeat = `https://hc-ping.com/${SECRET}`
  const job = scheduler.add({ id: 'a', trigger: { interval: NEVER_DUE }, handler: () => {}, heartbeat })
  const seen = [JSON.stringify(job), JSON.stringify(scheduler.list()), JSON.stringify(await scheduler.status('a'))]
  t.notMatch(seen.join(), SECRET)
  t.equal(originOf(heartbeat), 'https://hc-ping.com')
})
