import { closeSync, constants, openSync, readSync, writeSync } from 'node:fs'
import { crc32 } from 'node:zlib'

/** Two doubles and their checksum, little-endian. */
const BYTES = 20
const CHECKSUM_AT = 16

/** What is known of the process before this one. */
export interface LastSeen {
  /** The engine's time when it was last seen alive; -Infinity where nobody knows. */
  at: number
  /** The number of a transaction that was on disk then; 0 where nobody knows. */
  transaction: number
}

/**
 * When the process was last seen alive, in a small file of its own: the outage of a crash begins there, not at the last
 * commit, which may be long before. It is written often and not synced: a process that is killed leaves it with the
 * kernel; after a power failure the last commit's time takes its place.
 *
 * The number of the last transaction stands in it, too: LMDB keeps two roots and takes the one that looks newer, and with
 * a damaged one it would go back by a transaction without a word.
 */
export class AliveFile {
  readonly #descriptor: number
  readonly #bytes = Buffer.alloc(BYTES)
  #last: LastSeen = { at: -Infinity, transaction: -1 }

  /** Opens the file, or makes it. */
  constructor(path: string) {
    this.#descriptor = openSync(path, constants.O_RDWR | constants.O_CREAT, 0o600)
  }

  /** What is in the file; nothing known where it is new, or was written in part. */
  read(): LastSeen {
    const bytes = Buffer.alloc(BYTES)
    const length = readSync(this.#descriptor, bytes, 0, BYTES, 0)
    const whole = length === BYTES && bytes.readUInt32LE(CHECKSUM_AT) === crc32(bytes.subarray(0, CHECKSUM_AT))
    return whole ? { at: bytes.readDoubleLE(0), transaction: bytes.readDoubleLE(8) } : { at: -Infinity, transaction: 0 }
  }

  /** Throws where the file can't be written. */
  write({ at, transaction }: LastSeen): void {
    if (at === this.#last.at && transaction === this.#last.transaction) return
    this.#bytes.writeDoubleLE(at, 0)
    this.#bytes.writeDoubleLE(transaction, 8)
    this.#bytes.writeUInt32LE(crc32(this.#bytes.subarray(0, CHECKSUM_AT)), CHECKSUM_AT)
    writeSync(this.#descriptor, this.#bytes, 0, BYTES, 0)
    this.#last = { at, transaction }
  }

  close(): void {
    closeSync(this.#descriptor)
  }
}
