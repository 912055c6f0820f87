// Requests to the API, which lies beside the page, whatever its path.
import type { AdminAnswers, AdminRequests } from '../../types/admin.js'
import { noteTime } from './clock.js'

/** For how long an answer is waited for, in milliseconds. */
const TIMEOUT = 20_000

/** Why there is no answer, or not the one that was asked for. */
export class ApiError extends Error {
  /** The status; 0 where nothing answered, 401 where a login did. */
  readonly status: number
  readonly code: string

  constructor(status: number, code: string, message: string) {
    super(message)
    this.name = 'ApiError'
    this.status = status
    this.code = code
  }
}

/** A text as a member of a query. */
export type Query = Readonly<Record<string, string | number | readonly string[] | undefined>>

function queryOf(query: Query): string {
  const params = new URLSearchParams()
  for (const [key, value] of Object.entries(query)) {
    if (Array.isArray(value)) for (const each of value) params.append(key, each)
    else if (value !== undefined && value !== '') params.append(key, String(value))
  }
  const text = params.toString()
  return text === '' ? '' : `?${text}`
}

async function answered(path: string, init: RequestInit, stop?: AbortSignal): Promise<unknown> {
  const signals = [AbortSignal.timeout(TIMEOUT), ...(stop === undefined ? [] : [stop])]
  let response: Response
  try {
    response = await fetch(`./api/${path}`, {
      ...init,
      credentials: 'same-origin',
      // A login page in place of an answer is for the reader to see, not for us.
      redirect: 'manual',
      signal: AbortSignal.any(signals)
    })
  } catch (error) {
    if (stop?.aborted) throw error
    throw new ApiError(0, '', 'The service did not answer.')
  }
  return read(response)
}

async function read(response: Response): Promise<unknown> {
  const isJson = /\bjson\b/.test(response.headers.get('content-type') ?? '')
  if (response.type === 'opaqueredirect' || response.status === 401 || (response.ok && !isJson)) {
    throw new ApiError(401, '', 'You are not signed in any more.')
  }
  let body: unknown = null
  try {
    body = isJson ? await response.json() : await response.text()
  } catch {
    throw new ApiError(0, '', 'The answer of the service broke off.')
  }
  if (response.ok) return body
  const { message, code } = (typeof body === 'object' && body !== null ? body : {}) as Record<string, unknown>
  const text = typeof message === 'string' ? message : `${response.status} ${response.statusText}`
  throw new ApiError(response.status, typeof code === 'string' ? code : '', text)
}

/** What `GET ./api/...` answers. */
export async function get<Answer extends { readonly at: number }>(
  path: string,
  query: Query,
  stop?: AbortSignal
): Promise<Answer> {
  const headers = { accept: 'application/json' }
  const answer = (await answered(path + queryOf(query), { headers }, stop)) as Answer
  noteTime(answer.at)
  return answer
}

/** What `POST ./api/...` answers. */
export async function post<Action extends keyof AdminRequests & keyof AdminAnswers>(
  action: Action,
  body: AdminRequests[Action],
  stop?: AbortSignal
): Promise<AdminAnswers[Action]> {
  const headers = { accept: 'application/json', 'content-type': 'application/json' }
  const init = { method: 'POST', headers, body: JSON.stringify(body) }
  return (await answered(action, init, stop)) as AdminAnswers[Action]
}
