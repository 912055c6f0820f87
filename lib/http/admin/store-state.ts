import type { AdminStore } from '../../../types/admin.js'
import type { Engine } from '../../engine.js'

/** What the replicas share, as this one sees it. */
export function storeOf({ coordination, outages }: Engine, latency: number | null): AdminStore {
  const { kind, up, server = null } = coordination.state
  return {
    kind,
    isUp: up,
    reason: up ? null : outages.reason,
    awaySince: up ? null : outages.since,
    latency: latency === null || !up ? null : Math.round(latency * 10) / 10,
    server,
    lastOutage: outages.last
  }
}
