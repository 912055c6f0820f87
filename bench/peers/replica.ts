// One replica process of a fleet: starts its peer's jobs, and measures itself in the window it is told.
import type { ReplicaSettings } from '../replica.js'
import { type Run, type StartPeer, serve } from './serve.js'

const settings = JSON.parse(process.argv[2] ?? '') as ReplicaSettings
await serve(settings, async (run) => {
  if (settings.peer !== 'none') await start(settings, run)
  return {}
})

/** Starts the jobs of the peer in this process. */
async function start(settings: ReplicaSettings, run: Run): Promise<void> {
  const peer = (await import(`./${settings.peer}.ts`)) as { start: StartPeer }
  await peer.start(settings, run)
}
