import { keyId } from '../../src/pool/key-id.ts'
import type {
  KeyPool,
  KeyspaceView,
  KeyState,
  KeyView,
  LeaseView,
  Metadata,
  Policy,
  PoolCounts
} from '../../src/pool/key-pool.ts'

interface NaiveKey {
  readonly id: string
  readonly key: string
  readonly serial: number
  readonly createdAt: number
  activatedAt: number | null
  keepAliveBy: number
  state: KeyState
  until: number
  acquiredAt: number
  leaseMs: number
  releasedAt: number
  fence: number
  holder: string | null
  owner: string | undefined
  metadata: Metadata | null
  /** How often its state changed. */
  moves: number
}

/**
 * What a KeyPool should answer, word for word: a plain list, scanned anew for each verb. It draws nothing by itself, but is
 * told what the pool drew, and throws where that was not to be drawn. It never is behind.
 */
export class NaivePool {
  readonly #clock: () => number
  #keys: NaiveKey[] = []
  #retired = new Set<string>()
  policy: Policy
  serial = 0
  fence = 0

  constructor(policy: Policy, clock: () => number) {
    this.policy = policy
    this.#clock = clock
  }

  /** Another that knows the same, from now on for itself. */
  copy(): NaivePool {
    const copy = new NaivePool(this.policy, this.#clock)
    copy.#keys = this.#keys.map(key => ({ ...key }))
    copy.#retired = new Set(this.#retired)
    copy.serial = this.serial
    copy.fence = this.fence
    return copy
  }

  /** The living keys, the newest last. */
  keys(): readonly NaiveKey[] {
    const now = this.#clock()
    for (const key of this.#keys) {
      if (key.keepAliveBy <= now) this.#retired.add(key.key)
      else if (key.state !== 'free' && key.until <= now) this.#free(key)
    }
    this.#keys = this.#keys.filter(({ keepAliveBy }) => keepAliveBy > now)
    return this.#keys
  }

  /** When the first deadline of all passes. */
  get nextDeadline(): number {
    return Math.min(Infinity, ...this.keys().flatMap(key => [key.keepAliveBy, this.#heldUntil(key)]))
  }

  setPolicy(changes: Partial<Policy>): ReturnType<KeyPool['setPolicy']> {
    const policy = { ...this.policy, ...changes }
    if (policy.maxHoldMs !== null && policy.maxHoldMs < policy.leaseMs) return 'max-hold-too-short'
    const reshaped = (['alphabet', 'length', 'prefix'] as const).some(name => policy[name] !== this.policy[name])
    if (reshaped && this.keys().length + this.#retired.size > 0) return 'policy-locked'
    return (this.policy = policy)
  }

  counts(): PoolCounts {
    const keys = this.keys()
    const count = (state: KeyState): number => keys.filter(key => key.state === state).length
    return {
      total: keys.length,
      free: count('free'),
      leased: count('leased'),
      cooling: count('cooling'),
      retired: this.#retired.size
    }
  }

  keyspace(): KeyspaceView {
    const size = BigInt(this.policy.alphabet.length) ** BigInt(this.policy.length)
    const remaining = size - BigInt(this.#used.filter(key => this.#isOfSpace(key)).length)
    return size < 2n ** 53n
      ? { size: Number(size), remaining: Number(remaining) }
      : { size: `${size}`, remaining: `${remaining}` }
  }

  generate(count: number, metadata: Metadata | null, drawn: readonly string[]): ReturnType<KeyPool['generate']> {
    if (BigInt(this.keyspace().remaining) < count) return 'keyspace-exhausted'
    if (this.keys().length + count > this.policy.maxKeys) return 'pool-full'
    if (drawn.length !== count) throw new Error(`${drawn.length} keys, not ${count}`)
    return drawn.map(key => {
      if (!this.#isOfSpace(key)) throw new Error(`${key} is not of the space`)
      if (this.#used.includes(key)) throw new Error(`${key} was used`)
      return this.#insert(key, metadata)
    })
  }

  importKeys(keys: readonly string[], metadata: Metadata | null): ReturnType<KeyPool['importKeys']> {
    const indexesOf = (used: Iterable<string>): number[] => {
      const set = new Set(used)
      return [...keys.keys()].filter(i => set.has(keys[i] as string))
    }
    const existing = indexesOf(this.keys().map(({ key }) => key))
    if (existing.length > 0) return { refusal: 'key-exists', indexes: existing }
    const retired = indexesOf(this.#retired)
    if (retired.length > 0) return { refusal: 'key-retired', indexes: retired }
    if (this.keys().length + keys.length > this.policy.maxKeys) return 'pool-full'
    return keys.map(key => this.#insert(key, metadata))
  }

  get(id: string, reveal = false): KeyView | 'unknown-key' {
    const key = this.#find(id)
    return key === undefined ? 'unknown-key' : this.#view(key, reveal)
  }

  delete(id: string): 'deleted' | 'unknown-key' {
    const deleted = this.#find(id)
    if (deleted === undefined) return 'unknown-key'
    this.#keys = this.#keys.filter(key => key !== deleted)
    if (!this.policy.reuseDeleted) this.#retired.add(deleted.key)
    return 'deleted'
  }

  keepAlive(id: string): KeyView | 'unknown-key' {
    const key = this.#find(id)
    if (key === undefined) return 'unknown-key'
    key.keepAliveBy = this.#clock() + (this.policy.keepAliveMs ?? Infinity)
    return this.#view(key, false)
  }

  activate(id: string): { first: boolean; key: KeyView } | 'unknown-key' {
    const key = this.#find(id)
    if (key === undefined) return 'unknown-key'
    const first = key.activatedAt === null
    key.activatedAt ??= this.#clock()
    return { first, key: this.#view(key, false) }
  }

  setMetadata(id: string, metadata: Metadata | null): KeyView | 'unknown-key' {
    const key = this.#find(id)
    if (key === undefined) return 'unknown-key'
    key.metadata = metadata
    return this.#view(key, false)
  }

  /** `picked` is the key's id, absent where the pool found none. */
  acquire(leaseMs = this.policy.leaseMs, holder: string | null, owner?: string, picked?: string): LeaseView | string {
    if (leaseMs > this.policy.leaseMs) return 'lease-too-long'
    const free = this.keys().filter(({ state }) => state === 'free')
    if (free.length === 0) return 'no-free-key'
    const key = free.find(({ id }) => id === picked)
    if (key === undefined) throw new Error(`${picked} is not one of the free ${free.map(({ id }) => id)}`)
    const acquiredAt = this.#clock()
    this.#move(key, 'leased')
    Object.assign(key, { holder, owner, leaseMs, acquiredAt, until: acquiredAt + leaseMs, fence: ++this.fence })
    return this.#viewLease(key, true)
  }

  lease(leaseId: string, reveal = false, owner?: string): ReturnType<KeyPool['lease']> {
    const key = this.#findLease(leaseId)
    if (key === undefined) return 'lease-lost'
    return this.#isOwnedBy(key, owner) ? this.#viewLease(key, reveal) : 'forbidden'
  }

  renew(
    leaseId: string,
    leaseMs: number | undefined,
    keepAlive: boolean,
    owner?: string
  ): ReturnType<KeyPool['renew']> {
    if (leaseMs !== undefined && leaseMs > this.policy.leaseMs) return 'lease-too-long'
    const key = this.#findLease(leaseId)
    if (key === undefined) return 'lease-lost'
    if (!this.#isOwnedBy(key, owner)) return 'forbidden'
    const longest = key.acquiredAt + this.#longestHold
    if (key.until >= longest) return 'max-hold-reached'
    key.until = Math.max(key.until, Math.min(this.#clock() + (leaseMs ?? key.leaseMs), longest))
    if (keepAlive) this.keepAlive(key.id)
    return this.#viewLease(key, false)
  }

  release(leaseId: string, cooldownMs: number, owner?: string): ReturnType<KeyPool['release']> {
    const key = this.keys().find(({ id, fence }) => fence > 0 && `${id}.${fence}` === leaseId)
    if (key === undefined) return 'lease-lost'
    if (!this.#isOwnedBy(key, owner)) return 'forbidden'
    if (key.state === 'leased') {
      this.#move(key, cooldownMs === 0 ? 'free' : 'cooling')
      key.holder = null
      key.until = this.#clock() + cooldownMs
      key.releasedAt = this.#clock()
    }
    return 'released'
  }

  unblock(id: string, fence?: number): ReturnType<KeyPool['unblock']> {
    const key = this.#find(id)
    if (key === undefined) return 'unknown-key'
    if (key.state === 'free') return 'key-not-leased'
    if (fence !== undefined && fence !== key.fence) return 'lease-lost'
    this.#free(key)
    key.until = this.#clock()
    return 'unblocked'
  }

  nextFreeInMs(): number | null {
    const earliest = Math.min(Infinity, ...this.keys().map(key => this.#heldUntil(key)))
    return earliest === Infinity ? null : earliest - this.#clock()
  }

  #find(id: string): NaiveKey | undefined {
    return this.keys().find(key => key.id === id)
  }

  #findLease(leaseId: string): NaiveKey | undefined {
    return this.keys().find(({ id, fence, state }) => state === 'leased' && `${id}.${fence}` === leaseId)
  }

  #isOwnedBy(key: NaiveKey, owner: string | undefined): boolean {
    return owner === undefined || key.owner === undefined || key.owner === owner
  }

  get #used(): string[] {
    return [...this.keys().map(({ key }) => key), ...this.#retired]
  }

  get #longestHold(): number {
    return this.policy.maxHoldMs ?? this.policy.leaseMs
  }

  #heldUntil({ state, until }: NaiveKey): number {
    return state === 'free' ? Infinity : until
  }

  #isOfSpace(key: string): boolean {
    const { alphabet, length, prefix } = this.policy
    const characters = [...key.slice(prefix.length)]
    return key.startsWith(prefix) && characters.length === length && characters.every(digit => alphabet.includes(digit))
  }

  #insert(key: string, metadata: Metadata | null): KeyView {
    const made: NaiveKey = {
      id: keyId(key),
      key,
      serial: ++this.serial,
      createdAt: this.#clock(),
      activatedAt: null,
      keepAliveBy: this.#clock() + (this.policy.keepAliveMs ?? Infinity),
      state: 'free',
      until: 0,
      acquiredAt: 0,
      leaseMs: 0,
      releasedAt: 0,
      fence: 0,
      holder: null,
      owner: undefined,
      metadata,
      moves: 0
    }
    this.#keys.push(made)
    return this.#view(made, true)
  }

  #move(key: NaiveKey, state: KeyState): void {
    key.state = state
    key.moves++
  }

  /** A lease or a cooling ends, but not by its holder. */
  #free(key: NaiveKey): void {
    if (key.state === 'leased') {
      key.fence = 0
      key.holder = null
    }
    this.#move(key, 'free')
  }

  #view(key: NaiveKey, reveal: boolean): KeyView {
    const now = this.#clock()
    const { id, state, createdAt, activatedAt, until, fence, holder, serial } = key
    const ages = key.keepAliveBy !== Infinity
    const cools = state === 'cooling'
    const servedAt = key.acquiredAt === 0 ? null : key.acquiredAt
    return {
      id,
      ...(reveal ? { key: key.key } : {}),
      state,
      createdAt,
      activatedAt,
      keepAliveBy: ages ? key.keepAliveBy : null,
      keepAliveInMs: ages ? key.keepAliveBy - now : null,
      coolingUntil: cools ? until : null,
      coolingInMs: cools ? until - now : null,
      lease:
        state === 'leased' ? { id: `${id}.${fence}`, fence, holder, expiresAt: until, expiresInMs: until - now } : null,
      metadata: key.metadata,
      serial,
      servedAt,
      changedAt: Math.max(
        createdAt,
        activatedAt ?? 0,
        servedAt ?? 0,
        state === 'free' ? until : cools ? key.releasedAt : 0
      )
    }
  }

  #viewLease(key: NaiveKey, reveal: boolean): LeaseView {
    const { id, fence, holder, acquiredAt, until, metadata } = key
    const { keepAliveBy, keepAliveInMs } = this.#view(key, false)
    const expiresInMs = until - this.#clock()
    return {
      id: `${id}.${fence}`,
      fence,
      keyId: id,
      ...(reveal ? { key: key.key } : {}),
      holder,
      acquiredAt,
      expiresAt: until,
      expiresInMs,
      renewAfterMs: until < acquiredAt + this.#longestHold ? Math.floor(expiresInMs / 3) : null,
      keepAliveBy,
      keepAliveInMs,
      metadata
    }
  }
}
