import type { Clock } from '../clock.ts'
import type { Answer, Delayed, Engine, Operation, Outcome, PoolView, Refusal, Retry } from '../engine.ts'
import {
  type AcquireRequest,
  type KeyImport,
  KeyPool,
  type KeyRecord,
  type KeyView,
  type ListRequest,
  type Metadata,
  type Policy,
  type Random,
  type RetiredRecord
} from '../pool/key-pool.ts'
import { operate } from './batch.ts'
import { DelayedVerbs } from './delayed-verbs.ts'
import type { Dismissal } from './dismissal.ts'
import type { EngineJournal, JournaledPool, KeptCall, SavedPool, SavedResults } from './engine-journal.ts'
import type { KeptLimit } from './kept-limit.ts'
import { KeyVerbs } from './key-verbs.ts'
import { Line } from './line.ts'
import { PoolRetries } from './pool-retries.ts'
import type { Retries } from './retries.ts'
import type { Sweepable } from './sweeper.ts'
import type { Turns } from './turns.ts'
import type { AcquireAnswer } from './waiters.ts'

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
  /** What all pools together may answer without a pause. */
  turns: Turns
  /** Of the results of calls on keys, in all pools. */
  limit: KeptLimit
  journal: EngineJournal | undefined
}

/**
 * One pool of the engine: its keys, the callers that wait for one, and the results of calls with an Idempotency-Key. A verb
 * that finds due deadlines left which might change its answer waits for the sweep to apply them.
 */
export class MemoryPool implements Sweepable, JournaledPool {
  readonly name: string
  readonly incarnation: number
  readonly #clock: Clock
  readonly #keys: KeyPool
  readonly #verbs: KeyVerbs
  readonly #line: Line
  readonly #delayed: DelayedVerbs
  readonly #retries: PoolRetries
  readonly #wake: (pool: Sweepable) => void
  /** During a batch, the instant at which all of it happens. */
  #instant: number | undefined
  /** Not to be swept: not wholly restored yet, or ended. */
  #isStill: boolean
  #closed = false

  constructor({ saved, recovers, clock, random, wake, turns, limit, journal }: MemoryPoolOptions) {
    const { policy, fence, serial } = saved
    this.name = saved.name
    this.incarnation = saved.incarnation
    this.#isStill = recovers
    this.#clock = clock
    this.#wake = wake
    const keys = new KeyPool({
      policy,
      fence,
      serial,
      random,
      clock: () => this.#instant ?? clock.now(),
      journal: { changed: id => journal?.keyChanged(this, id), aged: id => journal?.keyAged(this, id) }
    })
    this.#keys = keys
    const verbs = new KeyVerbs(keys, () => this.#line.size)
    this.#verbs = verbs
    const goOn = (): void => this.#tend(0)
    this.#line = new Line({ keys, verbs, clock, turns, goOn })
    this.#delayed = new DelayedVerbs(turns, goOn)
    this.#retries = new PoolRetries({
      keys,
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

  /** Every life ends so many milliseconds later. The journal is not told. O(n). */
  postponeLives(ms: number): void {
    this.#keys.postponeLives(ms)
  }

  /** What was to be restored has been: keys that are free go to those who wait, and the pool is swept. */
  resume(): void {
    this.#isStill = false
    this.#tend(0)
  }

  get nextSweepAt(): number {
    return this.#isStill ? Infinity : Math.min(this.#keys.nextSweepAt, this.#retries.nextSweepAt)
  }

  get fence(): number {
    return this.#keys.fence
  }

  sweep(limit: number): boolean {
    const keysLeft = this.#keys.sweep(limit)
    const resultsLeft = this.#retries.sweep(limit)
    this.#tend(0)
    return keysLeft || resultsLeft
  }

  view(): PoolView {
    const counts = this.#verbs.counts()
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
    }, false)
  }

  /** A verb on one key or lease. */
  ask<T>(verb: (verbs: KeyVerbs) => T): T {
    return this.#tended(verb(this.#verbs))
  }

  acquire(
    request: AcquireRequest & { waitMs?: number | undefined },
    context: { readonly retry?: Retry | undefined; readonly signal?: AbortSignal | undefined } = {}
  ): Answer<AcquireAnswer> {
    const { retry } = context
    if (retry === undefined) return this.#acquire(request, context)
    const { signal } = context
    // Who has left joins nobody.
    if (signal?.aborted) return this.#tended(this.#verbs.noFreeKey())
    return this.#retries.leases.once(retry, signal => this.#acquire(request, { signal }), signal)
  }

