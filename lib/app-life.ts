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

/** More instances than this have no app. */
const LAST_STAGE = 100_000

/** Tells of errors without taking them from anybody; Node's types do not know it as an event of a server. */
const ERROR = errorMonitor as unknown as 'error'

/**
 * Fastify goes on with closing when a `preClose` hook takes longer than `pluginTimeout`: what the hook waits for would be
 * cut off from the app's databases.
 *
 * @param closeTimeout in milliseconds
 * @param given the option as it was given
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
  /** Called when the app is about to be ready; what it throws keeps it from that. */
  readonly check: () => void
}

/** Lets the scheduler follow the app: it begins when the app is ready, and ends as soon as the app begins to close. */
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
    // Added here it is called before any `preClose` hook, of which one may be slow, and one that fails ends the others.
    app.addHook('onClose', async () => void end())
    check()
    await opened(app, lifecycle)
    if (ticks === null) return
    ticks.expectListen()
    awaitHooks(app, afterHooks, clock, (err) => ticks.onReady(err))
  })
  app.addHook('onListen', async () => ticks?.onListen())
  // Before requests are waited for, some of which wait for a run, and before any plugin closes what runs work with.
  app.addHook('preClose', end)
  app.addHook('onClose', async () => lifecycle.close())
}

/**
 * Calls back when the `onReady` hooks of all plugins have ended, with the error of the first that failed. The promise of
 * the app's `ready()` is left alone: who listens to it takes its error from whoever does not.
 *
 * @param afterHooks the `ready` of an encapsulated instance: what it is given comes after the hooks that wait now, which are
 *   those up to the end of one instance, and hears of an error that nobody has been told of
 */
function awaitHooks(
  app: FastifyInstance,
  afterHooks: AfterHooks,
  clock: Clock,
  callback: (err: unknown) => void,
  stage = 0
): void {
  afterHooks((err, done) => {
    // Where `ready` is the app's own, in other versions of Fastify, there is nobody to tell.
    if (typeof done === 'function') done(err)
    if (err || stage === LAST_STAGE) callback(err)
    // Once more, as one may have failed since.
    else clock.setImmediate(() => awaitHooks(app, afterHooks, clock, callback, isStarted(app) ? LAST_STAGE : stage + 1))
  })
}

/** Whether no hooks are to come: then a hook is refused for that, and not for what it is. */
function isStarted(app: FastifyInstance): boolean {
  try {
    app.addHook('onReady', null as never)
  } catch (error) {
    return (error as { code?: unknown }).code === 'FST_ERR_INSTANCE_ALREADY_LISTENING'
  }
  return true
}

/** Waits until Redis has answered, or is known not to for now; less long than Fastify waits for a hook. */
async function opened(app: FastifyInstance, lifecycle: Lifecycle): Promise<void> {
  const { pluginTimeout = 0 } = app.initialConfig
  // An app that closes before it is ready is ready all the same, in the end.
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
 * Begins the ticks of an app once all of its `onReady` hooks have succeeded and, where it is about to listen, it listens.
 * Where it fails to, no tick has a run: the process is likely to end, and so would what it has begun.
 */
class AppTicks {
  readonly #app: FastifyInstance
  readonly #lifecycle: Lifecycle
  readonly #clock: Clock
  /** How many waited for the server to listen before anybody had asked it to. */
  #waiting = 0
  #hasFailed = false
  /** Whether it has begun the ticks. */
  #hasBegun = false
  /** Whether it has ended them again, as the app failed to listen. */
  #isSuspended = false
  #timer: TimerHandle | null = null

  constructor(app: FastifyInstance, lifecycle: Lifecycle, clock: Clock) {
    this.#app = app
    this.#lifecycle = lifecycle
    this.#clock = clock
  }

  /** The app is about to be ready, and nobody has asked it to listen yet. */
  expectListen(): void {
    const { server } = this.#app
    this.#waiting = countWaiting(server)
    // It does not count as a listener: an error that nobody handles is still thrown.
    server.on(ERROR, this.#onServerError)
  }

  onReady(err: unknown): void {
    if (err) this.#tell(err, 'no job runs by its trigger here, as the app is not ready')
    // A turn later, as `listen()` may follow on `ready()`.
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
    // Not what was begun, stopped or closed by hand meanwhile.
    if (phase !== 'open' && !(phase === 'stopped' && this.#isSuspended)) return
    this.#hasBegun = true
    this.#isSuspended = false
    this.#lifecycle.start().catch((err: unknown) => this.#tell(err, 'no job runs by its trigger here'))
  }

  #tell(err: unknown, message: string): void {
    logSafely(this.#app.log, 'error', { err }, message)
  }
}

/** How many wait for a server to listen, once: Fastify does while its `listen()` is under way. */
function countWaiting(server: EventEmitter): number {
  return server.rawListeners('listening').filter((listener) => 'listener' in listener).length
}
