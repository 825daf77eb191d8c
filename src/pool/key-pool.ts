import { Deadlines } from './deadlines.ts'
import type { Journal } from './journal.ts'
import { keyId } from './key-id.ts'
import { KEY_STATES, type KeyRecord, type KeyState, type Metadata, type RetiredRecord } from './key-record.ts'
import { Keyring } from './keyring.ts'
import {
  assertPolicy,
  DEFAULT_POLICY,
  isKey,
  longestHold,
  MAX_COOLDOWN_MS,
  MIN_LEASE_MS,
  type Policy
} from './policy.ts'
import { cryptoRandom, type Random } from './random.ts'
import { ACQUIRED_AT, FENCE, HOLD_MS, KEEP_ALIVE_BY, type Records, UNTIL } from './records.ts'
import {
  type Cursor,
  formatCursor,
  type KeyspaceView,
  type KeyView,
  type LeaseView,
  parseCursor,
  parseLeaseId,
  type PoolCounts,
  viewKey,
  viewLease
} from './views.ts'

export type { Journal } from './journal.ts'
export type { KeyRecord, KeyState, Metadata, RetiredRecord } from './key-record.ts'
export { DEFAULT_POLICY, type Policy } from './policy.ts'
export { cryptoRandom, type Random } from './random.ts'
export type { KeyspaceView, KeyView, LeaseView, PoolCounts } from './views.ts'

/** How many due deadlines of each kind a verb applies before it does its own work. */
const APPLIED_PER_VERB = 16

const NOBODY: Journal = { changed() {}, aged() {} }

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

export interface AcquireRequest {
  /** 100 … the policy's `leaseMs`, which it is where absent. */
  leaseMs?: number | undefined
  /** Who holds it, for people to read. */
  holder?: string | undefined
  /** Whose lease it is: verbs that are given another owner refuse it. Everybody's where absent. */
  owner?: string | undefined
}

export interface LeaseRequest {
  /** Also the secret. */
  reveal?: boolean | undefined
  /** Only where the lease is this one's, or everybody's; else 'forbidden'. */
  owner?: string | undefined
}

export interface RenewRequest {
  /** From now on, 100 … the policy's `leaseMs`; the length that the lease was acquired for where absent. */
  leaseMs?: number | undefined
  /** Also keep the key alive. */
  keepAlive?: boolean | undefined
  /** As in LeaseRequest. */
  owner?: string | undefined
}

export interface ReleaseRequest {
  /** For so long the key is not served: 0 … 86,400,000, 0 where absent. */
  cooldownMs?: number | undefined
  /** As in LeaseRequest. */
  owner?: string | undefined
}

export interface KeyImport {
  /** 1 … 512 visible ASCII characters. */
  key: string
  metadata?: Metadata | null | undefined
}

export interface ListRequest {
  /** Only the keys in this state. */
  state?: KeyState | undefined
  /** How many positions to look at, at most. */
  limit: number
  /** The last page's `nextCursor`. */
  cursor?: string | undefined
}

/**
 * A pool of keys that are lent out, one caller at a time.
 *
 * Both of a key's deadlines are exact on access, whether or not anybody sweeps: see Deadlines. After many deadlines have
 * passed at once, a verb that would refuse may answer 'behind' instead: sweep until that returns false, then ask again.
 *
 * All verbs are synchronous and O(log n) or better in the number of keys, but for `list` (O(page)), and for `generate`
 * and `importKeys` (times the number of keys). Expected refusals are values; nonsense throws a RangeError.
 */
