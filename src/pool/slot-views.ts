import type { Keyring } from './keyring.ts'
import { readSlot } from './recorder.ts'
import { ACQUIRED_AT, FENCE, KEEP_ALIVE_BY, UNTIL } from './records.ts'
import { type KeyView, type LeaseView, viewKey, viewLease } from './views.ts'

/** The living key of a slot; its deadlines have been applied. */
export function viewKeyAt(ring: Keyring, slot: number, now: number, reveal: boolean): KeyView {
  return viewKey(ring.idOf(slot), readSlot(ring, slot), now, reveal ? ring.keyOf(slot) : undefined)
}

/** The running lease of a slot. What a lease does not show is not read: each column is a cache miss. */
export function viewLeaseAt(ring: Keyring, slot: number, now: number, longestHold: number, reveal: boolean): LeaseView {
  const { records } = ring
  const record = {
    keepAliveBy: records.get(slot, KEEP_ALIVE_BY),
    until: records.get(slot, UNTIL),
    acquiredAt: records.get(slot, ACQUIRED_AT),
    fence: records.get(slot, FENCE),
    holder: ring.holders.get(slot),
    metadata: ring.metadata.get(slot)
  }
  return viewLease(ring.idOf(slot), record, now, longestHold, reveal ? ring.keyOf(slot) : undefined)
}
