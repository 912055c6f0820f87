// What stands around each page: where one can go, how the store is, what time it is, and what is the matter.
import { useEffect, useLayoutEffect, useRef } from 'preact/hooks'
import { AskDialog } from './ask-dialog.js'
import { asking, askResume, standingPause } from './asking.js'
import { Boundary } from './boundary.js'
import { now, zone } from './clock.js'
import { Icon } from './drawn.js'
import { fleetLoader } from './fleet-data.js'
import { FleetPage } from './fleet-page.js'
import { JobPage } from './job-page.js'
import { JobsPage } from './jobs-page.js'
import { useKeys } from './keys.js'
import { isLegendOpen, Legend } from './legend.js'
import { OverrideDialog } from './override-dialog.js'
import { Refused } from './page-states.js'
import { filtersOf, go, goBack, hashOf, route, type View } from './route.js'
import { connection, epoch, isAway, isReadOnly, refusal, replicas, STALE, said, store, title, whyOff } from './store.js'
import { Live } from './text.js'
import { isDark, toggleTheme } from './theme.js'
import { age, city, countdown, duration, hms } from './time.js'
import { TimelinePage } from './timeline-page.js'
import { hideTip, TipView } from './tip.js'
import { because, pausedBy, plural } from './words.js'

const VIEWS: readonly (readonly [View, string])[] = [
  ['jobs', 'Jobs'],
  ['timeline', 'Timeline'],
  ['fleet', 'Fleet']
]

/** How long it is said what was done, in milliseconds. */
const SAID = 15_000

export function App() {
  const { view } = route.value
  useEffect(() => fleetLoader.load(), [epoch.value])
  useGlobalKeys()
  const main = useArrival(view)
  return (
    <>
      <a
        class="skip"
        href="#view"
        onClick={(event) => {
          event.preventDefault()
          main.current?.focus()
        }}
      >
        Skip to content
      </a>
      <Top view={view} />
      <Notices />
      <Said />
      <main id="view" tabIndex={-1} ref={main}>
        {refusal.value === null ? (
          <Boundary key={`${view} ${route.value.id}`}>
            <Page view={view} />
          </Boundary>
        ) : (
          <Refused />
        )}
      </main>
      <TipView />
      <Dialogs />
    </>
  )
}

function Page({ view }: { readonly view: View }) {
  switch (view) {
    case 'timeline':
      return <TimelinePage />
    case 'fleet':
      return <FleetPage />
    case 'job':
      return <JobPage />
    default:
      return <JobsPage />
  }
}

/** After going to another page its content has the focus, and its top is seen. */
function useArrival(view: View) {
  const main = useRef<HTMLElement>(null)
  const { id } = route.value
  const before = useRef(`${view} ${id}`)
  useLayoutEffect(() => {
    const here = `${view} ${id}`
    if (before.current === here) return
    before.current = here
    hideTip()
    said.value = null
    // Where the page has put the focus itself, such as on the row that one comes back to, it stays.
    if (main.current !== document.activeElement && main.current?.contains(document.activeElement) === true) return
    main.current?.focus({ preventScroll: true })
    if (view !== 'jobs') scrollTo(0, 0)
  }, [view, id])
  return main
}

function Top({ view }: { readonly view: View }) {
  const filters = filtersOf(route.value)
  const current = view === 'job' ? 'jobs' : view
  return (
    <header class="top">
      <span class="app">
        <bdi>{title.value}</bdi>
      </span>
      <nav aria-label="Views">
        {VIEWS.map(([to, text]) => (
          <a key={to} href={hashOf(to, '', filters)} aria-current={to === current ? 'page' : undefined}>
            {text}
          </a>
        ))}
      </nav>
      <Vitals />
      <button type="button" class="quiet" onClick={toggleTheme}>
        {isDark.value ? 'Light' : 'Dark'}
        <span class="sr"> theme</span>
      </button>
      <button
        type="button"
        class="quiet"
        id="keys"
        onClick={() => {
          isLegendOpen.value = true
        }}
      >
        Keys <kbd>?</kbd>
      </button>
    </header>
  )
}

