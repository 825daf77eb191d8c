import { closeSync, constants, openSync, readSync, writeSync } from 'node:fs'
import { crc32 } from 'node:zlib'

const BYTES = 12

/**
 * When the process was last seen alive, in a small file of its own: the outage of a crash begins there, not at the last
 * commit, which may be long before. It is written often and not synced: a process that is killed leaves it with the
 * kernel; after a power failure the last commit's time takes its place.
 */
export class AliveFile {
  readonly #descriptor: number
  readonly #bytes = Buffer.alloc(BYTES)
  #last = -Infinity

  /** Opens the file, or makes it. */
  constructor(path: string) {
    this.#descriptor = openSync(path, constants.O_RDWR | constants.O_CREAT, 0o600)
  }

  /** The instant in the file, -Infinity where there is none, or only a part of one. */
  read(): number {
    const bytes = Buffer.alloc(BYTES)
    if (readSync(this.#descriptor, bytes, 0, BYTES, 0) < BYTES) return -Infinity
    return bytes.readUInt32LE(8) === crc32(bytes.subarray(0, 8)) ? bytes.readDoubleLE(0) : -Infinity
  }

  /** Notes an instant. Throws where the file can't be written. */
  write(at: number): void {
    if (at === this.#last) return
    this.#bytes.writeDoubleLE(at, 0)
    this.#bytes.writeUInt32LE(crc32(this.#bytes.subarray(0, 8)), 8)
    writeSync(this.#descriptor, this.#bytes, 0, BYTES, 0)
    this.#last = at
  }

  close(): void {
    closeSync(this.#descriptor)
  }
}
