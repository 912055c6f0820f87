import type { Cluster, Redis } from 'ioredis'
import { isCluster } from './own-connection.js'

/** What ioredis holds a process alive by. It has no option for that, nor names of its own for others to use. */
interface Held {
  readonly stream?: { unref?(): unknown } | null
  readonly reconnectTimeout?: { unref?(): unknown } | null
  readonly slotsTimer?: { unref?(): unknown } | null
  readonly subscriber?: { getInstance?(): unknown } | null
}

/**
 * Lets the process end although a client is connected, or is to connect again. Each exchange has a timer of ours, which
 * keeps the process alive until it is answered. Where a version of ioredis keeps these things elsewhere, the process lives on.
 */
export function letProcessEnd(client: Redis | Cluster): void {
  const { stream, reconnectTimeout, slotsTimer, subscriber } = client as unknown as Held
  for (const each of [stream, reconnectTimeout, slotsTimer]) each?.unref?.()
  if (!isCluster(client)) return
  const own = subscriber?.getInstance?.()
  if (own) letProcessEnd(own as Redis)
  for (const node of client.nodes()) letProcessEnd(node)
}
