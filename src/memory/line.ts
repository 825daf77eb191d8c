import type { Clock } from '../clock.ts'
import { type Answer, MAX_WAITING } from '../engine.ts'
import type { AcquireRequest, KeyPool } from '../pool/key-pool.ts'
import { admitted, type Dismissal, graver } from './dismissal.ts'
import type { KeyVerbs } from './key-verbs.ts'
import type { Turns } from './turns.ts'
import { type AcquireAnswer, type Waiter, Waiters } from './waiters.ts'

export interface LineOptions {
  keys: KeyPool
  verbs: KeyVerbs
  clock: Clock
  turns: Turns
  /** Tends to the pool: who waits may have left, or may be served in a turn that has come. */
  goOn: () => void
}

/**
 * HOW CALLERS WAIT
 *
 * Whenever keys may have become free, those who wait are served, the longest first; only then can a newcomer have one.
 * While due deadlines are left (the keys answer 'behind'), or those who wait could not all be looked at in this turn, a
 * caller that would be refused joins them, even one that asked not to wait: the answer might change.
 */
export class Line {
  readonly #keys: KeyPool
  readonly #verbs: KeyVerbs
  readonly #clock: Clock
  readonly #turns: Turns
  readonly #goOn: () => void
  readonly #waiters = new Waiters()
  #dismissed: Dismissal | undefined
  #interrupted = false

  constructor({ keys, verbs, clock, turns, goOn }: LineOptions) {
    this.#keys = keys
    this.#verbs = verbs
    this.#clock = clock
    this.#turns = turns
    this.#goOn = goOn
  }

  get size(): number {
    return this.#waiters.size
  }

  get dismissed(): Dismissal | undefined {
    return this.#dismissed
  }

  /** Whether somebody may wait beside a free key, for a turn to come. */
  get isInterrupted(): boolean {
    return this.#interrupted && this.#dismissed === undefined
  }

  /**
   * Gives a key, at once or later. The pool is to be tended afterwards. The signal is not asked for where nobody has to
   * wait: the callers make theirs when it is, which costs as much as a lease.
   */
  acquire(
    request: AcquireRequest & { waitMs?: number | undefined },
    context: { readonly signal?: AbortSignal | undefined }
  ): Answer<AcquireAnswer> {
    const { waitMs = 0, leaseMs } = request
    // Before it waits: a request that the keys throw at would stop all who wait behind it.
    if (leaseMs !== undefined && !this.#keys.allowsLease(leaseMs)) return { refusal: 'lease-too-long' }
    this.serve(1)
    // Those who are dismissed, and have not been told yet, are passed by nobody.
    const isFirst = this.#waiters.size === 0 || this.#dismissed !== undefined
    const outcome = isFirst ? this.#keys.acquire(request) : 'no-free-key'
    if (typeof outcome === 'object') return outcome
    const isBehind = this.#keys.nextSweepAt <= this.#clock.now()
    if (waitMs === 0 && !isBehind && !this.isInterrupted) return this.#verbs.noFreeKey()
    if (this.#dismissed !== undefined) return this.#dismissed
    if (this.#waiters.size >= MAX_WAITING) return { refusal: 'overloaded' }
    const { signal } = context
    if (signal?.aborted) return this.#verbs.noFreeKey()
    const { waiter, answer } = this.#waiters.wait(request, waitMs > 0)
    if (waitMs > 0) waiter.timer = this.#clock.after(waitMs, () => this.#timeOut(waiter))
    signal?.addEventListener('abort', () => {
      this.#refuse(waiter)
      this.#goOn()
    })
    return answer
  }

  /**
   * Answers those who wait, the longest first, while there are keys or reasons to refuse, and as far as the turn goes;
   * `owed` of them in any case, so that each verb that frees a key may also give one.
   */
  serve(owed: number): void {
    this.#interrupted = false
    for (let waiter = this.#waiters.first; waiter !== undefined; waiter = this.#waiters.first) {
      if (owed <= 0 && this.#turns.isOver) {
        this.#interrupted = true
        this.#turns.next(this.#goOn)
        return
      }
      if (!this.#answer(waiter)) return
      owed--
      this.#turns.take(1)
    }
  }

  /** Refuses all who wait, and from now on those who would; for good, but for 'storage-unavailable'. */
  dismiss(refusal: Dismissal): void {
    this.#dismissed = graver(this.#dismissed, refusal)
  }

  /** Storage is available again: callers may wait. */
  admit(): void {
    this.#dismissed = admitted(this.#dismissed)
  }

  #timeOut(waiter: Waiter): void {
    this.#waiters.losePatience(waiter)
    this.#goOn()
  }

  /** Answers the first, or else one who waits no longer. Returns whether anybody was. */
  #answer(first: Waiter): boolean {
    const outcome = this.#dismissed ?? this.#keys.acquire(first.request)
    if (outcome === 'behind') return false
    if (outcome !== 'no-free-key') {
      this.#waiters.settle(first, outcome === 'lease-too-long' ? { refusal: outcome } : outcome)
      return true
    }
    const impatient = this.#waiters.firstImpatient
    if (impatient !== undefined) this.#refuse(impatient)
    return impatient !== undefined
  }

  /** The counts in its answer are of those who wait on. */
  #refuse(waiter: Waiter): void {
    this.#waiters.leave(waiter)
    waiter.answer(this.#verbs.noFreeKey())
  }
}
