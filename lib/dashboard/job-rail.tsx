// What stands beside a job's story: its schedule, what differs from code, the ticks to come, its lock.
import type { AdminJob, AdminJobDetail, AdminRunning } from '../../types/admin.js'
import { askRelease, askReset } from './asking.js'
import { now, zone } from './clock.js'
import { whyOff } from './store.js'
import { Facts, Foreign, Live, Section } from './text.js'
import { ago, city, duration, hms, isSameClock, until, weekday, when } from './time.js'
import { expectation } from './verdict.js'
import { because, number, plural, quoted, shownValue, untilWhen } from './words.js'

const OVERLAPS: Readonly<Record<string, string>> = {
  skip: 'the tick has no run',
  wait: 'the tick waits for a slot',
  replace: 'the run is cancelled for the tick'
}

export function Rail({ job, known }: { readonly job: AdminJob; readonly known: AdminJobDetail }) {
  return (
    <div class="rail">
      <Schedule job={job} known={known} />
      <Differences job={job} known={known} />
      <NextTicks job={job} known={known} />
      <Lock job={job} known={known} />
      <Data known={known} />
    </div>
  )
}

function Schedule({ job, known }: { readonly job: AdminJob; readonly known: AdminJobDetail }) {
  const { definition, waitingTick } = known
  const { retry } = definition
  return (
    <Section title="Schedule">
      <Facts
        rows={[
          ['In words', job.schedule],
          ['Last success', <Success key="success" job={job} />],
          ['Zone', definition.trigger === null ? '' : (job.timezone ?? 'same in every zone')],
          ['Runs on', job.isOnEvery ? 'every replica' : 'one replica a tick'],
          [
            'If late',
            definition.trigger === null ? '' : `runs within ${duration(definition.misfireGraceTime)}, else no run`
          ],
          ['If still running', overlapWords(job, known)],
          ['At once', definition.maxInstances > 1 ? `up to ${plural(definition.maxInstances, 'run')}` : ''],
          ['Timeout', definition.timeout === null ? 'none' : duration(definition.timeout)],
          [
            'Retries',
            retry === null || retry.limit === 0 ? 'none' : `${retry.limit}, the first after ${duration(retry.delay)}`
          ],
          ['Waits', waitingTick === null ? '' : 'a tick', 'warn']
        ]}
      />
    </Section>
  )
}

/** When it last succeeded, and by when it is to again. */
function Success({ job }: { readonly job: AdminJob }) {
  const { lastSuccess } = job
  const { text, isOver } = expectation(job, now.value)
  return (
    <>
      {lastSuccess === null ? 'never' : `${when(lastSuccess, now.value, zone)}, ${ago(lastSuccess, now.value)}`}
      <span class={isOver ? 'bad' : 'dim'}>, {text}</span>
    </>
  )
}

function overlapWords(job: AdminJob, { definition }: AdminJobDetail): string {
  if (job.isOnEvery) return 'no lock'
  return OVERLAPS[definition.overlap] ?? definition.overlap
}

function Differences({ job, known }: { readonly job: AdminJob; readonly known: AdminJobDetail }) {
  const { override } = known
  if (override === null) return null
  const off = whyOff('reset')
  return (
    <Section title="Differs from code">
      <table>
        <thead>
          <tr>
            <th scope="col">
              <span class="sr">Option</span>
            </th>
            <th scope="col">Code</th>
            <th scope="col">Now</th>
          </tr>
        </thead>
        <tbody>
          {override.differences.map(({ option, code, now: value }) => (
            <tr key={option}>
              <th scope="row" class="dim">
                {option}
              </th>
              <td class="mono">{shownValue(option, code)}</td>
              <td class="mono strong">{shownValue(option, value)}</td>
            </tr>
          ))}
        </tbody>
      </table>
      <p class="dim" dir="auto">
        <Live of={(time) => `${quoted(override.by)}, ${when(override.at, time, zone)}${because(override.note)}`} />
      </p>
      {override.error !== null && (
        <p class="bad" dir="auto">
          The replica that answers follows its code: {override.error}
        </p>
      )}
      <p>
        <button
          type="button"
          disabled={off !== null}
          title={off ?? undefined}
          onClick={() => askReset(job.id, override.version)}
        >
          Reset to code…
        </button>
      </p>
    </Section>
  )
}

