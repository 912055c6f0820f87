import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { Agent, get, type IncomingMessage, request } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import type { AppPlan } from './fixtures/app-process.js'
import { compiledProgram } from './fixtures/compiled.js'
import { PLAIN_NODE } from './fixtures/plain-process.js'
import { freePort, withRedis } from './fixtures/with-redis.js'

// Processes that are stopped as Docker does it take their time.
t.setTimeout(180_000)
t.jobs = 2

/** What `docker stop` gives a container. */
const DOCKER_STOP = 10_000

/** An app in a process of its own, with what it has said so far. */
class App {
  readonly child: ChildProcess
  readonly lines: string[] = []
  readonly exit: Promise<[code: number | null, signal: string | null]>

  constructor(plan: AppPlan) {
    const program = compiledProgram('test/fixtures/app-process.ts')
    this.child = spawn('env', [...PLAIN_NODE, program, JSON.stringify(plan)], { stdio: ['ignore', 'pipe', 'inherit'] })
    this.exit = once(this.child, 'close') as Promise<[number | null, string | null]>
    this.child.stdout?.on('data', (chunk: Buffer) => {
      this.lines.push(...chunk.toString().trim().split('\n'))
      this.child.emit('line')
    })
  }

  /** The first line that begins so. */
  async said(beginning: string): Promise<string> {
    for (;;) {
      const line = this.lines.find((each) => each.startsWith(beginning))
      if (line !== undefined) return line
      await Promise.race([
        once(this.child, 'line'),
        this.exit.then(() => Promise.reject(new Error(`not ${beginning}`)))
      ])
    }
  }

  /** As `docker stop`: SIGTERM, and SIGKILL to who is still there after 10 s. */
  async stop(): Promise<[code: number | null, signal: string | null]> {
    this.child.kill('SIGTERM')
    const timer = setTimeout(() => this.child.kill('SIGKILL'), DOCKER_STOP)
    const end = await this.exit
    clearTimeout(timer)
    return end
  }
}

/** Asks for a run, and waits for what became of it. */
async function askForRun(url: string): Promise<string | undefined> {
  const asked = request(`${url}/run`, { method: 'POST', agent: false })
  asked.end()
  try {
    const [response] = (await once(asked, 'response')) as [IncomingMessage]
    return ((await new Response(response as never).json()) as { outcome?: string }).outcome
  } catch {
    return undefined
  }
}

t.test('SIGTERM with a keep-alive request in flight: the run ends well, and its database is there', async (t) => {
  for (const leaves of [true, false]) {
    await withRedis(async (redis) => {
      const app = new App({ redis: redis.url, does: 'serve', duration: 400 })
      const url = await app.said('http')
      const agent = new Agent({ keepAlive: true })
      const slow = once(get(`${url}/slow`, { agent }), 'response') as Promise<[IncomingMessage]>
      const run = askForRun(url)
      await Promise.all([app.said('asked'), app.said('begun')])
      const stopping = app.stop()
      const [answer] = await slow
      answer.resume()
      t.equal(answer.statusCode, 200)
      t.equal(await run, 'success')
      // Else the connection stays, and Fastify waits for it: for longer than Docker does.
      if (leaves) agent.destroy()
      const end = await stopping
      const said = app.lines.filter((line) => !/^http|asked/.test(line))
      t.same(said.slice(0, 3), ['begun', 'written', 'success'])
      if (leaves)
        t.same(
          [end, said.slice(3)],
          [
            [0, null],
            ['database closed', 'closed']
          ]
        )
      t.same(await redis.client.keys('*:lock:*'), [], 'no lock is left')
      agent.destroy()
    })
  }
})

t.test('docker stop and a run of minutes: it is aborted in time, and all is closed in order', async (t) => {
  await withRedis(async (redis) => {
    const app = new App({ redis: redis.url, does: 'serve', duration: 300_000 })
    const run = askForRun(await app.said('http'))
    await app.said('begun')
    t.same(await app.stop(), [0, null], 'before SIGKILL')
    t.same(app.lines.slice(1), ['begun', 'written', 'cancelled', 'database closed', 'closed'])
    t.equal(await run, 'cancelled', 'who waits for it is told')
    t.same(await redis.client.keys('*:lock:*'), [], 'no lock is left')
  })
})

t.test('docker stop while Redis hangs', async (t) => {
  await withRedis(async (redis) => {
    const app = new App({ redis: redis.url, does: 'serve', duration: 300_000 })
    const run = askForRun(await app.said('http'))
    await app.said('begun')
    redis.hang()
    t.same(await app.stop(), [0, null], 'before SIGKILL')
    const told = app.lines.filter((line) => /lock_lost|cancelled|abandoned|database closed|^closed/.test(line))
    t.match(
      told,
      [/lock_lost|cancelled|abandoned/, 'database closed', 'closed'],
      'its outcome is told, once, and first'
    )
    t.equal(told.length, 3)
    await run
    redis.resume()
  })
})

t.test('with autostart: false nothing of ours keeps a process alive', async (t) => {
  await withRedis(async (redis) => {
    const down = `redis://127.0.0.1:${await freePort()}`
    const does = async (what: AppPlan['does'], where: string | null): Promise<readonly string[]> => {
      const app = new App({ redis: where, does: what, duration: 50 })
      await app.said('done')
      const end = await Promise.race([app.exit, sleep(20_000, 'alive', { ref: false })])
      t.same(end, [0, null], `${what} ${where ?? 'in memory'}`)
      app.child.kill('SIGKILL')
      return app.lines
    }
    t.same(await does('trigger', null), ['begun', 'written', 'success', 'done'])
    t.same(await does('nothing', redis.url), ['done'])
    t.same(await does('trigger', redis.url), ['begun', 'written', 'success', 'done'])
    t.same(await does('lock', redis.url), ['locked', 'done'])
    t.same(await does('leave', redis.url), ['begun', 'done', 'written', 'success'], 'a run that goes on is not left')
    t.same(await redis.client.keys('*:lock:*'), [], 'no lock is left')
    t.same(await does('trigger', down), ['FST_ERR_RLS_REDIS_UNAVAILABLE', 'done'])
    redis.hang()
    t.same(await does('trigger', redis.url), ['FST_ERR_RLS_REDIS_UNAVAILABLE', 'done'])
    redis.resume()
  })
})
