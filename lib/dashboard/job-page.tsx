// A job: how it stands, what can be done, what became of its ticks, and what comes.
import { useEffect } from 'preact/hooks'
import type { AdminAction, AdminJob, AdminJobDetail } from '../../types/admin.js'
import { askCancel, askOverride, askPause, askResume, askRun, askSkip } from './asking.js'
import { now, zone } from './clock.js'
import { Icon } from './drawn.js'
import { Heading } from './heading.js'
import { detail, details, GATHERED, history, isUnknown, past } from './job-data.js'
import { Rail } from './job-rail.js'
import { useKeys } from './keys.js'
import { Bones, Trouble } from './page-states.js'
import { Plot } from './plot.js'
import { route } from './route.js'
import { RunDetail } from './run-detail.js'
import { stateMark, stateWord } from './states.js'
import { epoch, fleet, isReadOnly, jobSignal, store, whyOff } from './store.js'
import { tickOfRun } from './story.js'
import { Story } from './story-view.js'
import { Foreign, Live, Section } from './text.js'
import { clock, days, duration, MINUTE, when } from './time.js'
import { tickToRun, verdict } from './verdict.js'
import { type Knowledge, quoted, sentence } from './words.js'

/** Reads the job of the route, and again when it has changed. */
function useJob(id: string): void {
  useEffect(() => {
    if (detail.peek()?.job.id !== id) {
      detail.value = null
      past.value = null
      isUnknown.value = false
    }
    details.load()
    history.load()
  }, [id, epoch.value])
  const job = jobSignal(id)
  useEffect(() => {
    let isFirst = true
    return job?.subscribe(() => {
      // What a reading brought is no reason to read again.
      if (!isFirst && !details.isLoading && detail.peek()?.job !== job.peek()) later()
      isFirst = false
    })
  }, [job])
  useEffect(details.hold, [])
  useEffect(history.hold, [])
}

function later(): void {
  details.loadSoon(GATHERED)
  history.loadSoon(GATHERED)
}

/** What a sentence about the job's ticks can know. */
function knowledge(job: AdminJob, known: AdminJobDetail): (time: number) => Knowledge {
  const { definition } = known
  return (time) => ({
    now: time,
    zone,
    ticks: job.ticks,
    pauses: job.pauses,
    changes: past.value?.changes ?? [],
    outage: store.value?.lastOutage ?? null,
    grace: definition.misfireGraceTime,
    attempts: definition.retry === null ? null : definition.retry.limit + 1,
    recovery: definition.recovery
  })
}

export function JobPage() {
  const { id } = route.value
  useJob(id)
  const known = detail.value
  const job = jobSignal(id)?.value
  if (isUnknown.value && known === null) return <NoSuchJob id={id} />
  if (known === null || known.job.id !== id || job === undefined) {
    return details.error.value === null ? <Bones title={id} /> : <Trouble loader={details} title={id} />
  }
  const know = knowledge(job, known)
  const failure = known.lastFailure !== null && <LastFailure known={known} know={know} />
  const isTrouble = job.rank === 'attention'
  return (
    <div class="job">
      <div class="head">
        <Head job={job} know={know} />
        <Actions job={job} />
      </div>
      <div>
        <Section title="Last 60 ticks" note={percentileWords(job)}>
          <Plot job={job} timeout={known.definition.timeout} know={know} />
        </Section>
        {isTrouble && failure}
        <Story job={job} know={know} />
        {!isTrouble && failure}
      </div>
      <Rail job={job} known={known} />
    </div>
  )
}

function percentileWords({ p50, p95 }: AdminJob): string | undefined {
  return p50 === null || p95 === null ? undefined : `p50 ${duration(p50)}, p95 ${duration(p95)}`
}

function NoSuchJob({ id }: { readonly id: string }) {
  const retention = fleet.value?.history?.retention
  const kept = retention === undefined ? '' : `, and none had in the last ${days(retention)}`
  return (
    <>
      <Heading text="No such job" />
      <p class="sub">
        No living replica has a job of the id “<Foreign text={id} />”{kept}.
      </p>
    </>
  )
}

function Head({ job, know }: { readonly job: AdminJob; readonly know: (time: number) => Knowledge }) {
  const { group, description, name, id } = job
  const beside = [group, name === id ? null : name, description].filter((text) => text !== null && text !== '')
  return (
    <>
      <div class="line">
        <Heading text={id}>
          <Foreign text={id} />
        </Heading>
        <span class="dim">
          {beside.map((text, index) => (
            <span key={text}>
              {index > 0 && ' · '}
              <Foreign text={text as string} />
            </span>
          ))}
        </span>
      </div>
      <p class="verdict">
        <Icon mark={stateMark(job)} r={5} />
        <span dir="auto">
          <b>{stateWord(job)}.</b> <Live of={(time) => verdict(job, know(time))} />
        </span>
      </p>
    </>
  )
}

