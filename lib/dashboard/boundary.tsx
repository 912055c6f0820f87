// What is shown of a page that cannot be drawn, as of an answer that this build does not understand: the rest goes on.
import { Component, type ComponentChildren } from 'preact'
import { Heading } from './heading.js'

export class Boundary extends Component<{ readonly children: ComponentChildren }, { readonly error: unknown }> {
  override state = { error: null }

  static override getDerivedStateFromError(error: unknown) {
    return { error }
  }

  override componentDidCatch(error: unknown): void {
    console.error(error)
  }

  override render() {
    if (this.state.error === null) return this.props.children
    return (
      <>
        <Heading text="This page cannot be shown" />
        <p class="sub">
          What came cannot be drawn, as of a newer version of the service. Load the page again; if it stays so, look
          into the console.
        </p>
        <p>
          <button type="button" onClick={() => location.reload()}>
            Load the page again
          </button>
        </p>
      </>
    )
  }
}
