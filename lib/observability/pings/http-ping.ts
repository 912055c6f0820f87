import type { ClientRequest, IncomingMessage } from 'node:http'
import { VERSION } from '../../base/version.js'

/** How much of an answer is read. */
const MAX_ANSWER = 64 * 1024

/**
 * Sends one ping.
 *
 * @param signal ends it, when it has taken too long
 * @returns the status of the answer; rejects where there is none
 */
export type SendPing = (url: URL, body: Uint8Array, signal: AbortSignal) => Promise<number>

/**
 * Sends a ping by HTTP or HTTPS, over node's global agent, which an app behind a proxy may have replaced. A redirect is not
 * followed, as the URL is a secret.
 */
export const sendByHttp: SendPing = async (url, body, signal) => {
  // Loaded when there is something to send.
  const { request } = url.protocol === 'https:' ? await import('node:https') : await import('node:http')
  const headers = {
    'content-type': 'text/plain; charset=utf-8',
    'content-length': body.length,
    'user-agent': `fastify-redlock-scheduler/${VERSION}`
  }
  return await new Promise<number>((resolve, reject) => {
    const sent: ClientRequest = request(url, { method: 'POST', headers, signal }, (answer) => {
      drain(answer)
      answer.once('close', () => resolve(answer.statusCode as number))
    })
    sent.once('error', reject)
    sent.end(body)
  })
}

/** Reads an answer to its end, so that the connection is free for the next. */
function drain(answer: IncomingMessage): void {
  let length = 0
  answer.on('error', () => {})
  answer.on('data', (part: Buffer) => {
    length += part.length
    if (length > MAX_ANSWER) answer.destroy()
  })
}
