/** A row of the store: `value` is null where it is to be removed, or is not there. */
export interface Entry {
  key: Uint8Array
  value: Uint8Array | null
}

/** Before each row of a block: the length of its key in two bytes, that of its value in four. */
export const HEADER = 6
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

/** Walks the rows of a block without an object for each: at a start there are millions. */
export class RowCursor {
  readonly bytes: Buffer
  readonly view: DataView
  /** Where the present row's key begins; where its value does, which is where the key ends; and where that ends. */
  key = 0
  value = 0
  end = 0
  /** Whether the row has a value. */
  hasValue = false

  constructor(block: Uint8Array) {
    this.bytes = Buffer.from(block.buffer, block.byteOffset, block.byteLength)
    this.view = new DataView(block.buffer, block.byteOffset, block.byteLength)
  }

  /** Goes to the next row, or returns false. */
  next(): boolean {
    const at = this.end
    if (at >= this.bytes.length) return false
    const length = this.view.getUint32(at + 2)
    this.hasValue = length !== NO_VALUE
    this.key = at + HEADER
    this.value = this.key + this.view.getUint16(at)
    this.end = this.value + (this.hasValue ? length : 0)
    return true
  }
}

/** The rows of a block, as views of it. */
export function* unpack(block: Uint8Array): Generator<Entry> {
  const row = new RowCursor(block)
  while (row.next()) {
    const value = row.hasValue ? block.subarray(row.value, row.end) : null
    yield { key: block.subarray(row.key, row.value), value }
  }
}
