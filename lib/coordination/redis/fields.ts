import { FIELD_MARK, LAYOUT_VERSION } from './constants.js'

// Two words of a job's record, that of a run's replica and that of a definition, may be followed by fields:
//
//     word;name=value;name=value
//
// The build before this layout reads records strictly by their words, and carries these two along as they are. So what comes
// later becomes a field of one of them, and all builds of a fleet can go on reading each other's records. A build leaves
// fields that it does not know as they are whenever it writes a record again:
//
// - After the replica's word stand the fields of the run: `v`, the version of the layout under which it began, always first.
//   Those whose names begin with a capital are inherited by the run that takes it over; the others end with the run.
// - After the definition's word stand those of the job, which stay when the definition changes.
//
// Names are letters; values are escaped as by `escapeField`, so that no pattern of any build takes them for something else.
// The names that are given are listed in keys.ts.

/** A value as it may stand in a field: nothing of it is a space, or one of `; = : .`. */
export function escapeField(value: string): string {
  return encodeURIComponent(value).replaceAll('.', '%2E')
}

/** The value in a field. */
export function unescapeField(value: string): string {
  return decodeURIComponent(value)
}

const VERSION_FIELD = `${FIELD_MARK}v=`

/** A replica's word in the records of the runs that it begins. */
export function writeReplica(replicaId: string): string {
  const escaped = replicaId.replace(/[%;]/g, (character) => encodeURIComponent(character))
  return `${escaped}${VERSION_FIELD}${LAYOUT_VERSION}`
}

/** The id in a replica's word, also in one of the build that knew no fields, whose ids stand as they are. */
export function readReplica(word: string): string {
  const end = word.indexOf(FIELD_MARK)
  if (end < 0 || !word.startsWith(VERSION_FIELD, end)) return word
  return word.slice(0, end).replace(/%3B|%25/g, (code) => decodeURIComponent(code))
}

/** The slot in a replica's word in the record of a run. */
export function readSlot(word: string): number {
  return Number(/;v=\d+;s=(\d+)/.exec(word)?.[1] ?? 1)
}

/** The value of a field in a replica's word; `''` where there is none. */
export function readField(word: string, name: string): string {
  const start = word.indexOf(VERSION_FIELD)
  const field =
    start < 0
      ? undefined
      : word
          .slice(start)
          .split(FIELD_MARK)
          .find((each) => each.startsWith(`${name}=`))
  return field === undefined ? '' : unescapeField(field.slice(name.length + 1))
}

/** A definition's word without the fields of its job. */
export function withoutFields(word: string): string {
  const end = word.indexOf(FIELD_MARK)
  return end < 0 ? word : word.slice(0, end)
}
