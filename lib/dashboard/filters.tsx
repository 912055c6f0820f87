// What the list is filtered by.
import { useEffect, useRef, useState } from 'preact/hooks'
import type { AdminRank } from '../../types/admin.js'
import { askPause, askResume, standingPause } from './asking.js'
import { useKeys } from './keys.js'
import { change, route } from './route.js'
import { RANKS } from './states.js'
import { counts, groups, whyOff } from './store.js'
import { Keys } from './text.js'

/** How long is waited for the next letter, in milliseconds. */
const TYPING = 150

const SHORT: Readonly<Record<AdminRank, string>> = {
  attention: 'Attention',
  running: 'Running',
  paused: 'Paused',
  on_time: 'On time',
  gone: 'Gone'
}

/** `isCompact` for a page with other hints of its own. */
export function Filters({ isCompact = false }: { readonly isCompact?: boolean }) {
  const known = counts.value
  const { state = '' } = route.value.params
  const ranks = RANKS.filter(([rank]) => rank !== 'gone' || (known?.ranks.gone ?? 0) > 0 || state === 'gone')
  const isRank = state === '' || RANKS.some(([rank]) => rank === state)
  return (
    <div class="bar">
      <Search />
      <div class="seg" role="group" aria-label="State">
        <StateButton value="" text="All" count={known?.all} isOn={state === ''} />
        {ranks.map(([rank]) => (
          <StateButton key={rank} value={rank} text={SHORT[rank]} count={known?.ranks[rank]} isOn={state === rank} />
        ))}
        {!isRank && <StateButton value={state} text={state.replaceAll('_', ' ')} isOn />}
      </div>
      <Groups />
      {!isCompact && (
        <span class="grow dim hints">
          <Keys of="J K">move</Keys> <Keys of="↵">open</Keys> <Keys of="R">run</Keys> <Keys of="P">pause</Keys>
        </span>
      )}
    </div>
  )
}

function StateButton(props: { value: string; text: string; count?: number | undefined; isOn: boolean }) {
  return (
    <button type="button" aria-pressed={props.isOn} onClick={() => change({ state: props.value })}>
      {props.text}
      {props.count !== undefined && <span class="dim">{props.count}</span>}
    </button>
  )
}

function Search() {
  const box = useRef<HTMLInputElement>(null)
  const { q = '' } = route.value.params
  const [text, setText] = useState(q)
  const typed = useRef<ReturnType<typeof setTimeout> | undefined>(undefined)
  // The address may change without the box: back, or "clear filters".
  useEffect(() => {
    if (document.activeElement !== box.current || q === '') setText(q)
  }, [q])
  useEffect(() => () => clearTimeout(typed.current), [])
  useKeys({ '/': () => box.current?.focus() })
  const type = (value: string): void => {
    setText(value)
    clearTimeout(typed.current)
    typed.current = setTimeout(() => change({ q: value.slice(0, 200) }, true), TYPING)
  }
  return (
    <input
      ref={box}
      type="search"
      id="q"
      aria-label="Filter jobs"
      placeholder="Filter jobs  /"
      autocomplete="off"
      spellcheck={false}
      dir="auto"
      maxLength={200}
      value={text}
      onInput={(event) => type(event.currentTarget.value)}
    />
  )
}

function Groups() {
  const { group = '' } = route.value.params
  const known = groups.value
  if (known.length === 0 && group === '') return null
  const names = group === '' || known.includes(group) ? known : [group, ...known]
  return (
    <>
      <select aria-label="Group" value={group} onChange={(event) => change({ group: event.currentTarget.value })}>
        <option value="">All groups</option>
        {names.map((name) => (
          <option key={name} value={name}>
            {name}
          </option>
        ))}
      </select>
      {group !== '' && <GroupActions group={group} />}
    </>
  )
}

function GroupActions({ group }: { readonly group: string }) {
  const off = whyOff('pause')
  return (
    <span class="acts-in">
      <button type="button" disabled={off !== null} title={off ?? undefined} onClick={() => askPause({ group })}>
        Pause group…
      </button>
      <ResumeGroup group={group} />
    </span>
  )
}

function ResumeGroup({ group }: { readonly group: string }) {
  const pause = standingPause({ group })
  const off = whyOff('resume')
  if (pause === null) return null
  return (
    <button type="button" disabled={off !== null} title={off ?? undefined} onClick={() => askResume({ group })}>
      Resume group…
    </button>
  )
}
