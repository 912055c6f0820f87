// Three replicas of one app share five jobs, each due every second, through a redis-server that this file starts: a live
// table of which replica ran which tick. Ends on Ctrl+C, or after SECONDS. REDIS_SERVER: the path of the server.
import { type ChildProcess, fork, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { createScheduler } from 'fastify-redlock-scheduler'

const JOBS = ['mail', 'report', 'sync', 'cleanup', 'warm']
const { REPLICA, SOCKET = '', REDIS_SERVER, SECONDS = '' } = process.env
const ticks = new Map<string, Map<string, string>>()

/** In a child process: one replica. It has all jobs, and tells its parent what it runs. */
async function replica(replicaId: string): Promise<void> {
  // With room for two runs at once, no replica can take all five.
  const scheduler = createScheduler({ redis: { path: SOCKET }, prefix: 'replicas', replicaId, concurrency: 2 })
  for (const id of JOBS) scheduler.interval(id, '1s', () => sleep(50 + Math.random() * 200))
  const tell = (message: unknown) => process.send?.(message, () => {}) // It may fail: the parent may be gone.
  scheduler.on('submitted', ({ run }) => tell([new Date(run.scheduledTime).toISOString(), run.jobId, replicaId]))
  process.on('SIGINT', () => {}) // Ctrl+C reaches every process: the parent then says to stop, or is gone.
  const stopped = Promise.race([once(process, 'message'), once(process, 'disconnect')])
  await scheduler.start()
  tell('started')
  await stopped
  await scheduler.close()
  process.exit()
}

async function main(): Promise<void> {
  if (!/^\d*$/.test(SECONDS)) fail(`SECONDS must be a whole number, got '${SECONDS}'`)
  const interrupted = new Promise((resolve) => process.on('SIGINT', resolve).on('SIGTERM', resolve))
  const folder = mkdtempSync(join(tmpdir(), 'replicas-'))
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }))
  const socket = join(folder, 'redis.sock')
  const redis = await startRedis(folder, socket)
  process.once('exit', () => redis.kill())

  const replicas = ['A', 'B', 'C'].map((name) => {
    return fork(import.meta.filename, { env: { ...process.env, SOCKET: socket, REPLICA: name } })
  })
  const started = Promise.all(replicas.map((child) => once(child, 'message')))
  const ended = Promise.all(replicas.map((child) => once(child, 'exit')))
  for (const child of replicas) child.on('message', (ran) => ran !== 'started' && show(ran as [string, string, string]))
  await Promise.race([interrupted, ended, started])
  await Promise.race([interrupted, ended, ...(SECONDS ? [sleep(Number(SECONDS) * 1000)] : [])])

  for (const child of replicas) child.send('stop', () => {}) // One that has died has its 'exit'.
  await ended
  const ran = [...ticks.values()].flatMap((row) => [...row.values()])
  console.log(`${ran.length} ticks, ${ran.filter((names) => names.length > 1).length} of them ran more than once`)
  process.exit(replicas.some((child) => child.exitCode) ? 1 : 0)
}

/** Starts a server that listens on a socket alone, and does not get our Ctrl+C. */
async function startRedis(folder: string, socket: string): Promise<ChildProcess> {
  for (const name of REDIS_SERVER ? [REDIS_SERVER] : ['redis-server', 'valkey-server']) {
    const options = ['--port', '0', '--unixsocket', socket, '--save', '', '--dir', folder]
    const server = spawn(name, options, { stdio: 'ignore', detached: true })
    if (!(await once(server, 'spawn').catch(() => false))) continue
    while (!existsSync(socket) && server.exitCode === null) await sleep(20)
    if (server.exitCode === null) return server
  }
  return fail(
    `Cannot start ${REDIS_SERVER ?? 'redis-server'}: install Redis or Valkey, or set REDIS_SERVER to its path`
  )
}

function show([tick, job, name]: [string, string, string]): void {
  const row = ticks.get(tick) ?? new Map<string, string>()
  ticks.set(tick, row.set(job, (row.get(job) ?? '') + name)) // Two letters: a tick that ran twice.
  if (!process.stdout.isTTY) {
    console.log(`${tick} ${job} ran on ${name}`)
    return
  }
  const lines = [...ticks].slice(-15).map(([at, by]) => [at.slice(11, 19), ...JOBS.map((id) => by.get(id) ?? '')])
  console.clear()
  for (const line of [['tick', ...JOBS], ...lines]) console.log(line.map((cell) => cell.padEnd(9)).join(''))
}

function fail(message: string): never {
  console.error(message)
  process.exit(1)
}

await (REPLICA === undefined ? main() : replica(REPLICA))
