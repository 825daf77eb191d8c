import type { Clock } from '../clock.ts'
import {
  type Answer,
  type Counts,
  type Delayed,
  type Engine,
  KEPT_MS,
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
  type KeyView,
  type LeaseView,
  type ListRequest,
  type Metadata,
  type Policy,
  type Random,
  type ReleaseRequest,
  type RenewRequest
} from '../pool/key-pool.ts'
import { type BatchVerbs, type KeptOutcome, keepOutcome, operate, replayOutcome } from './batch.ts'
import { type Replay, Retries } from './retries.ts'
import type { Sweepable } from './sweeper.ts'
import { type AcquireAnswer, type Waiter, Waiters } from './waiters.ts'

/** How many due deadlines of each kind are applied before a batch. */
const APPLIED_PER_CALL = 16

/** A result that is kept for retries: what it was made of, not what it showed. */
export interface KeptResult {
  until: number
  /** Of generated or imported keys. */
  ids: string[]
  /** Of a batch. */
  outcomes: KeptOutcome[]
}

export interface MemoryPoolOptions {
  name: string
  /** The largest fence that this name has had. */
  fence: number
  clock: Clock
  random: Random
  /** Told when this pool may have set a deadline. */
  wake: (pool: Sweepable) => void
  /** The results of calls on keys, which all pools share. */
  results: Retries<KeptResult>
  /** Tells this pool from others that had its name. */
  incarnation: number
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
export class MemoryPool implements Sweepable, BatchVerbs {
  readonly #name: string
  readonly #clock: Clock
  readonly #keys: KeyPool
  readonly #wake: (pool: Sweepable) => void
  readonly #waiters = new Waiters()
  readonly #leases = new Retries<string>(leaseId => typeof this.#keys.lease(leaseId) === 'string')
  readonly #results: Retries<KeptResult>
  readonly #incarnation: number
  /** During a batch, the instant at which all of it happens. */
  #instant: number | undefined
  #whenCaughtUp: (() => void)[] = []
  #dismissed: Refusal<'unknown-pool' | 'draining'> | undefined
  #closed = false

  constructor({ name, fence, clock, random, wake, results, incarnation }: MemoryPoolOptions) {
    this.#name = name
    this.#clock = clock
    this.#keys = new KeyPool({ fence, random, clock: () => this.#instant ?? clock.now() })
    this.#wake = wake
    this.#results = results
    this.#incarnation = incarnation
  }

  get nextSweepAt(): number {
    return this.#keys.nextSweepAt
  }

  get fence(): number {
    return this.#keys.fence
  }

  sweep(limit: number): boolean {
    return this.#tended(this.#keys.sweep(limit))
  }

  view(): PoolView {
    const counts = this.#counts()
    return this.#tended({ name: this.#name, policy: this.#keys.policy, counts, keyspace: this.#keys.keyspace() })
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
    const replay: Replay<LeaseView, string> = {
      keep: lease => ({ result: lease.id, weight: 1 }),
      again: leaseId => this.runningLease(leaseId, true)
    }
    return this.#leases.once<AcquireAnswer>(retry, replay, signal => this.#acquire(request, { signal }), signal)
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

  runningLease(leaseId: string, reveal: boolean): LeaseView | null {
    const lease = this.#keys.lease(leaseId, { reveal })
    return typeof lease === 'string' ? null : lease
  }

  livingKey(id: string, reveal = false): KeyView | null {
    const key = this.#keys.get(id, reveal)
    return typeof key === 'string' ? null : key
  }

  batch(
    operations: readonly Operation[],
    { retry, owner }: { readonly retry?: Retry | undefined; readonly owner?: string | undefined } = {}
  ): ReturnType<Engine['batch']> {
    const replay: Replay<Outcome[], KeptResult> = {
      keep: outcomes => ({ result: this.#kept({ outcomes: outcomes.map(keepOutcome) }), weight: outcomes.length }),
      again: ({ outcomes }) => outcomes.map(outcome => replayOutcome(this, outcome))
    }
    return this.#once('batch', retry, replay, () => this.#onceCaughtUp(() => this.#operateAll(operations, owner)))
  }

  /** Nothing is swept any more: also refuses the verbs that wait for that. */
  close(): void {
    this.#closed = true
    this.dismiss({ refusal: 'draining' })
  }

  /** Refuses all who wait, and from now on those who would. */
  dismiss(refusal: Refusal<'unknown-pool' | 'draining'>): void {
    this.#dismissed = refusal
    this.#waiters.dismiss(refusal)
    this.#goOn()
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
    const replay: Replay<KeyView[], KeptResult> = {
      keep: keys => ({ result: this.#kept({ ids: keys.map(({ id }) => id) }), weight: keys.length }),
      again: ({ ids }) => ids.map(id => this.livingKey(id, true)).filter(key => key !== null)
    }
    return this.#once('keys', retry, replay, () => this.#onceCaughtUp(verb))
  }

  #once<T, V extends Exclude<T, { refusal: unknown }>>(
    call: string,
    retry: Retry | undefined,
    replay: Replay<V, KeptResult>,
    run: () => Answer<T>
  ): Answer<T | Refusal<'idempotency-key-reused'>> {
    if (retry === undefined) return run()
    const scope = `${call} ${this.#incarnation} ${retry.scope}`
    return this.#results.once({ ...retry, scope }, replay as Replay<Exclude<T, { refusal: unknown }>, KeptResult>, run)
  }

  #kept(result: { ids: string[] } | { outcomes: KeptOutcome[] }): KeptResult {
    return { until: this.#clock.now() + KEPT_MS, ids: [], outcomes: [], ...result }
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
