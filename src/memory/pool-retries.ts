import type { KeyView, LeaseView, Outcome } from '../engine.ts'
import type { KeyPool } from '../pool/key-pool.ts'
import { keepOutcome, type KeptOutcome, replayOutcome } from './batch.ts'
import type { KeptCall, SavedResults } from './engine-journal.ts'
import type { KeptLimit } from './kept-limit.ts'
import { ResultsByAge } from './results-by-age.ts'
import { ResultsByLook } from './results-by-look.ts'
import { type ResultJournal, Retries } from './retries.ts'

export interface PoolRetriesOptions {
  keys: KeyPool
  now: () => number
  /** Of the results of calls on keys, in all pools. */
  limit: KeptLimit
  kept: <C extends KeptCall>(call: C, scope: string, result: SavedResults[C]) => void
  dropped: (call: KeptCall, scope: string) => void
}

/** The calls of one pool that carry an Idempotency-Key. What is kept is what an answer was made of, not what it showed. */
export class PoolRetries {
  readonly leases: Retries<LeaseView>
  readonly keys: Retries<KeyView[]>
  readonly batches: Retries<Outcome[]>
  readonly #acquire: ResultsByLook<LeaseView>
  readonly #keys: ResultsByAge<KeyView[], string>
  readonly #batch: ResultsByAge<Outcome[], KeptOutcome>

  constructor({ keys, now, limit, kept, dropped }: PoolRetriesOptions) {
    const journal = <C extends KeptCall>(call: C): ResultJournal<SavedResults[C]> => ({
      kept: (scope, saved) => kept(call, scope, saved),
      dropped: scope => dropped(call, scope)
    })
    const shown = {
      runningLease: (id: string, reveal: boolean) => found(keys.lease(id, { reveal })),
      livingKey: (id: string) => found(keys.get(id))
    }
    this.#acquire = new ResultsByLook({
      keep: ({ id }) => id,
      ended: id => typeof keys.lease(id) === 'string',
      again: id => shown.runningLease(id, true),
      journal: journal('acquire')
    })
    this.#keys = new ResultsByAge({
      now,
      limit,
      keep: views => views.map(({ id }) => id),
      again: ids => ids.map(id => found(keys.get(id, true))).filter(key => key !== null),
      journal: journal('keys')
    })
    this.#batch = new ResultsByAge({
      now,
      limit,
      keep: outcomes => outcomes.map(keepOutcome),
      again: outcomes => outcomes.map(outcome => replayOutcome(shown, outcome)),
      journal: journal('batch')
    })
    this.leases = new Retries(this.#acquire)
    this.keys = new Retries(this.#keys)
    this.batches = new Retries(this.#batch)
  }

  /** When to sweep next: no result ends earlier of those that end at an instant. */
  get nextSweepAt(): number {
    return Math.min(this.#keys.nextEnd, this.#batch.nextEnd)
  }

  /** Drops up to `limit` results of each call that have ended. Returns whether more are left. */
  sweep(limit: number): boolean {
    const more = this.#keys.sweep(limit)
    return this.#batch.sweep(limit) || more
  }

  /** Puts a result, or none, in the place of what is kept. */
  restore<C extends KeptCall>(call: C, scope: string, saved: SavedResults[C] | undefined): void {
    const results: { [K in KeptCall]: { restore(scope: string, saved: SavedResults[K] | undefined): void } } = {
      acquire: this.#acquire,
      keys: this.#keys,
      batch: this.#batch
    }
    results[call].restore(scope, saved)
  }

  /** The pool has ended: its results make room for those of others. O(1). */
  clear(): void {
    for (const retries of [this.leases, this.keys, this.batches]) retries.close()
    this.#keys.clear()
    this.#batch.clear()
  }
}

function found<V extends object>(view: V | string): V | null {
  return typeof view === 'string' ? null : view
}
