/** What tells two definitions of one job apart: words without spaces or dots. The trigger's begins with `@` for a date. */
export interface Fingerprint {
  readonly trigger: string
  readonly options: string
}
