/** How much is done: all of it, or just enough to see that it works. */
export type Scale = 'full' | 'smoke'

/** One question of the benchmarks. */
export interface Question {
  readonly title: string
  /** Runs it, the peers beside us. In a smoke run those peers take part that are installed. */
  ask(scale: Scale): Promise<Answer>
}

/** What was found. */
export interface Answer {
  /** What was run and how it was measured, in Markdown. */
  readonly text: string
  readonly tables: readonly Table[]
  /** One for each question that has an axis of growing work; else none. */
  readonly plots: readonly Plot[]
  readonly goals: readonly Goal[]
}

export interface Table {
  readonly caption: string
  readonly header: readonly string[]
  readonly rows: readonly (readonly (string | number)[])[]
}

/** Something that is to be at most `limit`. */
export interface Goal {
  /** What, with its unit: `CPU per fire in that of croner, 10,000 jobs`. */
  readonly what: string
  readonly limit: number
  /**
   * What was measured in each round. A ratio is that of peers of one round, which ran within minutes of each other: what slows
   * the machine for longer slows both. The median of the rounds is the result.
   */
  readonly rounds: readonly number[]
}

export interface Plot {
  /** The name of the SVG file beside `docs/benchmarks.md`. */
  readonly file: string
  readonly title: string
  readonly x: Axis
  readonly y: Axis
  readonly series: readonly { readonly name: string; readonly points: readonly (readonly [x: number, y: number])[] }[]
}

export interface Axis {
  readonly label: string
  /** Whether it is logarithmic; it is linear from 0 otherwise. */
  readonly log: boolean
}
