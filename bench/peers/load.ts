// The client of the web service: asks at a fixed rate and measures each answer in microseconds.
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { performance } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import { percentile } from '../measure.js'
import type { LoadResult } from '../requests.js'

interface Connection {
  readonly socket: Socket
  /** When the request it waits for was due, or `null`. */
  dueAt: number | null
}

/** For so many milliseconds before the window it asks, too, and measures nothing. */
const WARM_UP = 1000

const REQUEST = 'GET / HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n'

/**
 * Asks `rate` times a second until the time is over, whether or not answers come. A request that finds all connections
 * busy waits, and its wait is part of its latency: a standstill of the service is felt by every request due in it.
 */
async function load(port: number, rate: number, connections: number, from: number, until: number): Promise<LoadResult> {
  const latencies: number[] = []
  const waiting: number[] = []
  const free: Connection[] = []
  let pending = 0
  let start = Number.POSITIVE_INFINITY
  const send = (connection: Connection, dueAt: number): void => {
    connection.dueAt = dueAt
    connection.socket.write(REQUEST)
  }
  const answered = (connection: Connection): void => {
    if (connection.dueAt === null) throw new Error('an answer nobody asked for')
    if (connection.dueAt >= start) latencies.push(performance.now() - connection.dueAt)
    connection.dueAt = null
    pending--
    const next = waiting.shift()
    if (next === undefined) free.push(connection)
    else send(connection, next)
  }
  for (let index = 0; index < connections; index++) free.push(await open(port, answered))
  const all = [...free]

  await sleep(from - WARM_UP - Date.now())
  const begin = performance.now()
  start = begin + WARM_UP
  const end = start + (until - from)
  let asked = 0
  for (let now = begin; now < end; now = performance.now()) {
    // Due now, and not at its exact time since the last turn: that this client's timers are coarse is not the service's.
    for (; asked < ((now - begin) * rate) / 1000; asked++) {
      pending++
      const connection = free.shift()
      if (connection === undefined) waiting.push(now)
      else send(connection, now)
    }
    await sleep(1)
  }
  while (pending > 0) await sleep(5)
  for (const { socket } of all) socket.destroy()
  return {
    answers: latencies.length,
    p50: percentile(latencies, 0.5),
    p99: percentile(latencies, 0.99),
    p999: percentile(latencies, 0.999)
  }
}

async function open(port: number, answered: (connection: Connection) => void): Promise<Connection> {
  const socket = connect({ host: '127.0.0.1', port, noDelay: true })
  await once(socket, 'connect')
  const connection: Connection = { socket, dueAt: null }
  let text = ''
  socket.setEncoding('latin1')
  socket.on('data', (chunk: string) => {
    text += chunk
    const head = text.indexOf('\r\n\r\n')
    if (head < 0) return
    if (!text.startsWith('HTTP/1.1 200 ')) throw new Error(`not an answer: ${text}`)
    const length = Number(/^content-length: (\d+)/im.exec(text)?.[1])
    if (text.length < head + 4 + length) return
    text = ''
    answered(connection)
  })
  socket.on('close', () => {
    if (connection.dueAt !== null) throw new Error('the service closed the connection')
  })
  return connection
}

const [port, rate, connections, from, until] = process.argv.slice(2).map(Number) as [
  number,
  number,
  number,
  number,
  number
]
const result = await load(port, rate, connections, from, until)
process.send?.(result, () => process.exit(0))
