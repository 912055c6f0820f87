export const MONTHS = [
  'january',
  'february',
  'march',
  'april',
  'may',
  'june',
  'july',
  'august',
  'september',
  'october',
  'november',
  'december'
]

/** From Sunday on, as crontab(5) counts them. */
export const WEEKDAYS = ['sunday', 'monday', 'tuesday', 'wednesday', 'thursday', 'friday', 'saturday']

/** The place of a name among others, which may be written by its first three letters; -1 when there is none. */
export function placeOf(text: string, names: readonly string[]): number {
  return names.findIndex((name) => name === text || name.slice(0, 3) === text)
}
