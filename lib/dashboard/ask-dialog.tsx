// Asks for the reason of an action, and of a pause until when.
import { useState } from 'preact/hooks'
import { type Asked, asking, done, type Filled } from './asking.js'
import { fleetTime, zone } from './clock.js'
import { Dialog } from './dialog.js'
import { Failure, type Refusal, refusalOf } from './failure.js'
import { Foreign } from './text.js'
import { day, HOUR, hm } from './time.js'

/** How long a reason is at most. */
export const NOTE = 500

type End = 'tomorrow' | 'hour' | 'never' | 'time'

/** Nine o'clock of the reader's next day. */
function tomorrow(now: number): number {
  const date = new Date(now)
  return new Date(date.getFullYear(), date.getMonth(), date.getDate() + 1, 9).getTime()
}

/** A time as a field for local times has it. */
function asField(time: number): string {
  const date = new Date(time)
  const two = (value: number): string => String(value).padStart(2, '0')
  const days = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`
  return `${days}T${two(date.getHours())}:${two(date.getMinutes())}`
}

function endOf(end: End, time: string): number | null {
  if (end === 'tomorrow') return tomorrow(fleetTime())
  if (end === 'hour') return Math.round(fleetTime() + HOUR)
  return end === 'time' ? new Date(time).getTime() : null
}

export function AskDialog({ asked }: { readonly asked: Asked }) {
  const [note, setNote] = useState('')
  const [end, setEnd] = useState<End>('tomorrow')
  const [time, setTime] = useState(asField(fleetTime() + HOUR))
  const [isBusy, setBusy] = useState(false)
  const [refusal, setRefusal] = useState<Refusal | null>(null)
  const send = async (close: () => void): Promise<void> => {
    if (isBusy) return
    setBusy(true)
    const filled: Filled = { note: note.trim(), until: asked.hasEnd ? endOf(end, time) : null }
    try {
      const text = await asked.send(filled)
      close()
      done(text)
    } catch (thrown) {
      const error = refusalOf(thrown)
      setRefusal({ error })
      if (error.status === 412 && asked.look !== undefined) {
        const look = await asked.look().catch(() => undefined)
        setRefusal({ error, ...(look !== undefined && { now: look }) })
      }
      setBusy(false)
    }
  }
  const title = (
    <>
      {asked.verb}
      {asked.of !== '' && (
        <>
          : <Foreign text={asked.of} />
        </>
      )}
    </>
  )
  return (
    <Dialog title={title} close={closeAsking}>
      {(close) => (
        <form
          onSubmit={(event) => {
            event.preventDefault()
            void send(close)
          }}
        >
          <p class="dim">{asked.effect}</p>
          {asked.hasEnd && <Until end={end} setEnd={setEnd} time={time} setTime={setTime} />}
          <Reason note={note} setNote={setNote} />
          <Failure refusal={refusal} />
          <div class="ends">
            <button type="button" onClick={close}>
              Back
            </button>
            <button type="submit" class="primary" disabled={isBusy}>
              {refusal?.error.status === 412 ? `${asked.verb} all the same` : asked.verb}
            </button>
          </div>
        </form>
      )}
    </Dialog>
  )
}

export function closeAsking(): void {
  asking.value = null
}

export function Reason({ note, setNote }: { note: string; setNote: (note: string) => void }) {
  return (
    <label>
      <span>Reason, kept in the story of the job</span>
      <textarea
        rows={2}
        required
        maxLength={NOTE}
        dir="auto"
        data-first
        value={note}
        onInput={({ currentTarget }) => {
          // Blanks alone are no reason.
          currentTarget.setCustomValidity(currentTarget.value.trim() === '' ? 'Say why, in a few words.' : '')
          setNote(currentTarget.value)
        }}
      />
    </label>
  )
}

function Until(props: { end: End; setEnd: (end: End) => void; time: string; setTime: (time: string) => void }) {
  const nine = tomorrow(fleetTime())
  return (
    <div class="until">
      <label>
        <span>Until</span>
        <select value={props.end} onChange={({ currentTarget }) => props.setEnd(currentTarget.value as End)}>
          <option value="tomorrow">{`tomorrow, ${day(nine, zone)} ${hm(nine, zone)}`}</option>
          <option value="hour">in 1 hour</option>
          <option value="never">someone resumes it</option>
          <option value="time">a time…</option>
        </select>
      </label>
      {props.end === 'time' && (
        <label>
          <span>Your time</span>
          <input
            type="datetime-local"
            required
            min={asField(fleetTime())}
            value={props.time}
            onInput={({ currentTarget }) => props.setTime(currentTarget.value)}
          />
        </label>
      )}
    </div>
  )
}
