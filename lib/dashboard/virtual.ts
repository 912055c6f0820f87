// Which rows of a long list are near the window. The page scrolls, not a box in it.
import type { RefObject } from 'preact'
import { useLayoutEffect, useState } from 'preact/hooks'

/** How many pixels above and below the window are drawn as well. */
const OVERSCAN = 400

export interface Range {
  readonly from: number
  readonly to: number
}

/**
 * The places that are near the window.
 *
 * @param indexAt which place is at a height of the list, from 0 to `count - 1`
 */
export function useVisible(box: RefObject<HTMLElement | null>, count: number, indexAt: (y: number) => number): Range {
  const [range, setRange] = useState<Range>({ from: 0, to: Math.min(count, 30) })
  useLayoutEffect(() => {
    let frame = 0
    const measure = (): void => {
      frame = 0
      const { current } = box
      if (current === null) return
      const { top } = current.getBoundingClientRect()
      const from = count === 0 ? 0 : indexAt(-top - OVERSCAN)
      const to = count === 0 ? 0 : Math.min(count, indexAt(innerHeight - top + OVERSCAN) + 1)
      setRange((before) => (before.from === from && before.to === to ? before : { from, to }))
    }
    const later = (): void => {
      if (frame === 0) frame = requestAnimationFrame(measure)
    }
    measure()
    addEventListener('scroll', later, { passive: true })
    addEventListener('resize', later)
    return () => {
      cancelAnimationFrame(frame)
      removeEventListener('scroll', later)
      removeEventListener('resize', later)
    }
  }, [box, count, indexAt])
  return range
}
