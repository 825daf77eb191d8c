import { type Static, Type } from 'typebox'
import { KEY_STATES, type KeyState } from '../pool/key-record.ts'
import { KEY_PATTERN, MAX_KEY_LENGTH } from '../pool/policy.ts'
import { expiry, life } from './deadline-schema.ts'
import { EXAMPLE_ID, EXAMPLE_SECRET } from './example-key.ts'
import { fence } from './lease-schema.ts'
import { nullableMetadata } from './metadata.ts'
import { poolName, poolParams } from './pool-schema.ts'
import { instantSchema, lengthSchema, named, nullable, ref } from './schema.ts'

export const keyParams = Type.Object({
  ...poolParams.properties,
  id: Type.String({
    description: 'The public id of the key, never the key itself.',
    examples: [EXAMPLE_ID]
  })
})

export const secret = Type.String({
  pattern: KEY_PATTERN,
  minLength: 1,
  maxLength: MAX_KEY_LENGTH,
  description: 'The secret: visible ASCII characters.',
  examples: [EXAMPLE_SECRET]
})

/** The states of a living key. */
export const keyState = Type.Unsafe<KeyState>({ type: 'string', enum: [...KEY_STATES] })

export const keySchema = named(
  'Key',
  Type.Object({
    id: Type.String({ description: 'The first 22 characters of base64url(SHA-256(key)).' }),
    key: Type.Optional(Type.String({ description: 'The secret, only where the call may show it.' })),
    pool: poolName,
    state: keyState,
    createdAt: instantSchema('When the key entered the pool.'),
    activatedAt: nullable(instantSchema('When the key was first activated.')),
    ...life,
    coolingUntil: nullable(instantSchema('When a cooling key is free again.')),
    coolingInMs: nullable(lengthSchema('Until a cooling key is free again')),
    lease: nullable(
      Type.Object(
        {
          id: Type.String({ description: 'Names the lease in later calls. Opaque.' }),
          fence,
          holder: nullable(Type.String()),
          ...expiry
        },
        { title: 'KeyLease' }
      )
    ),
    metadata: nullableMetadata
  })
)
export type Key = Static<typeof keySchema>

export const keyRef = ref<Key>('Key')
