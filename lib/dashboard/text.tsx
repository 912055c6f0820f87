// Small pieces of text.
import type { ComponentChildren } from 'preact'
import { now } from './clock.js'
import { visible } from './words.js'

/** A text of somebody else: whatever its direction, what stands around it stays where it is. */
export function Foreign({ text, class: name }: { readonly text: string; readonly class?: string }) {
  return (
    <bdi class={name} dir="auto">
      {visible(text)}
    </bdi>
  )
}

/** A text that changes with the fleet's time, and nothing around it. */
export function Live({ of }: { readonly of: (now: number) => string }) {
  return <>{of(now.value)}</>
}

/** A key, or several. */
export function Keys({ of, children }: { readonly of: string; readonly children: ComponentChildren }) {
  return (
    <span class="keys">
      {of.split(' ').map((key) => (
        <kbd key={key}>{key}</kbd>
      ))}{' '}
      {children}
    </span>
  )
}

/** A part of a page with its heading. */
export function Section(props: {
  readonly title: ComponentChildren
  readonly note?: ComponentChildren
  readonly children: ComponentChildren
}) {
  return (
    <section>
      <h2>
        {props.title}
        {props.note !== undefined && <span class="dim">{props.note}</span>}
      </h2>
      {props.children}
    </section>
  )
}

/** Names and values; an empty value is left out. */
export function Facts({ rows }: { readonly rows: readonly (readonly [string, ComponentChildren, string?])[] }) {
  return (
    <dl class="kv">
      {rows.map(([name, value, className]) =>
        value === null || value === undefined || value === '' ? null : (
          <div key={name}>
            <dt>{name}</dt>
            <dd class={className}>{value}</dd>
          </div>
        )
      )}
    </dl>
  )
}
