let last = 0

/**
 * Numbers what happens in this process: of two things the later one has the greater number, whatever the clocks say. With it
 * an answer that was asked for earlier than what is known by now can be told apart, and left out of account.
 */
export function nextInSequence(): number {
  last++
  return last
}
