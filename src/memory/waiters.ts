import type { Timer } from '../clock.ts'
import type { Refusal } from '../engine.ts'
import type { AcquireRequest, LeaseView } from '../pool/key-pool.ts'
import type { Dismissal } from './dismissal.ts'
import { type Place, Queue } from './queue.ts'

export type AcquireAnswer =
  LeaseView | Dismissal | Refusal<'no-free-key' | 'lease-too-long' | 'overloaded' | 'idempotency-key-reused'>

/** A caller that waits for a key. */
export interface Waiter {
  readonly request: AcquireRequest
  readonly place: Place<Waiter>
  /** Its place among those who wait on only while deadlines are due that could free a key. */
  hurry?: Place<Waiter>
  timer?: Timer
  answer(answer: AcquireAnswer): void
}

/** Those who wait for a key of one pool, in the order in which they came. All steps are O(1). */
export class Waiters {
  readonly #queue = new Queue<Waiter>()
  readonly #impatient = new Queue<Waiter>()

  get size(): number {
    return this.#queue.size
  }

  get first(): Waiter | undefined {
    return this.#queue.first
  }

  get firstImpatient(): Waiter | undefined {
    return this.#impatient.first
  }

  /** Waits until `settle` or `leave` is called with the waiter. */
  wait(request: AcquireRequest, patient: boolean): { waiter: Waiter; answer: Promise<AcquireAnswer> } {
    let resolve: (answer: AcquireAnswer) => void = () => undefined
    const answer = new Promise<AcquireAnswer>(resolved => (resolve = resolved))
    const waiter = { request, answer: resolve } as Waiter & { place: Place<Waiter> }
    waiter.place = this.#queue.push(waiter)
    if (!patient) this.losePatience(waiter)
    return { waiter, answer }
  }

  /** Its time is up: it goes on only until the deadlines that are due have been applied. */
  losePatience(waiter: Waiter): void {
    waiter.hurry = this.#impatient.push(waiter)
  }

  settle(waiter: Waiter, answer: AcquireAnswer): void {
    this.leave(waiter)
    waiter.answer(answer)
  }

  /** Waits no longer; its answer is the caller's to give. */
  leave(waiter: Waiter): void {
    this.#queue.remove(waiter.place)
    if (waiter.hurry !== undefined) this.#impatient.remove(waiter.hurry)
    waiter.timer?.cancel()
  }
}
