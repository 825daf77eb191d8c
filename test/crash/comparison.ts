import type { KeyEntry, KeySeen, LeaseEntry, LeaseSeen, PoolEntry } from './entries.ts'
import { type Ledger, MARGIN_MS, ROUNDING_MS } from './ledger.ts'

/** What an outage adds to a life at least, where the life itself is not shorter. */
const GRACE_MS = 60_000

/** All that a server tells while nobody else calls. */
export interface Seen {
  /** By name. */
  pools: ReadonlyMap<string, { leaseMs: number }>
  /** By pool and id. */
  keys: ReadonlyMap<string, ReadonlyMap<string, KeySeen>>
  /** By id, those that were asked for: undefined for one that has ended; with when it was asked for and answered. */
  leases: ReadonlyMap<string, { from: number; to: number; lease: LeaseSeen | undefined }>
  /** When all had been read. */
  to: number
}

/**
 * Compares a server that was started anew with what it acknowledged before, and takes over how it has settled what was in
 * doubt.
 */
export function compare(ledger: Ledger, seen: Seen): void {
  for (const pool of ledger.pools.values()) comparePool(ledger, pool, seen)
  for (const name of seen.pools.keys()) if (!ledger.pools.has(name)) ledger.wrong(name, 'nobody has made this pool')
  for (const pool of ledger.pools.values()) {
    const found = seen.keys.get(pool.name) ?? new Map<string, KeySeen>()
    const known = [...ledger.keys.values()].filter(key => key.pool === pool.name)
    compareLives(ledger, pool, known, found)
    for (const key of known) compareKey(ledger, key, found.get(key.id), seen.to)
    for (const key of found.values()) compareStranger(ledger, pool, key)
    pool.lostKeys = 0
    pool.lostLeases = 0
  }
  for (const lease of ledger.watched) {
    const read = seen.leases.get(lease.id)
    if (read !== undefined) compareLease(ledger, lease, read)
  }
}

function comparePool(ledger: Ledger, pool: PoolEntry, seen: Seen): void {
  const found = seen.pools.get(pool.name)
  if (pool.changing === 0) {
    if (pool.exists && found === undefined) ledger.wrong(pool.name, 'the pool is lost')
    if (!pool.exists && found !== undefined) ledger.wrong(pool.name, 'the pool is back after its end')
    if (pool.exists && found && found.leaseMs !== pool.leaseMs) ledger.wrong(pool.name, 'its policy is undone')
  }
  pool.exists = found !== undefined
  pool.leaseMs = found?.leaseMs ?? pool.leaseMs
  pool.changing = 0
}

function compareKey(ledger: Ledger, key: KeyEntry, found: KeySeen | undefined, now: number): void {
  if (found === undefined) {
    if (!key.endAttempted && !key.brief) ledger.wrong(key.pool, `the key ${key.id} is lost`)
    ledger.bury(key)
    return
  }
  if (key.activating === 0 && !key.early && found.activatedAt !== key.activatedAt) {
    ledger.wrong(key.pool, `the activation of ${key.id} is ${found.activatedAt}, not ${key.activatedAt}`)
  }
  if (key.cooling.until > now + MARGIN_MS && found.state !== 'cooling') {
    ledger.wrong(key.pool, `the key ${key.id} is ${found.state} while it should be cooling`)
  }
  key.settle(found)
}

/** A key, or its lease, that no answer told of. */
function compareStranger(ledger: Ledger, pool: PoolEntry, found: KeySeen): void {
  if (!ledger.keys.has(found.id)) {
    if (ledger.dead.has(found.id)) ledger.wrong(pool.name, `the key ${found.id} is back after its end`)
    else if (pool.lostKeys-- <= 0) ledger.wrong(pool.name, `nobody has made the key ${found.id}`)
    ledger.enterKey(pool, found)
  }
  const { lease } = found
  if (lease === null || ledger.leases.has(lease.id)) return
  if (pool.lostLeases-- <= 0) ledger.wrong(pool.name, `nobody has asked for the lease ${lease.id}`)
  // When it began nobody knows: later than any other that is known.
  ledger.enterLease(pool, { ...lease, keyId: found.id, acquiredAt: Infinity, keepAliveBy: found.keepAliveBy })
}

/**
 * An outage moves the ends of all lives in a pool by the same length. One that has moved by less has lost a keep-alive that
 * was acknowledged.
 */
function compareLives(
  ledger: Ledger,
  { name, brief }: PoolEntry,
  keys: readonly KeyEntry[],
  found: ReadonlyMap<string, KeySeen>
): void {
  const moved: { key: KeyEntry; byMs: number }[] = []
  for (const key of keys) {
    const now = found.get(key.id)?.keepAliveBy ?? null
    // A call that was not answered may have moved it, either way: it takes back the credit of the outage before.
    if (now === null || key.aliveBy === null || key.reviving > 0 || brief) continue
    moved.push({ key, byMs: now - key.aliveBy })
  }
  if (moved.length === 0) return
  const outage = Math.max(...moved.map(({ byMs }) => byMs))
  if (outage < GRACE_MS - ROUNDING_MS) ledger.wrong(name, `lives are credited ${outage} ms only`)
  for (const { key, byMs } of moved) {
    const ms = outage - byMs
    if (ms > ROUNDING_MS) ledger.wrong(name, `a keep-alive of ${key.id} is undone: its life is ${ms} ms off`)
  }
}

function compareLease(
  ledger: Ledger,
  lease: LeaseEntry,
  { from, to, lease: found }: { from: number; to: number; lease: LeaseSeen | undefined }
): void {
  if (found === undefined) {
    const key = ledger.keys.get(lease.keyId)
    if (lease.end === 'none' && !key?.brief && lease.expiresAt > to + MARGIN_MS) {
      ledger.wrong(lease.pool, `the lease ${lease.id} is lost ${lease.expiresAt - to} ms before its deadline`)
    }
    lease.end = 'ended'
    lease.patience--
    return
  }
  if (lease.end === 'ended') ledger.wrong(lease.pool, `the lease ${lease.id} is back after its end`)
  if (found.expiresAt < from - MARGIN_MS) ledger.wrong(lease.pool, `the lease ${lease.id} goes on after its deadline`)
  if (found.expiresAt < lease.expiresAt) ledger.wrong(lease.pool, `a renewal of the lease ${lease.id} is undone`)
  if (lease.renewing === 0 && found.expiresAt > lease.expiresAt) {
    ledger.wrong(lease.pool, `the lease ${lease.id} lasts longer than was acknowledged`)
  }
  if (found.keyId !== lease.keyId || found.fence !== lease.fence) {
    ledger.wrong(lease.pool, `the lease ${lease.id} is of ${found.keyId} and the fence ${found.fence} now`)
  }
  lease.end = 'none'
  lease.expiresAt = found.expiresAt
  lease.renewing = 0
}
