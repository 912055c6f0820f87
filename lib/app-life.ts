import { type EventEmitter, errorMonitor } from 'node:events'
import type { FastifyInstance } from 'fastify'
import type { Clock, TimerHandle } from '../types/clock.js'
import { systemClock } from './base/clock.js'
import { withDeadline } from './base/deadline.js'
import { SECOND } from './base/duration.js'
import { show } from './base/show.js'
import type { Lifecycle } from './engine/lifecycle.js'
import { OptionInvalidError } from './errors.js'
import { logSafely } from './observability/log.js'

/** How long ticks wait for a `listen()` that neither succeeds nor fails. */
const LISTEN_LIMIT = 10 * SECOND

/** No app has more instances than this. */
const LAST_STAGE = 100_000

/** Emitted with each error without counting as its handler. Node's types do not know it as an event of a server. */
const ERROR = errorMonitor as unknown as 'error'

/**
 * Refuses a `closeTimeout` that does not fit into Fastify's `pluginTimeout`. When a `preClose` hook takes longer than
 * that, Fastify goes on closing, and the runs that the hook waits for would lose the app's databases.
 *
 * @param closeTimeout in milliseconds
 * @param given the option as the user gave it
 * @throws OptionInvalidError
 */
export function checkCloseTimeout(app: FastifyInstance, closeTimeout: number, given: unknown): void {
  const { pluginTimeout = 0 } = app.initialConfig
  if (pluginTimeout === 0 || closeTimeout + SECOND < pluginTimeout) return
  throw new OptionInvalidError(
    'closeTimeout',
    `more than a second below Fastify's \`pluginTimeout\` of ${pluginTimeout} ms, which ends closing: raise that, or lower this`,
    given === undefined ? `${closeTimeout}, its default` : show(given)
  )
}

type AfterHooks = (callback: (err: Error | null | undefined, done: unknown) => void) => void

export interface AppLifeOptions {
  readonly lifecycle: Lifecycle
  readonly clock: Clock
  /** Whether ticks begin when the app is ready. */
  readonly autostart: boolean
  /** Called when the app is about to be ready; an error that it throws makes `ready()` fail. */
  readonly check: () => void
}

/** Ties the scheduler to the app: it begins when the app is ready, and ends as soon as the app begins to close. */
export function followApp(app: FastifyInstance, { lifecycle, clock, autostart, check }: AppLifeOptions): void {
  const ticks = autostart ? new AppTicks(app, lifecycle, clock) : null
  let afterHooks: AfterHooks = () => {}
  app.register(async function jobs(child) {
    afterHooks = child.ready as AfterHooks
  })
  const end = (): Promise<void> => {
    ticks?.close()
    return lifecycle.quiesce()
  }
  app.addHook('onReady', async () => {
    // A hook added here is called before all `preClose` hooks, one of which may be slow, or fail and skip the others.
    app.addHook('onClose', async () => void end())
    check()
    await opened(app, lifecycle)
    if (ticks === null) return
    ticks.expectListen()
    awaitHooks(app, afterHooks, clock, (err) => ticks.onReady(err))
  })
  app.addHook('onListen', async () => ticks?.onListen())
  // This comes before Fastify waits for requests, some of which wait for a run, and before other plugins close what
  // runs use.
  app.addHook('preClose', end)
  app.addHook('onClose', async () => lifecycle.close())
}

/**
 * Calls back when the `onReady` hooks of all plugins have ended, with the error of the first that failed. It does not
 * use the promise of the app's `ready()`, as handling it would swallow an error that the app itself does not handle.
 *
 * @param afterHooks the `ready` of an encapsulated instance. Its callback comes after the hooks that wait now, which
 *   are those up to the end of one instance, and receives an error that was not reported to anybody yet
 */
function awaitHooks(
  app: FastifyInstance,
  afterHooks: AfterHooks,
  clock: Clock,
  callback: (err: unknown) => void,
  stage = 0
): void {
  afterHooks((err, done) => {
    // In other versions of Fastify `ready` may be the app's own, without a `done`.
    if (typeof done === 'function') done(err)
    if (err || stage === LAST_STAGE) callback(err)
    // Waits again, as a later hook may still fail.
    else clock.setImmediate(() => awaitHooks(app, afterHooks, clock, callback, isStarted(app) ? LAST_STAGE : stage + 1))
  })
}

