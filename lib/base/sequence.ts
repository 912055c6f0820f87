let last = 0

/**
 * Numbers what happens in this process: of two things the later has the greater number, whatever the clocks say. An answer
 * counts only where it was asked for later than what is known.
 */
export function nextInSequence(): number {
  last++
  return last
}
