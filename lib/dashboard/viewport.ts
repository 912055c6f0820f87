// How wide the window is, for what styles alone cannot lay out.
import { computed, signal } from '@preact/signals'

export const width = signal(document.documentElement.clientWidth)

/** Whether it is a phone's. */
export const isSmall = computed(() => width.value <= 720)

export function followWindow(): void {
  addEventListener('resize', () => {
    width.value = document.documentElement.clientWidth
  })
}
