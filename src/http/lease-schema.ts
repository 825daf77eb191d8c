import { type Static, Type } from 'typebox'
import { DEFAULT_POLICY, MAX_COOLDOWN_MS, MAX_LEASE_MS, MIN_LEASE_MS } from '../pool/policy.ts'
import { expiry, life } from './deadline-schema.ts'
import { EXAMPLE_LEASE_ID } from './example-key.ts'
import { nullableMetadata } from './metadata.ts'
import { poolName, poolParams } from './pool-schema.ts'
import { instantSchema, lengthSchema, named, nullable, ref } from './schema.ts'

export const leaseParams = Type.Object({
  ...poolParams.properties,
  leaseId: Type.String({
    description: 'The id of the lease, as it was granted.',
    examples: [EXAMPLE_LEASE_ID]
  })
})

export const leaseMs = Type.Integer({
  minimum: MIN_LEASE_MS,
  maximum: MAX_LEASE_MS,
  description:
    'How long the lease lasts, in milliseconds; at most the leaseMs of the policy, which it is where absent.',
  examples: [DEFAULT_POLICY.leaseMs]
})
export const holder = Type.String({
  minLength: 1,
  maxLength: 128,
  description: 'Who holds the lease, for people to read.',
  examples: ['worker-1']
})
export const keepAlive = Type.Boolean({ description: 'Whether to keep the key alive, too.', examples: [true] })
export const cooldownMs = Type.Integer({
  minimum: 0,
  maximum: MAX_COOLDOWN_MS,
  description: 'For how long the key is not served then, in milliseconds. For keys that hit a rate limit.'
})
export const fence = Type.Integer({
  minimum: 1,
  maximum: Number.MAX_SAFE_INTEGER,
  description: 'Grows with every lease of the pool: a resource can refuse a holder with a smaller one.'
})

export const leaseSchema = named(
  'Lease',
  Type.Object({
    id: Type.String({ description: 'Names the lease in later calls. Opaque.' }),
    fence,
    pool: poolName,
    keyId: Type.String({ description: 'The public id of the key.' }),
    key: Type.Optional(Type.String({ description: 'The secret, only in the answer that leased it.' })),
    holder: nullable(Type.String()),
    acquiredAt: instantSchema('When the lease began.'),
    ...expiry,
    renewAfterMs: nullable(
      lengthSchema('When to renew, from this answer on; null: a renewal can not move the deadline')
    ),
    ...life,
    metadata: nullableMetadata
  })
)
export type Lease = Static<typeof leaseSchema>

export const leaseRef = ref<Lease>('Lease')
