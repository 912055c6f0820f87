import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest, FastifySchema } from 'fastify'
import type { AdminAction, AdminAnswers, AdminError, AdminRequests } from '../../../types/admin.js'
import { show } from '../../base/show.js'
import { AdminFailedError, AdminRequestInvalidError, isSchedulerError } from '../../errors.js'
import { logSafely } from '../../observability/log.js'
import type { Scheduler } from '../../scheduler.js'
import { describeTrigger, loadCronInWords } from '../../triggers/describe.js'
import type { Access } from './access.js'
import type { Actions } from './actions.js'
import { ADMIN_ACTIONS } from './options.js'
import { servePage } from './page.js'
import type { Reads } from './reads.js'
import { READ_SCHEMAS, responses, WRITE_SCHEMAS } from './schemas.js'
import type { Stream } from './stream.js'
import { compileLater } from './validation.js'

/** The most that a request may bring; data of a run has at most 256 KB. */
const BODY_LIMIT = 300_000

/** What ajv says of a part of a request. */
interface InvalidPart {
  readonly instancePath: string
  readonly message: string
  readonly data: unknown
}

/** Errors that say that something given is wrong: where it came with a request, the request is. */
const INPUT_ERRORS = new Set(
  'OPTION_INVALID OPTION_UNKNOWN DURATION_INVALID TRIGGER_INVALID CRON_INVALID TRIGGER_NEVER TRIGGER_UNDECIDED DATE_INVALID TIMEZONE_INVALID JOB_ID_INVALID'
    .split(' ')
    .map((name) => `FST_ERR_RLS_${name}`)
)

export interface AdminRoutesOptions {
  readonly access: Access
  readonly reads: Reads
  readonly actions: Actions
  readonly stream: Stream
  readonly scheduler: Scheduler<FastifyInstance>
  /** The scheduler's time zone. */
  readonly timezone: string
}

/** Adds the admin routes to an instance of their own. */
export async function adminRoutes(app: FastifyInstance, options: AdminRoutesOptions): Promise<void> {
  const { access, reads, actions, stream, scheduler, timezone } = options
  app.setErrorHandler(answerError)
  app.setValidatorCompiler(compileLater(app))
  app.setSerializerCompiler(() => (answer) => JSON.stringify(answer))
  app.setSchemaErrorFormatter((errors, part) => {
    const [{ instancePath, message, data } = {} as InvalidPart] = errors as unknown as InvalidPart[]
    return new AdminRequestInvalidError(`${part}${instancePath.replaceAll('/', '.')} ${message}`, show(data))
  })
  onlyJson(app)

  const actionOf = (request: FastifyRequest): AdminAction | null => {
    const { action } = request.routeOptions.config as { readonly action?: AdminAction }
    return action ?? null
  }
  app.addHook('onRequest', async (request, reply) => {
    const isIn = await access.enter(request, reply, actionOf(request))
    return isIn ? undefined : reply
  })
  app.setNotFoundHandler((request, reply) => {
    const { method, url } = request
    return reply
      .code(404)
      .send(errorBody(404, 'FST_ERR_NOT_FOUND', `There is no ${method} ${show(url.split('?', 1)[0])}`))
  })

  const get = <Query>(
    name: keyof typeof READ_SCHEMAS,
    read: (query: Query, request: FastifyRequest) => Promise<object>
  ) => {
    const { summary, querystring, answer } = READ_SCHEMAS[name]
    const schema = { summary, querystring, response: responses(answer), tags: ['jobs'] } as FastifySchema
    app.get(`/api/${name}`, { schema, logLevel: 'warn' }, async (request) => read(request.query as Query, request))
  }
  get<Parameters<Reads['jobs']>[0]>('jobs', (query) => reads.jobs(query))
  get<{ id: string }>('job', ({ id }) => reads.job(id))
  get<{ job: string; limit: number; before?: number }>('runs', ({ job, limit, before }) =>
    reads.runs(job, limit, before)
  )
  get<{ job: string[]; from: number; to: number }>('ticks', ({ job, from, to }) => reads.ticks(job, from, to))
  get<{ id: string; job: string }>('run', ({ id, job }) => reads.run(job, id))
  get('fleet', (_query, request) => reads.fleet(access.asking(request)))

  const post = (
    name: keyof typeof WRITE_SCHEMAS,
    action: AdminAction | null,
    answerTo: (request: FastifyRequest) => Promise<object>
  ) => {
    const { summary, body, answer } = WRITE_SCHEMAS[name]
    const schema = { summary, body, response: responses(answer), tags: ['jobs'] } as FastifySchema
    app.post(`/api/${name}`, { schema, bodyLimit: BODY_LIMIT, config: { action } as object }, answerTo)
  }
  for (const action of ADMIN_ACTIONS) {
    post(action, action, (request) => {
      return actions.act(action, request.body as AdminRequests[typeof action], access.asking(request).user)
    })
  }
  post('preview', null, async (request): Promise<AdminAnswers['preview']> => {
    const { trigger, count = 10, after } = request.body as AdminRequests['preview']
    const times = scheduler.preview(trigger as string, { count, ...(after === undefined ? {} : { from: after }) })
    return { ...describeTrigger(trigger as string, timezone, await loadCronInWords()), times }
  })

  app.get('/api/events', { schema: { hide: true } as FastifySchema, logLevel: 'warn' }, (request, reply) => {
    return stream.connect(request, reply)
  })
  await servePage(app)
}

/** What changes something takes JSON alone, which no form of another site can send. */
function onlyJson(app: FastifyInstance): void {
  app.removeAllContentTypeParsers()
  const parse = app.getDefaultJsonParser('error', 'error')
  app.addContentTypeParser('application/json', { parseAs: 'string', bodyLimit: BODY_LIMIT }, parse)
}

/** Answers with an error's code and message; what nobody has foreseen is told to the log alone. */
function answerError(error: FastifyError, request: FastifyRequest, reply: FastifyReply): void {
  const { code = '', statusCode = 500, message } = error
  if (isSchedulerError(error) && INPUT_ERRORS.has(code)) {
    reply.code(400).send(errorBody(400, code, message))
  } else if (statusCode < 500 || isSchedulerError(error)) {
    reply.code(statusCode).send(errorBody(statusCode, code, message))
  } else {
    logSafely(request.log, 'error', { err: error }, 'an admin route failed')
    const failed = new AdminFailedError()
    reply.code(500).send(errorBody(500, failed.code, failed.message))
  }
}

const REASONS: Readonly<Record<number, string>> = {
  400: 'Bad Request',
  403: 'Forbidden',
  404: 'Not Found',
  409: 'Conflict',
  412: 'Precondition Failed',
  413: 'Payload Too Large',
  415: 'Unsupported Media Type',
  500: 'Internal Server Error',
  503: 'Service Unavailable'
}

function errorBody(statusCode: number, code: string, message: string): AdminError {
  return { statusCode, code, error: REASONS[statusCode] ?? 'Error', message }
}