/**
 * Whether all hooks have been called: then Fastify refuses a new hook because it has started, not because it is
 * invalid.
 */
function isStarted(app: FastifyInstance): boolean {
  try {
    app.addHook('onReady', null as never)
  } catch (error) {
    return (error as { code?: unknown }).code === 'FST_ERR_INSTANCE_ALREADY_LISTENING'
  }
  return true
}

/** Waits until Redis has answered or is known not to answer, but not as long as Fastify waits for a hook. */
async function opened(app: FastifyInstance, lifecycle: Lifecycle): Promise<void> {
  const { pluginTimeout = 0 } = app.initialConfig
  // An app that is closed before it is ready still becomes ready in the end.
  if (lifecycle.phases.isEnding) return
  const opening = lifecycle.open()
  if (pluginTimeout === 0) return await opening
  try {
    await withDeadline(opening, pluginTimeout / 2, systemClock)
  } catch (error) {
    if ((error as Error).name !== 'DeadlineError') throw error
  }
}

/**
 * Begins the ticks of an app once all of its `onReady` hooks have succeeded and, if it is about to listen, once it
 * listens. If that fails, no tick is run, as the process is likely to end and would take its runs with it.
 */
class AppTicks {
  readonly #app: FastifyInstance
  readonly #lifecycle: Lifecycle
  readonly #clock: Clock
  /** How many listeners waited for the server to listen before `listen()` was called. */
  #waiting = 0
  #hasFailed = false
  /** Whether the ticks have begun here. */
  #hasBegun = false
  /** Whether the ticks were stopped again because the app failed to listen. */
  #isSuspended = false
  #timer: TimerHandle | null = null

  constructor(app: FastifyInstance, lifecycle: Lifecycle, clock: Clock) {
    this.#app = app
    this.#lifecycle = lifecycle
    this.#clock = clock
  }

  /** Called when the app is about to be ready, before `listen()` can have been called. */
  expectListen(): void {
    const { server } = this.#app
    this.#waiting = countWaiting(server)
    // This does not count as an error listener: an unhandled error is still thrown.
    server.on(ERROR, this.#onServerError)
  }

  onReady(err: unknown): void {
    if (err) this.#tell(err, 'no job runs by its trigger here, as the app is not ready')
    // A turn later, as the app may call `listen()` right after `ready()`.
    else this.#clock.setImmediate(() => this.#onAppReady())
  }

  onListen(): void {
    this.#hasFailed = false
    this.#begin()
  }

  close(): void {
    this.#timer?.cancel()
    this.#app.server.off(ERROR, this.#onServerError)
  }

  readonly #onServerError = (err: Error): void => {
    if (this.#app.server.listening) return
    this.#hasFailed = true
    this.#timer?.cancel()
    if (this.#hasBegun && this.#lifecycle.phases.current !== 'stopped') {
      this.#lifecycle.stop()
      this.#isSuspended = true
    }
    this.#tell(err, 'no job runs by its trigger here, as the app does not listen')
  }

  #onAppReady(): void {
    const { server } = this.#app
    if (this.#hasFailed) return
    if (server.listening || countWaiting(server) <= this.#waiting) this.#begin()
    else this.#timer = this.#clock.setTimeout(() => this.#begin(), LISTEN_LIMIT)
  }

  #begin(): void {
    this.#timer?.cancel()
    const phase = this.#lifecycle.phases.current
    // Leaves a scheduler alone that the app has started, stopped or closed by hand meanwhile.
    if (phase !== 'open' && !(phase === 'stopped' && this.#isSuspended)) return
    this.#hasBegun = true
    this.#isSuspended = false
    this.#lifecycle.start().catch((err: unknown) => this.#tell(err, 'no job runs by its trigger here'))
  }

  #tell(err: unknown, message: string): void {
    logSafely(this.#app.log, 'error', { err }, message)
  }
}

/** The number of one-time `listening` listeners of a server; Fastify has one while its `listen()` is under way. */
function countWaiting(server: EventEmitter): number {
  return server.rawListeners('listening').filter((listener) => 'listener' in listener).length
}
