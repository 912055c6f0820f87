const ELLIPSIS = '…'

/**
 * A text of at most `limit` characters (UTF-16 code units): one that is longer is cut, and then ends with `…` within
 * the limit. No pair of surrogates is cut apart.
 */
export function cutText(text: string, limit: number): string {
  if (text.length <= limit) return text
  if (limit < 1) return ''
  const last = text.charCodeAt(limit - 2)
  const isPair = last >= 0xd800 && last < 0xdc00
  // Copied: a slice would keep the whole text in memory, however long that is.
  const start = Buffer.from(text.slice(0, limit - (isPair ? 2 : 1)), 'utf16le').toString('utf16le')
  return start + ELLIPSIS
}
