import { randomFillSync } from 'node:crypto'

/** Where randomness comes from. Tests pass their own. */
export interface Random {
  /** A uniform integer of 0 … limit - 1; limit is 1 … 2^53 - 1. */
  below(limit: number): number
  /** That many random bytes, valid until the next call. */
  bytes(count: number): Uint8Array
}

const BUFFERED = 8192
const TWO_32 = 2 ** 32
const TWO_21 = 2 ** 21

/** Node's cryptographic source, drawn some kilobytes at a time: a system call for each number would cost ten times as much. */
export function cryptoRandom(): Random {
  const buffer = Buffer.alloc(BUFFERED)
  let used = BUFFERED

  function bytes(count: number): Uint8Array {
    if (count > BUFFERED) return randomFillSync(Buffer.alloc(count))
    if (used + count > BUFFERED) {
      randomFillSync(buffer)
      used = 0
    }
    used += count
    return buffer.subarray(used - count, used)
  }

  function uint32(): number {
    if (used + 4 > BUFFERED) {
      randomFillSync(buffer)
      used = 0
    }
    used += 4
    return buffer.readUInt32LE(used - 4)
  }

  function below(limit: number): number {
    const range = limit <= TWO_32 ? TWO_32 : TWO_32 * TWO_21
    // Draws beyond the last whole multiple of the limit would favour small numbers: they are drawn again.
    const usable = range - (range % limit)
    for (;;) {
      const drawn = limit <= TWO_32 ? uint32() : (uint32() % TWO_21) * TWO_32 + uint32()
      if (drawn < usable) return drawn % limit
    }
  }

  return { below, bytes }
}
