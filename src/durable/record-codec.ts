import { KEY_STATES, type KeyRecord, type RetiredRecord } from '../pool/key-record.ts'

/*
 * HOW A KEY IS WRITTEN
 *
 * A living key: a byte of flags, a byte for its state, its numbers, then its strings, each after its length in two bytes.
 * What is absent by its flag takes no room. A retired key: one number, its place in the key space. Numbers are doubles,
 * as in memory, so that nothing is lost. Little-endian throughout.
 */
const ACTIVATED = 1
const AGES = 2
const SERVED = 4
const HELD = 8
const OWNED = 16
const DESCRIBED = 32
const RETIRED = 128

const RETIRED_BYTES = 9
const FIXED_BYTES = 2
const DOUBLE = 8
const LENGTH = 2

/** A key's row. `credit` is how far deadlines of its pool have been moved: see Image. */
export function encodeRecord(record: KeyRecord | RetiredRecord, credit: number): Uint8Array {
  if ('place' in record) {
    const bytes = Buffer.allocUnsafe(RETIRED_BYTES)
    bytes[0] = RETIRED
    bytes.writeDoubleLE(record.place, 1)
    return bytes
  }
  const { key, holder = '', owner = '', metadata } = record
  const described = metadata === undefined ? '' : JSON.stringify(metadata)
  const flags =
    (record.activatedAt === 0 ? 0 : ACTIVATED) |
    (record.keepAliveBy === Infinity ? 0 : AGES) |
    (record.until === 0 && record.acquiredAt === 0 ? 0 : SERVED) |
    (record.holder === undefined ? 0 : HELD) |
    (record.owner === undefined ? 0 : OWNED) |
    (metadata === undefined ? 0 : DESCRIBED)
  const numbers = [record.serial, record.createdAt]
  if (flags & ACTIVATED) numbers.push(record.activatedAt)
  if (flags & AGES) numbers.push(record.keepAliveBy - credit)
  if (flags & SERVED) numbers.push(record.until, record.acquiredAt, record.fence, record.holdMs)
  const texts = [key]
  if (flags & HELD) texts.push(holder)
  if (flags & OWNED) texts.push(owner)
  if (flags & DESCRIBED) texts.push(described)
  let size = FIXED_BYTES + numbers.length * DOUBLE
  for (const text of texts) size += LENGTH + Buffer.byteLength(text)
  const bytes = Buffer.allocUnsafe(size)
  bytes[0] = flags
  bytes[1] = KEY_STATES.indexOf(record.state)
  let at = FIXED_BYTES
  for (const number of numbers) at = bytes.writeDoubleLE(number, at)
  for (const text of texts) {
    const length = bytes.write(text, at + LENGTH)
    at = bytes.writeUInt16LE(length, at) + length
  }
  return bytes
}

/** What a key's row says. Throws for one that this version does not know. */
export function decodeRecord(row: Uint8Array, credit: number): KeyRecord | RetiredRecord {
  return new RecordReader(row).read(0, credit)
}

/** Reads keys' rows out of a block of bytes, without a view of each: at a start there are millions. */
export class RecordReader {
  readonly #bytes: Buffer
  readonly #view: DataView
  #at = 0

  constructor(block: Uint8Array) {
    this.#bytes = Buffer.from(block.buffer, block.byteOffset, block.byteLength)
    this.#view = new DataView(block.buffer, block.byteOffset, block.byteLength)
  }

  /** The row that begins at a place. Throws for one that this version does not know. */
  read(at: number, credit: number): KeyRecord | RetiredRecord {
    const flags = this.#view.getUint8(at)
    this.#at = at + 1
    if (flags === RETIRED) return { place: this.#number() }
    this.#at = at + FIXED_BYTES
    const state = KEY_STATES[this.#view.getUint8(at + 1)]
    if (state === undefined) throw new Error('a key is written in a way that this version does not know')
    // In the order in which they are written.
    const serial = this.#number()
    const createdAt = this.#number()
    const activatedAt = flags & ACTIVATED ? this.#number() : 0
    const keepAliveBy = flags & AGES ? this.#number() + credit : Infinity
    const isServed = (flags & SERVED) !== 0
    const until = isServed ? this.#number() : 0
    const acquiredAt = isServed ? this.#number() : 0
    const fence = isServed ? this.#number() : 0
    const holdMs = isServed ? this.#number() : 0
    const key = this.#text('latin1')
    const holder = flags & HELD ? this.#text('utf8') : undefined
    const owner = flags & OWNED ? this.#text('utf8') : undefined
    const metadata = flags & DESCRIBED ? (JSON.parse(this.#text('utf8')) as KeyRecord['metadata']) : undefined
    return {
      key,
      serial,
      createdAt,
      activatedAt,
      keepAliveBy,
      state,
      until,
      acquiredAt,
      fence,
      holdMs,
      holder,
      owner,
      metadata
    }
  }

  #number(): number {
    this.#at += DOUBLE
    return this.#view.getFloat64(this.#at - DOUBLE, true)
  }

  /** A key is ASCII, for which latin1 is the faster. */
  #text(encoding: 'latin1' | 'utf8'): string {
    const start = this.#at + LENGTH
    this.#at = start + this.#view.getUint16(this.#at, true)
    return this.#bytes.toString(encoding, start, this.#at)
  }
}
