import { crc32 } from 'node:zlib'

/** How many bytes a checksum takes, before the value of each row. */
export const CHECKSUM = 4

/** Of a row. */
export function checksumOf(key: Uint8Array, payload: Uint8Array): number {
  return crc32(payload, crc32(key))
}

/** CRC-32 as zlib has it (ISO 3309, reflected polynomial), a byte at a time: D. Sarwate, CACM 31 (1988), 1008-1013. */
const TABLE = Int32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1
  return crc
})

/**
 * The CRC-32 of a part of a buffer. With zlib's own, which wants a view of the part, reading a million rows takes a third
 * longer: the hundred bytes of a row are too few for what a call costs.
 */
export function checksumWithin(bytes: Uint8Array, from: number, to: number): number {
  let crc = -1
  for (let i = from; i < to; i++) crc = (TABLE[(crc ^ (bytes[i] as number)) & 255] as number) ^ (crc >>> 8)
  return ~crc >>> 0
}
