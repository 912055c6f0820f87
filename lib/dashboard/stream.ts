// Keeps the page up to date by the server's stream, which is opened again whenever it breaks.
import type { AdminStreamJobs, AdminStreamStore } from '../../types/admin.js'
import { noteTime } from './clock.js'
import { connection, counts, epoch, mergeJobs, replicas, store } from './store.js'

const FIRST_WAIT = 1000
const LONGEST_WAIT = 15_000
/** The store is told each second: after that long without a word the connection is dead, whatever it seems. */
const SILENCE = 12_000
/** A browser has few connections to a host: a page that nobody sees gives its own back, after that long. */
const HIDDEN = 30_000

let source: EventSource | null = null
let failures = 0
let retry: ReturnType<typeof setTimeout> | undefined
let watch: ReturnType<typeof setTimeout> | undefined
let hidden: ReturnType<typeof setTimeout> | undefined
/** Whether something may have been missed since the stream was last there. */
let isBehind = false

/** Opens the stream, and keeps it open while the page is seen. */
export function follow(): void {
  open()
  document.addEventListener('visibilitychange', () => {
    clearTimeout(hidden)
    if (document.hidden) hidden = setTimeout(close, HIDDEN)
    else if (source === null) open()
  })
  addEventListener('online', () => {
    if (connection.peek().retryAt !== null) open()
  })
}

function open(): void {
  close()
  const opened = new EventSource('./api/events')
  source = opened
  opened.addEventListener('open', heard)
  opened.addEventListener('jobs', (event) => take(event, noteJobs))
  opened.addEventListener('store', (event) => take(event, noteStore))
  opened.addEventListener('reset', () => {
    heard()
    epoch.value++
  })
  opened.addEventListener('error', lose)
  watch = setTimeout(lose, SILENCE)
}

function close(): void {
  isBehind = source !== null || isBehind
  source?.close()
  source = null
  clearTimeout(retry)
  clearTimeout(watch)
}

function heard(): void {
  clearTimeout(watch)
  watch = setTimeout(lose, SILENCE)
  failures = 0
  connection.value = { heardAt: performance.now(), retryAt: null }
  if (isBehind) epoch.value++
  isBehind = false
}

function lose(): void {
  close()
  const wait = Math.min(LONGEST_WAIT, FIRST_WAIT * 2 ** failures++)
  connection.value = { ...connection.peek(), retryAt: performance.now() + wait }
  retry = setTimeout(open, wait)
}

function take<Data>(event: MessageEvent<string>, note: (data: Data) => void): void {
  heard()
  try {
    note(JSON.parse(event.data) as Data)
  } catch (error) {
    console.warn(error)
  }
}

function noteJobs(event: AdminStreamJobs): void {
  noteTime(event.at)
  counts.value = event.counts
  mergeJobs(event.jobs, event.removed)
}

function noteStore(event: AdminStreamStore): void {
  noteTime(event.at)
  const wasUp = store.peek()?.isUp ?? true
  store.value = event.store
  replicas.value = { all: event.replicas, takeTicks: event.takeTicks }
  if (!wasUp && event.store.isUp) epoch.value++
}
