import { KeyEntry, type KeySeen, LeaseEntry, type LeaseSeen, PoolEntry } from './entries.ts'

/** Instants are told in whole milliseconds, those inside are not. */
export const ROUNDING_MS = 2
/** So near to its end nobody knows whether a lease has ended: the reader's clock is not the server's. */
export const MARGIN_MS = 1000

/**
 * HOW IT IS KNOWN WHAT MAY BE
 *
 * Whoever calls tells the ledger before the call, and again when it is answered. A call whose answer is lost is never
 * told again: what it was about stays in doubt until the server has been started anew and read; as it is then it must
 * stay. An answer that has come leaves no doubt: what it says must be there after every crash.
 *
 * Whatever contradicts that is a line in `violations`. Answers overtake each other: of two calls one comes after the
 * other only where it was made when the other had been answered, by the ledger's own count.
 */
export class Ledger {
  readonly violations: string[] = []
  readonly pools = new Map<string, PoolEntry>()
  readonly keys = new Map<string, KeyEntry>()
  readonly leases = new Map<string, LeaseEntry>()
  /** Ids whose end was acknowledged, with the count at that time. */
  readonly dead = new Map<string, number>()
  readonly #now: () => number
  #count = 0

  constructor(now: () => number) {
    this.#now = now
  }

  wrong(pool: string, what: string): void {
    this.violations.push(`${pool}: ${what}`)
  }

  /** A pool, of which it may be unknown whether there is one. Of a brief one keys may retire. */
  pool(name: string, brief = false): PoolEntry {
    let pool = this.pools.get(name)
    if (pool === undefined) this.pools.set(name, (pool = new PoolEntry(name, brief)))
    return pool
  }

  /** The keys of a pool that nobody tries to delete. */
  alive(pool: string): KeyEntry[] {
    return [...this.keys.values()].filter(key => key.pool === pool && !key.endAttempted && !key.early)
  }

  /** A pool is being made, or changed. */
  puttingPool(name: string): (outcome: 'put' | 'refused', leaseMs: number) => void {
    const pool = this.pool(name)
    pool.changing++
    return (outcome, leaseMs) => {
      pool.changing--
      if (outcome === 'refused') return
      pool.exists = true
      pool.leaseMs = leaseMs
    }
  }

  /** A pool is being deleted, with all its keys. */
  deletingPool(name: string): (outcome: 'deleted' | 'refused') => void {
    const pool = this.pool(name)
    const keys = [...this.keys.values()].filter(key => key.pool === name)
    pool.changing++
    for (const key of keys) attemptEnd(key)
    return outcome => {
      pool.changing--
      if (outcome === 'refused') return
      pool.exists = false
      for (const key of keys) this.bury(key)
    }
  }

  /** So many keys are being made, or, `again`, asked for in a retry. Told those that are, none where it was refused. */
  making(name: string, count: number, again = false): (keys: readonly KeySeen[]) => void {
    const pool = this.pool(name)
    const began = this.#count++
    pool.lostKeys += count
    return keys => {
      pool.lostKeys -= count
      for (const seen of keys) {
        const known = this.keys.get(seen.id)
        if (known?.early) known.settle(seen)
        else if (this.dead.has(seen.id)) this.notDead(name, seen.id, began, 'given out')
        else if (known === undefined) this.enterKey(pool, seen)
        else if (!again) this.wrong(name, `the key ${seen.id} was made twice`)
      }
    }
  }

  /** A key is being deleted. */
  deleting(key: KeyEntry): (outcome: 'deleted' | 'unknown-key' | 'refused') => void {
    const certain = !key.endAttempted
    attemptEnd(key)
    return outcome => {
      if (outcome === 'deleted') this.bury(key)
      if (outcome === 'unknown-key') this.unknown(key, certain)
    }
  }

  /** An answer said that a key is none; `certain`: when the call was made nobody had tried to delete it. */
  unknown(key: KeyEntry, certain = !key.endAttempted): void {
    if (key.brief) this.bury(key)
    else if (certain && !key.endAttempted) this.wrong(key.pool, `the key ${key.id} is unknown, and nobody deleted it`)
  }

  /** A key is being kept alive. Told the end of its life, undefined where that was refused. */
  keepingAlive(key: KeyEntry): (keepAliveBy?: number | null) => void {
    const began = this.#count++
    key.reviving++
    return keepAliveBy => {
      key.reviving--
      if (keepAliveBy === undefined) return
      this.notDead(key.pool, key.id, began, 'kept alive')
      // The first takes the credit of an outage back; of those after it the last counts, whose answer may come first.
      if (keepAliveBy !== null) key.aliveBy = key.revived ? Math.max(key.aliveBy ?? 0, keepAliveBy) : keepAliveBy
      key.revived = true
    }
  }

  /** A key is being activated. Told since when it is. */
  activating(key: KeyEntry): (activatedAt?: number) => void {
    key.activating++
    return activatedAt => {
      key.activating--
      if (activatedAt === undefined) return
      if (key.activatedAt !== null && key.activatedAt !== activatedAt) {
        this.wrong(key.pool, `the key ${key.id} was activated twice`)
      }
      key.activatedAt = activatedAt
    }
  }

