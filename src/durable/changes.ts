import type { JournaledPool, KeptCall, SavedResults } from '../memory/engine-journal.ts'

/** What a call with an Idempotency-Key came to; `saved` is undefined where nothing is kept of it. */
export interface Result {
  call: KeptCall
  scope: string
  saved: SavedResults[KeptCall] | undefined
}

/** What has changed in memory. Of keys and pools only where: what is written is what is there when it is written. */
export class Changes {
  readonly keys = new Map<JournaledPool, Set<string>>()
  readonly pools = new Set<JournaledPool>()
  readonly #results = new Map<JournaledPool, Map<string, Result>>()

  get isEmpty(): boolean {
    return this.keys.size === 0 && this.pools.size === 0 && this.#results.size === 0
  }

  *results(): Generator<[JournaledPool, Result]> {
    for (const [pool, results] of this.#results) for (const result of results.values()) yield [pool, result]
  }

  key(pool: JournaledPool, id: string): void {
    const ids = this.keys.get(pool)
    if (ids === undefined) this.keys.set(pool, new Set([id]))
    else ids.add(id)
  }

  result(pool: JournaledPool, result: Result): void {
    let results = this.#results.get(pool)
    if (results === undefined) this.#results.set(pool, (results = new Map()))
    results.set(placeOf(result), result)
  }

  /** What was told of a result does not count any more. */
  forgetResult(pool: JournaledPool, call: KeptCall, scope: string): void {
    this.#results.get(pool)?.delete(placeOf({ call, scope }))
  }

  /** Takes in what has changed elsewhere, but for results that have changed in `newer` since. */
  add(other: Changes, newer?: Changes): void {
    for (const pool of other.pools) this.pools.add(pool)
    for (const [pool, ids] of other.keys) for (const id of ids) this.key(pool, id)
    for (const [pool, result] of other.results()) {
      if (newer === undefined || !newer.#has(pool, result)) this.result(pool, result)
    }
  }

  #has(pool: JournaledPool, result: Result): boolean {
    return this.#results.get(pool)?.has(placeOf(result)) ?? false
  }

  /** Moves up to `limit` keys and results to a set of their own, the oldest first. */
  take(limit: number): Changes {
    const taken = new Changes()
    let count = 0
    for (const [pool, ids] of this.keys) {
      for (const id of ids) {
        if (count++ === limit) return taken
        taken.key(pool, id)
        ids.delete(id)
      }
      this.keys.delete(pool)
    }
    for (const [pool, results] of this.#results) {
      for (const [place, result] of results) {
        if (count++ === limit) return taken
        taken.result(pool, result)
        results.delete(place)
      }
      this.#results.delete(pool)
    }
    return taken
  }
}

function placeOf({ call, scope }: Pick<Result, 'call' | 'scope'>): string {
  return `${call} ${scope}`
}
