// The fleet: its replicas, what they share, where they differ, and what people have done.
import { useEffect } from 'preact/hooks'
import type { AdminFleet } from '../../types/admin.js'
import { askPause, askResume, standingPause } from './asking.js'
import { now, zone } from './clock.js'
import { Icon } from './drawn.js'
import { FLEET_EVERY, fleetLoader } from './fleet-data.js'
import { fleetHeadline, fleetSubline, mainVersion, skew } from './fleet-words.js'
import { Heading } from './heading.js'
import { Bones, Trouble } from './page-states.js'
import { jobHash } from './route.js'
import { fleet, isAway, store, whyOff } from './store.js'
import { Facts, Foreign, Live, Section } from './text.js'
import { age, ago, days, duration, hms, when } from './time.js'
import { changeSentence, plural, shownValue } from './words.js'

/** A replica is heard of every 15 to 20 s: after that long something is the matter. */
const SILENT = 40_000
/** A clock that is further off than that is worth a look. */
const SKEWED = 1000
/** Of how many sides differences are shown as columns. */
const SIDES = 4

export function FleetPage() {
  useEffect(() => {
    fleetLoader.load()
    const timer = setInterval(() => {
      if (!document.hidden && !fleetLoader.isLoading) fleetLoader.load()
    }, FLEET_EVERY)
    return () => clearInterval(timer)
  }, [])
  const known = fleet.value
  if (known === null) {
    return fleetLoader.error.value === null ? <Bones title="Fleet" /> : <Trouble loader={fleetLoader} title="Fleet" />
  }
  const newest = Math.max(0, ...known.replicas.map(({ seenAt }) => seenAt))
  const lastHeard = isAway.value ? ago(newest, now.value) : null
  return (
    <>
      <div class="line">
        <Heading text={fleetHeadline(known, lastHeard)} />
        <AllJobs />
      </div>
      <p class="sub" dir="auto">
        {isAway.value ? 'Redis does not answer; each replica keeps trying.' : fleetSubline(known)}
      </p>
      <Replicas known={known} />
      <div class="cols">
        <Store known={known} />
        <Differences known={known} />
      </div>
      <Changes known={known} />
    </>
  )
}

/** The levers for all jobs at once. */
function AllJobs() {
  const target = { all: true } as const
  const pause = standingPause(target)
  const [offPause, offResume] = [whyOff('pause'), whyOff('resume')]
  return (
    <span class="acts-in">
      {pause !== null && (
        <button
          type="button"
          disabled={offResume !== null}
          title={offResume ?? undefined}
          onClick={() => askResume(target)}
        >
          Resume all jobs…
        </button>
      )}
      <button type="button" disabled={offPause !== null} title={offPause ?? undefined} onClick={() => askPause(target)}>
        Pause all jobs…
      </button>
    </span>
  )
}

