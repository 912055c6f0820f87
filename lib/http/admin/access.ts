import type { FastifyReply, FastifyRequest } from 'fastify'
import type { AdminAction } from '../../../types/admin.js'
import { AdminForbiddenError } from '../../errors.js'
import { type ResolvedAdmin, readUser } from './options.js'

/** Who asks, and what they may do. */
export interface Asking {
  readonly user: string | null
  readonly can: readonly AdminAction[]
}

const LOOKS_ONLY: Asking = { user: null, can: [] }

/** What the page may do: load its own files and talk to its own server. */
export const CONTENT_SECURITY_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data:",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'"
].join('; ')

const HEADERS = {
  'cache-control': 'no-store',
  'content-security-policy': CONTENT_SECURITY_POLICY,
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY'
}

/** What a proxy adds to what it passes on. */
const PROXY_HEADERS = ['forwarded', 'via', 'x-forwarded-for', 'x-forwarded-host', 'x-forwarded-proto', 'x-real-ip']

const LOOPBACK_ADDRESS = /^(?:::ffff:)?127\.\d+\.\d+\.\d+$|^::1$/
const LOCAL_HOST = /^(?:localhost|(?:[\w-]+\.)+localhost|127\.\d+\.\d+\.\d+|\[::1\])(?::\d+)?$/i

/** Decides who may see and do what. */
export class Access {
  readonly #authorize: ResolvedAdmin['authorize']
  readonly #asking = new WeakMap<FastifyRequest, Asking>()

  constructor({ authorize }: Pick<ResolvedAdmin, 'authorize'>) {
    this.#authorize = authorize
  }

  /** Who has sent a request that was let in. */
  asking(request: FastifyRequest): Asking {
    return this.#asking.get(request) ?? LOOKS_ONLY
  }

  /**
   * Lets a request in, or refuses it.
   *
   * @param action what it asks for; `null` for looking
   * @returns false where it was answered already
   * @throws AdminForbiddenError, and what `authorize` throws
   */
  async enter(request: FastifyRequest, reply: FastifyReply, action: AdminAction | null): Promise<boolean> {
    reply.headers(HEADERS)
    const asking = this.#authorize === undefined ? fromHere(request) : await this.#ask(request, reply)
    if (asking === 'answered') return false
    if (asking === null) throw new AdminForbiddenError('`admin.authorize` has refused this request')
    if (action !== null) {
      refuseForeign(request)
      if (!asking.can.includes(action)) throw new AdminForbiddenError(whyNot(action, this.#authorize !== undefined))
    }
    this.#asking.set(request, asking)
    return true
  }

  async #ask(request: FastifyRequest, reply: FastifyReply): Promise<Asking | 'answered' | null> {
    // Fastify says only once it is sent whether there is an answer.
    let isAnswered = false
    const { send } = reply
    reply.send = (...args) => {
      isAnswered = true
      return send.apply(reply, args)
    }
    try {
      const given: unknown = await this.#authorize?.(request, reply)
      if (isAnswered || reply.sent || given === reply) return 'answered'
      return readUser(given)
    } finally {
      reply.send = send
    }
  }
}

function whyNot(action: AdminAction, isAsked: boolean): string {
  return isAsked ? `you may not ${action}` : `without \`admin.authorize\` nobody may ${action}`
}

/**
 * Without `authorize` only somebody at this machine may look: their connection comes from a loopback address, no proxy has
 * passed it on, and its `Host` is local, so that no page of the web whose name points here has sent it (DNS rebinding).
 *
 * @throws AdminForbiddenError
 */
function fromHere({ raw, headers }: FastifyRequest): Asking {
  const why = '`admin.authorize` is not given, so that only requests from this machine are answered'
  const address = raw.socket?.remoteAddress ?? ''
  if (!LOOPBACK_ADDRESS.test(address))
    throw new AdminForbiddenError(`${why}: this one comes from ${address || 'a socket'}`)
  const passedOn = PROXY_HEADERS.find((name) => headers[name] !== undefined)
  if (passedOn !== undefined) throw new AdminForbiddenError(`${why}: this one has the header ${passedOn} of a proxy`)
  const host = headers.host ?? String(headers[':authority'] ?? '')
  if (!LOCAL_HOST.test(host))
    throw new AdminForbiddenError(`${why}: the host of this one is ${host.slice(0, 100) || 'empty'}`)
  return LOOKS_ONLY
}

/**
 * Refuses what another site lets a browser send: by `Sec-Fetch-Site`, which pages cannot set, else by `Origin`. A client that is
 * no browser sends neither.
 *
 * @throws AdminForbiddenError
 */
function refuseForeign({ headers, host }: FastifyRequest): void {
  const site = headers['sec-fetch-site']
  if (site !== undefined) {
    if (site === 'same-origin') return
    throw new AdminForbiddenError(`only the dashboard itself may do that: this request is ${String(site).slice(0, 20)}`)
  }
  const { origin } = headers
  if (origin === undefined || isOf(origin, host)) return
  throw new AdminForbiddenError(`only the dashboard itself may do that: this request is from ${origin.slice(0, 100)}`)
}

/** Whether an origin is that of a host, which may be told with the port that needs no telling. */
function isOf(origin: string, host: string): boolean {
  try {
    const { protocol, host: own } = new URL(origin)
    return own !== '' && own === new URL(`${protocol}//${host}`).host
  } catch {
    return false
  }
}
