import { checkInteger } from './arguments.ts'
import type { Journal } from './journal.ts'
import type { KeyRecord, Metadata, RetiredRecord } from './key-record.ts'
import { type AcquireRequest, type LeaseRequest, Leases, type ReleaseRequest, type RenewRequest } from './leases.ts'
import { listKeys, type ListRequest } from './listing.ts'
import { type KeyImport, Lives } from './lives.ts'
import { assertPolicy, DEFAULT_POLICY, longestHold, type Policy } from './policy.ts'
import { PoolState } from './pool-state.ts'
import { cryptoRandom, type Random } from './random.ts'
import { eraseRecord, readRecord, writeRecord } from './recorder.ts'
import { type KeyspaceView, type KeyView, type LeaseView, type PoolCounts, viewKeyspace } from './views.ts'

export type { Journal } from './journal.ts'
export type { KeyRecord, KeyState, Metadata, RetiredRecord } from './key-record.ts'
export type { AcquireRequest, LeaseRequest, ReleaseRequest, RenewRequest } from './leases.ts'
export type { ListRequest } from './listing.ts'
export type { KeyImport } from './lives.ts'
export { DEFAULT_POLICY, type Policy } from './policy.ts'
export { cryptoRandom, type Random } from './random.ts'
export type { KeyspaceView, KeyView, LeaseView, PoolCounts } from './views.ts'

const NOBODY: Journal = { changed() {}, aged() {} }
const NOTHING = Object.freeze({})

export interface KeyPoolOptions {
  /** Members that are absent have their default. */
  policy?: Partial<Policy>
  /** The present instant: milliseconds since 1970 as a whole number that never goes back. */
  clock: () => number
  /** Node's cryptographic source by default. */
  random?: Random
  /** The largest fence that this pool's name has had: the first lease's is one more. 0 by default. */
  fence?: number
  /** The largest serial that this pool has given: the first key's is one more. 0 by default. */
  serial?: number
  /** Who is told of what is to last. Nobody by default. */
  journal?: Journal
}

/**
 * A pool of keys that are lent out, one caller at a time.
 *
 * Both of a key's deadlines are exact on access, whether or not anybody sweeps: see Deadlines. After many deadlines have
 * passed at once, a verb that would refuse may answer 'behind' instead: sweep until that returns false, then ask again.
 *
 * All verbs are synchronous and O(log n) or better in the number of keys, but for `list` (O(page)), and for `generate`
 * and `importKeys` (times the number of keys). Expected refusals are values. An argument of a wrong type or out of its
 * range throws a TypeError or a RangeError that names it, and nothing is changed.
 */
export class KeyPool {
  readonly #state: PoolState
  readonly #lives: Lives
  readonly #leases: Leases

  constructor({
    policy = {},
    clock,
    random = cryptoRandom(),
    fence = 0,
    serial = 0,
    journal = NOBODY
  }: KeyPoolOptions) {
    const whole = { ...DEFAULT_POLICY, ...policy }
    assertPolicy(whole)
    if (longestHold(whole) < whole.leaseMs) throw new RangeError('maxHoldMs must be null or at least leaseMs')
    checkInteger('fence', fence, 0)
    checkInteger('serial', serial, 0)
    this.#state = new PoolState(Object.freeze(whole), clock, random, journal, serial)
    this.#lives = new Lives(this.#state)
    this.#leases = new Leases(this.#state, fence)
  }

  get policy(): Readonly<Policy> {
    return this.#state.policy
  }

  /** The fence of the latest lease. */
  get fence(): number {
    return this.#leases.fence
  }

  /** The serial of the latest key. */
  get serial(): number {
    return this.#state.ring.serial
  }

  /** The sizes of the two deadline heaps: each at most twice the number of living keys. */
  get heapSizes(): { holds: number; lives: number } {
    return this.#state.deadlines.heapSizes
  }

  /**
   * When to sweep next, Infinity for not before a verb. No deadline is earlier; it may turn out that nothing was due. O(1).
   */
  get nextSweepAt(): number {
    return this.#state.deadlines.next
  }

  /**
   * Applies up to `limit` deadlines that have passed, of each kind. Returns whether more are left. O(limit · log n).
   */
  sweep(limit: number): boolean {
    checkInteger('limit', limit, 0)
    const now = this.#state.clock()
    this.#state.deadlines.apply(now, limit)
    return this.#state.deadlines.isBehind(now)
  }

