import { type Static, Type } from 'typebox'
import type { Engine, KeyView } from '../engine.ts'
import type { App } from './app-type.ts'
import { EXAMPLE_METADATA, EXAMPLE_SECRET } from './example-key.ts'
import { exampleNewKey } from './examples.ts'
import { idempotencyHeader, retryOf } from './idempotency.ts'
import { keyRef, secret } from './key-schema.ts'
import { assertMetadata, metadata } from './metadata.ts'
import { poolParams } from './pool-schema.ts'
import { refusals } from './problem-schema.ts'
import { InvalidRequest } from './problems.ts'
import { respond } from './respond.ts'
import { answer, closed, located } from './schema.ts'
import { wireKey } from './wire.ts'

const MAX_NEW_KEYS = 1000

const generation = Type.Object(
  {
    count: Type.Optional(
      Type.Integer({ minimum: 1, maximum: MAX_NEW_KEYS, description: 'How many keys to generate; 1 where absent.' })
    ),
    metadata: Type.Optional(metadata)
  },
  { ...closed, title: 'Generation', description: 'To generate keys, all with the same metadata.' }
)
const imports = Type.Object(
  {
    keys: Type.Array(
      Type.Object({ key: secret, metadata: Type.Optional(metadata) }, { ...closed, title: 'KeyToImport' }),
      {
        minItems: 1,
        maxItems: MAX_NEW_KEYS
      }
    )
  },
  { ...closed, title: 'Import', description: 'To import keys, each with metadata of its own.' }
)
const newKeys = Type.Unsafe<Static<typeof generation> | Static<typeof imports>>({
  oneOf: [generation, imports],
  description: 'Either keys, to import, or else count and metadata, to generate.',
  'x-examples': {
    generate: { summary: 'Generate three keys', value: { count: 3 } },
    import: {
      summary: 'Import the key of the examples',
      value: { keys: [{ key: EXAMPLE_SECRET, metadata: EXAMPLE_METADATA }] }
    }
  }
})

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
        201: located(
          answer(Type.Object({ keys: Type.Array(keyRef) }, { title: 'NewKeys' }), 'The keys, with their secrets.', {
            keys: [exampleNewKey]
          }),
          'The path of the key, where it is one.'
        ),
        ...refusals(
          'unknown-pool',
          'keyspace-exhausted',
          'pool-full',
          'key-exists',
          'key-retired',
          'idempotency-key-reused',
          'overloaded'
        )
      }
    },
    handler: (request, reply) => {
      const { pool } = request.params
      const { body } = request
      const retry = retryOf(request)
      const send = (keys: KeyView[]): void => {
        reply.code(201)
        if (keys.length === 1) reply.header('location', `/v1/pools/${pool}/keys/${keys[0]?.id}`)
        reply.send({ keys: keys.map(key => wireKey(key, pool)) })
      }
      if ('keys' in body) {
        assertImports(body.keys)
        return respond(reply, engine.importKeys(pool, body.keys, retry), send)
      }
      const { count = 1, metadata = null } = body
      assertMetadata(metadata, '/metadata')
      return respond(reply, engine.generate(pool, { count, metadata }, retry), send)
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
