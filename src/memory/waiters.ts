import type { Answer, Refusal } from '../engine.ts'
import type { Timer } from '../clock.ts'
import type { AcquireRequest, LeaseView } from '../pool/key-pool.ts'

export type AcquireAnswer =
  | LeaseView
  | Refusal<'unknown-pool' | 'no-free-key' | 'lease-too-long' | 'overloaded' | 'draining' | 'idempotency-key-reused'>

/** A caller that waits for a key. */
export interface Waiter {
  request: AcquireRequest
  /** Whether it waits on once no more deadlines are due that could free a key. */
  patient: boolean
  timer?: Timer
  answer(answer: AcquireAnswer): void
}

/** Those who wait for a key of one pool, in the order in which they came. All steps are O(1). */
export class Waiters {
  readonly #queue = new Set<Waiter>()
  readonly #impatient = new Set<Waiter>()

  get size(): number {
    return this.#queue.size
  }

  get first(): Waiter | undefined {
    return this.#queue.values().next().value
  }

  get firstImpatient(): Waiter | undefined {
    return this.#impatient.values().next().value
  }

  /** Waits until `settle` or `leave` is called with the waiter. */
  wait(request: AcquireRequest, patient: boolean): { waiter: Waiter; answer: Answer<AcquireAnswer> } {
    let resolve: (answer: AcquireAnswer) => void = () => undefined
    const answer = new Promise<AcquireAnswer>(resolved => (resolve = resolved))
    const waiter: Waiter = { request, patient, answer: resolve }
    this.#queue.add(waiter)
    if (!patient) this.#impatient.add(waiter)
    return { waiter, answer }
  }

  /** Its time is up: it goes on only until the deadlines that are due have been applied. */
  losePatience(waiter: Waiter): void {
    waiter.patient = false
    this.#impatient.add(waiter)
  }

  settle(waiter: Waiter, answer: AcquireAnswer): void {
    this.leave(waiter)
    waiter.answer(answer)
  }

  /** Waits no longer; its answer is the caller's to give. */
  leave(waiter: Waiter): void {
    this.#queue.delete(waiter)
    this.#impatient.delete(waiter)
    waiter.timer?.cancel()
  }

  /** Refuses all. */
  dismiss(refusal: Refusal<'unknown-pool' | 'draining'>): void {
    for (const waiter of this.#queue) this.settle(waiter, refusal)
  }
}
