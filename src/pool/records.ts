import { CHUNK_BITS, CHUNK_MASK, chunkLength, type Column } from './column.ts'

// The numbers of a key, by field. Instants are milliseconds since 1970.

export const CREATED_AT = 0
/** The end of the key's life unless it is kept alive; Infinity where keys do not age. */
export const KEEP_ALIVE_BY = 1
/** When the lease or the cooling ends; for a free key, when the last one ended (0: never leased). */
export const UNTIL = 2
/** When the present or the last lease began; 0: never leased. */
export const ACQUIRED_AT = 3
/** The fence of the present lease, or of the last one where its holder released it; otherwise 0. */
export const FENCE = 4
/** The how manieth key of its pool this is. */
export const SERIAL = 5

const FIELDS = 8

// The integers of a key, behind its numbers: two of them take the room of one number.

/** How long the lease was asked for, or how long the key cools, in milliseconds. */
export const HOLD_MS = 12
/** Where the key stands among those of its state: position * 4 + state. For an unused slot: the next unused one. */
export const PLACE = 13
/** The key's entries in the heaps of holds and of lives; 0: none. */
export const HOLD_ENTRY = 14
export const LIFE_ENTRY = 15

const INTEGERS = 2 * FIELDS

export type NumberField =
  typeof CREATED_AT | typeof KEEP_ALIVE_BY | typeof UNTIL | typeof ACQUIRED_AT | typeof FENCE | typeof SERIAL
export type IntegerField = typeof HOLD_MS | typeof PLACE | typeof HOLD_ENTRY | typeof LIFE_ENTRY

/**
 * The numbers of all keys by slot, a key's side by side in 64 bytes: at a million keys each place in memory that a verb
 * touches costs more than all it computes, and so it touches one or two lines of the processor's cache.
 */
export class Records {
  /** Two views of the same chunks. */
  readonly #numbers: Float64Array[] = []
  readonly #integers: Int32Array[] = []
  /** The head of the list of unused slots, or -1. */
  #unused = -1
  #slots = 0

  get(slot: number, field: NumberField): number {
    return (this.#numbers[slot >>> CHUNK_BITS] as Float64Array)[(slot & CHUNK_MASK) * FIELDS + field] as number
  }

  set(slot: number, field: NumberField, value: number): void {
    const chunk = this.#numbers[slot >>> CHUNK_BITS] as Float64Array
    chunk[(slot & CHUNK_MASK) * FIELDS + field] = value
  }

  getInteger(slot: number, field: IntegerField): number {
    return (this.#integers[slot >>> CHUNK_BITS] as Int32Array)[(slot & CHUNK_MASK) * INTEGERS + field] as number
  }

  setInteger(slot: number, field: IntegerField, value: number): void {
    const chunk = this.#integers[slot >>> CHUNK_BITS] as Int32Array
    chunk[(slot & CHUNK_MASK) * INTEGERS + field] = value
  }

  /** One integer of all slots that are open. */
  column(field: IntegerField): Column<number> {
    return new RecordColumn(this, field)
  }

  /** Adds a number to a field of every key. O(n). */
  addToAll(field: NumberField, number: number): void {
    for (const chunk of this.#numbers) {
      for (let at = field; at < chunk.length; at += FIELDS) chunk[at] = (chunk[at] as number) + number
    }
  }

  /** A slot for a new key, all fields 0. */
  open(): number {
    let slot = this.#unused
    if (slot === -1) {
      slot = this.#slots++
      this.#makeRoom(slot)
    } else {
      this.#unused = this.getInteger(slot, PLACE)
      const start = (slot & CHUNK_MASK) * FIELDS
      const chunk = this.#numbers[slot >>> CHUNK_BITS] as Float64Array
      chunk.fill(0, start, start + FIELDS)
    }
    return slot
  }

  /** A slot's key is gone: the slot may be opened again. */
  close(slot: number): void {
    this.setInteger(slot, PLACE, this.#unused)
    this.#unused = slot
  }

  #makeRoom(slot: number): void {
    const number = slot >>> CHUNK_BITS
    const before = this.#numbers[number]
    if (before !== undefined && (slot & CHUNK_MASK) * FIELDS < before.length) return
    const chunk = new Float64Array(chunkLength(slot) * FIELDS)
    if (before !== undefined) chunk.set(before)
    this.#numbers[number] = chunk
    this.#integers[number] = new Int32Array(chunk.buffer)
  }
}

class RecordColumn implements Column<number> {
  readonly #records: Records
  readonly #field: IntegerField

  constructor(records: Records, field: IntegerField) {
    this.#records = records
    this.#field = field
  }

  get(slot: number): number {
    return this.#records.getInteger(slot, this.#field)
  }

  set(slot: number, value: number): void {
    this.#records.setInteger(slot, this.#field, value)
  }
}
