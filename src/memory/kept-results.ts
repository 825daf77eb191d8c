import { GrowingMap } from '../pool/growing-map.ts'
import { type Place, Queue } from './queue.ts'
import { hashOf } from './retries.ts'

/** The result of a call. */
export interface Kept {
  readonly scope: string
  readonly fingerprint: string
}

export interface KeptResultsOptions<T, K> {
  /** The answer for a retry, or null where the result has ended. */
  again(kept: K): T | null
  /** Told of each that is kept no longer. */
  left(kept: K): void
  /** Told of each that has ended. */
  ended(scope: string): void
}

/** Results by their scope, and in the order in which they were put. All steps are O(1). */
export class KeptResults<T, K extends Kept> {
  readonly #options: KeptResultsOptions<T, K>
  #places = new GrowingMap<string, Place<K>>(hashOf)
  #order = new Queue<K>()

  constructor(options: KeptResultsOptions<T, K>) {
    this.#options = options
  }

  get size(): number {
    return this.#order.size
  }

  /** The one that was put longest ago. */
  get first(): K | undefined {
    return this.#order.first
  }

  /** What a retry is answered; undefined where nothing is kept, or what was has ended. */
  recall(scope: string): { fingerprint: string; answer: T } | undefined {
    const kept = this.#places.get(scope)?.value
    if (kept === undefined) return undefined
    const answer = this.#options.again(kept)
    if (answer !== null) return { fingerprint: kept.fingerprint, answer }
    this.end(scope)
    return undefined
  }

  /** Keeps a result as the last, in the place of what its scope had. */
  put(kept: K): void {
    this.drop(kept.scope)
    this.#places.set(kept.scope, this.#order.push(kept))
  }

  end(scope: string): void {
    this.drop(scope)
    this.#options.ended(scope)
  }

  /** Keeps it no longer, although it has not ended. */
  drop(scope: string): void {
    const place = this.#places.get(scope)
    if (place === undefined) return
    this.#order.remove(place)
    this.#places.delete(scope)
    this.#options.left(place.value)
  }

  /** Forgets all, without a word. */
  clear(): void {
    this.#places = new GrowingMap(hashOf)
    this.#order = new Queue()
  }
}
