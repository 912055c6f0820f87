// Spans by OpenTelemetry: a run has a link to its claim, which is for many jobs; attempts are in their run, and the handler's in those.
import { tracingChannel } from 'node:diagnostics_channel'
import { type Context, context, type Span, SpanStatusCode, trace } from '@opentelemetry/api'
import { InMemorySpanExporter, NodeTracerProvider, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-node'
import { type AttemptTrace, type ClaimTrace, createScheduler, type RunTrace } from 'fastify-redlock-scheduler'

const exporter = new InMemorySpanExporter()
new NodeTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] }).register()
const tracer = trace.getTracer('jobs')
// There is no public way to it yet: https://github.com/open-telemetry/opentelemetry-js/issues/6088
const storage = Reflect.get(Reflect.get(context, '_getContextManager').call(context), '_asyncLocalStorage')
const spans = new WeakMap<object, Span>()
function traced<Message extends object>(kind: string, nameOf: (message: Message) => string): void {
  const { start, error, asyncEnd } = tracingChannel<Context, Message>(`fastify-redlock-scheduler:${kind}`)
  start.bindStore(storage, (message) => {
    const claim = 'claim' in message ? spans.get(message.claim as ClaimTrace) : undefined
    const span = tracer.startSpan(nameOf(message), { links: claim ? [{ context: claim.spanContext() }] : [] })
    spans.set(message, span)
    return trace.setSpan(context.active(), span)
  })
  error.subscribe((message) => spans.get(message as Message)?.setStatus({ code: SpanStatusCode.ERROR }))
  asyncEnd.subscribe((message) => spans.get(message as Message)?.end())
}
traced<ClaimTrace>('claim', ({ requests }) => `claim of ${requests.map(({ jobId }) => jobId)}`)
traced<RunTrace>('run', ({ run }) => `run of ${run.jobId}`)
traced<AttemptTrace>('attempt', ({ attempt, run }) => `attempt ${attempt} of ${run.jobId}`)
const scheduler = createScheduler({ logger: false, defaults: { retry: { limit: 1, delay: 300 } } })
scheduler.date('import', Date.now() + 300, ({ run }) => {
  tracer.startActiveSpan('read', (span) => span.end())
  if (run.attempt === 1) throw new Error('it is not there yet')
})
await scheduler.start()
await new Promise((resolve) => scheduler.on('executed', resolve))
await scheduler.close()
const all = exporter.getFinishedSpans()
const nameOf = (id?: string) => all.find((span) => span.spanContext().spanId === id)?.name ?? 'nothing'
for (const { name, parentSpanContext, links, status } of all) {
  const [link] = links.map(({ context }) => ` linked to ${nameOf(context.spanId)}`)
  console.log(`${name}${status.code === 2 ? ' failed' : ''}: in ${nameOf(parentSpanContext?.spanId)}${link ?? ''}`)
}