function Replicas({ known }: { readonly known: AdminFleet }) {
  const main = mainVersion(known.replicas)
  return (
    <Section title="Replicas" note={`answered by ${known.app.replicaId}`}>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls can be scrolled by keys */}
      <div class="scroll" tabIndex={0} role="region" aria-label="Replicas">
        <table class="fit">
          <thead>
            <tr>
              {['Replica', 'App', 'Scheduler', 'Up', 'Skew', 'Running', 'Takes ticks', 'Runs now'].map((name) => (
                <th key={name} scope="col" class={['Up', 'Skew', 'Running'].includes(name) ? 'num' : ''}>
                  {name}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {known.replicas.map((replica) => (
              <ReplicaRow key={replica.replicaId} replica={replica} main={main} />
            ))}
          </tbody>
        </table>
      </div>
    </Section>
  )
}

function ReplicaRow({
  replica,
  main
}: {
  readonly replica: AdminFleet['replicas'][number]
  readonly main: string | null
}) {
  const { replicaId, appVersion, version, startedAt, seenAt, clockSkew, running, concurrency, takesTicks, runs } =
    replica
  const jobs = [...new Set(runs.map(({ job }) => job))]
  return (
    <tr>
      <th scope="row">
        <Foreign text={replicaId} class="strong" />
        {now.value - seenAt > SILENT && (
          <span class="warn">
            {' '}
            <Live of={(time) => `last heard of ${ago(seenAt, time)}`} />
          </span>
        )}
      </th>
      <td class={appVersion === main ? '' : 'warn strong'}>{appVersion ?? ''}</td>
      <td>{version}</td>
      <td class="num">
        <Live of={(time) => age(time - startedAt)} />
      </td>
      <td class={`num ${Math.abs(clockSkew) > SKEWED ? 'warn strong' : ''}`}>{skew(clockSkew)}</td>
      <td class="num">{concurrency === null ? (running > 0 ? running : '') : `${running} of ${concurrency}`}</td>
      <td class={takesTicks ? '' : 'dim'}>{takesTicks ? 'yes' : 'no'}</td>
      <td>
        {jobs.map((id, index) => (
          <span key={id}>
            {index > 0 && ', '}
            <a href={jobHash(id)}>
              <Foreign text={id} />
            </a>
          </span>
        ))}
      </td>
    </tr>
  )
}

function Store({ known }: { readonly known: AdminFleet }) {
  const told = store.value ?? known.store
  const { history } = known
  const { lastOutage } = told
  const state = told.isUp
    ? told.latency === null
      ? 'answers'
      : `answers in ${told.latency < 10 ? `${Math.round(told.latency * 10) / 10} ms` : duration(told.latency)}`
    : `no answer${told.awaySince === null ? '' : ` since ${hms(told.awaySince, zone)}`}`
  const kept = history === null ? 'none is kept' : `${plural(history.runs, 'run')} a job, ${days(history.retention)}`
  return (
    <Section title={told.kind === 'redis' ? 'Redis' : 'Store'}>
      <Facts
        rows={[
          ['State', told.kind === 'memory' ? 'in the memory of this process' : state, told.isUp ? '' : 'bad'],
          ['Why', told.reason === null ? '' : <Foreign key="why" text={told.reason} />],
          ['Server', told.server === null ? '' : <Foreign key="server" text={told.server} />],
          [
            'Last outage',
            lastOutage === null
              ? ''
              : `${when(lastOutage.from, now.value, zone)} to ${hms(lastOutage.to, zone)}, ${duration(lastOutage.to - lastOutage.from)}`
          ],
          ['History', kept],
          ['Logs', history === null ? '' : history.logs === false ? 'none is kept' : `of ${history.logs} runs`],
          ['Zone', known.app.timezone],
          ['You', known.you.user === null ? '' : <Foreign key="you" text={known.you.user} />]
        ]}
      />
    </Section>
  )
}

type Value = NonNullable<AdminFleet['differences']>[number]['values'][number]

/** Who says so: its versions, and its replicas. */
function sideOf({ appVersions, replicas }: Value): string {
  return `${appVersions.length === 0 ? 'no version' : appVersions.join(', ')} (${replicas.join(', ')})`
}

function Differences({ known }: { readonly known: AdminFleet }) {
  const { differences } = known
  if (differences === null) return null
  if (differences.length === 0) {
    return (
      <Section title="Definitions that differ">
        <p class="dim">None: all replicas define their jobs alike.</p>
      </Section>
    )
  }
  const sides = [...new Set(differences.flatMap(({ values }) => values.map(sideOf)))]
  const isWide = sides.length <= SIDES
  return (
    <Section title="Definitions that differ">
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls can be scrolled by keys */}
      <div class="scroll" tabIndex={0} role="region" aria-label="Definitions that differ">
        <table class="fit">
          <thead>
            <tr>
              {['Job', 'Option', ...(isWide ? sides : ['Values'])].map((name) => (
                <th key={name} scope="col" dir="auto">
                  {name}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {differences.map(({ job, option, values }) => (
              <tr key={`${job} ${option}`}>
                <th scope="row">
                  <a href={jobHash(job)}>
                    <Foreign text={job} />
                  </a>
                </th>
                <td class="dim">{option}</td>
                {isWide ? (
                  sides.map((side) => {
                    const found = values.find((value) => sideOf(value) === side)
                    return <td key={side}>{found === undefined ? '' : shownValue(option, found.value)}</td>
                  })
                ) : (
                  <td>{values.map((value) => `${shownValue(option, value.value)}: ${sideOf(value)}`).join('; ')}</td>
                )}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      <p class="dim">Until they agree, each replica runs its own.</p>
    </Section>
  )
}

function Changes({ known }: { readonly known: AdminFleet }) {
  return (
    <Section title="Changes by people">
      {known.changes.length === 0 ? (
        <p class="dim">None is known.</p>
      ) : (
        <ol class="story">
          {known.changes.map((change, index) => (
            <li key={`${change.at} ${change.action} ${index}`}>
              <time>
                <Live of={(time) => when(change.at, time, zone)} />
              </time>
              <Icon mark="change" />
              <span dir="auto">
                {change.job === null ? (
                  changeSentence(change, now.peek(), zone)
                ) : (
                  <a href={jobHash(change.job)}>{changeSentence(change, now.peek(), zone)}</a>
                )}
              </span>
            </li>
          ))}
        </ol>
      )}
    </Section>
  )
}
