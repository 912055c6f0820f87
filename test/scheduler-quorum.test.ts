import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { createScheduler } from '../lib/index.js'
import { logLines } from './fixtures/log-lines.js'
import { nextEvent } from './fixtures/next-event.js'
import { withMasters } from './fixtures/quorum-replicas.js'

const PERIOD = 100

t.test('two replicas over three masters, of which one is killed: each tick runs once, and none is lost', (t) =>
  withMasters(3, async (masters) => {
    const { logger, lines } = logLines()
    const redis = masters.map(({ url }) => url)
    const ticks: number[] = []
    let last = 0
    const schedulers = [logger, undefined].map((logger) => {
      const scheduler = createScheduler({ redis, prefix: 'app', ...(logger === undefined ? {} : { logger }) })
      scheduler.interval('job', `${PERIOD}ms`, ({ run, fencingToken }) => {
        ticks.push(run.scheduledTime)
        if ((fencingToken as number) <= last) t.fail(`the token ${fencingToken} follows ${last}`)
        last = fencingToken as number
      })
      scheduler.on('missed', ({ scheduledTime, reason }) => t.fail(`${scheduledTime} is missed: ${reason}`))
      scheduler.on('skipped', ({ scheduledTime, reason }) => {
        if (reason !== 'claimed_elsewhere' && reason !== 'shutdown') t.fail(`${scheduledTime} is skipped: ${reason}`)
      })
      return scheduler
    })
    await Promise.all(schedulers.map((scheduler) => scheduler.start()))
    await sleep(1500)
    await masters[1]?.kill()
    await sleep(1500)
    await Promise.all(schedulers.map((scheduler) => scheduler.close()))
    t.ok(ticks.length >= 25, `${ticks.length} runs`)
    t.equal(new Set(ticks).size, ticks.length, 'none twice')
    const sorted = [...ticks].sort((a, b) => a - b)
    const wanted = sorted.map((_, index) => (sorted[0] as number) + index * PERIOD)
    t.same(sorted, wanted, 'none is lost')
    const warnings = lines.filter(({ level }) => level === 'warn')
    t.match(warnings, [{ message: /a master is missing, and the others decide without it/ }])
    t.equal(warnings.length, 1)
    for (const { client } of masters.filter((_, index) => index !== 1)) t.same(await client.keys('*:lock:*'), [])
  })
)

t.test('a majority of the masters may be away at the start; jobs begin when it comes', (t) =>
  withMasters(3, async (masters) => {
    await Promise.all([masters[0]?.kill(), masters[1]?.kill()])
    const { logger, lines } = logLines()
    const scheduler = createScheduler({ redis: masters.map(({ url }) => url), prefix: 'app', logger })
    scheduler.interval('job', PERIOD, () => {})
    await scheduler.start()
    await nextEvent(scheduler, 'lockFailed', ({ reason }) => reason === 'error')
    t.equal(lines.filter(({ message }) => /does not answer/.test(message)).length, 1)
    const executed = nextEvent(scheduler, 'executed')
    await masters[1]?.restart()
    t.equal((await executed).run.outcome, 'success')
    t.equal((await scheduler.withLock('name', {}, () => 1)).acquired, true)
    await scheduler.close()
  })
)

t.test('one dead or hung master delays no start', (t) =>
  withMasters(3, async (masters) => {
    await masters[0]?.kill()
    const open = async (): Promise<number> => {
      const scheduler = createScheduler({ redis: masters.map(({ url }) => url), prefix: 'app' })
      const begun = performance.now()
      await scheduler.start()
      const took = performance.now() - begun
      await scheduler.close()
      return took
    }
    const dead = await open()
    t.ok(dead < 1000, `a dead one: ${dead} ms`)
    await masters[0]?.restart()
    masters[0]?.hang()
    const hung = await open()
    t.ok(hung < 1000, `a hung one: ${hung} ms`)
    masters[0]?.resume()
  })
)

t.test('credentials that one master refuses are refused at the start, without the password', (t) =>
  withMasters(3, async (masters) => {
    await masters[2]?.client.config('SET', 'requirepass', 'right')
    const redis = masters.map(({ port }) => `redis://127.0.0.1:${port}`)
    const scheduler = createScheduler({ redis, prefix: 'app' })
    await t.rejects(scheduler.start(), { code: 'FST_ERR_RLS_REDIS_AUTH', message: redis[2]?.slice(8) as string })
    await scheduler.close()
    const right = createScheduler({
      redis: redis.map((url, index) => (index === 2 ? url.replace('//', '//:right@') : url)),
      prefix: 'app'
    })
    await right.start()
    t.equal((await right.withLock('name', {}, () => 1)).acquired, true)
    await right.close()
  })
)