  /**
   * Changes the policy; absent members keep their value. Applies to what happens next: no running lease or life ends,
   * shrinks or grows. 'policy-locked' where the shape of keys would change while one lives or is retired.
   */
  setPolicy(changes: Partial<Policy>): Readonly<Policy> | 'policy-locked' | 'max-hold-too-short' {
    const policy = { ...this.#state.policy, ...changes }
    assertPolicy(policy)
    if (longestHold(policy) < policy.leaseMs) return 'max-hold-too-short'
    const { alphabet, length, prefix } = this.#state.policy
    const reshaped = policy.alphabet !== alphabet || policy.length !== length || policy.prefix !== prefix
    if (reshaped && this.#state.ring.living + this.#state.ring.retired > 0) return 'policy-locked'
    this.#state.policy = Object.freeze(policy)
    if (reshaped) this.#state.ring.reshape(policy)
    return this.#state.policy
  }

  /** How many keys are in which state. Exact once the sweep is not behind. */
  counts(): PoolCounts {
    const { ring } = this.#state
    this.#state.begin()
    return {
      total: ring.living,
      free: ring.count('free'),
      leased: ring.count('leased'),
      cooling: ring.count('cooling'),
      retired: ring.retired
    }
  }

  keyspace(): KeyspaceView {
    const { spaceSize, unused } = this.#state.ring
    return viewKeyspace(spaceSize, unused)
  }

  /** New random keys, all or none, in the answer with their secrets. */
  generate(count = 1, metadata: Metadata | null = null): KeyView[] | 'keyspace-exhausted' | 'pool-full' | 'behind' {
    return this.#lives.generate(count, metadata)
  }

  /**
   * Keys that come from elsewhere, all or none; the same one twice throws. 'key-exists' and 'key-retired' come with the
   * indexes of all keys that live (or else: are retired) already.
   */
  importKeys(
    imports: readonly KeyImport[]
  ): KeyView[] | { refusal: 'key-exists' | 'key-retired'; indexes: number[] } | 'pool-full' | 'behind' {
    return this.#lives.importKeys(imports)
  }

  /** A key, with its secret if `reveal`. */
  get(id: string, reveal = false): KeyView | 'unknown-key' {
    return this.#lives.get(id, reveal)
  }

  /**
   * A page of keys in no particular order; `nextCursor` is null at the end. A key that keeps its state during the whole
   * walk is met at least once: see SlotSet. The only verb whose cost the caller chooses: O(limit).
   */
  list(request: ListRequest): { keys: KeyView[]; nextCursor: string | null } | 'bad-cursor' | 'behind' {
    return listKeys(this.#state, request)
  }

  /** A key's life ends on request, leased or not. Per policy it may come again, or is retired. */
  delete(id: string): 'deleted' | 'unknown-key' {
    return this.#lives.delete(id)
  }

  /** Moves the end of a key's life to now + `keepAliveMs`. Its lease, if any, is not touched. */
  keepAlive(id: string): KeyView | 'unknown-key' {
    return this.#lives.keepAlive(id)
  }

  /** Marks a key as activated; `first` tells whether it was not before. */
  activate(id: string): { first: boolean; key: KeyView } | 'unknown-key' {
    return this.#lives.activate(id)
  }

  /** Replaces what is written on a key: a flat object of strings, or null for nothing. */
  setMetadata(id: string, metadata: Metadata | null): KeyView | 'unknown-key' {
    return this.#lives.setMetadata(id, metadata)
  }

  /**
   * A lease of a free key, with its secret. Each free key is equally likely; of those whose hold ended a moment ago,
   * once the sweep has met them.
   */
  acquire(request: AcquireRequest = NOTHING): LeaseView | 'no-free-key' | 'lease-too-long' | 'behind' {
    return this.#leases.acquire(request)
  }

  /** Whether the policy allows a lease of this length in milliseconds; throws a RangeError where none would. */
  allowsLease(leaseMs: number): boolean {
    return this.#leases.allows(leaseMs)
  }

  /** A running lease. */
  lease(leaseId: string, request: LeaseRequest = NOTHING): LeaseView | 'lease-lost' | 'forbidden' {
    return this.#leases.get(leaseId, request)
  }

  /** Moves a lease's deadline later, to max(present, min(now + leaseMs, acquiredAt + the longest hold)). */
  renew(
    leaseId: string,
    request: RenewRequest = NOTHING
  ): LeaseView | 'lease-lost' | 'forbidden' | 'lease-too-long' | 'max-hold-reached' {
    return this.#leases.renew(leaseId, request)
  }

  /**
   * Ends a lease early; for `cooldownMs` the key is not served then. Repeating it is 'released' again, and changes
   * nothing, until somebody else leases the key.
   */
  release(leaseId: string, request: ReleaseRequest = NOTHING): 'released' | 'lease-lost' | 'forbidden' {
    return this.#leases.release(leaseId, request)
  }

  /**
   * Frees a key, whoever holds it and however long it would cool; with `fence`, only if that lease is the one to end.
   */
  unblock(id: string, fence?: number): 'unblocked' | 'unknown-key' | 'key-not-leased' | 'lease-lost' {
    return this.#leases.unblock(id, fence)
  }

  /**
   * How long until the earliest lease or cooling ends, in milliseconds; null where there is none. It may be less than
   * the truth while many leases have just been renewed. O(log n).
   */
  nextFreeInMs(): number | null {
    return this.#state.deadlines.nextFreeInMs(this.#state.clock())
  }

  /** What lasts about an id, as the last verb left it: no deadline is applied. Undefined where nothing is known. O(1). */
  record(id: string): KeyRecord | RetiredRecord | undefined {
    return readRecord(this.#state.ring, id)
  }

  /**
   * From now on the pool knows of this id what the record says, and nothing else: see `record`. Nobody is told. A deadline
   * that has passed is applied later, as any is; `fence` and `serial` may rise. O(log n).
   *
   * The id must be that of the record's key, which is not hashed again, and the place one of the key space. To go back to
   * a former policy, restore undefined for all that came since, set the policy, and restore the records then.
   */
  restore(id: string, record: KeyRecord | RetiredRecord | undefined): void {
    eraseRecord(this.#state, id)
    if (record === undefined) return
    if ('place' in record) return this.#state.ring.admitRetired(id, record.place)
    writeRecord(this.#state, id, record)
    this.#leases.raiseFence(record.fence)
  }

  /**
   * Every life ends so many milliseconds later, also one that should have ended by now: for a time in which nobody could
   * keep a key alive. Tells no journal. O(n).
   */
  postponeLives(ms: number): void {
    this.#state.deadlines.postponeLives(ms)
  }
}
