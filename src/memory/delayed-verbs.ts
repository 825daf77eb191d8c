import { type Answer, MAX_WAITING, type Refusal } from '../engine.ts'
import { Queue } from './queue.ts'
import type { Turns } from './turns.ts'

/** What a verb takes from a turn: it may be of a thousand keys. */
const VERB_COST = 16
const REFUSAL_COST = 1

interface Delayed {
  verb: () => unknown
  resolve: (outcome: unknown) => void
  reject: (error: unknown) => void
}

/** Verbs that found due deadlines left which might change their answer. They go on in the order in which they came. */
export class DelayedVerbs {
  readonly #turns: Turns
  readonly #goOn: () => void
  readonly #queue = new Queue<Delayed>()

  /** `goOn` tends to the pool in a turn that has come. */
  constructor(turns: Turns, goOn: () => void) {
    this.#turns = turns
    this.#goOn = goOn
  }

  get size(): number {
    return this.#queue.size
  }

  /** Runs a verb later, as often as it takes until it is not 'behind'. */
  add<T>(verb: () => T | 'behind'): Answer<T | Refusal<'overloaded'>> {
    if (this.size >= MAX_WAITING) return { refusal: 'overloaded' }
    return new Promise<unknown>((resolve, reject) => this.#queue.push({ verb, resolve, reject })) as Promise<T>
  }

  /** Runs them, or refuses them where a refusal is given, as far as the turn goes, until one is still 'behind'. */
  go(refusal: Refusal | undefined): void {
    for (let delayed = this.#queue.first; delayed !== undefined; delayed = this.#queue.first) {
      if (this.#turns.isOver) return this.#turns.next(this.#goOn)
      this.#turns.take(refusal === undefined ? VERB_COST : REFUSAL_COST)
      try {
        const outcome = refusal ?? delayed.verb()
        if (outcome === 'behind') return
        delayed.resolve(outcome)
      } catch (error) {
        delayed.reject(error)
      }
      this.#queue.shift()
    }
  }
}
