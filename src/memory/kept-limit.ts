/** What keeps results, in the order of their age. */
export interface Keeper {
  /** How many items its results have. */
  readonly weight: number
  dropOldest(): void
}

/**
 * How many items the results of all keepers have at most. Beyond it, whoever keeps most loses its oldest: so no pool's
 * flood ends the results of another that keeps few. O(keepers) where the limit is passed, else O(1).
 */
export class KeptLimit {
  readonly #limit: number
  /** Those that keep anything. */
  readonly #keepers = new Set<Keeper>()
  #weight = 0

  constructor(limit: number) {
    this.#limit = limit
  }

  /** A keeper's weight has grown, or shrunk, by so much. */
  change(keeper: Keeper, by: number): void {
    this.#weight += by
    if (keeper.weight > 0) this.#keepers.add(keeper)
    else this.#keepers.delete(keeper)
  }

  enforce(): void {
    while (this.#weight > this.#limit) {
      const heaviest = [...this.#keepers].reduce((most, keeper) => (keeper.weight > most.weight ? keeper : most))
      while (this.#weight > this.#limit && heaviest.weight > 0) heaviest.dropOldest()
    }
  }
}
