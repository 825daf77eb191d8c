import type { KeyState, Metadata } from './key-record.ts'
import type { Keyring } from './keyring.ts'
import { formatLeaseId } from './lease-id.ts'
import { ACQUIRED_AT, CREATED_AT, FENCE, HOLD_MS, KEEP_ALIVE_BY, SERIAL, UNTIL } from './records.ts'

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

/** A living key as it is; its deadlines have been applied. */
export function viewKey(ring: Keyring, slot: number, now: number, reveal: boolean): KeyView {
  const { records } = ring
  const id = ring.idOf(slot)
  const state = ring.stateOf(slot)
  const keepAliveBy = finite(records.get(slot, KEEP_ALIVE_BY))
  const createdAt = records.get(slot, CREATED_AT)
  const activatedAt = ring.activatedAt.get(slot) || null
  const servedAt = records.get(slot, ACQUIRED_AT) || null
  const until = records.get(slot, UNTIL)
  const fence = records.get(slot, FENCE)
  // When the key became free, or began to cool.
  const movedAt = state === 'leased' ? 0 : state === 'free' ? until : until - records.getInteger(slot, HOLD_MS)
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
            holder: ring.holders.get(slot) ?? null,
            expiresAt: until,
            expiresInMs: until - now
          }
        : null,
    metadata: ring.metadata.get(slot) ?? null,
    serial: records.get(slot, SERIAL),
    servedAt,
    changedAt: Math.max(createdAt, activatedAt ?? 0, servedAt ?? 0, movedAt)
  }
  if (reveal) view.key = ring.keyOf(slot)
  return view
}

/** A running lease as it is, of a pool that allows to hold a key for `longestHold` milliseconds. */
export function viewLease(ring: Keyring, slot: number, now: number, longestHold: number, reveal: boolean): LeaseView {
  const { records } = ring
  const keyId = ring.idOf(slot)
  const fence = records.get(slot, FENCE)
  const acquiredAt = records.get(slot, ACQUIRED_AT)
  const expiresAt = records.get(slot, UNTIL)
  const expiresInMs = expiresAt - now
  const keepAliveBy = finite(records.get(slot, KEEP_ALIVE_BY))
  const view: LeaseView = {
    id: formatLeaseId(keyId, fence),
    fence,
    keyId,
    holder: ring.holders.get(slot) ?? null,
    acquiredAt,
    expiresAt,
    expiresInMs,
    renewAfterMs: expiresAt < acquiredAt + longestHold ? Math.floor(expiresInMs / 3) : null,
    keepAliveBy,
    keepAliveInMs: keepAliveBy && keepAliveBy - now,
    metadata: ring.metadata.get(slot) ?? null
  }
  if (reveal) view.key = ring.keyOf(slot)
  return view
}

function finite(instant: number): number | null {
  return instant === Infinity ? null : instant
}
