import { type Answer, isRefusal, type Refusal, type Retry } from '../engine.ts'

/** How many old records each new one has looked at: more than one, so that what has ended can't pile up. */
const EXAMINED = 2

interface Kept<R> {
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
 * Each new result looks at the two oldest: what has ended is dropped, what has not goes to the end of the line. So the
 * table holds at most about twice what lives, without a timer or a long call. Beyond `limit` the oldest go.
 */
export class Retries<R> {
  readonly #ended: (result: R) => boolean
  readonly #limit: number
  readonly #kept = new Map<string, Kept<R>>()
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
    const kept = this.#kept.get(scope)
    if (kept !== undefined) {
      const answer = this.#ended(kept.result) ? null : replay.again(kept.result)
      if (answer !== null) return kept.fingerprint === fingerprint ? answer : { refusal: 'idempotency-key-reused' }
      this.#drop(scope, kept)
    }
    const callers = new Callers(signal)
    const answer = call(callers.signal)
    const finish = (answer: T): T => {
      if (!isRefusal(answer)) {
        this.#keep(scope, { fingerprint, ...replay.keep(answer as Exclude<T, { refusal: unknown }>) })
      }
      return answer
    }
    if (!(answer instanceof Promise)) return finish(answer)
    const finished = answer.then(finish).finally(() => this.#running.delete(scope))
    this.#running.set(scope, { fingerprint, answer: finished, callers })
    return finished
  }

  #keep(scope: string, kept: Kept<R>): void {
    let examined = 0
    for (const [oldScope, old] of this.#kept) {
      if (examined++ === EXAMINED) break
      this.#kept.delete(oldScope)
      if (this.#ended(old.result)) this.#weight -= old.weight
      else this.#kept.set(oldScope, old)
    }
    this.#kept.set(scope, kept)
    this.#weight += kept.weight
    for (const [oldScope, old] of this.#kept) {
      if (this.#weight <= this.#limit) break
      this.#drop(oldScope, old)
    }
  }

  #drop(scope: string, kept: Kept<R>): void {
    this.#kept.delete(scope)
    this.#weight -= kept.weight
  }
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
