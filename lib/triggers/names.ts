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

/** The index of a name in a list; the first three letters suffice. -1 when it is not in the list. */
export function placeOf(text: string, names: readonly string[]): number {
  return names.findIndex((name) => name === text || name.slice(0, 3) === text)
}
