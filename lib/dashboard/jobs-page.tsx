// biome-ignore-all lint/a11y/noRedundantRoles: a table that is laid out as blocks on a phone is none to a screen reader without
// The jobs, problems first.
import { signal, useSignalEffect } from '@preact/signals'
import { useCallback, useEffect, useLayoutEffect, useMemo, useRef } from 'preact/hooks'
import { askPause, askRun } from './asking.js'
import { now, zone } from './clock.js'
import { Filters } from './filters.js'
import { Heading } from './heading.js'
import { isCurrent, type Listing, list, listing, listQueryOf, see } from './job-list.js'
import { BoneRow, JobRow } from './job-row.js'
import { useKeys } from './keys.js'
import { Bones, Empty, NoMatch, Trouble } from './page-states.js'
import { change, route } from './route.js'
import { type Heights, Rows } from './rows.js'
import { headline, subline } from './states.js'
import { counts, epoch, isAway, jobSignal, moved, store } from './store.js'
import { hms } from './time.js'
import { hideTip } from './tip.js'
import { width } from './viewport.js'
import { useVisible } from './virtual.js'

/** How long changes of place are gathered before the list is read again, in milliseconds. */
const GATHERED = 500

const COLUMNS = [
  ['st', 'State', 'rank'],
  ['nm', 'Job', 'id'],
  ['s', 'Last ticks', null],
  ['sc', 'Schedule', 'period'],
  ['l', 'Last success', 'lastSuccess'],
  ['d num', 'p50 / p95', null],
  ['n num', 'Next tick', 'nextRun']
] as const

/** As drawn first; measured then, as a reader may have larger letters. */
const heights = signal<Heights>({ heading: 34, row: 47 })

/** Reads the list when the route, or what is known of it, has changed. */
export function useList(): void {
  const query = listQueryOf(route.value)
  const { search, state, group, sort } = query
  useEffect(() => {
    if (isCurrent(listing.peek(), query)) list.loadSoon(0)
    else list.load()
  }, [search, state, group, sort, epoch.value])
  useSignalEffect(() => {
    if (moved.value > 0) list.loadSoon(GATHERED)
  })
  useEffect(list.hold, [])
}

export function JobsPage() {
  useList()
  const known = counts.value
  const query = listQueryOf(route.value)
  const current = listing.value
  if (known === null || current === null)
    return list.error.value === null ? <Bones /> : <Trouble loader={list} title="Jobs" />
  if (known.all === 0) return <Empty />
  const asOf = isAway.value ? hms(store.value?.awaySince ?? now.value, zone) : null
  const isMine = isCurrent(current, query)
  return (
    <>
      <Heading text={headline(known, asOf)} />
      <p class="sub">{subline(known)}</p>
      <Filters />
      {list.error.value !== null && !isAway.value && <Trouble loader={list} />}
      {isMine && current.total === 0 ? <NoMatch /> : <Table known={current} isOrdered={query.sort === ''} />}
    </>
  )
}

function Table({ known, isOrdered }: { readonly known: Listing; readonly isOrdered: boolean }) {
  const box = useRef<HTMLDivElement>(null)
  const { total, matching, ids } = known
  const size = heights.value
  const rows = useMemo(() => new Rows(total, isOrdered ? matching : null, size), [total, isOrdered, matching, size])
  const at = useCallback((y: number) => rows.at(y), [rows])
  const { from, to } = useVisible(box, rows.count, at)
  const first = rows.get(from)
  const last = rows.get(Math.max(from, to - 1))
  useEffect(() => {
    see(first?.job ?? first?.block.start ?? 0, last?.job ?? last?.block.start ?? 0)
  }, [first?.job, last?.job, first?.block, last?.block, known])
  useMeasured(box)
  useScroll()
  const focus = useFocus(box, rows)
  useKeys({
    j: () => focus.move(1),
    k: () => focus.move(-1),
    r: () => focus.withJob((id) => askRun(id)),
    p: () => focus.withJob((id) => askPause({ job: id }))
  })
  const columns = width.value > 1240 ? 7 : width.value > 1100 ? 6 : 5
  return (
    <div
      class="rows"
      ref={box}
      style={{ paddingTop: `${rows.offsetOf(from)}px`, paddingBottom: `${rows.height - rows.offsetOf(to)}px` }}
    >
      <table class="jobs" role="table" aria-label="Jobs" aria-rowcount={rows.count + 1} onPointerLeave={hideTip}>
        <colgroup>
          {COLUMNS.map(([name]) => (
            <col key={name} class={`c-${name.split(' ')[0]}`} />
          ))}
        </colgroup>
        <thead role="rowgroup">
          <tr role="row" aria-rowindex={1}>
            {COLUMNS.map(([name, text, sort]) => (
              <ColumnHead key={name} name={name} text={text} sort={sort} />
            ))}
          </tr>
        </thead>
        {rows.blocks
          .filter((block) => block.row < to && block.row + block.count + 1 > from)
          .map((block) => {
            const isHeaded = block.rank !== null
            const start = Math.max(from, block.row + (isHeaded ? 1 : 0))
            const end = Math.min(to, block.row + block.count + (isHeaded ? 1 : 0))
            return (
              <tbody key={block.rank ?? ''} role="rowgroup">
                {isHeaded && block.row >= from && (
                  <tr class="cap" role="row" aria-rowindex={block.row + 2}>
                    <th colSpan={columns} scope="rowgroup" role="rowheader">
                      {block.heading} <span class="dim">{block.count}</span>
                    </th>
                  </tr>
                )}
                {Array.from({ length: Math.max(0, end - start) }, (_, n) => {
                  const row = start + n
                  const index = block.start + row - block.row - (isHeaded ? 1 : 0)
                  const id = ids.get(index)
                  return id === undefined ? (
                    <BoneRow key={`place ${index}`} index={index} rowIndex={row + 2} />
                  ) : (
                    <JobRow key={`job ${id}`} id={id} index={index} rowIndex={row + 2} />
                  )
                })}
              </tbody>
            )
          })}
      </table>
    </div>
  )
}

