// The one tooltip: what the pointer is on, or the keyboard.
import { signal } from '@preact/signals'
import { useLayoutEffect, useRef } from 'preact/hooks'
import { now } from './clock.js'

interface Tip {
  readonly text: (now: number) => string
  readonly x: number
  readonly y: number
}

export const tip = signal<Tip | null>(null)

/** Shows a text near a point of the window. */
export function showTip(text: (now: number) => string, x: number, y: number): void {
  tip.value = { text, x, y }
}

export function hideTip(): void {
  if (tip.peek() !== null) tip.value = null
}

/** How far it is from the edges of the window, and from the pointer. */
const EDGE = 8

export function TipView() {
  const box = useRef<HTMLDivElement>(null)
  const shown = tip.value
  const text = shown?.text(now.value)
  useLayoutEffect(() => {
    const { current } = box
    if (current === null || shown === null) return
    const left = Math.max(EDGE, Math.min(shown.x + 12, innerWidth - current.offsetWidth - EDGE))
    const isBelow = shown.y + 20 + current.offsetHeight <= innerHeight
    current.style.left = `${left}px`
    current.style.top = `${isBelow ? shown.y + 20 : Math.max(EDGE, shown.y - current.offsetHeight - 12)}px`
  }, [shown, text])
  return (
    <div id="tip" role="tooltip" ref={box} hidden={shown === null} dir="auto">
      {text}
    </div>
  )
}
