import { hash } from 'node:crypto'

/** The name of LMDB's file in the directory. */
export const FILE = 'data.mdb'
/** The name of the heartbeat's file. It is made after LMDB's. */
export const ALIVE_FILE = 'alive'

/**
 * HOW THE STORE IS LAID OUT
 *
 * A row's key begins with a letter that says what the row is of, and, but for the engine's own, with the incarnation of
 * its pool: a number that no two pools ever have, also not under the same name. So a pool's rows lie together, and those
 * of a pool that is gone can't be taken for those of its successor.
 *
 *   e                                   the engine: the largest fence and incarnation ever given
 *   k incarnation id                    a key that lives or is retired
 *   p incarnation                       a pool: its name, policy, fence
 *   r incarnation call hash(scope)      what a call with an Idempotency-Key came to
 *   t                                   a trial whether the disk takes as much as it refused; removed at once
 */
const ENGINE = 'e'.charCodeAt(0)
const KEY = 'k'.charCodeAt(0)
const POOL = 'p'.charCodeAt(0)
const RESULT = 'r'.charCodeAt(0)

const PREFIX = 5

/** How the keys of pools' rows begin. */
export const POOLS: Uint8Array = Uint8Array.of(POOL)

export type Place =
  | { kind: 'engine' }
  | { kind: 'key'; incarnation: number; id: string }
  | { kind: 'pool'; incarnation: number }
  | { kind: 'result'; incarnation: number }

export const enginePlace: Uint8Array = Uint8Array.of(ENGINE)
export const trialPlace: Uint8Array = Uint8Array.of('t'.charCodeAt(0))

export function poolPlace(incarnation: number): Buffer {
  return prefix(POOL, incarnation, 0)
}

export function keyPlace(incarnation: number, id: string): Buffer {
  const place = prefix(KEY, incarnation, id.length)
  place.write(id, PREFIX, 'latin1')
  return place
}

export function resultPlace(incarnation: number, call: string, scope: string): Buffer {
  const hashed = hash('sha256', `${call} ${scope}`, 'buffer').subarray(0, 16)
  const place = prefix(RESULT, incarnation, hashed.length)
  place.set(hashed, PREFIX)
  return place
}

/** Where the keys and the results of a pool begin. */
export function prefixesOf(incarnation: number): Uint8Array[] {
  return [prefix(KEY, incarnation, 0), prefix(RESULT, incarnation, 0)]
}

/** What a row is of by its key, which stands in a block of bytes; undefined for one that is none of this layout. */
export function placeOf(bytes: Buffer, from = 0, to = bytes.length): Place | undefined {
  const letter = bytes[from]
  if (letter === ENGINE && to - from === 1) return { kind: 'engine' }
  if (to - from < PREFIX) return undefined
  const incarnation = bytes.readUInt32BE(from + 1)
  if (letter === KEY) return { kind: 'key', incarnation, id: bytes.toString('latin1', from + PREFIX, to) }
  if (letter === POOL) return { kind: 'pool', incarnation }
  return letter === RESULT ? { kind: 'result', incarnation } : undefined
}

function prefix(letter: number, incarnation: number, more: number): Buffer {
  const place = Buffer.alloc(PREFIX + more)
  place[0] = letter
  place.writeUInt32BE(incarnation, 1)
  return place
}
