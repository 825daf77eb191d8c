/**
 * HOW THE POOL GROWS WITHOUT A PAUSE
 *
 * A typed array that doubles copies everything it holds inside one unlucky call: at ten million keys that is a pause of
 * tens of milliseconds for the caller and for everybody behind it. So each column is a list of chunks of CHUNK members
 * that are never moved; growing allocates one more chunk, whatever the size.
 */
export const CHUNK_BITS = 10
export const CHUNK = 1 << CHUNK_BITS
export const CHUNK_MASK = CHUNK - 1

/** A growable array. A member that was never set reads as the column's empty value (0, or undefined). O(1), also to grow. */
export interface Column<T> {
  get(index: number): T
  set(index: number, value: T): void
}

interface Chunk<T> {
  [index: number]: T
}

/** A class per kind of chunk, not one for all: V8 then sees one kind of array at each access and inlines it. */
function defineColumn<T>(makeChunk: () => Chunk<T>, empty: T): new () => Column<T> {
  return class {
    readonly #chunks: (Chunk<T> | undefined)[] = []

    get(index: number): T {
      const chunk = this.#chunks[index >>> CHUNK_BITS]
      return chunk === undefined ? empty : (chunk[index & CHUNK_MASK] as T)
    }

    set(index: number, value: T): void {
      const number = index >>> CHUNK_BITS
      let chunk = this.#chunks[number]
      if (chunk === undefined) {
        // No holes: an array with holes looks up its prototypes on each read.
        while (this.#chunks.length < number) this.#chunks.push(undefined)
        chunk = this.#chunks[number] = makeChunk()
      }
      chunk[index & CHUNK_MASK] = value
    }
  }
}

export const Float64Column = defineColumn<number>(() => new Float64Array(CHUNK), 0)
export const Int32Column = defineColumn<number>(() => new Int32Array(CHUNK), 0)
export const StringColumn = defineColumn<string | undefined>(() => new Array(CHUNK).fill(undefined), undefined)
export const ObjectColumn = defineColumn<Readonly<Record<string, string>> | undefined>(
  () => new Array(CHUNK).fill(undefined),
  undefined
)
