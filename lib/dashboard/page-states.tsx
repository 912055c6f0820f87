// What a page shows that has nothing to show.
import { Heading } from './heading.js'
import type { Loader } from './loader.js'
import { change } from './route.js'
import { isAway, refusal, replicas } from './store.js'
import { plural } from './words.js'

const EXAMPLE = `app.jobs.add({
  id: 'expire-carts',
  trigger: { cron: '* * * * *' },
  handler: async ({ log }) => { … }
})`

/** While it is read for the first time; seen after a while only. */
export function Bones({ title = 'Jobs' }: { readonly title?: string }) {
  return (
    <div class="late">
      <h1 aria-busy="true">{title}</h1>
      <p class="sub">Reading the fleet…</p>
      <div aria-hidden="true">
        {Array.from({ length: 10 }, (_, index) => (
          <div class="bone-row" key={index}>
            {[0, 1, 2, 3].map((column) => (
              <div key={column}>
                <div class="bone" />
                <div class="bone b" />
              </div>
            ))}
          </div>
        ))}
      </div>
    </div>
  )
}

export function Empty() {
  const known = replicas.value
  const who =
    known === null
      ? 'No replica has a job.'
      : `${plural(known.all, 'replica')} ${known.all === 1 ? 'is' : 'are'} up, ${known.takeTicks} of ${known.all} ${known.all === 1 ? 'takes' : 'take'} ticks; none has a job.`
  return (
    <>
      <Heading text="No jobs yet" />
      <div class="empty">
        <p>{who} Add one, and it stands here with its first tick.</p>
        <pre>{EXAMPLE}</pre>
      </div>
    </>
  )
}

export function NoMatch() {
  return (
    <div class="empty">
      <h2>No job matches</h2>
      <button type="button" onClick={() => change({ q: '', state: '', group: '' })}>
        Clear filters
      </button>
    </div>
  )
}

/** Why a page cannot be shown, or not as it is now. */
export function Trouble({ loader, title }: { readonly loader: Loader; readonly title?: string }) {
  const error = loader.error.value
  if (error === null) return null
  const text = isAway.value || error.status === 503 ? 'Nothing can be read while Redis is away.' : error.message
  return (
    <div class="trouble-line">
      {title !== undefined && <Heading text={title} />}
      <p class="bad" dir="auto">
        {text}
        {error.code !== '' && <span class="dim mono"> {error.code}</span>}
      </p>
      <p class="dim">
        This page tries again by itself.{' '}
        <button type="button" onClick={() => loader.load()}>
          Try now
        </button>
      </p>
    </div>
  )
}

/** In place of everything, where nothing may be seen. */
export function Refused() {
  const isForbidden = refusal.value === 'forbidden'
  return (
    <>
      <Heading text={isForbidden ? 'You may not see this' : 'You are not signed in any more'} />
      <p class="sub">
        {isForbidden
          ? 'The service asked who you are and said no (403). Sign in, or ask whoever runs it.'
          : 'The service wants to know who you are. Load the page again to sign in.'}
      </p>
      <p>
        <button type="button" onClick={() => location.reload()}>
          Load the page again
        </button>
      </p>
    </>
  )
}
