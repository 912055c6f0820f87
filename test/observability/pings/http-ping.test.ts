// Pings by HTTP and HTTPS, to servers of the test's own.
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { createServer, type IncomingMessage, type RequestListener, type Server } from 'node:http'
import https from 'node:https'
import type { AddressInfo, Socket } from 'node:net'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { createScheduler } from '../../../lib/index.js'
import { sendByHttp } from '../../../lib/observability/pings/http-ping.js'
import { logLines } from '../../fixtures/log-lines.js'
import { nextEvent } from '../../fixtures/next-event.js'

const body = new TextEncoder().encode('success after 5 ms\n')

async function serve(t: Test, listener: RequestListener, server: Server = createServer()): Promise<string> {
  server.on('request', listener)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  const protocol = server instanceof https.Server ? 'https' : 'http'
  return `${protocol}://127.0.0.1:${(server.address() as AddressInfo).port}`
}

async function textOf(request: IncomingMessage): Promise<string> {
  let text = ''
  for await (const part of request) text += part
  return text
}

t.test('a ping is a POST with its text, over one connection', async (t) => {
  const seen: unknown[] = []
  const sockets = new Set<Socket>()
  const url = await serve(t, async (request, response) => {
    const { method, url, headers, socket } = request
    sockets.add(socket)
    const { 'content-type': type, 'content-length': length, 'user-agent': agent, authorization } = headers
    seen.push({
      method,
      url,
      type,
      length,
      agent: agent?.replace(/\d.*/, ''),
      authorization,
      text: await textOf(request)
    })
    response.writeHead(201).end('Created')
  })
  const { signal } = new AbortController()
  t.equal(await sendByHttp(new URL(`${url}/a/start?create=1&rid=2`), body, signal), 201)
  t.equal(await sendByHttp(new URL(`${url.replace('//', '//ann:pw@')}/b`), new Uint8Array(), signal), 201)
  const common = { method: 'POST', type: 'text/plain; charset=utf-8', agent: 'fastify-redlock-scheduler/' }
  t.strictSame(seen, [
    { ...common, url: '/a/start?create=1&rid=2', length: '19', authorization: undefined, text: 'success after 5 ms\n' },
    { ...common, url: '/b', length: '0', authorization: `Basic ${btoa('ann:pw')}`, text: '' }
  ])
  t.equal(sockets.size, 1)
})

t.test('over HTTPS', async (t) => {
  const tls = join(import.meta.dirname, '..', '..', 'fixtures', 'tls')
  const [cert, key] = await Promise.all([readFile(join(tls, 'cert.pem')), readFile(join(tls, 'key.pem'))])
  const url = await serve(t, (_, response) => void response.end('OK'), https.createServer({ cert, key }))
  const { signal } = new AbortController()
  await t.rejects(sendByHttp(new URL(url), body, signal), { code: /CERT|SELF_SIGNED|TLS/ })
  // As an app does with a certificate of its own.
  https.globalAgent.options.ca = cert
  t.teardown(() => void delete https.globalAgent.options.ca)
  const answer = await sendByHttp(new URL(url.replace('127.0.0.1', 'localhost')), body, signal).catch((e) => e)
  t.equal(answer, 200)
})

t.test('a redirect is not followed, as the URL is secret', async (t) => {
  const paths: unknown[] = []
  const url = await serve(t, (request, response) => {
    paths.push(request.url)
    response.writeHead(302, { location: '/elsewhere' }).end()
  })
  t.equal(await sendByHttp(new URL(`${url}/here`), body, new AbortController().signal), 302)
  t.strictSame(paths, ['/here'])
})

t.test('an answer without end is not read to its end, and one that breaks off counts', async (t) => {
  let isEndless = true
  const url = await serve(t, (_, response) => {
    response.writeHead(200)
    const write = (): void => {
      while (!response.destroyed && response.write('x'.repeat(10_000)));
    }
    response.on('drain', write)
    if (isEndless) write()
    else response.write('half', () => response.destroy())
  })
  t.equal(await sendByHttp(new URL(url), body, new AbortController().signal), 200)
  isEndless = false
  t.equal(await sendByHttp(new URL(url), body, new AbortController().signal), 200)
})

t.test('what is not answered ends with its signal, what cannot be sent at once', async (t) => {
  const asked: (() => void)[] = []
  const url = await serve(t, () => asked.shift()?.())
  const controller = new AbortController()
  const arrived = new Promise<void>((resolve) => asked.push(resolve))
  const sent = sendByHttp(new URL(url), body, controller.signal)
  const rejected = t.rejects(sent, { code: 'ABORT_ERR' })
  await arrived
  controller.abort()
  await rejected
  await t.rejects(sendByHttp(new URL('http://127.0.0.1:1/'), body, new AbortController().signal), {
    code: 'ECONNREFUSED'
  })
})

t.test('a job whose heartbeat is a server: start, success and fail arrive in order', async (t) => {
  const arrived: string[] = []
  const waiting: { readonly count: number; readonly resolve: () => void }[] = []
  const url = await serve(t, (request, response) => {
    arrived.push(`${request.url?.replace(/\?.*/, '')}`)
    response.end('OK')
    for (const { count, resolve } of waiting) if (arrived.length >= count) resolve()
  })
  const arrivedAtLeast = (count: number): Promise<void> => new Promise((resolve) => waiting.push({ count, resolve }))
  const { logger, lines } = logLines()
  const scheduler = createScheduler({ logger })
  let runs = 0
  const handler = (): void => {
    if (++runs === 2) throw new Error('broken')
  }
  scheduler.add({ id: 'job', handler, heartbeat: `${url}/secret` })
  await scheduler.start()
  const all = arrivedAtLeast(4)
  for (let count = 0; count < 2; count++) await scheduler.trigger('job', { wait: true })
  await all
  t.strictSame(arrived, ['/secret/start', '/secret', '/secret/start', '/secret/fail'])

  // What has not been sent when closing begins, is sent before it ends.
  const ended = nextEvent(scheduler, 'executed')
  await scheduler.trigger('job')
  await ended
  await scheduler.close()
  t.strictSame(arrived.slice(4), ['/secret/start', '/secret'])
  t.notMatch(JSON.stringify(lines), 'secret')
})
