import { CHECKSUM, checksumOf } from './checksum.ts'
import type { Head } from './row-store.ts'

/** What the rows are written as. Another number is refused: see DamagedStore. */
const FORMAT = 1
/** The key of the first row by its order; no row of the layout begins with it. */
export const HEAD: Uint8Array = Uint8Array.of(0)

/** The value of the head's row. */
export function encodeHead({ count, sum, transaction, at }: Head): Buffer {
  const payload = Buffer.from(JSON.stringify({ format: FORMAT, count, sum, transaction, at }))
  const value = Buffer.alloc(CHECKSUM + payload.length)
  payload.copy(value, CHECKSUM)
  value.writeUInt32LE(checksumOf(HEAD, payload), 0)
  return value
}

/** Undefined where it is not what was written, or written by another version. */
export function decodeHead(value: Buffer): Head | undefined {
  if (value.length < CHECKSUM || value.readUInt32LE(0) !== checksumOf(HEAD, value.subarray(CHECKSUM))) return undefined
  const { format, ...head } = JSON.parse(value.toString('utf8', CHECKSUM)) as Head & { format: number }
  return format === FORMAT ? head : undefined
}
