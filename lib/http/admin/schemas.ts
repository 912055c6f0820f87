import { SKIP_REASONS } from '../../jobs/stats.js'
import { RANK_OF, STATES } from './job-state.js'
import { ADMIN_ACTIONS } from './options.js'
import { SORTS } from './search.js'

// What the admin routes take and answer with, as JSON Schema: types/admin.ts says what it means. An app with @fastify/swagger shows it.

const TIME = { type: 'integer', description: 'Milliseconds since the Unix epoch, by the clock of the fleet.' } as const
const TIME_OR_NULL = { type: ['integer', 'null'] } as const
const MILLISECONDS = { type: 'number', description: 'Milliseconds.' } as const
const MILLISECONDS_OR_NULL = { type: ['number', 'null'] } as const
const TEXT = { type: 'string' } as const
const TEXT_OR_NULL = { type: ['string', 'null'] } as const
const COUNT = { type: 'integer', minimum: 0 } as const
const FLAG = { type: 'boolean' } as const
const ANYTHING = {} as const

const JOB_ID = { type: 'string', minLength: 1, maxLength: 200 } as const
const NOTE = { type: 'string', maxLength: 500, description: 'Why, for people.' } as const
const VERSION = {
  type: ['string', 'null'],
  minLength: 1,
  description:
    'What must be in force, `null` for nothing: where it is something else, as somebody was faster, the answer is 412.'
} as const

const RANKS = [...new Set(Object.values(RANK_OF))]
const OUTCOMES = ['success', 'error', 'timeout', 'cancelled', 'lock_lost', 'abandoned'] as const
const RUN_TRIGGERS = ['schedule', 'manual', 'recovery', 'catch-up', 'start'] as const

function object<const Properties extends object>(properties: Properties, optional: readonly (keyof Properties)[] = []) {
  const required = Object.keys(properties).filter((key) => !(optional as readonly string[]).includes(key))
  return { type: 'object', properties, required, additionalProperties: false } as const
}

function list<const Items extends object>(items: Items) {
  return { type: 'array', items } as const
}

function nullable<const Schema extends object>(schema: Schema) {
  return { anyOf: [schema, { type: 'null' }] } as const
}

function counted<const Names extends readonly string[]>(names: Names) {
  return object(Object.fromEntries(names.map((name) => [name, COUNT])))
}

const PROGRESS = object({ share: { type: 'number' }, note: TEXT_OR_NULL, at: TIME })

const TICK_FIELDS = {
  at: TIME,
  kind: { type: 'string', enum: [...OUTCOMES, ...SKIP_REASONS, 'running', 'waiting'] },
  until: TIME,
  count: COUNT,
  run: TEXT,
  on: TEXT,
  started: TIME,
  ms: MILLISECONDS,
  attempt: COUNT,
  trigger: { type: 'string', enum: RUN_TRIGGERS },
  error: TEXT,
  by: TEXT,
  progress: PROGRESS
} as const
const TICK_OPTIONAL = [
  ...(['until', 'count', 'run', 'on', 'started', 'ms', 'attempt', 'trigger', 'error', 'by', 'progress'] as const)
]
const TICK = object({ ...TICK_FIELDS, others: list(object(TICK_FIELDS, TICK_OPTIONAL)) }, [...TICK_OPTIONAL, 'others'])

const RUNNING = object({
  id: TEXT,
  scheduledTime: TIME,
  startedAt: TIME,
  attempt: COUNT,
  replicaId: TEXT,
  by: TEXT_OR_NULL,
  slot: COUNT,
  fencingToken: COUNT,
  lockTtl: MILLISECONDS_OR_NULL,
  progress: nullable(PROGRESS)
})

const PAUSE = object({
  of: { type: 'string', enum: ['job', 'group', 'all'] },
  note: TEXT_OR_NULL,
  by: TEXT_OR_NULL,
  at: TIME_OR_NULL,
  until: TIME_OR_NULL,
  version: TEXT
})