  /**
   * A lease is being asked for. `above`: the largest fence when the call was first made. Told the lease, which may be a
   * known one where the call is a retry.
   */
  acquiring(name: string, { above = this.pool(name).fence, again = false } = {}): (lease?: LeaseSeen) => void {
    const pool = this.pool(name)
    const began = this.#count++
    pool.lostLeases++
    return seen => {
      pool.lostLeases--
      if (seen === undefined || (again && this.leases.has(seen.id))) return
      if (seen.fence <= above) this.wrong(name, `the fence ${seen.fence} came after ${above}`)
      this.notDead(name, seen.keyId, began, 'leased')
      const key = this.enterLease(pool, seen, began)
      if (key && seen.fence > key.cooling.fence && seen.acquiredAt < key.cooling.until - ROUNDING_MS) {
        this.wrong(name, `the key ${key.id} was leased while it was cooling`)
      }
      this.#checkExclusive(seen.keyId)
    }
  }

  /** A lease is being released, its key to cool for so long. */
  releasing(lease: LeaseEntry, cooldownMs = 0): (outcome: 'released' | 'lease-lost' | 'refused') => void {
    const began = this.#count++
    const from = this.#now()
    const first = lease.end === 'none'
    if (first) lease.end = 'attempted'
    return outcome => {
      const key = this.keys.get(lease.keyId)
      if (outcome === 'lease-lost') this.lost(lease, first && !key?.unblockedSince(began))
      if (outcome !== 'released') return
      lease.end = 'ended'
      if (!first || key === undefined || cooldownMs === 0 || key.unblockedSince(began)) return
      key.cooling = { until: from + cooldownMs, fence: lease.fence }
    }
  }

  /** An answer said that a lease has ended; `certain`: when the call was made nobody had tried to end it. */
  lost(lease: LeaseEntry, certain: boolean): void {
    const key = this.keys.get(lease.keyId)
    const mayHaveEnded = key === undefined || key.endAttempted || key.brief
    if (certain && !mayHaveEnded && lease.expiresAt > this.#now() + MARGIN_MS) {
      this.wrong(lease.pool, `the lease ${lease.id} has ended before its deadline`)
    }
    lease.end = 'ended'
  }

  /** The lease of a key is being ended, whoever has it, or its cooling. */
  unblocking(key: KeyEntry): (outcome: 'unblocked' | 'refused') => void {
    const leases = key.leases.filter(({ end }) => end === 'none')
    key.unblocking++
    key.cooling = { until: 0, fence: 0 }
    for (const lease of leases) lease.end = 'attempted'
    return outcome => {
      key.unblocking--
      key.unblockedAt = this.#count++
      if (outcome === 'unblocked') for (const lease of leases) lease.end = 'ended'
    }
  }

  /** A lease is being renewed. Told its new deadline, undefined where that was refused. */
  renewing(lease: LeaseEntry): (expiresAt?: number) => void {
    lease.renewing++
    return expiresAt => {
      lease.renewing--
      if (expiresAt === undefined) return
      lease.expiresAt = Math.max(lease.expiresAt, expiresAt)
      this.#checkExclusive(lease.keyId)
    }
  }

  /** Leases that must be read after a restart. */
  get watched(): LeaseEntry[] {
    return [...this.leases.values()].filter(({ patience }) => patience > 0)
  }

  enterKey(pool: PoolEntry, seen: KeySeen): KeyEntry {
    const key = new KeyEntry(pool, seen)
    this.keys.set(key.id, key)
    return key
  }

  /** Takes a lease over, that a call of this count was given; returns its key, undefined for one that has ended since. */
  enterLease(pool: PoolEntry, seen: LeaseSeen, began = this.#count): KeyEntry | undefined {
    if (pool.fences.has(seen.fence)) this.wrong(pool.name, `the fence ${seen.fence} was given twice`)
    pool.fences.add(seen.fence)
    pool.fence = Math.max(pool.fence, seen.fence)
    let key = this.keys.get(seen.keyId)
    if (key === undefined && !this.dead.has(seen.keyId)) {
      key = this.enterKey(pool, { id: seen.keyId, state: 'leased', activatedAt: null, keepAliveBy: null, lease: null })
      key.early = true
    }
    const lease = new LeaseEntry(pool.name, seen, key === undefined || key.endAttempted || key.unblockedSince(began))
    this.leases.set(lease.id, lease)
    key?.leases.push(lease)
    return key
  }

  /** The end of a key was acknowledged. */
  bury(key: KeyEntry): void {
    attemptEnd(key)
    for (const lease of key.leases) lease.end = 'ended'
    this.keys.delete(key.id)
    if (!this.dead.has(key.id)) this.dead.set(key.id, this.#count++)
  }

  /** A call that was made at this count did something with a key: that must not have ended before. */
  notDead(pool: string, id: string, began: number, what: string): void {
    if ((this.dead.get(id) ?? Infinity) < began) this.wrong(pool, `the key ${id} was ${what} after its end`)
  }

  /** Of two leases of a key the first has ended when the second begins. */
  #checkExclusive(keyId: string): void {
    const leases = [...(this.keys.get(keyId)?.leases ?? [])].sort((a, b) => a.fence - b.fence)
    for (const [i, second] of leases.entries()) {
      const first = leases[i - 1]
      if (first?.end === 'none' && first.expiresAt > second.acquiredAt + ROUNDING_MS) {
        this.wrong(first.pool, `the key ${keyId} was leased as ${second.id} while ${first.id} was running`)
        // Told once.
        first.end = 'attempted'
      }
    }
  }
}

function attemptEnd(key: KeyEntry): void {
  key.endAttempted = true
  for (const lease of key.leases) if (lease.end === 'none') lease.end = 'attempted'
}
