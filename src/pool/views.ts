import type { KeyRecord, KeyState, Metadata } from './key-record.ts'
import { formatLeaseId } from './lease-id.ts'

/** A living key as it was at the moment of the answer. Instants are milliseconds since 1970, lengths milliseconds. */
export interface KeyView {
  id: string
  /** The secret; only where the call may show it. */
  key?: string
  state: KeyState
  createdAt: number
  activatedAt: number | null
  /** When its life ends unless it is kept alive; null where keys do not age. */
  keepAliveBy: number | null
  keepAliveInMs: number | null
  coolingUntil: number | null
  coolingInMs: number | null
  lease: { id: string; fence: number; holder: string | null; expiresAt: number; expiresInMs: number } | null
  metadata: Metadata | null
  /** The how manieth key of its pool this is: grows, and stays with the key. */
  serial: number
  /** When it was last leased; null: never. */
  servedAt: number | null
  /** The latest of its generation, activation, leases' begins and ends, and the end of a cooling. */
  changedAt: number
}

/** A running lease as it was at the moment of the answer. */
export interface LeaseView {
  /** `<keyId>.<fence>` */
  id: string
  fence: number
  keyId: string
  /** The secret; only where the call may show it. */
  key?: string
  holder: string | null
  acquiredAt: number
  expiresAt: number
  expiresInMs: number
  /** The moment to renew, from this answer on; null where a renewal can't move the deadline. */
  renewAfterMs: number | null
  keepAliveBy: number | null
  keepAliveInMs: number | null
  metadata: Metadata | null
}

/** How many keys there are, by state. */
export interface PoolCounts {
  /** Living keys: free, leased and cooling. */
  total: number
  free: number
  leased: number
  cooling: number
  retired: number
}

/** How many keys can be generated: numbers, or decimal strings where `size` passes 2^53 - 1. */
export interface KeyspaceView {
  size: number | string
  /** Those neither living nor retired. */
  remaining: number | string
}

/** A living key of which this is so; its deadlines have been applied. Its secret only where one is given. */
export function viewKey(
  id: string,
  record: Omit<KeyRecord, 'key' | 'owner'>,
  now: number,
  key: string | undefined
): KeyView {
  const { state, createdAt, until, acquiredAt, fence, holder, metadata, serial } = record
  const activatedAt = record.activatedAt || null
  const servedAt = acquiredAt || null
  const keepAliveBy = finite(record.keepAliveBy)
  // When the key became free, or began to cool.
  const movedAt = state === 'leased' ? 0 : state === 'free' ? until : until - record.holdMs
  const view: KeyView = {
    id,
    state,
    createdAt,
    activatedAt,
    keepAliveBy,
    keepAliveInMs: keepAliveBy && keepAliveBy - now,
    coolingUntil: state === 'cooling' ? until : null,
    coolingInMs: state === 'cooling' ? until - now : null,
    lease:
      state === 'leased'
        ? {
            id: formatLeaseId(id, fence),
            fence,
            holder: holder ?? null,
            expiresAt: until,
            expiresInMs: until - now
          }
        : null,
    metadata: metadata ?? null,
    serial,
    servedAt,
    changedAt: Math.max(createdAt, activatedAt ?? 0, servedAt ?? 0, movedAt)
  }
  if (key !== undefined) view.key = key
  return view
}

/**
 * The running lease of a key of which this is so, in a pool that allows to hold one for `longestHold` milliseconds. The
 * secret only where it is given.
 */
export function viewLease(
  keyId: string,
  record: Pick<KeyRecord, 'fence' | 'acquiredAt' | 'until' | 'keepAliveBy' | 'holder' | 'metadata'>,
  now: number,
  longestHold: number,
  key: string | undefined
): LeaseView {
  const { fence, acquiredAt, until: expiresAt, holder, metadata } = record
  const expiresInMs = expiresAt - now
  const keepAliveBy = finite(record.keepAliveBy)
  const view: LeaseView = {
    id: formatLeaseId(keyId, fence),
    fence,
    keyId,
    holder: holder ?? null,
    acquiredAt,
    expiresAt,
    expiresInMs,
    renewAfterMs: expiresAt < acquiredAt + longestHold ? Math.floor(expiresInMs / 3) : null,
    keepAliveBy,
    keepAliveInMs: keepAliveBy && keepAliveBy - now,
    metadata: metadata ?? null
  }
  if (key !== undefined) view.key = key
  return view
}

/** Of so many keys, so many are unused. */
export function viewKeyspace(size: bigint, remaining: bigint): KeyspaceView {
  return size <= BigInt(Number.MAX_SAFE_INTEGER)
    ? { size: Number(size), remaining: Number(remaining) }
    : { size: size.toString(), remaining: remaining.toString() }
}

function finite(instant: number): number | null {
  return instant === Infinity ? null : instant
}
