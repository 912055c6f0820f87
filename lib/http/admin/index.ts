import type { FastifyInstance } from 'fastify'
import type { Engine } from '../../engine.js'
import type { Scheduler } from '../../scheduler.js'
import { loadCronInWords } from '../../triggers/describe.js'
import { Access } from './access.js'
import { Actions } from './actions.js'
import { Board } from './board.js'
import { KnownJobs } from './known-jobs.js'
import type { ResolvedAdmin } from './options.js'
import { Reads } from './reads.js'
import { adminRoutes } from './routes.js'
import { storeOf } from './store-state.js'
import { Stream } from './stream.js'

export { resolveAdmin } from './options.js'

/** Serves the dashboard and its API: what is below makes the parts, and connects them. */
export function serveAdmin(
  app: FastifyInstance,
  admin: ResolvedAdmin,
  engine: Engine,
  scheduler: Scheduler<FastifyInstance>
): void {
  const { coordination, fleetStatus, levers, runsByHand, options } = engine
  const { clock, log, timezone } = options
  const jobs = new KnownJobs({ coordination, jobs: engine.jobs })
  const board = new Board({ clock, coordination, jobs, redact: admin.redact, timezone, words: loadCronInWords })
  /** How long the store took to answer when the replicas were counted last. */
  let latency: number | null = null
  const stream = new Stream({
    clock,
    board,
    log,
    now: () => coordination.now(),
    store: () => storeOf(engine, latency),
    replicas: async () => {
      const startedAt = clock.monotonic()
      const replicas = await fleetStatus.replicas()
      latency = coordination.state.kind === 'memory' ? null : clock.monotonic() - startedAt
      return { replicas: replicas.length, takeTicks: replicas.filter(({ takesTicks }) => takesTicks).length }
    }
  })
  const parts = {
    access: new Access(admin),
    reads: new Reads({ engine, admin, board, jobs }),
    actions: new Actions({ levers, runsByHand, jobs, onDone: () => board.forget() }),
    stream,
    scheduler,
    timezone
  }
  app.register(async (child) => adminRoutes(child, parts), { prefix: admin.prefix })
  // Before runs are waited for: an open stream is a request in flight.
  app.addHook('preClose', async () => stream.close())
}
