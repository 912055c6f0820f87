// A dialog: it takes the focus, and gives it back.
import type { ComponentChildren } from 'preact'
import { useLayoutEffect, useRef } from 'preact/hooks'

export function Dialog(props: {
  readonly title: ComponentChildren
  readonly close: () => void
  readonly class?: string
  readonly children: (close: () => void) => ComponentChildren
}) {
  const box = useRef<HTMLDialogElement>(null)
  useLayoutEffect(() => {
    const { current } = box
    const before = document.activeElement
    current?.showModal()
    current?.querySelector<HTMLElement>('[data-first]')?.focus()
    return () => {
      current?.close()
      if (before instanceof HTMLElement && before.isConnected) before.focus({ preventScroll: true })
    }
  }, [])
  const close = (): void => box.current?.close()
  return (
    <dialog ref={box} class={props.class} aria-labelledby="dialog-title" onClose={props.close}>
      <h2 id="dialog-title">{props.title}</h2>
      {props.children(close)}
    </dialog>
  )
}
