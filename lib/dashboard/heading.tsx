// The first line of a page, which is the title of the window, too.
import type { ComponentChildren } from 'preact'
import { useLayoutEffect } from 'preact/hooks'
import { title } from './store.js'

export function Heading({ text, children = text }: { readonly text: string; readonly children?: ComponentChildren }) {
  const app = title.value
  useLayoutEffect(() => {
    document.title = `${text} · ${app}`
  }, [text, app])
  return <h1>{children}</h1>
}
