import { customRandom } from 'nanoid'
import { GrowingMap } from './growing-map.ts'
import type { Policy } from './policy.ts'
import type { Random } from './random.ts'

/** The strings that a pool may generate: `prefix` and then `length` characters of `alphabet`. */
export interface KeySpace {
  /** How many keys there are, used or not. */
  readonly size: bigint
  /** How many of them are used: living or retired. */
  readonly used: number
  /** A uniformly random key that is not used, which then is. At least one must remain. O(1). */
  draw(): string
  /** Where a key stands among them all: 0 … size - 1; 0 for each key of a space too vast to number; or NOWHERE. O(length). */
  placeOf(key: string): number
  /** The unused key at this place is used from now on. O(1). */
  take(place: number): void
  /** The used key at this place is not used any more. O(1). */
  giveBack(place: number): void
}

/** The place of a key that is not of the space. Taking it or giving it back does nothing. */
export const NOWHERE = -1

export type Shape = Pick<Policy, 'alphabet' | 'length' | 'prefix'>

/** `isUsed` tells whether a key lives or is retired. */
export function createKeySpace(shape: Shape, random: Random, isUsed: (key: string) => boolean): KeySpace {
  const size = BigInt(shape.alphabet.length) ** BigInt(shape.length)
  return size <= BigInt(Number.MAX_SAFE_INTEGER)
    ? new ShuffledSpace(shape, Number(size), random)
    : new VastSpace(shape, size, random, isUsed)
}

/** By code, the value of a character as a digit; -1 for one that is not of the alphabet. */
export function digitsOf({ alphabet }: Pick<Shape, 'alphabet'>): Int8Array {
  const digits = new Int8Array(128).fill(-1)
  for (let digit = 0; digit < alphabet.length; digit++) digits[alphabet.charCodeAt(digit)] = digit
  return digits
}

/**
 * The index of a key, the first character the most significant digit, or NOWHERE for a key of another shape. Keys are
 * ASCII.
 */
export function indexOf({ alphabet, length, prefix }: Shape, digits: Int8Array, key: string): number {
  if (key.length !== prefix.length + length || !key.startsWith(prefix)) return NOWHERE
  let index = 0
  for (let i = prefix.length; i < key.length; i++) {
    const digit = digits[key.charCodeAt(i)] as number
    if (digit === -1) return NOWHERE
    index = index * alphabet.length + digit
  }
  return index
}

/** The key of an index, of a shape whose keys can be numbered. */
export function keyAt({ alphabet, length, prefix }: Shape, index: number): string {
  let characters = ''
  for (let i = 0; i < length; i++) {
    characters = alphabet[index % alphabet.length] + characters
    index = Math.floor(index / alphabet.length)
  }
  return prefix + characters
}

/**
 * A space whose keys can be numbered: the unused indexes stand, shuffled, at the positions 0 … remaining - 1.
 *
 * Drawing takes the index at a random position and moves the last one into the hole: the shuffle of Fisher and Yates in
 * Durstenfeld's form (CACM 7 (1964), algorithm 235). It is kept sparse: a position that was never disturbed holds the
 * index of its own number and needs no memory. So a draw costs the same for the first key and for the last, and nothing
 * is ever tried twice.
 */
class ShuffledSpace implements KeySpace {
  readonly size: bigint
  readonly #shape: Shape
  readonly #digits: Int8Array
  readonly #count: number
  readonly #random: Random
  readonly #indexAt = new GrowingMap<number, number>(mix)
  readonly #positionOf = new GrowingMap<number, number>(mix)
  #remaining: number

  constructor(shape: Shape, count: number, random: Random) {
    this.size = BigInt(count)
    this.#shape = shape
    this.#digits = digitsOf(shape)
    this.#count = count
    this.#remaining = count
    this.#random = random
  }

  get used(): number {
    return this.#count - this.#remaining
  }

  draw(): string {
    const position = this.#random.below(this.#remaining)
    const index = this.#indexAt.get(position) ?? position
    this.#takeAt(position, index)
    return keyAt(this.#shape, index)
  }

  placeOf(key: string): number {
    return indexOf(this.#shape, this.#digits, key)
  }

  take(place: number): void {
    if (place !== NOWHERE) this.#takeAt(this.#positionOf.get(place) ?? place, place)
  }

  giveBack(place: number): void {
    if (place !== NOWHERE) this.#place(place, this.#remaining++)
  }

  #takeAt(position: number, index: number): void {
    const last = --this.#remaining
    const moved = this.#indexAt.get(last) ?? last
    this.#indexAt.delete(last)
    this.#positionOf.delete(index)
    if (position !== last) this.#place(moved, position)
  }

  #place(index: number, position: number): void {
    if (index === position) {
      this.#indexAt.delete(position)
      this.#positionOf.delete(index)
    } else {
      this.#indexAt.set(position, index)
      this.#positionOf.set(index, position)
    }
  }
}

/**
 * The finalizer of MurmurHash3 (A. Appleby): every bit of an index reaches every bit of its hash. A mere multiplication
 * leaves the low bits, by which a GrowingMap spreads its entries, to the low bits of the index: keys with the same end,
 * as imported ones may be, would all fall into one shard.
 */
function mix(index: number): number {
  let bits = (index % 4_294_967_296) ^ Math.imul(Math.floor(index / 4_294_967_296), 0x9e3779b1)
  bits = Math.imul(bits ^ (bits >>> 16), 0x85ebca6b)
  bits = Math.imul(bits ^ (bits >>> 13), 0xc2b2ae35)
  return (bits ^ (bits >>> 16)) >>> 2
}

/** Two draws of the same key in a space of 2^53 happen once in millions of years; ten in a row mean a broken source. */
const MAX_DRAWS = 10

/** A space of more than 2^53 keys, of which memory holds too small a part for a drawn one to be a used one: see draw. */
class VastSpace implements KeySpace {
  readonly size: bigint
  readonly #shape: Shape
  readonly #digits: Int8Array
  readonly #isUsed: (key: string) => boolean
  readonly #nanoid: () => string
  #used = 0

  constructor(shape: Shape, size: bigint, random: Random, isUsed: (key: string) => boolean) {
    this.size = size
    this.#shape = shape
    this.#digits = digitsOf(shape)
    this.#isUsed = isUsed
    this.#nanoid = customRandom(shape.alphabet, shape.length, count => random.bytes(count))
  }

  get used(): number {
    return this.#used
  }

  draw(): string {
    for (let draws = 0; draws < MAX_DRAWS; draws++) {
      const key = this.#shape.prefix + this.#nanoid()
      if (this.#isUsed(key)) continue
      this.#used++
      return key
    }
    throw new Error(`${MAX_DRAWS} random keys in a row were in use: the source of randomness is broken`)
  }

  placeOf(key: string): number {
    return indexOf(this.#shape, this.#digits, key) === NOWHERE ? NOWHERE : 0
  }

  take(place: number): void {
    if (place !== NOWHERE) this.#used++
  }

  giveBack(place: number): void {
    if (place !== NOWHERE) this.#used--
  }
}
