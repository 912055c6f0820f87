// Changes options of a job for the whole fleet, and shows first what ticks that would make.
import { useEffect, useMemo, useState } from 'preact/hooks'
import type { AdminAnswers, AdminJobDetail } from '../../types/admin.js'
import { ApiError, get, post } from './api.js'
import { closeAsking, Reason } from './ask-dialog.js'
import { done, whatIsOverridden } from './asking.js'
import { now, zone } from './clock.js'
import { Dialog } from './dialog.js'
import { Failure, type Refusal, refusalOf } from './failure.js'
import { detail } from './job-data.js'
import { changesOf, type Field, fieldsOf, parseTrigger } from './override-form.js'
import { Foreign } from './text.js'
import { city, hms, until, weekday } from './time.js'
import { list, quoted } from './words.js'

/** How long is waited for the next letter, in milliseconds. */
const TYPING = 300
const PREVIEWED = 5

export function OverrideDialog({ id }: { readonly id: string }) {
  const known = detail.peek()
  return known === null || known.job.id !== id ? null : <Form known={known} />
}

function Form({ known }: { readonly known: AdminJobDetail }) {
  const { id, isOnEvery } = known.job
  const fields = useMemo(() => fieldsOf(known.definition, isOnEvery), [known, isOnEvery])
  const [texts, setTexts] = useState<Readonly<Record<string, string>>>({})
  const [note, setNote] = useState('')
  const [isBusy, setBusy] = useState(false)
  const [version, setVersion] = useState(known.override?.version ?? null)
  const [refusal, setRefusal] = useState<Refusal | null>(null)
  const set = (name: string, text: string): void => setTexts((before) => ({ ...before, [name]: text }))
  const textOf = ({ name, text }: Field): string => texts[name] ?? text
  const send = async (close: () => void): Promise<void> => {
    if (isBusy) return
    setBusy(true)
    try {
      const changes = changesOf(fields, texts, known.definition)
      const names = Object.keys(changes)
      if (names.length === 0) throw new ApiError(400, '', 'Nothing of it was changed yet.')
      await post('override', { job: id, changes, note: note.trim(), expectedVersion: version })
      close()
      done(`Changed ${list(names)} of ${quoted(id)}. It holds until it is reset to code.`)
    } catch (thrown) {
      const error =
        thrown instanceof SyntaxError
          ? new ApiError(400, '', `The trigger is no JSON: ${thrown.message}`)
          : refusalOf(thrown)
      setRefusal({ error })
      if (error.status === 412) {
        const look = await get<AdminJobDetail>('job', { id }).catch(() => null)
        if (look !== null) {
          setVersion(look.override?.version ?? null)
          setRefusal({ error, now: whatIsOverridden(look.override) })
        }
      }
      setBusy(false)
    }
  }
  const title = (
    <>
      Override: <Foreign text={id} />
    </>
  )
  const row = (field: Field) => <FieldRow key={field.name} field={field} text={textOf(field)} set={set} />
  const trigger = fields[0] as Field
  return (
    <Dialog title={title} close={closeAsking} class="wide">
      {(close) => (
        <form
          onSubmit={(event) => {
            event.preventDefault()
            void send(close)
          }}
        >
          <p class="dim">
            Holds for the whole fleet, from the next tick on and over restarts, until it is reset to code.
          </p>
          {row(trigger)}
          <Preview text={textOf(trigger)} />
          <div class="fields">{fields.filter(({ isCommon, name }) => isCommon && name !== 'trigger').map(row)}</div>
          <details class="more-fields">
            <summary>
              <u>More options</u>
            </summary>
            <div class="fields">{fields.filter(({ isCommon }) => !isCommon).map(row)}</div>
          </details>
          <Reason note={note} setNote={setNote} />
          <Failure refusal={refusal} />
          <div class="ends">
            <button type="button" onClick={close}>
              Back
            </button>
            <button type="submit" class="primary" disabled={isBusy}>
              {refusal?.error.status === 412 ? 'Override all the same' : 'Override'}
            </button>
          </div>
        </form>
      )}
    </Dialog>
  )
}

function FieldRow(props: { field: Field; text: string; set: (name: string, text: string) => void }) {
  const { field, text, set } = props
  const { name, label, choices, hint } = field
  const isChanged = text.trim() !== field.text
  const choice = choices === undefined || choices.includes(field.text) ? choices : [field.text, ...choices]
  return (
    <label class={isChanged ? 'changed' : ''}>
      <span>
        {label}
        {isChanged && <b class="run"> changed{field.text === '' ? '' : `, was ${field.text}`}</b>}
      </span>
      {choice === undefined ? (
        <input
          name={name}
          value={text}
          placeholder={hint}
          title={hint}
          class={name === 'trigger' ? 'mono' : ''}
          spellcheck={false}
          autocomplete="off"
          data-first={name === 'trigger'}
          onInput={({ currentTarget }) => set(name, currentTarget.value)}
        />
      ) : (
        <select name={name} value={text} onChange={({ currentTarget }) => set(name, currentTarget.value)}>
          {choice.map((value) => (
            <option key={value} value={value}>
              {value}
            </option>
          ))}
        </select>
      )}
    </label>
  )
}

type Previewed = AdminAnswers['preview'] | { readonly error: string } | null

/** What ticks a trigger makes, asked of the server: it alone reads triggers. */
function Preview({ text }: { readonly text: string }) {
  const [previewed, setPreviewed] = useState<Previewed>(null)
  useEffect(() => {
    const stop = new AbortController()
    const look = async (): Promise<void> => {
      try {
        const trigger = parseTrigger(text)
        if (trigger === null) return setPreviewed({ error: 'By hand only: it has no ticks.' })
        setPreviewed(await post('preview', { trigger, count: PREVIEWED }, stop.signal))
      } catch (thrown) {
        if (stop.signal.aborted) return
        setPreviewed({ error: thrown instanceof SyntaxError ? 'This is no JSON yet.' : refusalOf(thrown).message })
      }
    }
    const timer = setTimeout(() => void look(), TYPING)
    return () => {
      clearTimeout(timer)
      stop.abort()
    }
  }, [text])
  return (
    <div class="preview" aria-live="polite">
      {previewed === null ? (
        <span class="dim">…</span>
      ) : 'error' in previewed ? (
        <span class="bad">{previewed.error}</span>
      ) : (
        <Times of={previewed} />
      )}
    </div>
  )
}

function Times({ of: { schedule, timezone, times } }: { readonly of: AdminAnswers['preview'] }) {
  const own = timezone ?? zone
  return (
    <>
      <b>{schedule}</b>
      <span class="dim">
        , {timezone === null ? `the same in every zone; told as in ${city(zone)}` : city(timezone)}
      </span>
      <ul>
        {times.map((time) => (
          <li key={time}>
            {weekday(time, own)} {hms(time, own)} <span class="dim">{until(time, now.value)}</span>
          </li>
        ))}
      </ul>
      {times.length === 0 && <p class="bad">It has no tick to come.</p>}
    </>
  )
}
