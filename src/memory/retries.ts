import { type Answer, isRefusal, type Refusal, type Retry } from '../engine.ts'
import { GrowingMap } from '../pool/growing-map.ts'
import { type Place, Queue } from './queue.ts'

/** How many old results each new one has looked at: more than one, so that what has ended can't pile up. */
const EXAMINED = 2

interface Kept<R> {
  scope: string
  fingerprint: string
  result: R
  weight: number
}

interface Running<T> {
  fingerprint: string
  answer: Promise<T>
  callers: Callers
}

/** How to keep the result of a call, and how to give it again. */
export interface Replay<T, R> {
  /** What is kept of an answer, and its share of the limit. It must hold no secret. */
  keep(answer: T): { result: R; weight: number }
  /** The answer for a retry, or null where the result has ended. */
  again(result: R): T | null
}

/**
 * Calls that carry an Idempotency-Key: the results of those that succeeded, for retries, and those that still run, for
 * retries to join.
 *
 * Each new result looks at the two that were looked at longest ago, and drops what has ended: so the table holds at most
 * about twice what lives, without a timer or a long call. With a limit, results are taken to end in the order in which
 * they came, and beyond it the oldest go.
 */
export class Retries<R> {
  readonly #ended: (result: R) => boolean
  readonly #limit: number
  readonly #kept = new GrowingMap<string, Place<Kept<R>>>(hashOf)
  /** Without a limit, by when they were looked at; else by when they came. */
  readonly #order = new Queue<Kept<R>>()
  readonly #running = new Map<string, Running<unknown>>()
  #weight = 0

  constructor(ended: (result: R) => boolean, limit = Infinity) {
    this.#ended = ended
    this.#limit = limit
  }

  get size(): number {
    return this.#kept.size
  }

  /**
   * Runs a call once per scope: a retry gets the same result. Refusals are not kept. `call` is passed a signal that is
   * aborted when the signals of all who joined are.
   */
  once<T>(
    { scope, fingerprint }: Retry,
    replay: Replay<Exclude<T, { refusal: unknown }>, R>,
    call: (signal: AbortSignal) => Answer<T>,
    signal?: AbortSignal
  ): Answer<T | Refusal<'idempotency-key-reused'>> {
    const running = this.#running.get(scope)
    if (running !== undefined) {
      if (running.fingerprint !== fingerprint) return { refusal: 'idempotency-key-reused' }
      running.callers.join(signal)
      return running.answer as Promise<T>
    }
    const place = this.#kept.get(scope)
    if (place !== undefined) {
      const kept = place.value
      const answer = this.#ended(kept.result) ? null : replay.again(kept.result)
      if (answer !== null) return kept.fingerprint === fingerprint ? answer : { refusal: 'idempotency-key-reused' }
      this.#drop(place)
    }
    const callers = new Callers(signal)
    const answer = call(callers.signal)
    const finish = (answer: T): T => {
      if (!isRefusal(answer)) {
        this.#keep({ scope, fingerprint, ...replay.keep(answer as Exclude<T, { refusal: unknown }>) })
      }
      return answer
    }
    if (!(answer instanceof Promise)) return finish(answer)
    const finished = answer.then(finish).finally(() => this.#running.delete(scope))
    this.#running.set(scope, { fingerprint, answer: finished, callers })
    return finished
  }

  #keep(kept: Kept<R>): void {
    for (let examined = 0; examined < EXAMINED; examined++) {
      const oldest = this.#order.first
      if (oldest === undefined) break
      const ended = this.#ended(oldest.result)
      if (!ended && this.#limit !== Infinity) break
      this.#drop(this.#kept.get(oldest.scope) as Place<Kept<R>>)
      if (!ended) this.#push(oldest)
    }
    this.#push(kept)
    for (
      let oldest = this.#order.first;
      oldest !== undefined && this.#weight > this.#limit;
      oldest = this.#order.first
    ) {
      this.#drop(this.#kept.get(oldest.scope) as Place<Kept<R>>)
    }
  }

  #push(kept: Kept<R>): void {
    this.#kept.set(kept.scope, this.#order.push(kept))
    this.#weight += kept.weight
  }

  #drop(place: Place<Kept<R>>): void {
    this.#order.remove(place)
    this.#kept.delete(place.value.scope)
    this.#weight -= place.value.weight
  }
}

/** FNV-1a (Fowler, Noll, Vo), cut to 30 bits. */
function hashOf(scope: string): number {
  let hash = 0x811c9dc5
  for (let i = 0; i < scope.length; i++) hash = Math.imul(hash ^ scope.charCodeAt(i), 0x01000193)
  return hash >>> 2
}

/** All who wait for one call. */
class Callers {
  readonly #controller = new AbortController()
  #present = 0

  constructor(signal: AbortSignal | undefined) {
    this.join(signal)
  }

  get signal(): AbortSignal {
    return this.#controller.signal
  }

  join(signal: AbortSignal | undefined): void {
    this.#present++
    signal?.addEventListener('abort', () => {
      if (--this.#present === 0) this.#controller.abort()
    })
  }
}
