import type { SavedResults } from './engine-journal.ts'
import { type Kept, KeptResults } from './kept-results.ts'
import type { Replay, ResultJournal, Results } from './retries.ts'

/** How many old results each new one has looked at: more than one, so that what has ended can't pile up. */
const EXAMINED = 2

export interface ResultsByLookOptions<T> extends Replay<T, string> {
  ended: (result: string) => boolean
  journal: ResultJournal<SavedResults['acquire']>
}

/**
 * Results that end in no foreseeable order. Each new one looks at the two that were looked at longest ago, and drops what
 * has ended: so there are at most about twice as many as live, without a timer or a long call.
 */
export class ResultsByLook<T> implements Results<T> {
  readonly #options: ResultsByLookOptions<T>
  /** By when they were looked at. */
  readonly #kept: KeptResults<T, SavedResults['acquire'] & Kept>

  constructor(options: ResultsByLookOptions<T>) {
    const { ended, again, journal } = options
    this.#options = options
    this.#kept = new KeptResults({
      again: ({ result }) => (ended(result) ? null : again(result)),
      left: () => undefined,
      ended: scope => journal.dropped(scope)
    })
  }

  get size(): number {
    return this.#kept.size
  }

  recall(scope: string): { fingerprint: string; answer: T } | undefined {
    return this.#kept.recall(scope)
  }

  keep(scope: string, fingerprint: string, answer: T): void {
    const { ended, keep, journal } = this.#options
    for (let examined = 0; examined < EXAMINED; examined++) {
      const oldest = this.#kept.first
      if (oldest === undefined) break
      if (ended(oldest.result)) this.#kept.end(oldest.scope)
      else this.#kept.put(oldest)
    }
    const saved = { fingerprint, result: keep(answer) }
    this.#kept.put({ ...saved, scope })
    journal.kept(scope, saved)
  }

  /** Puts a result, or none, in the place of what is kept, without a word to the journal. */
  restore(scope: string, saved: SavedResults['acquire'] | undefined): void {
    if (saved === undefined) this.#kept.drop(scope)
    else this.#kept.put({ ...saved, scope })
  }
}
