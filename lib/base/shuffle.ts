import { hash32 } from './hash.js'

/**
 * A shuffle whose order depends on `seed`: replicas that wake at the same time ask for the same jobs in different
 * orders, so that each gets some of them. Fisher and Yates' algorithm over Marsaglia's xorshift32.
 */
export function createShuffle(seed: string): <Item>(items: Item[]) => void {
  let state = hash32(seed) || 1
  const random = (below: number): number => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return (state >>> 0) % below
  }
  return (items) => {
    for (let last = items.length - 1; last > 0; last--) {
      const other = random(last + 1)
      const item = items[last] as (typeof items)[number]
      items[last] = items[other] as (typeof items)[number]
      items[other] = item
    }
  }
}
