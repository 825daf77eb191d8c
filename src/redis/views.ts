import type { KeyRecord } from '../pool/key-record.ts'
import type { KeyspaceView, KeyView, LeaseView } from '../pool/views.ts'
import { formatLeaseId } from '../pool/lease-id.ts'

/** A living key whose deadlines have been applied, with its secret where the record has it. */
export function viewRecord(id: string, record: KeyRecord, now: number): KeyView {
  const { key, serial, createdAt, activatedAt, state, until, acquiredAt, fence, holdMs, holder, metadata } = record
  const keepAliveBy = finite(record.keepAliveBy)
  const movedAt = state === 'leased' ? 0 : state === 'free' ? until : until - holdMs
  return {
    id,
    state,
    createdAt,
    activatedAt: activatedAt || null,
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
    servedAt: acquiredAt || null,
    changedAt: Math.max(createdAt, activatedAt, acquiredAt, movedAt),
    ...(key !== '' && { key })
  }
}

/** A running lease, with its secret where the record has it, of a pool that allows to hold for `longestHold` ms. */
export function viewLeaseRecord(id: string, record: KeyRecord, now: number, longestHold: number): LeaseView {
  const { key, until, acquiredAt, fence, holder, metadata } = record
  const keepAliveBy = finite(record.keepAliveBy)
  return {
    id: formatLeaseId(id, fence),
    fence,
    keyId: id,
    holder: holder ?? null,
    acquiredAt,
    expiresAt: until,
    expiresInMs: until - now,
    renewAfterMs: until < acquiredAt + longestHold ? Math.floor((until - now) / 3) : null,
    keepAliveBy,
    keepAliveInMs: keepAliveBy && keepAliveBy - now,
    metadata: metadata ?? null,
    ...(key !== '' && { key })
  }
}

/** Of so many keys, so many of them used. */
export function viewKeyspace(size: bigint, used: number): KeyspaceView {
  const remaining = size - BigInt(used)
  return size <= BigInt(Number.MAX_SAFE_INTEGER)
    ? { size: Number(size), remaining: Number(remaining) }
    : { size: size.toString(), remaining: remaining.toString() }
}

function finite(instant: number): number | null {
  return instant === Infinity ? null : instant
}
