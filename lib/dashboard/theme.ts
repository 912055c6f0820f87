// Light or dark: as the system says, until somebody says otherwise on this page.
import { computed, signal } from '@preact/signals'

const KEY = 'scheduler-theme'

const system = matchMedia('(prefers-color-scheme: dark)')
const isSystemDark = signal(system.matches)
const chosen = signal(stored())

export const isDark = computed(() => (chosen.value === null ? isSystemDark.value : chosen.value === 'dark'))

/** Storage may be forbidden, and then nothing is kept. */
function stored(): 'dark' | 'light' | null {
  try {
    const value = localStorage.getItem(KEY)
    return value === 'dark' || value === 'light' ? value : null
  } catch {
    return null
  }
}

function show(): void {
  document.documentElement.classList.toggle('dark', chosen.value === 'dark')
  document.documentElement.classList.toggle('light', chosen.value === 'light')
}

export function followTheme(): void {
  system.addEventListener('change', ({ matches }) => {
    isSystemDark.value = matches
  })
  show()
}

export function toggleTheme(): void {
  chosen.value = isDark.peek() ? 'light' : 'dark'
  try {
    localStorage.setItem(KEY, chosen.value)
  } catch {
    // It holds until the page is closed.
  }
  show()
}
