import { type Static, Type } from 'typebox'
import { POOL_NAME_PATTERN } from '../engine.ts'
import {
  ALPHABET_PATTERN,
  DEFAULT_POLICY,
  MAX_GENERATED_LENGTH,
  MAX_KEYS,
  MAX_LEASE_MS,
  MAX_LENGTH_MS,
  MIN_KEEP_ALIVE_MS,
  MIN_LEASE_MS,
  PREFIX_PATTERN
} from '../pool/policy.ts'
import { closed, countSchema, named, nullable, ref } from './schema.ts'

export const poolName = Type.String({ pattern: POOL_NAME_PATTERN, examples: ['default'] })
export const poolParams = Type.Object({
  pool: Type.String({ description: 'The name of the pool.', examples: ['default'] })
})

const policyMembers = {
  leaseMs: Type.Integer({
    minimum: MIN_LEASE_MS,
    maximum: MAX_LEASE_MS,
    description: 'The longest a lease lasts, in milliseconds.',
    default: DEFAULT_POLICY.leaseMs
  }),
  maxHoldMs: nullable(
    Type.Integer({
      minimum: MIN_LEASE_MS,
      maximum: MAX_LENGTH_MS,
      description: 'The longest a lease is held with renewals, in milliseconds; at least leaseMs. null: leaseMs.',
      default: DEFAULT_POLICY.maxHoldMs
    })
  ),
  keepAliveMs: nullable(
    Type.Integer({
      minimum: MIN_KEEP_ALIVE_MS,
      maximum: MAX_LENGTH_MS,
      description: 'How long a key lives without a keep-alive, in milliseconds. null: keys do not age.',
      default: DEFAULT_POLICY.keepAliveMs
    })
  ),
  alphabet: Type.String({
    minLength: 2,
    maxLength: 94,
    pattern: ALPHABET_PATTERN,
    description: 'What generated keys are made of: distinct visible ASCII characters.',
    default: DEFAULT_POLICY.alphabet
  }),
  length: Type.Integer({
    minimum: 1,
    maximum: MAX_GENERATED_LENGTH,
    description: 'How many characters of the alphabet a generated key has.',
    default: DEFAULT_POLICY.length
  }),
  prefix: Type.String({
    maxLength: 64,
    pattern: PREFIX_PATTERN,
    description: 'What generated keys begin with: visible ASCII characters.',
    default: DEFAULT_POLICY.prefix
  }),
  reuseDeleted: Type.Boolean({
    description: 'Whether a deleted key may be generated or imported again; otherwise deleting retires it.',
    default: DEFAULT_POLICY.reuseDeleted
  }),
  maxKeys: Type.Integer({
    minimum: 1,
    maximum: MAX_KEYS,
    description: 'The most keys that live at once.',
    default: DEFAULT_POLICY.maxKeys
  })
}

export const policySchema = named('Policy', Type.Object(policyMembers))
export const policyChanges = Type.Partial(Type.Object(policyMembers), {
  ...closed,
  title: 'PolicyChanges',
  examples: [{ leaseMs: DEFAULT_POLICY.leaseMs, keepAliveMs: DEFAULT_POLICY.keepAliveMs }]
})

export const countsSchema = named(
  'Counts',
  Type.Object({
    total: countSchema('Living keys: free, leased and cooling.'),
    free: countSchema('Keys that can be acquired.'),
    leased: countSchema('Keys that somebody holds.'),
    cooling: countSchema('Keys that are not served for a while.'),
    retired: countSchema('Keys whose life has ended for ever.'),
    waiting: countSchema('Callers that wait for a key.')
  })
)

export const sizeOfKeyspace = (description: string) =>
  Type.Unsafe<number | string>({
    type: ['integer', 'string'],
    description: `${description} A decimal string where size passes 2^53 - 1.`
  })

export const poolSchema = named(
  'Pool',
  Type.Object({
    name: poolName,
    policy: ref<Static<typeof policySchema>>('Policy'),
    counts: ref<Static<typeof countsSchema>>('Counts'),
    keyspace: Type.Object(
      {
        size: sizeOfKeyspace('How many keys the alphabet and length allow.'),
        remaining: sizeOfKeyspace('How many of them are neither living nor retired.')
      },
      { title: 'Keyspace' }
    )
  })
)

export const countsRef = ref<Static<typeof countsSchema>>('Counts')
export const poolRef = ref<Static<typeof poolSchema>>('Pool')
