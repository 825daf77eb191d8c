import { Type } from 'typebox'
import type { Engine, KeyState, KeyView } from '../engine.ts'
import { keyId } from '../pool/key-id.ts'
import type { App } from './app-type.ts'
import { InvalidRequest } from './problems.ts'
import { respond } from './respond.ts'
import {
  emptyBody,
  fence,
  idempotencyHeader,
  keyParams,
  keyRef,
  keyState,
  metadata,
  noContent,
  nullable,
  nullableMetadata,
  poolParams,
  refusals,
  secret
} from './schemas.ts'
import { assertMetadata, retryOf } from './validation.ts'
import { wireKey } from './wire.ts'

const MAX_NEW_KEYS = 1000
const MAX_PAGE = 1000
const DEFAULT_PAGE = 100
const tags = ['keys']

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

export function registerKeys(app: App, engine: Engine): void {
  app.route({
    method: 'POST',
    url: '/v1/pools/:pool/keys',
    config: { bodyOptional: true },
    schema: {
      operationId: 'generateOrImportKeys',
      summary: 'Generate random keys, or import keys',
      description:
        'All or none. The answer shows the keys themselves. A retry with the same Idempotency-Key gets those that still live.',
      tags,
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

  app.route({
    method: 'GET',
    url: '/v1/pools/:pool/keys',
    schema: {
      operationId: 'listKeys',
      summary: 'List keys, a page at a time',
      description: 'In any order. A key that keeps its state during the whole walk is listed at least once.',
      tags,
      params: poolParams,
      querystring: Type.Object({
        state: Type.Optional(Type.Unsafe<KeyState>({ ...keyState, description: 'Only the keys in this state.' })),
        limit: Type.Optional(
          Type.Integer({
            minimum: 1,
            maximum: MAX_PAGE,
            default: DEFAULT_PAGE,
            description: 'How many keys a page has at most.'
          })
        ),
        cursor: Type.Optional(Type.String({ description: 'The nextCursor of the last page.' }))
      }),
      response: {
        200: Type.Object({
          keys: Type.Array(keyRef),
          nextCursor: nullable(Type.String({ description: 'null at the end.' }))
        }),
        ...refusals('unknown-pool')
      }
    },
    handler: (request, reply) => {
      const { pool } = request.params
      const { limit = DEFAULT_PAGE, state, cursor } = request.query
      return respond(reply, engine.list(pool, { limit, state, cursor }), ({ keys, nextCursor }) =>
        reply.send({ keys: keys.map(key => wireKey(key, pool)), nextCursor })
      )
    }
  })

  app.route({
    method: 'POST',
    url: '/v1/pools/:pool/keys/lookup',
    schema: {
      operationId: 'lookupKey',
      summary: 'Find a key by its secret',
      tags,
      params: poolParams,
      body: Type.Object({ key: secret }, { additionalProperties: false, examples: [{ key: 'sk-example' }] }),
      response: { 200: keyRef, ...refusals('unknown-pool', 'unknown-key') }
    },
    handler: (request, reply) => {
      const { pool } = request.params
      return respond(reply, engine.key(pool, keyId(request.body.key)), key => reply.send(wireKey(key, pool)))
    }
  })

  app.route({
    method: 'GET',
    url: '/v1/pools/:pool/keys/:id',
    schema: {
      operationId: 'getKey',
      summary: 'Show a key',
      tags,
      params: keyParams,
      querystring: Type.Object({
        reveal: Type.Optional(Type.Boolean({ description: 'Also show the key itself.' }))
      }),
      response: { 200: keyRef, ...refusals('unknown-pool', 'unknown-key') }
    },
    handler: (request, reply) => {
      const { pool, id } = request.params
      return respond(reply, engine.key(pool, id, request.query.reveal), key => reply.send(wireKey(key, pool)))
    }
  })

  app.route({
    method: 'DELETE',
    url: '/v1/pools/:pool/keys/:id',
    config: { bodyOptional: true },
    schema: {
      operationId: 'deleteKey',
      summary: 'Delete a key, leased or not',
      tags,
      params: keyParams,
      body: emptyBody,
      response: { 204: noContent('The key is gone.'), ...refusals('unknown-pool', 'unknown-key') }
    },
    handler: (request, reply) => {
      const { pool, id } = request.params
      return respond(reply, engine.delete(pool, id), () => reply.code(204).send())
    }
  })

  app.route({
    method: 'PUT',
    url: '/v1/pools/:pool/keys/:id/keep-alive',
    config: { bodyOptional: true },
    schema: {
      operationId: 'keepKeyAlive',
      summary: 'Keep a key alive',
      description: 'Its life now ends keepAliveMs from now. Its lease, if any, is not touched.',
      tags,
      params: keyParams,
      body: emptyBody,
      response: { 200: keyRef, ...refusals('unknown-pool', 'unknown-key') }
    },
    handler: (request, reply) => {
      const { pool, id } = request.params
      return respond(reply, engine.keepAlive(pool, id), key => reply.send(wireKey(key, pool)))
    }
  })

  app.route({
    method: 'PUT',
    url: '/v1/pools/:pool/keys/:id/activation',
    config: { bodyOptional: true },
    schema: {
      operationId: 'activateKey',
      summary: 'Activate a key',
      description: '201 the first time, then 200 with the time of the first.',
      tags,
      params: keyParams,
      body: emptyBody,
      response: { 200: keyRef, 201: keyRef, ...refusals('unknown-pool', 'unknown-key') }
    },
    handler: (request, reply) => {
      const { pool, id } = request.params
      return respond(reply, engine.activate(pool, id), ({ first, key }) =>
        reply.code(first ? 201 : 200).send(wireKey(key, pool))
      )
    }
  })

  app.route({
    method: 'PUT',
    url: '/v1/pools/:pool/keys/:id/metadata',
    schema: {
      operationId: 'setKeyMetadata',
      summary: 'Replace the metadata of a key',
      tags,
      params: keyParams,
      body: nullableMetadata,
      response: { 200: keyRef, ...refusals('unknown-pool', 'unknown-key') }
    },
    handler: (request, reply) => {
      const { pool, id } = request.params
      assertMetadata(request.body, '')
      return respond(reply, engine.setMetadata(pool, id, request.body), key => reply.send(wireKey(key, pool)))
    }
  })

  app.route({
    method: 'DELETE',
    url: '/v1/pools/:pool/keys/:id/lease',
    config: { bodyOptional: true },
    schema: {
      operationId: 'unblockKey',
      summary: 'End the lease or the cooling of a key, whoever has it',
      tags,
      params: keyParams,
      querystring: Type.Object({ fence: Type.Optional(fence) }),
      body: emptyBody,
      response: {
        204: noContent('The key is free.'),
        ...refusals('unknown-pool', 'unknown-key', 'key-not-leased', 'lease-lost')
      }
    },
    handler: (request, reply) => {
      const { pool, id } = request.params
      return respond(reply, engine.unblock(pool, id, request.query.fence), () => reply.code(204).send())
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
