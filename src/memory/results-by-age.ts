import { KEPT_MS } from '../engine.ts'
import type { Keeper, KeptLimit } from './kept-limit.ts'
import { type Kept, KeptResults } from './kept-results.ts'
import type { Replay, ResultJournal, Results } from './retries.ts'

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

/** Results of several items, each kept for KEPT_MS or until the limit is passed. */
export class ResultsByAge<T, I> implements Results<T>, Keeper {
  readonly #options: ResultsByAgeOptions<T, I>
  /** By when they came. Those of a former process may stand in any order: one that ends early may then leave late. */
  readonly #kept: KeptResults<T, AgedResult<I> & Kept>
  #weight = 0

  constructor(options: ResultsByAgeOptions<T, I>) {
    const { now, again, journal } = options
    this.#options = options
    this.#kept = new KeptResults({
      again: ({ until, result }) => (until <= now() ? null : again(result)),
      left: ({ result }) => this.#change(-result.length),
      ended: scope => journal.dropped(scope)
    })
  }

  get size(): number {
    return this.#kept.size
  }

  get weight(): number {
    return this.#weight
  }

  /** When to sweep next. */
  get nextEnd(): number {
    return this.#kept.first?.until ?? Infinity
  }

  recall(scope: string): { fingerprint: string; answer: T } | undefined {
    return this.#kept.recall(scope)
  }

  keep(scope: string, fingerprint: string, answer: T): void {
    const { now, keep, journal, limit } = this.#options
    const saved = { fingerprint, until: now() + KEPT_MS, result: keep(answer) }
    this.#put({ ...saved, scope })
    journal.kept(scope, saved)
    limit.enforce()
  }

  /** Puts a result, or none, in the place of what is kept, without a word to the journal but of those beyond the limit. */
  restore(scope: string, saved: AgedResult<I> | undefined): void {
    if (saved === undefined) return this.#kept.drop(scope)
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
    const oldest = this.#kept.first
    if (oldest !== undefined) this.#kept.end(oldest.scope)
  }

  /** Forgets all, without a word to the journal. O(1). */
  clear(): void {
    this.#kept.clear()
    this.#change(-this.#weight)
  }

  #put(kept: AgedResult<I> & Kept): void {
    this.#kept.put(kept)
    this.#change(kept.result.length)
  }

  #change(by: number): void {
    this.#weight += by
    this.#options.limit.change(this, by)
  }
}
