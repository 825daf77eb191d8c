/**
 * HOW THE POOL GROWS WITHOUT A PAUSE
 *
 * A typed array that doubles copies everything it holds inside one unlucky call: at ten million keys that is a pause of
 * tens of milliseconds for the caller and for everybody behind it. So each column is a list of chunks of CHUNK members
 * that are never moved; growing allocates one more chunk, whatever the size. Only the first chunk begins small and
 * doubles, so that a pool of a few keys takes a few kilobytes.
 */
export const CHUNK_BITS = 10
export const CHUNK = 1 << CHUNK_BITS
export const CHUNK_MASK = CHUNK - 1

/** How many members the first chunk begins with. */
const SMALLEST = 16

/** A growable array. A member that was never set reads as the column's empty value (0, or undefined). O(1), also to grow. */
export interface Column<T> {
  get(index: number): T
  set(index: number, value: T): void
}

/** How many members the chunk with this index is to have, so that the index is one of them. */
export function chunkLength(index: number): number {
  let length = index < CHUNK ? SMALLEST : CHUNK
  while (length <= index && length < CHUNK) length *= 2
  return length
}

/** A chunk that has a member with this index comes in the place of a shorter one, or of none. */
function lengthen<C extends { [index: number]: unknown; length: number }>(
  chunks: (C | undefined)[],
  index: number,
  makeChunk: (length: number) => C
): C {
  const number = index >>> CHUNK_BITS
  // No holes: an array with holes looks up its prototypes on each read.
  while (chunks.length <= number) chunks.push(undefined)
  const before = chunks[number]
  const chunk = makeChunk(chunkLength(index))
  for (let i = 0; before !== undefined && i < before.length; i++) chunk[i] = before[i]
  chunks[number] = chunk
  return chunk
}

// Three classes that read alike: V8 learns per line of source which kind of array it meets there, and a line that met all
// three would cost every verb a fifth of its time.

export class Int32Column implements Column<number> {
  readonly #chunks: (Int32Array | undefined)[] = []

  get(index: number): number {
    const chunk = this.#chunks[index >>> CHUNK_BITS]
    const place = index & CHUNK_MASK
    return chunk !== undefined && place < chunk.length ? (chunk[place] as number) : 0
  }

  set(index: number, value: number): void {
    const place = index & CHUNK_MASK
    let chunk = this.#chunks[index >>> CHUNK_BITS]
    if (chunk === undefined || place >= chunk.length)
      chunk = lengthen(this.#chunks, index, length => new Int32Array(length))
    chunk[place] = value
  }
}

export class Float64Column implements Column<number> {
  readonly #chunks: (Float64Array | undefined)[] = []

  get(index: number): number {
    const chunk = this.#chunks[index >>> CHUNK_BITS]
    const place = index & CHUNK_MASK
    return chunk !== undefined && place < chunk.length ? (chunk[place] as number) : 0
  }

  set(index: number, value: number): void {
    const place = index & CHUNK_MASK
    let chunk = this.#chunks[index >>> CHUNK_BITS]
    if (chunk === undefined || place >= chunk.length)
      chunk = lengthen(this.#chunks, index, length => new Float64Array(length))
    chunk[place] = value
  }
}

/** Of strings or objects. */
export class ReferenceColumn<T extends string | object> implements Column<T | undefined> {
  readonly #chunks: ((T | undefined)[] | undefined)[] = []

  get(index: number): T | undefined {
    const chunk = this.#chunks[index >>> CHUNK_BITS]
    const place = index & CHUNK_MASK
    return chunk !== undefined && place < chunk.length ? chunk[place] : undefined
  }

  set(index: number, value: T | undefined): void {
    const place = index & CHUNK_MASK
    let chunk = this.#chunks[index >>> CHUNK_BITS]
    if (chunk === undefined || place >= chunk.length)
      chunk = lengthen(this.#chunks, index, length => new Array<T | undefined>(length).fill(undefined))
    chunk[place] = value
  }
}
