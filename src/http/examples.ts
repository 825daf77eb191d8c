import { DEFAULT_POLICY } from '../pool/policy.ts'
import { EXAMPLE_FENCE, EXAMPLE_ID, EXAMPLE_LEASE_ID, EXAMPLE_METADATA, EXAMPLE_SECRET } from './example-key.ts'
import type { Key } from './key-schema.ts'
import type { Lease } from './lease-schema.ts'

// One story: a key was imported at noon, and leased twenty seconds later.

const day = '2026-11-21T12:'

export const exampleLease: Lease = {
  id: EXAMPLE_LEASE_ID,
  fence: EXAMPLE_FENCE,
  pool: 'default',
  keyId: EXAMPLE_ID,
  holder: 'worker-1',
  acquiredAt: `${day}00:20.000Z`,
  expiresAt: `${day}01:20.000Z`,
  expiresInMs: 60_000,
  renewAfterMs: null,
  keepAliveBy: `${day}05:00.000Z`,
  keepAliveInMs: 280_000,
  metadata: EXAMPLE_METADATA
}

/** As the answer that grants it shows it. */
export const exampleGrant: Lease = { ...exampleLease, key: EXAMPLE_SECRET }

export const exampleKey: Key = {
  id: EXAMPLE_ID,
  pool: 'default',
  state: 'free',
  createdAt: `${day}00:00.000Z`,
  activatedAt: null,
  keepAliveBy: `${day}05:00.000Z`,
  keepAliveInMs: 300_000,
  coolingUntil: null,
  coolingInMs: null,
  lease: null,
  metadata: EXAMPLE_METADATA
}

export const exampleLeasedKey: Key = {
  ...exampleKey,
  state: 'leased',
  keepAliveInMs: 280_000,
  lease: {
    id: EXAMPLE_LEASE_ID,
    fence: EXAMPLE_FENCE,
    holder: 'worker-1',
    expiresAt: exampleLease.expiresAt,
    expiresInMs: 60_000
  }
}

export const exampleActiveKey: Key = { ...exampleLeasedKey, activatedAt: `${day}00:20.000Z` }

/** As the answer that brought it into the pool shows it. */
export const exampleNewKey: Key = { ...exampleKey, key: EXAMPLE_SECRET }

export const exampleCounts = { total: 1, free: 0, leased: 1, cooling: 0, retired: 0, waiting: 0 }

export const examplePool = {
  name: 'default',
  policy: { ...DEFAULT_POLICY },
  counts: exampleCounts,
  keyspace: { size: '704423425546998022968330264616370176', remaining: '704423425546998022968330264616370175' }
}

export const exampleResults = {
  results: [
    { status: 201, body: exampleGrant },
    { status: 200, body: exampleLeasedKey },
    { status: 201, body: exampleActiveKey },
    { status: 204, body: null }
  ]
}