function Vitals() {
  const { value: told } = replicas
  const { value: shared } = store
  const silent = silence()
  return (
    <span class="vitals">
      {told !== null && !isAway.value && (
        <span class="opt" title={`${told.takeTicks} of ${plural(told.all, 'replica')} take ticks`}>
          {told.takeTicks === told.all ? plural(told.all, 'replica') : `${told.takeTicks} of ${told.all} replicas`}
        </span>
      )}
      {shared !== null && (
        <span class={shared.isUp ? '' : 'bad'}>
          {shared.isUp ? (
            storeWords(shared.kind, shared.latency)
          ) : (
            <>
              <Icon mark="redis_error" /> Redis away
            </>
          )}
        </span>
      )}
      {now.value > 0 && (
        <span class={silent === null ? '' : 'warn'} title={zone}>
          {silent === null ? hms(now.value, zone) : `as of ${age(silent)} ago`}
          {silent === null && <span class="opt">{city(zone)}</span>}
        </span>
      )}
    </span>
  )
}

function storeWords(kind: 'memory' | 'redis', latency: number | null): string {
  if (kind === 'memory') return 'in memory'
  if (latency === null) return 'Redis'
  return `Redis ${latency < 10 ? `${Math.round(latency * 10) / 10} ms` : duration(latency)}`
}

/** How long nothing was heard, if that is long, in milliseconds. */
function silence(): number | null {
  const { heardAt } = connection.value
  // Asked again each second.
  if (now.value === 0) return null
  const silent = performance.now() - heardAt
  return silent >= STALE * 1000 ? silent : null
}

function Notices() {
  const shared = store.value
  const all = standingPause({ all: true })
  if (refusal.value !== null) return null
  return (
    <>
      {isAway.value && (
        <div class="notice alarm">
          {/* What counts on would be said again each second. */}
          <span class="sr" role="alert">
            Redis does not answer.
          </span>
          <p>
            <b>
              {shared?.kind === 'memory' ? 'The store' : 'Redis'} has not answered
              {shared?.awaySince == null ? '' : ' for '}
              {shared?.awaySince != null && <Live of={(time) => age(time - (shared.awaySince ?? time))} />}.
            </b>{' '}
            <span>
              Ticks wait within their grace; those past it are lost. Jobs on every replica go on. This page looks again
              every second.
            </span>
          </p>
        </div>
      )}
      {!isAway.value && <Lost />}
      {isReadOnly.value && (
        <div class="notice">
          <span class="dim">You may look, not act. Buttons are off; ask whoever runs this service for permission.</span>
        </div>
      )}
      {all !== null && (
        <div class="notice">
          <p dir="auto">
            <b>All jobs are paused</b>{' '}
            <Live of={(time) => `${pausedBy({ ...all, of: 'job' }, time, zone)}${because(all.note)}`} />{' '}
            <button type="button" disabled={whyOff('resume') !== null} onClick={() => askResume({ all: true })}>
              Resume all jobs…
            </button>
          </p>
        </div>
      )}
    </>
  )
}

/** That the connection is lost, from when that is noticed by what is shown. */
function Lost() {
  const silent = silence()
  const { retryAt } = connection.value
  if (silent === null || retryAt === null) return null
  const wait = retryAt - performance.now()
  return (
    <div class="notice">
      <span class="sr" role="status">
        The connection was lost.
      </span>
      The connection was lost {age(silent)} ago. {wait > 1000 ? `Trying again in ${countdown(wait)}.` : 'Trying again.'}{' '}
      <span class="dim">Countdowns go on; states may have changed.</span>
    </div>
  )
}

/** What was done last. */
function Said() {
  const text = said.value
  useEffect(() => {
    if (text === null) return
    const timer = setTimeout(() => {
      said.value = null
    }, SAID)
    return () => clearTimeout(timer)
  }, [text])
  return (
    <div class="said" role="status">
      {text !== null && (
        <p dir="auto">
          <Icon mark="change" /> {text}
        </p>
      )}
    </div>
  )
}

function Dialogs() {
  const asked = asking.value
  if (asked !== null && 'override' in asked) return <OverrideDialog id={asked.override} />
  if (asked !== null) return <AskDialog asked={asked} />
  return isLegendOpen.value ? <Legend /> : null
}

function useGlobalKeys(): void {
  const to = (view: View) => () => go(hashOf(view, '', filtersOf(route.peek())))
  useKeys({
    1: to('jobs'),
    2: to('timeline'),
    3: to('fleet'),
    t: toggleTheme,
    '?': () => {
      isLegendOpen.value = true
    },
    Escape: () => {
      hideTip()
      if (route.peek().view === 'job') goBack()
    }
  })
}