const OVERRIDE_FIELDS = {
  changes: { type: 'object', additionalProperties: true },
  note: TEXT_OR_NULL,
  by: TEXT,
  at: TIME,
  version: TEXT,
  error: TEXT_OR_NULL
} as const

const JOB = object({
  id: TEXT,
  name: TEXT,
  group: TEXT_OR_NULL,
  description: TEXT_OR_NULL,
  state: { type: 'string', enum: STATES },
  rank: { type: 'string', enum: RANKS },
  schedule: TEXT,
  timezone: TEXT_OR_NULL,
  period: MILLISECONDS_OR_NULL,
  isOnEvery: FLAG,
  isOverridden: FLAG,
  lastSuccess: TIME_OR_NULL,
  expectedSuccess: TIME_OR_NULL,
  consecutiveFailures: COUNT,
  running: list(RUNNING),
  pauses: list(PAUSE),
  nextRun: TIME_OR_NULL,
  p50: MILLISECONDS_OR_NULL,
  p95: MILLISECONDS_OR_NULL,
  ticks: list(TICK)
})

const COUNTS = object({ all: COUNT, ranks: counted(RANKS), states: counted(STATES) })

const ERROR = object({ name: TEXT, message: TEXT, stack: TEXT_OR_NULL, code: TEXT }, ['code'])

const RUN = object({
  kind: { type: 'string', const: 'run' },
  id: TEXT,
  jobId: TEXT,
  scheduledTime: TIME,
  startedAt: TIME,
  finishedAt: TIME_OR_NULL,
  duration: MILLISECONDS_OR_NULL,
  outcome: { type: ['string', 'null'], enum: [...OUTCOMES, null] },
  trigger: { type: 'string', enum: RUN_TRIGGERS },
  by: TEXT_OR_NULL,
  attempt: COUNT,
  attempts: list(object({ attempt: COUNT, at: TIME, error: ERROR })),
  slot: { type: ['integer', 'null'] },
  replicaId: TEXT,
  fencingToken: { type: ['integer', 'null'] },
  progress: nullable(PROGRESS),
  result: { type: ['string', 'null'], description: 'As JSON of at most 1,024 characters.' },
  error: nullable(ERROR),
  log: list(TEXT)
})

const TICKS = object({
  kind: { type: 'string', const: 'ticks' },
  jobId: TEXT,
  first: TIME,
  last: TIME,
  count: COUNT,
  reason: { type: 'string', enum: SKIP_REASONS },
  by: TEXT,
  at: TIME
})

const CHANGE = object({
  at: TIME,
  by: TEXT,
  action: { type: 'string', enum: ADMIN_ACTIONS },
  job: TEXT_OR_NULL,
  group: TEXT_OR_NULL,
  run: TEXT_OR_NULL,
  scheduledTime: TIME_OR_NULL,
  until: TIME_OR_NULL,
  options: list(TEXT),
  note: TEXT_OR_NULL
})

const STORE = object({
  kind: { type: 'string', enum: ['memory', 'redis'] },
  isUp: FLAG,
  reason: TEXT_OR_NULL,
  awaySince: TIME_OR_NULL,
  latency: MILLISECONDS_OR_NULL,
  server: TEXT_OR_NULL,
  lastOutage: nullable(object({ from: TIME, to: TIME }))
})

const FAILED = object({ statusCode: COUNT, code: TEXT, error: TEXT, message: TEXT })

/** What routes refuse with. */
const REFUSALS = { '4xx': FAILED, '5xx': FAILED } as const

const JOB_QUERY = { type: 'string', minLength: 1, maxLength: 200 } as const

