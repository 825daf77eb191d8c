import { type Static, type TSchema, Type } from 'typebox'
import { KEY_STATES, type KeyState } from '../pool/keyring.ts'
import {
  ALPHABET_PATTERN,
  DEFAULT_POLICY,
  KEY_PATTERN,
  MAX_COOLDOWN_MS,
  MAX_GENERATED_LENGTH,
  MAX_KEY_LENGTH,
  MAX_KEYS,
  MAX_LEASE_MS,
  MAX_LENGTH_MS,
  MIN_KEEP_ALIVE_MS,
  MIN_LEASE_MS,
  PREFIX_PATTERN
} from '../pool/policy.ts'
import { PROBLEMS, PROBLEM_TYPE, type ProblemCode } from './problems.ts'

/** The same schema, or null. A list of types, not `anyOf`: the serializer then has nothing to try out. */
export function nullable<T extends TSchema>(schema: T): ReturnType<typeof Type.Unsafe<Static<T> | null>> {
  const { type, ...rest } = schema as T & { type: string }
  return Type.Unsafe<Static<T> | null>({ ...rest, type: [type, 'null'] })
}

/** Names a schema, so that the document has it once. */
export function named<T extends TSchema>(id: string, schema: T): T {
  return { ...schema, $id: id }
}

/** A reference to a named schema. */
export function ref<T>(id: string): ReturnType<typeof Type.Unsafe<T>> {
  return Type.Unsafe<T>({ $ref: `${id}#` })
}

const closed = { additionalProperties: false }

/** Of calls that take nothing. */
export const emptyBody = Type.Object({}, closed)
const at = (description: string) => Type.String({ format: 'date-time', description })
const count = (description: string) => Type.Integer({ minimum: 0, description })
const ms = (description: string) => Type.Integer({ description: `${description}, in milliseconds` })

export const idempotencyHeader = Type.Object({
  'idempotency-key': Type.Optional(
    Type.String({ description: 'Makes the call safe to repeat: 1 … 128 visible ASCII characters.' })
  )
})

export const poolName = Type.String({ pattern: '^[a-z0-9][a-z0-9-]{0,62}$', examples: ['default'] })
export const poolParams = Type.Object({
  pool: Type.String({ description: 'The name of the pool.', examples: ['default'] })
})
export const keyParams = Type.Object({
  ...poolParams.properties,
  id: Type.String({
    description: 'The public id of the key, never the key itself.',
    examples: ['0aBcDeFgHiJkLmNoPqRsTu']
  })
})
export const leaseParams = Type.Object({
  ...poolParams.properties,
  leaseId: Type.String({
    description: 'The id of the lease, as it was granted.',
    examples: ['0aBcDeFgHiJkLmNoPqRsTu.1']
  })
})

