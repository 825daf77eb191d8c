import { type Answer, isRefusal, type Refusal, type Retry } from '../engine.ts'

/** How to keep the result of a call, and how to give it again. */
export interface Replay<T, R> {
  /** What is kept of an answer. It must hold no secret. */
  keep(answer: T): R
  /** The answer for a retry, or null where the result has ended. */
  again(result: R): T | null
}

/** Told of results that come and go. */
export interface ResultJournal<S> {
  kept(scope: string, saved: S): void
  dropped(scope: string): void
}

/** Where the results of calls are kept, by scope. */
export interface Results<T> {
  /** What a retry is answered; undefined where nothing is kept, or what was has ended. */
  recall(scope: string): { readonly fingerprint: string; readonly answer: T } | undefined
  keep(scope: string, fingerprint: string, answer: T): void
}

interface Running {
  fingerprint: string
  answer: Promise<unknown>
  callers: Callers
}

/**
 * Calls that carry an Idempotency-Key: the results of those that succeeded, for retries, and those that still run, for
 * retries to join.
 */
export class Retries<T> {
  readonly #results: Results<T>
  readonly #running = new Map<string, Running>()
  #closed = false

  constructor(results: Results<T>) {
    this.#results = results
  }

  /**
   * Runs a call once per scope: a retry gets the same result. Refusals are not kept. `call` is passed a signal that is
   * aborted when the signals of all who joined are.
   */
  once<A extends T | { refusal: unknown }>(
    { scope, fingerprint }: Retry,
    call: (signal: AbortSignal) => Answer<A>,
    signal?: AbortSignal
  ): Answer<A | T | Refusal<'idempotency-key-reused'>> {
    const running = this.#running.get(scope)
    if (running !== undefined) {
      if (running.fingerprint !== fingerprint) return { refusal: 'idempotency-key-reused' }
      running.callers.join(signal)
      // Calls of one scope and fingerprint are the same call.
      return running.answer as Promise<A>
    }
    const kept = this.#results.recall(scope)
    if (kept !== undefined) {
      return kept.fingerprint === fingerprint ? kept.answer : { refusal: 'idempotency-key-reused' }
    }
    const callers = new Callers(signal)
    const answer = call(callers.signal)
    const finish = (answer: A): A => {
      // What is no refusal is what A leaves besides.
      if (!isRefusal(answer) && !this.#closed) this.#results.keep(scope, fingerprint, answer as A & T)
      return answer
    }
    if (!(answer instanceof Promise)) return finish(answer)
    const finished = answer.then(finish).finally(() => this.#running.delete(scope))
    this.#running.set(scope, { fingerprint, answer: finished, callers })
    return finished
  }

  /** From now on nothing is kept. */
  close(): void {
    this.#closed = true
  }
}

/** FNV-1a (Fowler, Noll, Vo), cut to 30 bits. */
export function hashOf(scope: string): number {
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
