/** A row of the store: `value` is null where it is to be removed, or is not there. */
export interface Entry {
  key: Uint8Array
  value: Uint8Array | null
}

const HEADER = 6
const NO_VALUE = 0xffffffff

/** Rows in one block of bytes, which a thread hands to another without a copy. */
export function pack(entries: readonly Entry[]): Uint8Array<ArrayBuffer> {
  let size = 0
  for (const { key, value } of entries) size += HEADER + key.length + (value?.length ?? 0)
  const bytes = new Uint8Array(size)
  const view = new DataView(bytes.buffer)
  let at = 0
  for (const { key, value } of entries) {
    view.setUint16(at, key.length)
    view.setUint32(at + 2, value === null ? NO_VALUE : value.length)
    bytes.set(key, at + HEADER)
    at += HEADER + key.length
    if (value === null) continue
    bytes.set(value, at)
    at += value.length
  }
  return bytes
}

/** The rows of a block, as views of it. */
export function* unpack(bytes: Uint8Array): Generator<Entry> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  let at = 0
  while (at < bytes.length) {
    const keyLength = view.getUint16(at)
    const valueLength = view.getUint32(at + 2)
    const key = bytes.subarray(at + HEADER, at + HEADER + keyLength)
    at += HEADER + keyLength
    if (valueLength === NO_VALUE) {
      yield { key, value: null }
      continue
    }
    yield { key, value: bytes.subarray(at, at + valueLength) }
    at += valueLength
  }
}