export const MAX_METADATA_BYTES = 1024
// Not Type.Record, which checks no name that holds the end of a line.
export const metadata = Type.Unsafe<Record<string, string>>({
  type: 'object',
  additionalProperties: { type: 'string' },
  description: `A flat object of strings, at most ${MAX_METADATA_BYTES} bytes as compact JSON.`,
  examples: [{ vendor: 'example' }]
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
export const secret = Type.String({
  pattern: KEY_PATTERN,
  minLength: 1,
  maxLength: MAX_KEY_LENGTH,
  description: 'The secret: visible ASCII characters.'
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

const policySchema = named('Policy', Type.Object(policyMembers))
export const policyChanges = Type.Partial(Type.Object(policyMembers), {
  ...closed,
  examples: [{ leaseMs: DEFAULT_POLICY.leaseMs, keepAliveMs: DEFAULT_POLICY.keepAliveMs }]
})

const countsSchema = named(
  'Counts',
  Type.Object({
    total: count('Living keys: free, leased and cooling.'),
    free: count('Keys that can be acquired.'),
    leased: count('Keys that somebody holds.'),
    cooling: count('Keys that are not served for a while.'),
    retired: count('Keys whose life has ended for ever.'),
    waiting: count('Callers that wait for a key.')
  })
)

const sizeOfKeyspace = (description: string) =>
  Type.Unsafe<number | string>({
    type: ['integer', 'string'],
    description: `${description} A decimal string where size passes 2^53 - 1.`
  })

const poolSchema = named(
  'Pool',
  Type.Object({
    name: poolName,
    policy: ref<Static<typeof policySchema>>('Policy'),
    counts: ref<Static<typeof countsSchema>>('Counts'),
    keyspace: Type.Object({
      size: sizeOfKeyspace('How many keys the alphabet and length allow.'),
      remaining: sizeOfKeyspace('How many of them are neither living nor retired.')
    })
  })
)

/** The states of a living key. */
export const keyState = Type.Unsafe<KeyState>({ type: 'string', enum: [...KEY_STATES] })

const expiry = {
  expiresAt: at('When the lease ends.'),
  expiresInMs: ms('Until the lease ends')
}
const life = {
  keepAliveBy: nullable(at('When the key is retired unless it is kept alive; null: keys of this pool do not age.')),
  keepAliveInMs: nullable(ms('Until the key is retired'))
}
export const nullableMetadata = nullable(metadata)

const keySchema = named(
  'Key',
  Type.Object({
    id: Type.String({ description: 'The first 22 characters of base64url(SHA-256(key)).' }),
    key: Type.Optional(Type.String({ description: 'The secret, only where the call may show it.' })),
    pool: poolName,
    state: keyState,
    createdAt: at('When the key entered the pool.'),
    activatedAt: nullable(at('When the key was first activated.')),
    ...life,
    coolingUntil: nullable(at('When a cooling key is free again.')),
    coolingInMs: nullable(ms('Until a cooling key is free again')),
    lease: nullable(
      Type.Object({
        id: Type.String(),
        fence,
        holder: nullable(Type.String()),
        ...expiry
      })
    ),
    metadata: nullableMetadata
  })
)
export type Key = Static<typeof keySchema>

const leaseSchema = named(
  'Lease',
  Type.Object({
    id: Type.String({ description: 'Names the lease in later calls. Opaque.' }),
    fence,
    pool: poolName,
    keyId: Type.String(),
    key: Type.Optional(Type.String({ description: 'The secret, only in the answer that leased it.' })),
    holder: nullable(Type.String()),
    acquiredAt: at('When the lease began.'),
    ...expiry,
    renewAfterMs: nullable(ms('When to renew, from this answer on; null: a renewal can not move the deadline')),
    ...life,
    metadata: nullableMetadata
  })
)
export type Lease = Static<typeof leaseSchema>

const problemSchema = named(
  'Problem',
  Type.Object(
    {
      type: Type.String({ description: 'Where the code is explained.' }),
      title: Type.String(),
      status: Type.Integer(),
      detail: Type.String(),
      code: Type.String({ enum: Object.keys(PROBLEMS), description: 'Stable; for programs.' }),
      instance: Type.String({ description: 'The id of the request, as in X-Request-Id.' }),
      errors: Type.Optional(
        Type.Array(
          Type.Object({
            in: Type.String({ enum: ['body', 'query', 'path', 'header'] }),
            pointer: Type.String(),
            detail: Type.String()
          }),
          { maxItems: 20 }
        )
      ),
      reason: Type.Optional(Type.String({ enum: ['pool-empty', 'all-held'] })),
      reasons: Type.Optional(Type.Array(Type.String())),
      retryAfterMs: Type.Optional(count('An estimate, in milliseconds.')),
      counts: Type.Optional(ref<Static<typeof countsSchema>>('Counts')),
      indexes: Type.Optional(Type.Array(Type.Integer())),
      remaining: Type.Optional(sizeOfKeyspace('How many keys are unused.'))
    },
    { description: 'RFC 9457.' }
  )
)

/** All named schemas, in an order in which each stands after those that it refers to. */
export const sharedSchemas = [policySchema, countsSchema, poolSchema, keySchema, leaseSchema, problemSchema]

export const poolRef = ref<Static<typeof poolSchema>>('Pool')
export const keyRef = ref<Key>('Key')
export const leaseRef = ref<Lease>('Lease')

/** What any call may meet, whatever it does. */
const ALWAYS: ProblemCode[] = [
  'invalid-request',
  'request-timeout',
  'payload-too-large',
  'uri-too-long',
  'unsupported-media-type',
  'expectation-failed',
  'headers-too-large',
  'internal',
  'draining'
]

/** The responses for refused calls: those named, and those that any call may give. */
export function refusals(...codes: ProblemCode[]): Record<number, object> {
  const byStatus = new Map<number, ProblemCode[]>()
  for (const code of [...codes, ...ALWAYS]) {
    const { status } = PROBLEMS[code]
    byStatus.set(status, [...(byStatus.get(status) ?? []), code])
  }
  return Object.fromEntries(
    [...byStatus]
      .sort(([a], [b]) => a - b)
      .map(([status, group]) => [
        status,
        {
          description: group.map(code => `\`${code}\`: ${PROBLEMS[code].title}`).join('. '),
          content: { [PROBLEM_TYPE]: { schema: { $ref: 'Problem#' }, example: exampleOf(group[0] as ProblemCode) } }
        }
      ])
  )
}

function exampleOf(code: ProblemCode): object {
  const { status, title, about } = PROBLEMS[code]
  return { type: `/problems/${code}`, title, status, detail: about, code, instance: 'a-request-id' }
}

/** A response without a body. */
export const noContent = (description: string) => ({ description, type: 'null' })
