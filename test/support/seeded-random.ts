import type { Random } from '../../src/pool/random.ts'

const TWO_32 = 2 ** 32

/** The same numbers for the same seed, for ever: mulberry32 (T. Ettinger). Good enough to be tested for uniformity. */
export function seededRandom(seed: number): Random {
  let state = seed | 0

  function uint32(): number {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return (mixed ^ (mixed >>> 14)) >>> 0
  }

  function below(limit: number): number {
    const range = limit <= TWO_32 ? TWO_32 : Number.MAX_SAFE_INTEGER
    const usable = range - (range % limit)
    for (;;) {
      const drawn = limit <= TWO_32 ? uint32() : (uint32() % 2 ** 21) * TWO_32 + uint32()
      if (drawn < usable) return drawn % limit
    }
  }

  function bytes(count: number): Uint8Array {
    return Uint8Array.from({ length: count }, () => uint32() & 255)
  }

  return { below, bytes }
}
