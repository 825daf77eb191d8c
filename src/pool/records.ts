import { CHUNK, CHUNK_BITS, CHUNK_MASK } from './column.ts'

/** The numbers of a key, by field. Instants are milliseconds since 1970. */
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
/** How long the lease was asked for, or how long the key cools, in milliseconds. */
export const HOLD_MS = 6
/** Where the key stands among those of its state: position * 4 + state. For an unused slot: the next unused one. */
export const PLACE = 7

const FIELDS = 8

/** The numbers of all keys by slot, a key's side by side: one verb touches one or two lines of the processor's cache. */
export class Records {
  readonly #chunks: Float64Array[] = []
  /** The head of the list of unused slots, or -1. */
  #unused = -1
  #slots = 0

  get(slot: number, field: number): number {
    return (this.#chunks[slot >>> CHUNK_BITS] as Float64Array)[(slot & CHUNK_MASK) * FIELDS + field] as number
  }

  set(slot: number, field: number, value: number): void {
    const chunk = this.#chunks[slot >>> CHUNK_BITS] as Float64Array
    chunk[(slot & CHUNK_MASK) * FIELDS + field] = value
  }

  /** Adds a number to a field of every key. O(n). */
  addToAll(field: number, number: number): void {
    for (const chunk of this.#chunks) {
      for (let at = field; at < chunk.length; at += FIELDS) chunk[at] = (chunk[at] as number) + number
    }
  }

  /** A slot for a new key, all fields 0. */
  open(): number {
    let slot = this.#unused
    if (slot === -1) {
      slot = this.#slots++
      if ((slot & CHUNK_MASK) === 0) this.#chunks.push(new Float64Array(CHUNK * FIELDS))
    } else {
      this.#unused = this.get(slot, PLACE)
      const start = (slot & CHUNK_MASK) * FIELDS
      const chunk = this.#chunks[slot >>> CHUNK_BITS] as Float64Array
      chunk.fill(0, start, start + FIELDS)
    }
    return slot
  }

  /** A slot's key is gone: the slot may be opened again. */
  close(slot: number): void {
    this.set(slot, PLACE, this.#unused)
    this.#unused = slot
  }
}
