import { CHUNK_BITS, CHUNK_MASK, chunkLength, type Column, ReferenceColumn } from './column.ts'

/**
 * The secret strings, by slot. Those of the length that the pool generates stand as bytes side by side, a third of what
 * a string takes, and are overwritten with zeros when erased; others stand as strings.
 */
export class Secrets {
  readonly #length: number
  readonly #chunks: (Buffer | undefined)[] = []
  readonly #others: Column<string | undefined> = new ReferenceColumn()

  /** `length` is that of the keys to expect, in characters. */
  constructor(length: number) {
    this.#length = length
  }

  get(slot: number): string {
    const other = this.#others.get(slot)
    if (other !== undefined) return other
    const start = (slot & CHUNK_MASK) * this.#length
    return (this.#chunks[slot >>> CHUNK_BITS] as Buffer).toString('latin1', start, start + this.#length)
  }

  /** `key` is visible ASCII. */
  set(slot: number, key: string): void {
    if (key.length !== this.#length) {
      // A copy: a key cut from a request's body may otherwise keep the whole body alive.
      this.#others.set(slot, Buffer.from(key, 'latin1').toString('latin1'))
      return
    }
    this.#chunkFor(slot).write(key, (slot & CHUNK_MASK) * this.#length, this.#length, 'latin1')
  }

  erase(slot: number): void {
    if (this.#others.get(slot) !== undefined) {
      this.#others.set(slot, undefined)
      return
    }
    const start = (slot & CHUNK_MASK) * this.#length
    const chunk = this.#chunks[slot >>> CHUNK_BITS]
    if (chunk !== undefined && start < chunk.length) chunk.fill(0, start, start + this.#length)
  }

  #chunkFor(slot: number): Buffer {
    const number = slot >>> CHUNK_BITS
    while (this.#chunks.length <= number) this.#chunks.push(undefined)
    const before = this.#chunks[number]
    if (before !== undefined && (slot & CHUNK_MASK) * this.#length < before.length) return before
    const chunk = Buffer.alloc(chunkLength(slot) * this.#length)
    before?.copy(chunk)
    before?.fill(0)
    this.#chunks[number] = chunk
    return chunk
  }
}