/** The reads: what they are for, what they take in the query, and what they answer. */
export const READ_SCHEMAS = {
  jobs: {
    summary: 'How jobs stand in the whole fleet, problems first',
    querystring: object(
      {
        search: { type: 'string', maxLength: 200 },
        state: { type: 'string', enum: [...new Set([...RANKS, ...STATES])] },
        group: { type: 'string', minLength: 1, maxLength: 200 },
        sort: { type: 'string', enum: SORTS.flatMap((sort) => [sort, `-${sort}`]), default: 'rank' },
        limit: { type: 'integer', minimum: 1, maximum: 200, default: 50 },
        offset: { type: 'integer', minimum: 0, default: 0 }
      },
      ['search', 'state', 'group', 'sort', 'limit', 'offset']
    ),
    answer: object({
      at: TIME,
      counts: COUNTS,
      groups: list(TEXT),
      total: COUNT,
      matching: counted(RANKS),
      offset: COUNT,
      jobs: list(JOB)
    })
  },
  job: {
    summary: 'One job: how it stands, how it is defined, and what comes next',
    querystring: object({ id: JOB_QUERY }),
    answer: object({
      at: TIME,
      job: JOB,
      definition: object(
        {
          trigger: nullable({ type: 'object', additionalProperties: true }),
          data: ANYTHING,
          timeout: MILLISECONDS_OR_NULL,
          misfireGraceTime: MILLISECONDS,
          coalesce: TEXT,
          overlap: TEXT,
          maxInstances: COUNT,
          maxRuns: { type: ['integer', 'null'] },
          jitter: MILLISECONDS,
          priority: TEXT,
          recovery: TEXT,
          onRedisError: TEXT,
          lockTtl: MILLISECONDS_OR_NULL,
          retry: nullable(
            object({
              limit: { type: 'number' },
              delay: MILLISECONDS,
              factor: { type: 'number' },
              maxDelay: MILLISECONDS,
              jitter: FLAG
            })
          ),
          pauseAfterFailures: { type: ['integer', 'null'] },
          runOnStart: FLAG,
          hasSchema: FLAG
        },
        ['data']
      ),
      nextRuns: list(TIME),
      override: nullable(
        object({
          ...OVERRIDE_FIELDS,
          differences: list(object({ option: TEXT, code: ANYTHING, now: ANYTHING }, ['code', 'now']))
        })
      ),
      lastFailure: nullable(RUN),
      waitingTick: TIME_OR_NULL
    })
  },
  runs: {
    summary: 'What became of the ticks of a job, and what people have done to it, the newest first',
    querystring: object(
      { job: JOB_QUERY, limit: { type: 'integer', minimum: 1, maximum: 1000, default: 100 }, before: TIME },
      ['limit', 'before']
    ),
    answer: object({
      at: TIME,
      job: TEXT,
      entries: list({
        anyOf: [
          RUN,
          TICKS,
          { type: 'object', properties: { kind: { const: 'change' } }, required: ['kind'], additionalProperties: true }
        ]
      }),
      changes: list(CHANGE),
      next: TIME_OR_NULL,
      kept: nullable(object({ runs: COUNT, retention: MILLISECONDS }))
    })
  },
  ticks: {
    summary: 'The ticks of jobs within a time, past and to come',
    querystring: object({ job: { type: 'array', items: JOB_QUERY, minItems: 1, maxItems: 100 }, from: TIME, to: TIME }),
    answer: object({
      at: TIME,
      from: TIME,
      to: TIME,
      lanes: list(object({ job: TEXT, ticks: list(TICK), coming: list(TIME), forgottenUntil: TIME_OR_NULL }))
    })
  },
  run: {
    summary: 'One run, with its error, result and log',
    querystring: object({ id: JOB_QUERY, job: JOB_QUERY }),
    answer: object({ at: TIME, run: RUN })
  },
  fleet: {
    summary: 'The replicas, what they share, where they differ, and what people have done',
    querystring: object({}),
    answer: object({
      at: TIME,
      you: object({ user: TEXT_OR_NULL, can: list({ type: 'string', enum: ADMIN_ACTIONS }) }),
      app: object({ title: TEXT, replicaId: TEXT, version: TEXT, timezone: TEXT }),
      replicas: list(
        object({
          replicaId: TEXT,
          version: TEXT,
          appVersion: TEXT_OR_NULL,
          startedAt: TIME,
          seenAt: TIME,
          clockSkew: { type: 'number' },
          running: COUNT,
          jobs: COUNT,
          takesTicks: FLAG,
          concurrency: { type: ['integer', 'null'] },
          runs: list(object({ job: TEXT, run: TEXT }))
        })
      ),
      store: STORE,
      history: nullable(object({ runs: COUNT, retention: MILLISECONDS, logs: { type: ['string', 'boolean'] } })),
      differences: nullable(
        list(
          object({
            job: TEXT,
            option: TEXT,
            values: list(object({ value: ANYTHING, appVersions: list(TEXT), replicas: list(TEXT) }, ['value']))
          })
        )
      ),
      changes: list(CHANGE)
    })
  }
} as const

