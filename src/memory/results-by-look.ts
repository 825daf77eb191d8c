import { GrowingMap } from '../pool/growing-map.ts'
import type { SavedResults } from './engine-journal.ts'
import { type Place, Queue } from './queue.ts'
import { hashOf, type Replay, type ResultJournal, type Results } from './retries.ts'

/** How many old results each new one has looked at: more than one, so that what has ended can't pile up. */
const EXAMINED = 2

export interface ResultsByLookOptions<T> extends Replay<T, string> {
  ended: (result: string) => boolean
  journal: ResultJournal<SavedResults['acquire']>
}

interface Kept {
  scope: string
  fingerprint: string
  result: string
}

/**
 * Results that end in no foreseeable order. Each new one looks at the two that were looked at longest ago, and drops what
 * has ended: so there are at most about twice as many as live, without a timer or a long call.
 */
export class ResultsByLook<T> implements Results<T> {
  readonly #replay: ResultsByLookOptions<T>
  readonly #kept = new GrowingMap<string, Place<Kept>>(hashOf)
  /** By when they were looked at. */
  readonly #order = new Queue<Kept>()

  constructor(options: ResultsByLookOptions<T>) {
    this.#replay = options
  }

  get size(): number {
    return this.#order.size
  }

  recall(scope: string): { fingerprint: string; answer: T } | undefined {
    const kept = this.#kept.get(scope)?.value
    if (kept === undefined) return undefined
    const answer = this.#replay.ended(kept.result) ? null : this.#replay.again(kept.result)
    if (answer !== null) return { fingerprint: kept.fingerprint, answer }
    this.#end(scope)
    return undefined
  }

  keep(scope: string, fingerprint: string, answer: T): void {
    for (let examined = 0; examined < EXAMINED; examined++) {
      const oldest = this.#order.first
      if (oldest === undefined) break
      if (this.#replay.ended(oldest.result)) this.#end(oldest.scope)
      else this.#push(oldest)
    }
    const kept = { scope, fingerprint, result: this.#replay.keep(answer) }
    this.#push(kept)
    this.#replay.journal.kept(scope, { fingerprint, result: kept.result })
  }

  /** Puts a result, or none, in the place of what is kept, without a word to the journal. */
  restore(scope: string, saved: SavedResults['acquire'] | undefined): void {
    if (saved === undefined) this.#drop(scope)
    else this.#push({ scope, fingerprint: saved.fingerprint, result: saved.result })
  }

  #push(kept: Kept): void {
    this.#drop(kept.scope)
    this.#kept.set(kept.scope, this.#order.push(kept))
  }

  #end(scope: string): void {
    this.#drop(scope)
    this.#replay.journal.dropped(scope)
  }

  #drop(scope: string): void {
    const place = this.#kept.get(scope)
    if (place === undefined) return
    this.#order.remove(place)
    this.#kept.delete(scope)
  }
}
