// What the keys do: those of the page that is shown, and those of the frame around it.
import { useEffect } from 'preact/hooks'

/** By `event.key`, letters in lower case; it says nothing of a key that it does not take. */
export type Bindings = Readonly<Record<string, () => void>>

const layers: Bindings[] = []

/** Takes keys while a component is there; the last one that came is asked first. */
export function useKeys(bindings: Bindings): void {
  useEffect(() => {
    layers.push(bindings)
    return () => {
      layers.splice(layers.lastIndexOf(bindings), 1)
    }
  })
}

/** Whether keys are text there, or belong to what has the focus. */
function isTaken(event: KeyboardEvent): boolean {
  if (event.defaultPrevented || event.metaKey || event.ctrlKey || event.altKey || event.isComposing) return true
  if (document.querySelector('dialog[open]') !== null) return true
  return event.target instanceof Element && event.target.matches('input, textarea, select, [contenteditable]')
}

export function followKeys(): void {
  addEventListener('keydown', (event) => {
    if (event.key === 'Escape' && event.target instanceof HTMLElement && event.target.matches('input, select')) {
      event.target.blur()
      return
    }
    if (isTaken(event)) return
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key
    const action = layers.findLast((bindings) => Object.hasOwn(bindings, key))?.[key]
    if (action === undefined) return
    event.preventDefault()
    action()
  })
}
