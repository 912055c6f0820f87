// Spans by the OpenTelemetry SDK: their parents and links, by id.
import type { AsyncLocalStorage } from 'node:async_hooks'
import { tracingChannel } from 'node:diagnostics_channel'
import { type Context, context, type Link, type Span, trace } from '@opentelemetry/api'
import {
  InMemorySpanExporter,
  NodeTracerProvider,
  type ReadableSpan,
  SimpleSpanProcessor
} from '@opentelemetry/sdk-trace-node'
import t from 'tap'
import type { AttemptTrace, ClaimTrace, Run, RunTrace } from '../../lib/index.js'
import { withVirtualScheduler } from '../fixtures/virtual-scheduler.js'

const SECOND = 1000

const exporter = new InMemorySpanExporter()
const provider = new NodeTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] })
provider.register()
t.teardown(() => provider.shutdown())
const tracer = trace.getTracer('test')

/** Where the SDK keeps the active span; it has no public way to it yet. */
const storage: AsyncLocalStorage<Context> = Reflect.get(
  Reflect.get(context, '_getContextManager').call(context),
  '_asyncLocalStorage'
)
const spans = new WeakMap<object, Span>()

for (const kind of ['claim', 'run', 'attempt'] as const) {
  type Message = Partial<ClaimTrace & RunTrace & AttemptTrace>
  const { start, asyncEnd } = tracingChannel<Context, Message>(`fastify-redlock-scheduler:${kind}`)
  start.bindStore(storage, (message) => {
    const claim = message.claim ? spans.get(message.claim) : undefined
    const links: Link[] = claim === undefined ? [] : [{ context: claim.spanContext() }]
    const span = tracer.startSpan(`${kind} ${message.attempt ?? message.run?.jobId ?? ''}`.trim(), { links })
    spans.set(message, span)
    return trace.setSpan(context.active(), span)
  })
  asyncEnd.subscribe((message) => spans.get(message as Message)?.end())
}

const idOf = (span: ReadableSpan): string => span.spanContext().spanId
const parentOf = (span: ReadableSpan): string | undefined => span.parentSpanContext?.spanId

function named(name: string): ReadableSpan[] {
  return exporter.getFinishedSpans().filter((span) => span.name === name)
}

t.test('a handler is in its attempt, that in its run, and that is linked to the claim of many', async (t) => {
  exporter.reset()
  await withVirtualScheduler(async ({ clock, scheduler }) => {
    const handler = async ({ run }: { readonly run: Run }): Promise<void> => {
      tracer.startSpan(`${run.jobId} before ${run.attempt}`).end()
      await clock.sleep(SECOND)
      tracer.startActiveSpan(`${run.jobId} after ${run.attempt}`, (span) => span.end())
      if (run.attempt === 1) throw new Error('again')
    }
    const ids = ['one', 'two']
    for (const id of ids) scheduler.add({ id, trigger: { interval: '1m' }, retry: { limit: 1, delay: '1s' }, handler })
    await scheduler.start()
    await clock.advance(70 * SECOND)
    const claims = named('claim')
    const linked = new Set<string | undefined>()
    for (const id of ids) {
      const [run] = named(`run ${id}`) as [ReadableSpan]
      t.equal(parentOf(run), undefined)
      linked.add(run.links[0]?.context.spanId)
      for (const attempt of [1, 2]) {
        const own = named(`attempt ${attempt}`).find((span) => parentOf(span) === idOf(run)) as ReadableSpan
        for (const when of ['before', 'after']) {
          const [span] = named(`${id} ${when} ${attempt}`)
          t.equal(span && parentOf(span), idOf(own), `${id} ${when} ${attempt}`)
          t.equal(span?.spanContext().traceId, run.spanContext().traceId)
        }
      }
    }
    t.strictSame([...linked], [claims[0] && idOf(claims[0])], 'one claim for both')
  })
})

t.test("a run by hand, and its claim, are in the request's span", async (t) => {
  exporter.reset()
  await withVirtualScheduler(async ({ clock, scheduler }) => {
    scheduler.add({ id: 'by-hand', handler: () => {} })
    await scheduler.start()
    await tracer.startActiveSpan('request', async (request) => {
      await Promise.all([scheduler.trigger('by-hand', { wait: true }), clock.advance(1)])
      request.end()
    })
    const [request] = named('request') as [ReadableSpan]
    for (const name of ['claim', 'run by-hand']) {
      const [span] = named(name) as [ReadableSpan]
      t.equal(parentOf(span), idOf(request), name)
    }
    t.equal(trace.getActiveSpan(), undefined)
  })
})

t.test('every span ends', async (t) => {
  exporter.reset()
  await withVirtualScheduler(async ({ clock, scheduler }) => {
    scheduler.add({ id: 'stuck', trigger: { interval: '1m' }, handler: () => new Promise(() => {}) })
    scheduler.add({ id: 'slow', trigger: { interval: '1m' }, timeout: '1s', handler: () => clock.sleep(5 * SECOND) })
    await scheduler.start()
    await clock.advance(70 * SECOND)
    t.equal(named('run slow').length, 1)
    const closed = scheduler.close()
    await clock.advance(20 * SECOND)
    await closed
    t.equal(named('run stuck').length, 1, 'with its outcome')
    t.equal(named('attempt 1').length, 1, 'but for the attempt of a handler that never does')
  })
})
