import { KEPT_MS } from '../engine.ts'
import { GrowingMap } from '../pool/growing-map.ts'
import type { Keeper, KeptLimit } from './kept-limit.ts'
import { type Place, Queue } from './queue.ts'
import { hashOf, type Replay, type ResultJournal, type Results } from './retries.ts'

export interface ResultsByAgeOptions<T, I> extends Replay<T, readonly I[]> {
  now: () => number
  limit: KeptLimit
  journal: ResultJournal<AgedResult<I>>
}

interface AgedResult<I> {
  readonly fingerprint: string
  readonly until: number
  readonly result: readonly I[]
}

interface Kept<I> extends AgedResult<I> {
  readonly scope: string
}

/** Results of several items, each kept for KEPT_MS or until the limit is passed. */
export class ResultsByAge<T, I> implements Results<T>, Keeper {
  readonly #options: ResultsByAgeOptions<T, I>
  #kept = new GrowingMap<string, Place<Kept<I>>>(hashOf)
  /** By when they came. Those of a former process may stand in any order: one that ends early may then leave late. */
  #order = new Queue<Kept<I>>()
  #weight = 0

  constructor(options: ResultsByAgeOptions<T, I>) {
    this.#options = options
  }

  get size(): number {
    return this.#order.size
  }

  get weight(): number {
    return this.#weight
  }

  /** When to sweep next. */
  get nextEnd(): number {
    return this.#order.first?.until ?? Infinity
  }

  recall(scope: string): { fingerprint: string; answer: T } | undefined {
    const kept = this.#kept.get(scope)?.value
    if (kept === undefined) return undefined
    const { now, again } = this.#options
    const answer = kept.until <= now() ? null : again(kept.result)
    if (answer !== null) return { fingerprint: kept.fingerprint, answer }
    this.#end(scope)
    return undefined
  }

  keep(scope: string, fingerprint: string, answer: T): void {
    const { now, keep, journal } = this.#options
    const saved = { fingerprint, until: now() + KEPT_MS, result: keep(answer) }
    this.#put({ ...saved, scope })
    journal.kept(scope, saved)
    this.#options.limit.enforce()
  }

  /** Puts a result, or none, in the place of what is kept, without a word to the journal but of those beyond the limit. */
  restore(scope: string, saved: AgedResult<I> | undefined): void {
    if (saved === undefined) return this.#drop(scope)
    // Where the machine's clock was set back between two processes, nothing is to be kept for longer.
    this.#put({ ...saved, scope, until: Math.min(saved.until, this.#options.now() + KEPT_MS) })
    this.#options.limit.enforce()
  }

  /** Drops up to `limit` results that have ended. Returns whether more are left. */
  sweep(limit: number): boolean {
    const now = this.#options.now()
    for (let dropped = 0; dropped < limit && this.nextEnd <= now; dropped++) this.dropOldest()
    return this.nextEnd <= now
  }

  dropOldest(): void {
    const oldest = this.#order.first
    if (oldest !== undefined) this.#end(oldest.scope)
  }

  /** Forgets all, without a word to the journal. O(1). */
  clear(): void {
    this.#kept = new GrowingMap(hashOf)
    this.#order = new Queue()
    this.#change(-this.#weight)
  }

  #put(kept: Kept<I>): void {
    this.#drop(kept.scope)
    this.#kept.set(kept.scope, this.#order.push(kept))
    this.#change(kept.result.length)
  }

  #end(scope: string): void {
    this.#drop(scope)
    this.#options.journal.dropped(scope)
  }

  #drop(scope: string): void {
    const place = this.#kept.get(scope)
    if (place === undefined) return
    this.#order.remove(place)
    this.#kept.delete(scope)
    this.#change(-place.value.result.length)
  }

  #change(by: number): void {
    this.#weight += by
    this.#options.limit.change(this, by)
  }
}
