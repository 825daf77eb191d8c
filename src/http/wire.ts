import type { KeyView, LeaseView } from '../engine.ts'
import { instant, instantOrNull } from './instants.ts'
import type { Key } from './key-schema.ts'
import type { Lease } from './lease-schema.ts'

export function wireKey(view: KeyView, pool: string): Key {
  const { lease } = view
  const key: Key = {
    id: view.id,
    pool,
    state: view.state,
    createdAt: instant(view.createdAt),
    activatedAt: instantOrNull(view.activatedAt),
    keepAliveBy: instantOrNull(view.keepAliveBy),
    keepAliveInMs: view.keepAliveInMs,
    coolingUntil: instantOrNull(view.coolingUntil),
    coolingInMs: view.coolingInMs,
    lease: lease && { ...lease, expiresAt: instant(lease.expiresAt) },
    metadata: view.metadata
  }
  if (view.key !== undefined) key.key = view.key
  return key
}

export function wireLease(view: LeaseView, pool: string): Lease {
  const lease: Lease = {
    id: view.id,
    fence: view.fence,
    pool,
    keyId: view.keyId,
    holder: view.holder,
    acquiredAt: instant(view.acquiredAt),
    expiresAt: instant(view.expiresAt),
    expiresInMs: view.expiresInMs,
    renewAfterMs: view.renewAfterMs,
    keepAliveBy: instantOrNull(view.keepAliveBy),
    keepAliveInMs: view.keepAliveInMs,
    metadata: view.metadata
  }
  if (view.key !== undefined) lease.key = view.key
  return lease
}
