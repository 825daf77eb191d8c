/** The largest import of all, 1,000 keys with metadata of 1 KiB each, has 140,000 members at most. */
const MAX_PARTS = 200_000
/** The same for one object or array: the widest that a call takes are 1,000 operations. */
const MAX_WIDTH = 20_000
/** A batch is three levels deep. */
const MAX_DEPTH = 32

const QUOTE = 0x22
const COMMA = 0x2c
const OPEN_ARRAY = 0x5b
const BACKSLASH = 0x5c
const CLOSE_ARRAY = 0x5d
const OPEN_OBJECT = 0x7b
const CLOSE_OBJECT = 0x7d

/**
 * Whether JSON has no more members and levels than a call may take. To parse 4 MiB takes a second where they are two
 * million nested arrays, or 400,000 members of one object, and the server answers nobody meanwhile; to count takes ten
 * milliseconds. What is not JSON may be counted wrong: it is refused either way. O(bytes).
 */
export function isModest(json: Uint8Array): boolean {
  const widths = new Array<number>(MAX_DEPTH + 1).fill(0)
  let width = 0
  let depth = 0
  let parts = 0
  let inString = false
  for (let i = 0; i < json.length; i++) {
    const byte = json[i]
    if (inString) {
      if (byte === BACKSLASH) i++
      else if (byte === QUOTE) inString = false
    } else if (byte === QUOTE) {
      inString = true
    } else if (byte === COMMA) {
      if (++parts > MAX_PARTS || ++width > MAX_WIDTH) return false
    } else if (byte === OPEN_ARRAY || byte === OPEN_OBJECT) {
      if (++parts > MAX_PARTS || depth === MAX_DEPTH) return false
      widths[depth++] = width
      width = 0
    } else if (byte === CLOSE_ARRAY || byte === CLOSE_OBJECT) {
      // More ends than beginnings are no JSON.
      if (depth === 0) return true
      width = widths[--depth] as number
    }
  }
  return true
}