interface Act {
  readonly action: AdminAction
  readonly text: string
  readonly ask: () => void
}

const tick = (time: number): string => when(time, now.peek(), zone, clock)

/** What fits how the job stands comes first. */
function actsOf(job: AdminJob): readonly Act[] {
  const acts: Act[] = []
  const isPausedItself = job.pauses.some(({ of }) => of === 'job')
  for (const { of } of job.pauses) {
    if (of === 'all') acts.push({ action: 'resume', text: 'Resume all jobs', ask: () => askResume({ all: true }) })
    else if (of === 'job') acts.unshift({ action: 'resume', text: 'Resume', ask: () => askResume({ job: job.id }) })
    else if (job.group !== null) {
      const { group } = job
      acts.push({ action: 'resume', text: `Resume group ${quoted(group)}`, ask: () => askResume({ group }) })
    }
  }
  const cancels = job.running.map(
    (run): Act => ({ action: 'cancel', text: cancelText(job, run), ask: () => askCancel(job.id, run) })
  )
  const again = tickToRun(job)
  const isTrouble = job.rank === 'attention'
  if (isTrouble) acts.push(...cancels)
  if (again !== null && (isTrouble || job.rank === 'on_time') && job.running.length === 0 && isTrouble) {
    const hasRun = again.run !== undefined
    const text = `Run the tick of ${tick(again.at)}${hasRun ? ' again' : ''}`
    acts.push({ action: 'trigger', text, ask: () => askRun(job.id, again.at, hasRun) })
  }
  acts.push({ action: 'trigger', text: 'Run now', ask: () => askRun(job.id) })
  if (!isTrouble) acts.push(...cancels)
  if (!isPausedItself) acts.push({ action: 'pause', text: 'Pause', ask: () => askPause({ job: job.id }) })
  const next = job.nextRun
  if (next !== null)
    acts.push({ action: 'skip', text: `Skip ${skipText(next, job.period)}`, ask: () => askSkip(job.id, next) })
  acts.push({ action: 'override', text: 'Override', ask: () => askOverride(job.id) })
  return acts
}

function cancelText(job: AdminJob, run: AdminJob['running'][number]): string {
  if (job.running.length === 1 && job.rank !== 'attention') return 'Cancel the run'
  const where = job.running.length > 1 ? ` on ${quoted(run.replicaId)}` : ''
  return `Cancel the run of ${tick(run.scheduledTime)}${where}`
}

/** Of a job that runs often the tick is another one each second: its name does not change the width of the button. */
function skipText(next: number, period: number | null): string {
  return period !== null && period < MINUTE ? `${tick(next).padEnd(8)}` : tick(next)
}

function Actions({ job }: { readonly job: AdminJob }) {
  const acts = actsOf(job)
  useKeys({ r: () => askRun(job.id), p: () => askPause({ job: job.id }) })
  const first = acts[0]
  const why = first === undefined ? null : whyOff(first.action)
  return (
    <div class="acts" role="group" aria-label="Actions">
      {acts.map(({ action, text, ask }, index) => {
        const off = whyOff(action)
        return (
          <button
            key={`${action} ${index}`}
            type="button"
            class={index === 0 ? 'primary' : ''}
            disabled={off !== null}
            title={off ?? undefined}
            onClick={ask}
          >
            {text}…
          </button>
        )
      })}
      {why !== null && (isReadOnly.value || acts.every(({ action }) => whyOff(action) !== null)) && (
        <span class="dim">{why}</span>
      )}
    </div>
  )
}

function LastFailure({ known, know }: { readonly known: AdminJobDetail; readonly know: (time: number) => Knowledge }) {
  const run = known.lastFailure
  if (run === null) return null
  const failed = tickOfRun(run)
  return (
    <Section title="Last failure" note={<Live of={(time) => when(run.scheduledTime, time, zone)} />}>
      <p dir="auto">
        {run.error == null ? (
          <Live of={(time) => sentence(failed, know(time))} />
        ) : (
          <>
            <span class="bad strong">{failed.error}</span>, on {quoted(run.replicaId)}
            {run.duration === null ? '' : ` after ${duration(run.duration)}`}
          </>
        )}
      </p>
      <RunDetail run={run} isHeaded={false} />
    </Section>
  )
}
