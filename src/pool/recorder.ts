import type { KeyRecord, RetiredRecord } from './key-record.ts'
import type { Keyring } from './keyring.ts'
import type { PoolState } from './pool-state.ts'
import { ACQUIRED_AT, CREATED_AT, FENCE, HOLD_MS, KEEP_ALIVE_BY, SERIAL, UNTIL } from './records.ts'

/** See KeyPool.record. */
export function readRecord(ring: Keyring, id: string): KeyRecord | RetiredRecord | undefined {
  const slot = ring.find(id)
  if (slot === undefined) {
    const place = ring.retiredPlaceOf(id)
    return place === undefined ? undefined : { place }
  }
  return { ...readSlot(ring, slot), key: ring.keyOf(slot), owner: ring.ownerOf(slot) }
}

/** What lasts about the living key of a slot, but for its secret and its owner, which are not for everybody. */
export function readSlot(ring: Keyring, slot: number): Omit<KeyRecord, 'key' | 'owner'> {
  const { records } = ring
  return {
    serial: records.get(slot, SERIAL),
    createdAt: records.get(slot, CREATED_AT),
    activatedAt: ring.activatedAt.get(slot),
    keepAliveBy: records.get(slot, KEEP_ALIVE_BY),
    state: ring.stateOf(slot),
    until: records.get(slot, UNTIL),
    acquiredAt: records.get(slot, ACQUIRED_AT),
    fence: records.get(slot, FENCE),
    holdMs: records.getInteger(slot, HOLD_MS),
    holder: ring.holders.get(slot),
    metadata: ring.metadata.get(slot)
  }
}

/** A key enters as its record says, where nothing is known of its id. */
export function writeRecord(pool: PoolState, id: string, record: KeyRecord): void {
  const { ring, deadlines } = pool
  const { records } = ring
  const slot = ring.admit(id, record.key, record.state, record.serial)
  records.set(slot, CREATED_AT, record.createdAt)
  records.set(slot, KEEP_ALIVE_BY, record.keepAliveBy)
  records.set(slot, UNTIL, record.until)
  records.set(slot, ACQUIRED_AT, record.acquiredAt)
  records.set(slot, FENCE, record.fence)
  records.setInteger(slot, HOLD_MS, record.holdMs)
  if (record.activatedAt !== 0) ring.activatedAt.set(slot, record.activatedAt)
  if (record.holder !== undefined) ring.holders.set(slot, record.holder)
  ring.setOwner(slot, record.owner)
  if (record.metadata !== undefined) pool.setMetadata(slot, record.metadata)
  deadlines.arm(slot)
}

/** Nothing is known of an id any more: neither a living key nor a retired one has it. */
export function eraseRecord({ ring, deadlines }: PoolState, id: string): void {
  // The common case at a start, with one look at the index.
  if (!ring.knows(id)) return
  const slot = ring.find(id)
  if (slot === undefined) ring.forgetRetired(id)
  else deadlines.remove(slot, false)
}
