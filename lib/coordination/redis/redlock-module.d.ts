// redlock 5.0.0-beta.2 ships its types where `exports` does not lead (TS7016): what we use of it, declared once.
// Its package is also resolved as CommonJS, so that its default export is one level further down.
declare module 'redlock' {
  import type { EventEmitter } from 'node:events'
  import type { Cluster, Redis } from 'ioredis'

  export interface ExecutionStats {
    readonly membershipSize: number
    readonly quorumSize: number
    readonly votesFor: Set<unknown>
    readonly votesAgainst: Map<unknown, Error>
  }

  export class ExecutionError extends Error {
    readonly attempts: readonly Promise<ExecutionStats>[]
  }

  export class Lock {
    readonly resources: string[]
    readonly value: string
    expiration: number
    constructor(
      redlock: Redlock,
      resources: string[],
      value: string,
      attempts: readonly Promise<ExecutionStats>[],
      expiration: number
    )
  }

  export default class Redlock extends EventEmitter {
    constructor(clients: Iterable<Redis | Cluster>, settings: { retryCount: number })
    acquire(resources: string[], duration: number): Promise<Lock>
    extend(lock: Lock, duration: number): Promise<Lock>
    release(lock: Lock): Promise<unknown>
  }
}
