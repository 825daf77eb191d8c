import type { KeyRecord, RetiredRecord } from '../pool/key-record.ts'
import { KEY_STATES } from '../pool/key-record.ts'

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

/** A key's row. `credit` is how far deadlines of its pool have been moved: see Credit. */
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
  const bytes = Buffer.from(row.buffer, row.byteOffset, row.length)
  const flags = bytes[0] ?? 0
  if (flags === RETIRED) return { place: bytes.readDoubleLE(1) }
  const state = KEY_STATES[bytes[1] ?? KEY_STATES.length]
  if (state === undefined) throw new Error('a key is written in a way that this version does not know')
  let at = FIXED_BYTES
  const number = (flag = 0, absent = 0): number => {
    if (flag !== 0 && !(flags & flag)) return absent
    at += DOUBLE
    return bytes.readDoubleLE(at - DOUBLE)
  }
  const text = (): string => {
    const length = bytes.readUInt16LE(at)
    at += LENGTH + length
    return bytes.toString('utf8', at - length, at)
  }
  const serial = number()
  const createdAt = number()
  const activatedAt = number(ACTIVATED)
  const keepAliveBy = number(AGES, Infinity) + credit
  const until = number(SERVED)
  const acquiredAt = number(SERVED)
  const fence = number(SERVED)
  const holdMs = number(SERVED)
  const key = text()
  const holder = flags & HELD ? text() : undefined
  const owner = flags & OWNED ? text() : undefined
  const metadata = flags & DESCRIBED ? (JSON.parse(text()) as KeyRecord['metadata']) : undefined
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
