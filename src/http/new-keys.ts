import { Type } from 'typebox'
import type { Engine, KeyView } from '../engine.ts'
import type { App } from './app-type.ts'
import { idempotencyHeader, retryOf } from './idempotency.ts'
import { keyRef, secret } from './key-schema.ts'
import { assertMetadata, metadata } from './metadata.ts'
import { poolParams } from './pool-schema.ts'
import { refusals } from './problem-schema.ts'
import { InvalidRequest } from './problems.ts'
import { respond } from './respond.ts'
import { wireKey } from './wire.ts'

const MAX_NEW_KEYS = 1000

const newKeys = Type.Object(
  {
    count: Type.Optional(
      Type.Integer({ minimum: 1, maximum: MAX_NEW_KEYS, description: 'How many keys to generate; 1 where absent.' })
    ),
    metadata: Type.Optional(metadata),
    keys: Type.Optional(
      Type.Array(Type.Object({ key: secret, metadata: Type.Optional(metadata) }, { additionalProperties: false }), {
        minItems: 1,
        maxItems: MAX_NEW_KEYS,
        description: 'Keys to import, instead of generating.'
      })
    )
  },
  {
    additionalProperties: false,
    dependentSchemas: { keys: { properties: { count: false, metadata: false } } },
    description: 'Either count and metadata, to generate, or keys, to import.',
    examples: [{ count: 3 }]
  }
)

/** How keys enter a pool. */
export function registerNewKeys(app: App, engine: Engine): void {
  app.route({
    method: 'POST',
    url: '/v1/pools/:pool/keys',
    config: { bodyOptional: true },
    schema: {
      operationId: 'generateOrImportKeys',
      summary: 'Generate random keys, or import keys',
      description:
        'All or none. The answer shows the keys themselves. A retry with the same Idempotency-Key gets those that still live.',
      tags: ['keys'],
      params: poolParams,
      headers: idempotencyHeader,
      body: newKeys,
      response: {
        201: Type.Object({ keys: Type.Array(keyRef) }),
        ...refusals(
          'unknown-pool',
          'keyspace-exhausted',
          'pool-full',
          'key-exists',
          'key-retired',
          'idempotency-key-reused'
        )
      }
    },
    handler: (request, reply) => {
      const { pool } = request.params
      const { keys: imports, count = 1, metadata = null } = request.body
      const retry = retryOf(request)
      assertMetadata(metadata, '/metadata')
      if (imports !== undefined) assertImports(imports)
      const send = (keys: KeyView[]): void => {
        reply.code(201)
        if (keys.length === 1) reply.header('location', `/v1/pools/${pool}/keys/${keys[0]?.id}`)
        reply.send({ keys: keys.map(key => wireKey(key, pool)) })
      }
      return imports === undefined
        ? respond(reply, engine.generate(pool, { count, metadata }, retry), send)
        : respond(reply, engine.importKeys(pool, imports, retry), send)
    }
  })
}

/** Refuses an import with the same key twice, or with metadata that is too large. */
function assertImports(imports: readonly { key: string; metadata?: Record<string, string> }[]): void {
  const seen = new Set<string>()
  const repeats: number[] = []
  for (const [i, { key, metadata }] of imports.entries()) {
    assertMetadata(metadata, `/keys/${i}/metadata`)
    if (seen.has(key)) repeats.push(i)
    seen.add(key)
  }
  if (repeats.length > 0) {
    throw new InvalidRequest(
      repeats.map(i => ({ in: 'body', pointer: `/keys/${i}/key`, detail: 'stands earlier in the list already' }))
    )
  }
}