  batch(
    operations: readonly Operation[],
    { retry, owner }: { readonly retry?: Retry | undefined; readonly owner?: string | undefined } = {}
  ): ReturnType<Engine['batch']> {
    return this.#once(this.#retries.batches, retry, () =>
      this.#onceCaughtUp(() => this.#operateAll(operations, owner), true)
    )
  }

  /** Refuses all who wait, and from now on those who would; for good, but for 'storage-unavailable'. */
  dismiss(refusal: Dismissal): void {
    this.#line.dismiss(refusal)
    this.#tend(0)
  }

  /** Storage is available again: callers may wait. */
  admit(): void {
    this.#line.admit()
  }

  /** Nothing is swept any more: also refuses the verbs that wait for that. */
  close(): void {
    this.#closed = true
    this.dismiss({ refusal: 'draining' })
  }

  /** The pool is no more: its waiters are refused, and its results make room for others. */
  end(): void {
    this.#isStill = true
    this.#retries.clear()
    this.dismiss({ refusal: 'unknown-pool' })
  }

  #acquire(
    request: AcquireRequest & { waitMs?: number | undefined },
    context: { readonly signal?: AbortSignal | undefined }
  ): Answer<AcquireAnswer> {
    const answer = this.#line.acquire(request, context)
    this.#tend(0)
    return answer
  }

  #operateAll(operations: readonly Operation[], owner: string | undefined): Outcome[] | 'behind' {
    // One instant: what was not due when the batch began is not during it, so no operation finds the sweep behind.
    this.#instant = this.#clock.now()
    try {
      if (this.#keys.sweep(APPLIED_PER_CALL)) return 'behind'
      this.#line.serve(1)
      if (this.#line.isInterrupted) return 'behind'
      return operations.map(operation => operate(this.#verbs, operation, owner))
    } finally {
      this.#instant = undefined
    }
  }

  #makeKeys<T extends { refusal: string }>(
    retry: Retry | undefined,
    verb: () => KeyView[] | T | 'behind'
  ): Answer<KeyView[] | T | Delayed | Refusal<'idempotency-key-reused' | 'storage-unavailable'>> {
    return this.#once(this.#retries.keys, retry, () => this.#onceCaughtUp(verb, true))
  }

  #once<T, A extends T | { refusal: unknown }>(
    retries: Retries<T>,
    retry: Retry | undefined,
    run: () => Answer<A>
  ): Answer<A | T | Refusal<'idempotency-key-reused'>> {
    return retry === undefined ? run() : retries.once(retry, run)
  }

  /** `writes`: the verb may not go on while storage is unavailable. */
  #onceCaughtUp<T>(verb: () => T | 'behind', writes: boolean): Answer<T | Delayed | Refusal<'storage-unavailable'>> {
    const outcome = verb()
    if (outcome !== 'behind') return this.#tended(outcome)
    return this.#tended(this.#delayed.add(() => (writes && this.#unavailable()) || verb()))
  }

  #unavailable(): Refusal<'storage-unavailable'> | undefined {
    const { dismissed } = this.#line
    return dismissed?.refusal === 'storage-unavailable' ? dismissed : undefined
  }

  #tended<T>(answer: T): T {
    this.#tend(1)
    return answer
  }

  /**
   * After whatever happened: keys that it freed go to those who wait, verbs go on that waited for due deadlines of which
   * it applied the last, and the sweep learns of new ones. As far as the turn goes, but for `owed` of those who wait.
   */
  #tend(owed: number): void {
    this.#line.serve(owed)
    const refusal = this.#refusalOfDelayed()
    if (this.#delayed.size > 0 && (refusal !== undefined || this.#keys.nextSweepAt > this.#clock.now())) {
      this.#delayed.go(refusal)
      this.#line.serve(0)
    }
    this.#wake(this)
  }

  /** Draining does not cut short what only waits for the sweep. */
  #refusalOfDelayed(): Refusal<'draining' | 'unknown-pool'> | undefined {
    const { dismissed } = this.#line
    if (dismissed?.refusal === 'unknown-pool') return dismissed
    return this.#closed ? { refusal: 'draining' } : undefined
  }
}