function ColumnHead({ name, text, sort }: { name: string; text: string; sort: string | null }) {
  const sorted = route.value.params.sort || 'rank'
  if (sort === null) {
    return (
      <th scope="col" role="columnheader" class={name}>
        {text}
      </th>
    )
  }
  const isSorted = sorted === sort || sorted === `-${sort}`
  const isDown = sorted.startsWith('-')
  const next = !isSorted ? sort : isDown ? '' : `-${sort}`
  const direction = isSorted ? (isDown ? 'descending' : 'ascending') : 'none'
  return (
    <th scope="col" role="columnheader" class={name} aria-sort={direction}>
      <button type="button" class="sort" onClick={() => change({ sort: next === 'rank' ? '' : next })}>
        {text}
        {isSorted && sorted !== 'rank' && <span aria-hidden="true">{isDown ? ' ↓' : ' ↑'}</span>}
      </button>
    </th>
  )
}

/** Measures a heading and a row where they are drawn. */
function useMeasured(box: { readonly current: HTMLElement | null }): void {
  useLayoutEffect(() => {
    const of = (selector: string): number => box.current?.querySelector(selector)?.getBoundingClientRect().height ?? 0
    const { heading, row } = heights.peek()
    const next = { heading: of('.cap + .job-row') > 0 ? of('.cap') : heading, row: of('.job-row:not(.bones)') || row }
    if (Math.abs(next.heading - heading) > 0.5 || Math.abs(next.row - row) > 0.5) heights.value = next
  })
}

/** The row that has the focus, or had it: it is kept while another page is shown. `isPending` while it is still to be drawn. */
const focused = { id: '', index: -1, isPending: false }

/** Whether nothing on the page has the focus. */
function isNothingFocused(): boolean {
  const { activeElement } = document
  return activeElement === null || activeElement === document.body || activeElement.id === 'view'
}

/** Moves from job to job by keys, and keeps the focus on a job when the list changes around it. */
function useFocus(box: { readonly current: HTMLElement | null }, rows: Rows) {
  const link = (selector: string): HTMLElement | null => box.current?.querySelector<HTMLElement>(selector) ?? null
  useLayoutEffect(() => {
    const { id, index, isPending } = focused
    if (isPending) {
      const wanted = link(`a[data-index="${index}"]`)
      if (wanted === null) return
      focused.isPending = false
      wanted.focus({ preventScroll: true })
    } else if (id !== '' && isNothingFocused()) {
      link(`tr[data-id="${CSS.escape(id)}"] a`)?.focus({ preventScroll: true })
    }
  })
  useEffect(() => {
    const note = ({ target }: FocusEvent | PointerEvent): void => {
      if (!(target instanceof Element) || target.id === 'view') return
      const row = box.current?.contains(target) ? target.closest('tr[data-id]') : null
      const index = Number(row?.querySelector<HTMLElement>('a[data-index]')?.dataset.index ?? Number.NaN)
      focused.id = row?.getAttribute('data-id') ?? ''
      if (Number.isInteger(index)) focused.index = index
    }
    document.addEventListener('focusin', note)
    document.addEventListener('pointerdown', note)
    return () => {
      document.removeEventListener('focusin', note)
      document.removeEventListener('pointerdown', note)
    }
  }, [box])
  return {
    move(by: number): void {
      const total = rows.blocks.reduce((sum, { count }) => sum + count, 0)
      const index = Math.max(0, Math.min(total - 1, focused.index + by))
      Object.assign(focused, { index, isPending: true, id: '' })
      const wanted = link(`a[data-index="${index}"]`)
      if (wanted !== null) {
        focused.isPending = false
        wanted.focus({ preventScroll: true })
      }
      reveal(box.current, rows, index)
    },
    withJob(act: (id: string) => void): void {
      const id = document.activeElement?.closest('tr[data-id]')?.getAttribute('data-id')
      if (id != null && jobSignal(id) !== undefined) act(id)
    }
  }
}

/** How far the list was scrolled when it was left: who comes back finds it so. */
let left = { hash: '', y: 0 }

function useScroll(): void {
  useLayoutEffect(() => {
    const { hash } = location
    scrollTo(0, left.hash === hash ? left.y : 0)
    let y = scrollY
    const note = (): void => {
      y = scrollY
    }
    addEventListener('scroll', note, { passive: true })
    return () => {
      removeEventListener('scroll', note)
      left = { hash, y }
    }
  }, [])
}

/** Scrolls so that a job is seen, below the head of the table. */
function reveal(box: HTMLElement | null, rows: Rows, index: number): void {
  if (box === null) return
  const head = box.querySelector('thead')?.getBoundingClientRect().height ?? 0
  const row = rows.rowOf(index)
  const top = box.getBoundingClientRect().top + head + rows.offsetOf(row)
  const bottom = top + rows.offsetOf(row + 1) - rows.offsetOf(row)
  if (top < 2 * head) scrollBy(0, top - 2 * head)
  else if (bottom > innerHeight) scrollBy(0, bottom - innerHeight + head)
}