export class KeyPool {
  readonly #clock: () => number
  readonly #random: Random
  readonly #ring: Keyring
  readonly #records: Records
  readonly #deadlines: Deadlines
  readonly #journal: Journal
  #policy: Readonly<Policy>
  #fence: number

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
    this.#policy = Object.freeze(whole)
    this.#clock = clock
    this.#random = random
    this.#fence = fence
    this.#journal = journal
    this.#ring = new Keyring(whole, random, serial)
    this.#records = this.#ring.records
    this.#deadlines = new Deadlines(this.#ring, journal)
  }

  get policy(): Readonly<Policy> {
    return this.#policy
  }

  /** The fence of the latest lease. */
  get fence(): number {
    return this.#fence
  }

  /** The serial of the latest key. */
  get serial(): number {
    return this.#ring.serial
  }

  /** The sizes of the two deadline heaps: each at most twice the number of living keys. */
  get heapSizes(): { holds: number; lives: number } {
    return this.#deadlines.heapSizes
  }

  /**
   * When to sweep next, Infinity for not before a verb. No deadline is earlier; it may turn out that nothing was due. O(1).
   */
  get nextSweepAt(): number {
    return this.#deadlines.next
  }

  /**
   * Applies up to `limit` deadlines that have passed, of each kind. Returns whether more are left. O(limit · log n).
   */
  sweep(limit: number): boolean {
    const now = this.#clock()
    this.#deadlines.apply(now, limit)
    return this.#deadlines.isBehind(now)
  }

  /**
   * Changes the policy; absent members keep their value. Applies to what happens next: no running lease or life ends,
   * shrinks or grows. 'policy-locked' where the shape of keys would change while one lives or is retired.
   */
  setPolicy(changes: Partial<Policy>): Readonly<Policy> | 'policy-locked' | 'max-hold-too-short' {
    const policy = { ...this.#policy, ...changes }
    assertPolicy(policy)
    if (longestHold(policy) < policy.leaseMs) return 'max-hold-too-short'
    const { alphabet, length, prefix } = this.#policy
    const reshaped = policy.alphabet !== alphabet || policy.length !== length || policy.prefix !== prefix
    if (reshaped && this.#ring.living + this.#ring.retired > 0) return 'policy-locked'
    this.#policy = Object.freeze(policy)
    if (reshaped) this.#ring.reshape(policy)
    return this.#policy
  }

  /** How many keys are in which state. Exact once the sweep is not behind. */
  counts(): PoolCounts {
    this.#deadlines.apply(this.#clock(), APPLIED_PER_VERB)
    return {
      total: this.#ring.living,
      free: this.#ring.count('free'),
      leased: this.#ring.count('leased'),
      cooling: this.#ring.count('cooling'),
      retired: this.#ring.retired
    }
  }

  keyspace(): KeyspaceView {
    const { spaceSize: size, unused: remaining } = this.#ring
    return size <= BigInt(Number.MAX_SAFE_INTEGER)
      ? { size: Number(size), remaining: Number(remaining) }
      : { size: size.toString(), remaining: remaining.toString() }
  }

  /** New random keys, all or none, in the answer with their secrets. */
  generate(count = 1, metadata: Metadata | null = null): KeyView[] | 'keyspace-exhausted' | 'pool-full' | 'behind' {
    if (!Number.isInteger(count) || count < 1) throw new RangeError('count must be an integer of at least 1')
    const now = this.#clock()
    this.#deadlines.apply(now, APPLIED_PER_VERB)
    if (this.#ring.unused < BigInt(count)) return 'keyspace-exhausted'
    const full = this.#isFullFor(count, now)
    if (full) return full
    const views: KeyView[] = []
    for (let i = 0; i < count; i++) views.push(this.#enter(this.#ring.generate(now), metadata, now))
    return views
  }

  /**
   * Keys that come from elsewhere, all or none; the same one twice throws. 'key-exists' and 'key-retired' come with the
   * indexes of all keys that live (or else: are retired) already.
   */
  importKeys(
    imports: readonly KeyImport[]
  ): KeyView[] | { refusal: 'key-exists' | 'key-retired'; indexes: number[] } | 'pool-full' | 'behind' {
    const now = this.#clock()
    this.#deadlines.apply(now, APPLIED_PER_VERB)
    if (new Set(imports.map(({ key }) => key)).size < imports.length)
      throw new RangeError('a key stands twice in the import')
    const existing: number[] = []
    const retired: number[] = []
    for (const [i, { key }] of imports.entries()) {
      if (!isKey(key)) throw new RangeError(`key ${i} must be 1 … 512 visible ASCII characters`)
      const id = keyId(key)
      if (this.#deadlines.find(id, now) !== undefined) existing.push(i)
      else if (this.#ring.isRetired(id)) retired.push(i)
    }
    if (existing.length > 0) return { refusal: 'key-exists', indexes: existing }
    if (retired.length > 0) return { refusal: 'key-retired', indexes: retired }
    const full = this.#isFullFor(imports.length, now)
    if (full) return full
    return imports.map(({ key, metadata = null }) => this.#enter(this.#ring.insert(key, now), metadata, now))
  }

  /** A key, with its secret if `reveal`. */
  get(id: string, reveal = false): KeyView | 'unknown-key' {
    const now = this.#clock()
    const slot = this.#deadlines.find(id, now)
    return slot === undefined ? 'unknown-key' : viewKey(this.#ring, slot, now, reveal)
  }

  /**
   * A page of keys in no particular order; `nextCursor` is null at the end. A key that keeps its state during the whole
   * walk is met at least once: see SlotSet. The only verb whose cost the caller chooses: O(limit).
   */
  list({
    state,
    limit,
    cursor
  }: ListRequest): { keys: KeyView[]; nextCursor: string | null } | 'bad-cursor' | 'behind' {
    const now = this.#clock()
    this.#deadlines.apply(now, APPLIED_PER_VERB)
    const scope = state === undefined ? 'all' : 'one'
    let next: Cursor | undefined = { scope, state: state ?? 'free', below: Infinity }
    if (cursor !== undefined) {
      next = parseCursor(cursor)
      if (next === undefined || next.scope !== scope || next.state !== (state ?? next.state)) return 'bad-cursor'
    }
    if (this.#deadlines.isBehind(now)) return 'behind'
    const keys: KeyView[] = []
    while (next !== undefined && keys.length < limit) {
      const below = Math.min(next.below, this.#ring.count(next.state))
      if (below > 0) {
        keys.push(viewKey(this.#ring, this.#ring.at(next.state, below - 1), now, false))
        next = { ...next, below: below - 1 }
      } else {
        const following: KeyState | undefined = KEY_STATES[KEY_STATES.indexOf(next.state) + 1]
        next = scope === 'all' && following !== undefined ? { scope, state: following, below: Infinity } : undefined
      }
    }
    return { keys, nextCursor: this.#cursorAt(next) }
  }

  /** A key's life ends on request, leased or not. Per policy it may come again, or is retired. */
  delete(id: string): 'deleted' | 'unknown-key' {
    const now = this.#clock()
    this.#deadlines.apply(now, APPLIED_PER_VERB)
    const slot = this.#deadlines.find(id, now)
    if (slot === undefined) return 'unknown-key'
    this.#deadlines.remove(slot, !this.#policy.reuseDeleted)
    this.#journal.changed(id)
    return 'deleted'
  }

  /** Moves the end of a key's life to now + `keepAliveMs`. Its lease, if any, is not touched. */
  keepAlive(id: string): KeyView | 'unknown-key' {
    const now = this.#clock()
    this.#deadlines.apply(now, APPLIED_PER_VERB)
    const slot = this.#deadlines.find(id, now)
    if (slot === undefined) return 'unknown-key'
    if (this.#live(slot, now)) this.#journal.changed(id)
    return viewKey(this.#ring, slot, now, false)
  }

  /** Marks a key as activated; `first` tells whether it was not before. */
  activate(id: string): { first: boolean; key: KeyView } | 'unknown-key' {
    const now = this.#clock()
    const slot = this.#deadlines.find(id, now)
    if (slot === undefined) return 'unknown-key'
    const first = this.#ring.activatedAt.get(slot) === 0
    if (first) {
      this.#ring.activatedAt.set(slot, now)
      this.#journal.changed(id)
    }
    return { first, key: viewKey(this.#ring, slot, now, false) }
  }

  setMetadata(id: string, metadata: Metadata | null): KeyView | 'unknown-key' {
    const now = this.#clock()
    const slot = this.#deadlines.find(id, now)
    if (slot === undefined) return 'unknown-key'
    if (metadata !== null || this.#ring.metadata.get(slot) !== undefined) {
      this.#ring.metadata.set(slot, freeze(metadata))
      this.#journal.changed(id)
    }
    return viewKey(this.#ring, slot, now, false)
  }

  /**
   * A lease of a free key, with its secret. Each free key is equally likely; of those whose hold ended a moment ago,
   * once the sweep has met them.
   */
  acquire({ leaseMs = this.#policy.leaseMs, holder, owner }: AcquireRequest = {}):
    LeaseView | 'no-free-key' | 'lease-too-long' | 'behind' {
    if (!this.allowsLease(leaseMs)) return 'lease-too-long'
    const now = this.#clock()
    this.#deadlines.apply(now, APPLIED_PER_VERB)
    for (let picked = 0; this.#ring.count('free') > 0; picked++) {
      // Where nothing is due, all that are left are alive: the next pick is the last.
      if (picked >= APPLIED_PER_VERB && this.#deadlines.isBehind(now)) return 'behind'
      const slot = this.#ring.at('free', this.#random.below(this.#ring.count('free')))
      if (this.#deadlines.isAlive(slot, now)) return this.#grant(slot, leaseMs, { holder, owner }, now)
      // Its life ended, and the sweep has not come by yet.
      this.#deadlines.retire(slot)
    }
    return this.#deadlines.isBehind(now) ? 'behind' : 'no-free-key'
  }

  /** Whether the policy allows a lease of this length in milliseconds; throws a RangeError where none would. */
  allowsLease(leaseMs: number): boolean {
    assertLength('leaseMs', leaseMs, MIN_LEASE_MS)
    return leaseMs <= this.#policy.leaseMs
  }

  /** A running lease. */
  lease(leaseId: string, { reveal = false, owner }: LeaseRequest = {}): LeaseView | 'lease-lost' | 'forbidden' {
    const now = this.#clock()
    const slot = this.#findLease(leaseId, now)
    if (slot === undefined) return 'lease-lost'
    if (!this.#ring.isOwnedBy(slot, owner)) return 'forbidden'
    return viewLease(this.#ring, slot, now, longestHold(this.#policy), reveal)
  }

  /** Moves a lease's deadline later, to max(present, min(now + leaseMs, acquiredAt + the longest hold)). */
  renew(
    leaseId: string,
    { leaseMs, keepAlive = false, owner }: RenewRequest = {}
  ): LeaseView | 'lease-lost' | 'forbidden' | 'lease-too-long' | 'max-hold-reached' {
    if (leaseMs !== undefined && !this.allowsLease(leaseMs)) return 'lease-too-long'
    const now = this.#clock()
    this.#deadlines.apply(now, APPLIED_PER_VERB)
    const slot = this.#findLease(leaseId, now)
    if (slot === undefined) return 'lease-lost'
    if (!this.#ring.isOwnedBy(slot, owner)) return 'forbidden'
    const until = this.#records.get(slot, UNTIL)
    const last = this.#records.get(slot, ACQUIRED_AT) + longestHold(this.#policy)
    if (until >= last) return 'max-hold-reached'
    const asked = now + (leaseMs ?? this.#records.get(slot, HOLD_MS))
    const renewed = Math.max(until, Math.min(asked, last))
    this.#records.set(slot, UNTIL, renewed)
    const livesOn = keepAlive && this.#live(slot, now)
    if (renewed !== until || livesOn) this.#journal.changed(this.#ring.idOf(slot))
    return viewLease(this.#ring, slot, now, longestHold(this.#policy), false)
  }

  /**
   * Ends a lease early; for `cooldownMs` the key is not served then. Repeating it is 'released' again, and changes
   * nothing, until somebody else leases the key.
   */
  release(leaseId: string, { cooldownMs = 0, owner }: ReleaseRequest = {}): 'released' | 'lease-lost' | 'forbidden' {
    if (cooldownMs !== 0) assertLength('cooldownMs', cooldownMs, 0, MAX_COOLDOWN_MS)
    const now = this.#clock()
    this.#deadlines.apply(now, APPLIED_PER_VERB)
    const named = parseLeaseId(leaseId)
    const slot = named && this.#deadlines.find(named.keyId, now)
    // A fence is forgotten when its lease ends otherwise, so one that is remembered for a key not leased was released.
    if (slot === undefined || this.#records.get(slot, FENCE) !== named?.fence) return 'lease-lost'
    if (!this.#ring.isOwnedBy(slot, owner)) return 'forbidden'
    if (this.#ring.stateOf(slot) !== 'leased') return 'released'
    this.#ring.forgetHolder(slot)
    this.#records.set(slot, HOLD_MS, cooldownMs)
    if (cooldownMs === 0) {
      this.#records.set(slot, UNTIL, now)
      this.#ring.move(slot, 'free')
    } else {
      this.#ring.move(slot, 'cooling')
      this.#deadlines.hold(slot, now + cooldownMs)
    }
    this.#journal.changed(this.#ring.idOf(slot))
    return 'released'
  }

  /**
   * Frees a key, whoever holds it and however long it would cool; with `fence`, only if that lease is the one to end.
   */
  unblock(id: string, fence?: number): 'unblocked' | 'unknown-key' | 'key-not-leased' | 'lease-lost' {
    const now = this.#clock()
    this.#deadlines.apply(now, APPLIED_PER_VERB)
    const slot = this.#deadlines.find(id, now)
    if (slot === undefined) return 'unknown-key'
    if (this.#ring.stateOf(slot) === 'free') return 'key-not-leased'
    if (fence !== undefined && this.#records.get(slot, FENCE) !== fence) return 'lease-lost'
    this.#records.set(slot, UNTIL, now)
    this.#deadlines.free(slot)
    this.#journal.changed(id)
    return 'unblocked'
  }

  /**
   * How long until the earliest lease or cooling ends, in milliseconds; null where there is none. It may be less than
   * the truth while many leases have just been renewed. O(log n).
   */
  nextFreeInMs(): number | null {
    return this.#deadlines.nextFreeInMs(this.#clock())
  }

  /** What lasts about an id, as the last verb left it: no deadline is applied. Undefined where nothing is known. O(1). */
  record(id: string): KeyRecord | RetiredRecord | undefined {
    return this.#ring.record(id)
  }

  /**
   * From now on the pool knows of this id what the record says, and nothing else: see `record`. Nobody is told. A deadline
   * that has passed is applied later, as any is; `fence` and `serial` may rise. O(log n).
   *
   * The id must be that of the record's key, which is not hashed again, and the place one of the key space. To go back to
   * a former policy, restore undefined for all that came since, set the policy, and restore the records then.
   */
  restore(id: string, record: KeyRecord | RetiredRecord | undefined): void {
    const known = this.#ring.find(id)
    if (known !== undefined) this.#deadlines.remove(known, false)
    else if (this.#ring.isRetired(id)) this.#ring.forgetRetired(id)
    if (record === undefined) return
    if ('place' in record) return this.#ring.restoreRetired(id, record)
    const slot = this.#ring.restore(id, record)
    if (record.metadata !== undefined) this.#ring.metadata.set(slot, freeze(record.metadata))
    this.#deadlines.arm(slot)
    this.#fence = Math.max(this.#fence, record.fence)
  }

  #isFullFor(count: number, now: number): 'pool-full' | 'behind' | undefined {
    if (this.#ring.living + count <= this.#policy.maxKeys) return undefined
    return this.#deadlines.isBehind(now) ? 'behind' : 'pool-full'
  }

  #findLease(leaseId: string, now: number): number | undefined {
    const named = parseLeaseId(leaseId)
    const slot = named && this.#deadlines.find(named.keyId, now)
    if (slot === undefined || this.#ring.stateOf(slot) !== 'leased') return undefined
    return this.#records.get(slot, FENCE) === named?.fence ? slot : undefined
  }

  #enter(slot: number, metadata: Metadata | null, now: number): KeyView {
    if (metadata !== null) this.#ring.metadata.set(slot, freeze(metadata))
    this.#live(slot, now)
    const view = viewKey(this.#ring, slot, now, true)
    this.#journal.changed(view.id)
    return view
  }

  /** Keeps a key alive. Returns whether the end of its life has moved. */
  #live(slot: number, now: number): boolean {
    const { keepAliveMs } = this.#policy
    const until = keepAliveMs === null ? Infinity : now + keepAliveMs
    if (this.#records.get(slot, KEEP_ALIVE_BY) === until) return false
    this.#deadlines.live(slot, until)
    return true
  }

  #grant(slot: number, leaseMs: number, { holder, owner }: AcquireRequest, now: number): LeaseView {
    this.#ring.move(slot, 'leased')
    this.#records.set(slot, ACQUIRED_AT, now)
    this.#records.set(slot, FENCE, ++this.#fence)
    this.#records.set(slot, HOLD_MS, leaseMs)
    if (holder !== undefined) this.#ring.holders.set(slot, holder)
    this.#ring.setOwner(slot, owner)
    this.#deadlines.hold(slot, now + leaseMs)
    const view = viewLease(this.#ring, slot, now, longestHold(this.#policy), true)
    this.#journal.changed(view.keyId)
    return view
  }

  #cursorAt(next: Cursor | undefined): string | null {
    return next === undefined
      ? null
      : formatCursor({ ...next, below: Math.min(next.below, this.#ring.count(next.state)) })
  }
}

/** A copy that nobody can change behind the pool's back. */
function freeze(metadata: Metadata | null): Metadata | undefined {
  return metadata === null ? undefined : Object.freeze({ ...metadata })
}

function assertLength(name: string, value: number, min: number, max = Infinity): void {
  if (!Number.isInteger(value) || value < min || value > max) {
    throw new RangeError(
      `${name} must be an integer of at least ${min}${max === Infinity ? '' : ` and at most ${max}`}`
    )
  }
}