function NextTicks({ job, known }: { readonly job: AdminJob; readonly known: AdminJobDetail }) {
  const { definition, nextRuns } = known
  // Those that have come since are no more to come.
  const ahead = nextRuns.filter((time) => time > now.value)
  const first = ahead[0]
  const own = job.timezone ?? zone
  const isOther = first !== undefined && !isSameClock(own, zone, first)
  const told = (time: number, of: string): string => `${weekday(time, of)} ${hms(time, of)}`
  const end = job.pauses.some((pause) => pause.until === null)
    ? null
    : Math.max(...job.pauses.map((pause) => pause.until ?? 0))
  return (
    <Section title="Next ten ticks">
      {job.pauses.length > 0 && <PausedTicks job={job} end={end} />}
      {first === undefined && job.pauses.length === 0 && <p class="dim">{nothingAhead(known)}</p>}
      {first !== undefined && (
        <table class="ticks">
          <thead>
            <tr>
              <th scope="col">{job.timezone === null || !isOther ? city(isOther ? own : zone) : city(own)}</th>
              {isOther && <th scope="col">{`Yours (${city(zone)})`}</th>}
              <th scope="col" class="num">
                <span class="sr">When</span>
              </th>
            </tr>
          </thead>
          <tbody>
            {ahead.map((time) => (
              <tr key={time}>
                <td>{told(time, own)}</td>
                {isOther && <td>{told(time, zone)}</td>}
                <td class="num dim">
                  <Live of={(at) => until(time, at)} />
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
      {definition.jitter > 0 && first !== undefined && (
        <p class="dim">Each begins up to {duration(definition.jitter)} later (jitter).</p>
      )}
    </Section>
  )
}

function nothingAhead({ definition }: AdminJobDetail): string {
  if (definition.trigger === null) return 'None: it runs by hand only.'
  if ('after' in definition.trigger && definition.trigger.after === 'completion')
    return 'Not known: after the run that goes on.'
  return 'None: its trigger has no further tick.'
}

function PausedTicks({ job, end }: { readonly job: AdminJob; readonly end: number | null }) {
  const { period } = job
  return (
    <p class="dim">
      <Live
        of={(time) => {
          if (end === null) return 'None until somebody resumes it.'
          const lost = period === null ? 0 : Math.floor((end - time) / period)
          const cost = lost > 0 ? ` ${plural(lost, 'tick')} will have no run.` : ''
          return `None${untilWhen(end, time, zone)}.${cost}`
        }}
      />
    </p>
  )
}

function Lock({ job, known }: { readonly job: AdminJob; readonly known: AdminJobDetail }) {
  if (job.isOnEvery) {
    return (
      <Section title="Lock">
        <p class="dim">None: it runs on every replica.</p>
      </Section>
    )
  }
  const last = job.ticks.findLast(({ run, on }) => run !== undefined && on !== undefined)?.on
  return (
    <Section title="Lock">
      {job.running.length === 0 ? (
        <p class="dim" dir="auto">
          Free.{last === undefined ? '' : ` Last held by ${quoted(last)}.`}
        </p>
      ) : (
        job.running.map((run) => (
          <Held key={run.id} job={job} run={run} at={known.at} slots={known.definition.maxInstances} />
        ))
      )}
    </Section>
  )
}

function Held({ job, run, at, slots }: { job: AdminJob; run: AdminRunning; at: number; slots: number }) {
  const off = whyOff('release')
  const { lockTtl } = run
  const ends = (time: number): string => {
    if (lockTtl === null) return 'not known, or lost'
    const left = lockTtl - (time - at)
    return left > 0 ? `${until(time + left, time)} unless extended` : 'is extended while the run goes on'
  }
  return (
    <>
      <Facts
        rows={[
          [
            'Held by',
            <Live key="by" of={(time) => `${quoted(run.replicaId)}, since ${when(run.startedAt, time, zone)}`} />
          ],
          ['Slot', slots > 1 ? `${run.slot} of ${slots}` : ''],
          ['Ends', <Live key="ends" of={ends} />],
          ['Fencing token', number(run.fencingToken)],
          ['Asked for by', run.by === null ? '' : <Foreign key="who" text={run.by} />]
        ]}
      />
      <p>
        <button type="button" disabled={off !== null} title={off ?? undefined} onClick={() => askRelease(job.id, run)}>
          Release…
        </button>
      </p>
    </>
  )
}

function Data({ known }: { readonly known: AdminJobDetail }) {
  const { data } = known.definition
  if (data === null || data === undefined) return null
  return (
    <Section title="Data">
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls can be scrolled by keys */}
      <pre tabIndex={0} role="region" aria-label="Data">
        {JSON.stringify(data, null, 2)}
      </pre>
    </Section>
  )
}
