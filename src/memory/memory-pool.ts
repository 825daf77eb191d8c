import type { Clock } from '../clock.ts'
import {
  type Answer,
  type Counts,
  type Delayed,
  type Engine,
  MAX_WAITING,
  type Operation,
  type Outcome,
  type PoolView,
  type Refusal,
  type Refusals,
  type Retry
} from '../engine.ts'
import {
  type AcquireRequest,
  type KeyImport,
  KeyPool,
  type KeyRecord,
  type KeyView,
  type LeaseView,
  type ListRequest,
  type Metadata,
  type Policy,
  type Random,
  type ReleaseRequest,
  type RenewRequest,
  type RetiredRecord
} from '../pool/key-pool.ts'
import { type BatchVerbs, operate } from './batch.ts'
import { admitted, type Dismissal, graver } from './dismissal.ts'
import type { EngineJournal, JournaledPool, KeptCall, SavedPool, SavedResults } from './engine-journal.ts'
import type { KeptLimit } from './kept-limit.ts'
import { PoolRetries } from './pool-retries.ts'
import type { Retries } from './retries.ts'
import type { Sweepable } from './sweeper.ts'
import { type AcquireAnswer, type Waiter, Waiters } from './waiters.ts'

/** How many due deadlines of each kind are applied before a batch. */
const APPLIED_PER_CALL = 16

export interface MemoryPoolOptions {
  /** How the pool begins: without keys. */
  saved: SavedPool
  /** Whether keys of a former process are to be restored: the pool is not swept before `resume`. */
  recovers: boolean
  clock: Clock
  random: Random
  /** Told when this pool may have set a deadline. */
  wake: (pool: Sweepable) => void
  /** Of the results of calls on keys, in all pools. */
  limit: KeptLimit
  journal: EngineJournal | undefined
}

/**
 * One pool of the engine: its keys, and the callers that wait for one.
 *
 * HOW CALLERS WAIT
 *
 * Whenever keys may have become free, those who wait are served, the longest first; only then can a newcomer have one.
 * While due deadlines are left (the keys answer 'behind'), a caller that would be refused waits for these to be applied,
 * even one that asked not to wait: the answer might change. The sweep brings all of them on.
 */
export class MemoryPool implements Sweepable, BatchVerbs, JournaledPool {
  readonly name: string
  readonly incarnation: number
  readonly #clock: Clock
  readonly #keys: KeyPool
  readonly #wake: (pool: Sweepable) => void
  readonly #waiters = new Waiters()
  readonly #retries: PoolRetries
  /** During a batch, the instant at which all of it happens. */
  #instant: number | undefined
  #whenCaughtUp: (() => void)[] = []
  #dismissed: Dismissal | undefined
  #recovers: boolean
  #closed = false

