/** What an answer tells of a lease. */
export interface LeaseSeen {
  id: string
  keyId: string
  fence: number
  acquiredAt: number
  expiresAt: number
  keepAliveBy: number | null
}

/** What an answer tells of a key. */
export interface KeySeen {
  id: string
  state: string
  activatedAt: number | null
  /** Null for one that does not age. */
  keepAliveBy: number | null
  lease: { id: string; fence: number; expiresAt: number } | null
}

/** What is known of a pool. Numbers of calls are of those that have not been answered. */
export class PoolEntry {
  readonly name: string
  /** Whether its keys may retire in the run. */
  readonly brief: boolean
  exists = false
  leaseMs = 0
  /** Calls that make, change or delete it. */
  changing = 0
  /** How many keys calls would make, and leases. */
  lostKeys = 0
  lostLeases = 0
  /** The largest that was acknowledged, and all of them. */
  fence = 0
  readonly fences = new Set<number>()

  constructor(name: string, brief: boolean) {
    this.name = name
    this.brief = brief
  }
}

/** What is known of a key that is not known to have ended. */
export class KeyEntry {
  readonly pool: string
  readonly id: string
  readonly brief: boolean
  /** Known by its lease only: the call that makes it has not been answered yet. */
  early = false
  endAttempted = false
  /** When its life ends, as last acknowledged; null where it does not age, or nobody has said. */
  aliveBy: number | null
  /** Whether it was kept alive since the last restart. */
  revived = false
  activatedAt: number | null
  /** Calls that keep it alive, activate it, unblock it. */
  reviving = 0
  activating = 0
  unblocking = 0
  /** When it was unblocked last, by the ledger's count. */
  unblockedAt = -1
  /** Until then it cools, since the lease with this fence was released. */
  cooling = { until: 0, fence: 0 }
  readonly leases: LeaseEntry[] = []

  constructor(pool: PoolEntry, { id, keepAliveBy, activatedAt }: KeySeen) {
    this.pool = pool.name
    this.brief = pool.brief
    this.id = id
    this.aliveBy = keepAliveBy
    this.activatedAt = activatedAt
  }

  /** Whether it may have been unblocked since then, by the ledger's count. */
  unblockedSince(count: number): boolean {
    return this.unblocking > 0 || this.unblockedAt > count
  }

  /** Nothing of it is in doubt any more. */
  settle({ keepAliveBy, activatedAt }: KeySeen): void {
    this.early = false
    this.endAttempted = false
    this.revived = false
    this.aliveBy = keepAliveBy
    this.activatedAt = activatedAt
    this.reviving = 0
    this.activating = 0
    this.unblocking = 0
  }
}

/** What is known of a lease. */
export class LeaseEntry {
  readonly pool: string
  readonly id: string
  readonly keyId: string
  readonly fence: number
  readonly acquiredAt: number
  /** As last acknowledged. */
  expiresAt: number
  /** Whether it has been ended by a call, or may have been; a deadline that passes shows in `expiresAt`. */
  end: 'none' | 'attempted' | 'ended'
  /** Calls that renew it. */
  renewing = 0
  /** Over how many more restarts it is watched once it has ended. */
  patience = 2

  constructor(pool: string, { id, keyId, fence, acquiredAt, expiresAt }: LeaseSeen, mayHaveEnded: boolean) {
    this.pool = pool
    this.id = id
    this.keyId = keyId
    this.fence = fence
    this.acquiredAt = acquiredAt
    this.expiresAt = expiresAt
    this.end = mayHaveEnded ? 'attempted' : 'none'
  }
}