const JOB_BODY = { job: JOB_ID, note: NOTE } as const
const TARGET_BODY = {
  job: JOB_ID,
  group: JOB_ID,
  all: { type: 'boolean', const: true },
  note: NOTE,
  expectedVersion: VERSION
} as const
const TARGET_OPTIONAL = [...(['job', 'group', 'all', 'note', 'expectedVersion'] as const)]

/** The actions, and the preview of a trigger: what they are for, what they take, and what they answer. */
export const WRITE_SCHEMAS = {
  trigger: {
    summary: 'Runs a job once, on whichever replica takes it, also for a tick that has passed',
    body: object({ ...JOB_BODY, scheduledTime: TIME, data: ANYTHING }, ['note', 'scheduledTime', 'data']),
    answer: object({ request: TEXT })
  },
  pause: {
    summary: 'Pauses a job, a group or all jobs, for the whole fleet',
    body: object({ ...TARGET_BODY, until: { type: ['integer', 'string'] } }, [...TARGET_OPTIONAL, 'until']),
    answer: object({ pause: PAUSE })
  },
  resume: {
    summary: 'Resumes what was paused, and answers with what pauses it all the same',
    body: object(TARGET_BODY, TARGET_OPTIONAL),
    answer: object({ pauses: list(PAUSE) })
  },
  skip: {
    summary: 'Lets one future tick of a job have no run',
    body: object({ ...JOB_BODY, scheduledTime: TIME }, ['note']),
    answer: object({ scheduledTime: TIME })
  },
  override: {
    summary: 'Changes options of a job for the whole fleet, until they are reset',
    body: object({ ...JOB_BODY, changes: { type: 'object', additionalProperties: true }, expectedVersion: VERSION }, [
      'note',
      'expectedVersion'
    ]),
    answer: object({ override: object(OVERRIDE_FIELDS) })
  },
  reset: {
    summary: 'Lets a job follow its code again',
    body: object({ ...JOB_BODY, expectedVersion: VERSION }, ['note', 'expectedVersion']),
    answer: object({})
  },
  release: {
    summary: 'Frees the locks of a job whose runs hang',
    body: object({ ...JOB_BODY, slot: { type: 'integer', minimum: 1 } }, ['note', 'slot']),
    answer: object({ released: list(object({ slot: COUNT, runId: TEXT })) })
  },
  cancel: {
    summary: 'Cancels a run, on whichever replica it goes on',
    body: object({ run: JOB_ID, note: NOTE }, ['note']),
    answer: object({})
  },
  preview: {
    summary: 'Lists the next ticks of a trigger, and says in words when they are',
    body: object(
      {
        trigger: { anyOf: [{ type: 'string' }, { type: 'object', additionalProperties: true }] },
        count: { type: 'integer', minimum: 1, maximum: 100, default: 10 },
        after: TIME
      },
      ['count', 'after']
    ),
    answer: object({ schedule: TEXT, timezone: TEXT_OR_NULL, times: list(TIME) })
  }
} as const

/** What a route answers, by status. */
export function responses(answer: object): Record<string, object> {
  return { 200: answer, ...REFUSALS }
}