  constructor({ saved, recovers, clock, random, wake, limit, journal }: MemoryPoolOptions) {
    const { policy, fence, serial } = saved
    this.name = saved.name
    this.incarnation = saved.incarnation
    this.#recovers = recovers
    this.#clock = clock
    this.#keys = new KeyPool({
      policy,
      fence,
      serial,
      random,
      clock: () => this.#instant ?? clock.now(),
      journal: { changed: id => journal?.keyChanged(this, id), aged: id => journal?.keyAged(this, id) }
    })
    this.#wake = wake
    this.#retries = new PoolRetries({
      keys: this.#keys,
      now: () => clock.now(),
      limit,
      kept: (call, scope, result) => {
        journal?.resultKept(this, call, scope, result)
        wake(this)
      },
      dropped: (call, scope) => journal?.resultDropped(this, call, scope)
    })
  }

  get saved(): SavedPool {
    const { name, incarnation } = this
    const { policy, fence, serial } = this.#keys
    return { name, incarnation, policy, fence, serial }
  }

  record(id: string): KeyRecord | RetiredRecord | undefined {
    return this.#keys.record(id)
  }

  /** From now on a key is what its record says, or unknown. The journal is not told. O(log n). */
  restore(id: string, record: KeyRecord | RetiredRecord | undefined): void {
    this.#keys.restore(id, record)
  }

  /** From now on a retry gets this result, or is a new call. The journal is not told. O(1). */
  restoreResult<C extends KeptCall>(call: C, scope: string, result: SavedResults[C] | undefined): void {
    this.#retries.restore(call, scope, result)
  }

  /** What was to be restored has been: keys that are free go to those who wait, and the pool is swept. */
  resume(): void {
    this.#recovers = false
    this.#tended(undefined)
  }

  get nextSweepAt(): number {
    return this.#recovers ? Infinity : Math.min(this.#keys.nextSweepAt, this.#retries.nextSweepAt)
  }

  get fence(): number {
    return this.#keys.fence
  }

  sweep(limit: number): boolean {
    const more = this.#retries.sweep(limit)
    return this.#tended(this.#keys.sweep(limit)) || more
  }

  view(): PoolView {
    const counts = this.#counts()
    return this.#tended({ name: this.name, policy: this.#keys.policy, counts, keyspace: this.#keys.keyspace() })
  }

  setPolicy(changes: Partial<Policy>): undefined | Refusal<'policy-locked' | 'max-hold-too-short'> {
    const outcome = this.#keys.setPolicy(changes)
    return typeof outcome === 'string' ? { refusal: outcome } : undefined
  }

  generate(
    { count, metadata }: { count: number; metadata: Metadata | null },
    retry?: Retry
  ): ReturnType<Engine['generate']> {
    return this.#makeKeys(retry, () => {
      const outcome = this.#keys.generate(count, metadata)
      if (outcome === 'keyspace-exhausted') return { refusal: outcome, remaining: this.#keys.keyspace().remaining }
      return outcome === 'pool-full' ? { refusal: outcome } : outcome
    })
  }

  importKeys(imports: readonly KeyImport[], retry?: Retry): ReturnType<Engine['importKeys']> {
    return this.#makeKeys(retry, () => {
      const outcome = this.#keys.importKeys(imports)
      return outcome === 'pool-full' ? { refusal: outcome } : outcome
    })
  }

  list(request: ListRequest): ReturnType<Engine['list']> {
    return this.#onceCaughtUp(() => {
      const outcome = this.#keys.list(request)
      return outcome === 'bad-cursor' ? { refusal: outcome } : outcome
    })
  }

  key(id: string, reveal?: boolean): KeyView | Refusal<'unknown-key'> {
    return this.#answer(this.#keys.get(id, reveal))
  }

  delete(id: string): 'deleted' | Refusal<'unknown-key'> {
    const outcome = this.#keys.delete(id)
    return outcome === 'deleted' ? this.#tended(outcome) : this.#answer(outcome)
  }

  keepAlive(id: string): KeyView | Refusal<'unknown-key'> {
    return this.#answer(this.#keys.keepAlive(id))
  }

  activate(id: string): { first: boolean; key: KeyView } | Refusal<'unknown-key'> {
    return this.#answer(this.#keys.activate(id))
  }

  setMetadata(id: string, metadata: Metadata | null): KeyView | Refusal<'unknown-key'> {
    return this.#answer(this.#keys.setMetadata(id, metadata))
  }

  unblock(id: string, fence?: number): 'unblocked' | Refusal<'unknown-key' | 'key-not-leased' | 'lease-lost'> {
    const outcome = this.#keys.unblock(id, fence)
    return outcome === 'unblocked' ? this.#tended(outcome) : this.#answer(outcome)
  }

  acquire(
    request: AcquireRequest & { waitMs?: number | undefined },
    context: { readonly retry?: Retry | undefined; readonly signal?: AbortSignal | undefined } = {}
  ): Answer<AcquireAnswer> {
    const { retry } = context
    if (retry === undefined) return this.#acquire(request, context)
    const { signal } = context
    // Who has left joins nobody.
    if (signal?.aborted) return this.#tended(this.#noFreeKey())
    return this.#retries.leases.once(retry, signal => this.#acquire(request, { signal }), signal)
  }

  /** A lease at once or a refusal, without regard to those who wait. */
  tryAcquire(request: AcquireRequest): LeaseView | Refusal<'no-free-key' | 'lease-too-long'> {
    const outcome = this.#keys.acquire(request)
    if (typeof outcome === 'object') return outcome
    return outcome === 'lease-too-long' ? { refusal: outcome } : this.#noFreeKey()
  }

  lease(leaseId: string, owner?: string): LeaseView | Refusal<'lease-lost' | 'forbidden'> {
    return this.#answer(this.#keys.lease(leaseId, { owner }))
  }

  renew(
    leaseId: string,
    request: RenewRequest
  ): LeaseView | Refusal<'lease-lost' | 'forbidden' | 'lease-too-long' | 'max-hold-reached'> {
    return this.#answer(this.#keys.renew(leaseId, request))
  }

  release(leaseId: string, request?: ReleaseRequest): 'released' | Refusal<'lease-lost' | 'forbidden'> {
    const outcome = this.#keys.release(leaseId, request)
    return outcome === 'released' ? this.#tended(outcome) : this.#answer(outcome)
  }

  batch(
    operations: readonly Operation[],
    { retry, owner }: { readonly retry?: Retry | undefined; readonly owner?: string | undefined } = {}
  ): ReturnType<Engine['batch']> {
    return this.#once(this.#retries.batches, retry, () => this.#onceCaughtUp(() => this.#operateAll(operations, owner)))
  }

  /** Nothing is swept any more: also refuses the verbs that wait for that. */
  close(): void {
    this.#closed = true
    this.dismiss({ refusal: 'draining' })
  }

  /** Refuses all who wait, and from now on those who would; for good, but for 'storage-unavailable'. */
  dismiss(refusal: Dismissal): void {
    this.#dismissed = graver(this.#dismissed, refusal)
    this.#waiters.dismiss(this.#dismissed)
    this.#goOn()
  }

  /** Storage is available again: callers may wait. */
  admit(): void {
    this.#dismissed = admitted(this.#dismissed)
  }

  /** The pool is no more: its waiters are refused, and its results make room for others. */
  end(): void {
    this.dismiss({ refusal: 'unknown-pool' })
    this.#retries.clear()
  }

  #acquire(
    request: AcquireRequest & { waitMs?: number | undefined },
    context: { readonly signal?: AbortSignal | undefined }
  ): Answer<AcquireAnswer> {
    const { waitMs = 0, leaseMs } = request
    // Before it waits: a request that the keys throw at would stop all who wait behind it.
    if (leaseMs !== undefined && !this.#keys.allowsLease(leaseMs)) return { refusal: 'lease-too-long' }
    this.#serve()
    const outcome = this.#waiters.size > 0 ? 'no-free-key' : this.#keys.acquire(request)
    if (typeof outcome === 'object') return this.#tended(outcome)
    if (waitMs === 0 && !this.#isBehind()) return this.#tended(this.#noFreeKey())
    if (this.#dismissed !== undefined) return this.#tended(this.#dismissed)
    if (this.#waiters.size >= MAX_WAITING) return this.#tended({ refusal: 'overloaded' })
    const { signal } = context
    if (signal?.aborted) return this.#tended(this.#noFreeKey())
    const { waiter, answer } = this.#waiters.wait(request, waitMs > 0)
    if (waitMs > 0) waiter.timer = this.#clock.after(waitMs, () => this.#timeOut(waiter))
    signal?.addEventListener('abort', () => this.#tended(this.#refuse(waiter)))
    return this.#tended(answer)
  }

  #timeOut(waiter: Waiter): void {
    this.#waiters.losePatience(waiter)
    this.#tended(undefined)
  }

  /** Gives keys to those who wait, the longest first, while there are any. */
  #serve(): void {
    for (let waiter = this.#waiters.first; waiter !== undefined; waiter = this.#waiters.first) {
      const outcome = this.#keys.acquire(waiter.request)
      if (outcome === 'behind') return
      if (outcome !== 'no-free-key') {
        this.#waiters.settle(waiter, outcome === 'lease-too-long' ? { refusal: outcome } : outcome)
        continue
      }
      const impatient = this.#waiters.firstImpatient
      if (impatient === undefined) return
      this.#refuse(impatient)
    }
  }

  /** The counts in its answer are of those who wait on. */
  #refuse(waiter: Waiter): void {
    this.#waiters.leave(waiter)
    waiter.answer(this.#noFreeKey())
  }

  #operateAll(operations: readonly Operation[], owner: string | undefined): Outcome[] | 'behind' {
    // One instant: what was not due when the batch began is not during it, so no operation finds the sweep behind.
    this.#instant = this.#clock.now()
    try {
      if (this.#keys.sweep(APPLIED_PER_CALL)) return 'behind'
      this.#serve()
      return operations.map(operation => operate(this, operation, owner))
    } finally {
      this.#instant = undefined
    }
  }

  #makeKeys<T extends { refusal: string }>(
    retry: Retry | undefined,
    verb: () => KeyView[] | T | 'behind'
  ): Answer<KeyView[] | T | Delayed | Refusal<'idempotency-key-reused'>> {
    return this.#once(this.#retries.keys, retry, () => this.#onceCaughtUp(verb))
  }

  #once<T, A extends T | { refusal: unknown }>(
    retries: Retries<T>,
    retry: Retry | undefined,
    run: () => Answer<A>
  ): Answer<A | T | Refusal<'idempotency-key-reused'>> {
    return retry === undefined ? run() : retries.once(retry, run)
  }

  #onceCaughtUp<T>(verb: () => T | 'behind'): Answer<T | Delayed> {
    const outcome = verb()
    if (outcome !== 'behind') return this.#tended(outcome)
    return this.#whenCaughtUp.length < MAX_WAITING ? this.#later(verb) : this.#tended({ refusal: 'overloaded' })
  }

  async #later<T>(verb: () => T | 'behind'): Promise<T | Delayed> {
    for (;;) {
      if (this.#closed) return { refusal: 'draining' }
      const caughtUp = new Promise<void>(goOn => this.#whenCaughtUp.push(goOn))
      this.#tended(undefined)
      await caughtUp
      if (this.#dismissed?.refusal === 'unknown-pool') return { refusal: 'unknown-pool' }
      const outcome = verb()
      if (outcome !== 'behind') return this.#tended(outcome)
    }
  }

  #goOn(): void {
    const waiting = this.#whenCaughtUp
    this.#whenCaughtUp = []
    for (const goOn of waiting) goOn()
  }

  #answer<A>(outcome: A): Exclude<A, string> | { refusal: Extract<A, keyof Refusals> } {
    return this.#tended(
      typeof outcome === 'string' ? { refusal: outcome as Extract<A, keyof Refusals> } : (outcome as Exclude<A, string>)
    )
  }

  /**
   * After a verb: keys that it freed go to those who wait, verbs go on that waited for due deadlines of which it applied
   * the last, and the sweep learns of new ones. Not inside a batch.
   */
  #tended<T>(answer: T): T {
    if (this.#instant === undefined) {
      if (this.#waiters.size > 0) this.#serve()
      if (this.#whenCaughtUp.length > 0 && !this.#isBehind()) this.#goOn()
      this.#wake(this)
    }
    return answer
  }

  #isBehind(): boolean {
    return this.#keys.nextSweepAt <= this.#clock.now()
  }

  #counts(): Counts {
    return { ...this.#keys.counts(), waiting: this.#waiters.size }
  }

  #noFreeKey(): Refusal<'no-free-key'> {
    const counts = this.#counts()
    return {
      refusal: 'no-free-key',
      reason: counts.total === 0 ? 'pool-empty' : 'all-held',
      retryAfterMs: this.#keys.nextFreeInMs(),
      counts
    }
  }
}
