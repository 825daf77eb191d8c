import { checksumWithin } from './checksum.ts'
import { HEADER } from './entries.ts'

/** How long a block gets, about: what one read of a pipe takes. */
const BLOCK_BYTES = 65_536

/** Collects rows in blocks as `pack` makes them. */
export class Packer {
  #bytes = Buffer.allocUnsafeSlow(BLOCK_BYTES)
  #length = 0

  get isFull(): boolean {
    return this.#length >= BLOCK_BYTES
  }

  /** Adds a row, of whose value so many bytes are left out at the start. Returns the checksum of its key and value. */
  add(key: Buffer, value: Buffer, from: number): number {
    const start = this.#length + HEADER
    const end = start + key.length + value.length - from
    if (end > this.#bytes.length) this.#grow(end)
    this.#bytes.writeUInt16BE(key.length, this.#length)
    this.#bytes.writeUInt32BE(value.length - from, this.#length + 2)
    key.copy(this.#bytes, start)
    value.copy(this.#bytes, start + key.length, from)
    this.#length = end
    return checksumWithin(this.#bytes, start, end)
  }

  /** The rows so far, to be used before the next is added. */
  take(): Buffer {
    const block = this.#bytes.subarray(0, this.#length)
    this.#length = 0
    return block
  }

  #grow(length: number): void {
    const bytes = Buffer.allocUnsafeSlow(length * 2)
    this.#bytes.copy(bytes, 0, 0, this.#length)
    this.#bytes = bytes
  }
}
