import { Type } from 'typebox'
import type { Engine, KeyState } from '../engine.ts'
import { keyId } from '../pool/key-id.ts'
import type { App } from './app-type.ts'
import { EXAMPLE_SECRET } from './example-key.ts'
import { exampleActiveKey, exampleKey, exampleLeasedKey } from './examples.ts'
import { keyParams, keyRef, keyState, secret } from './key-schema.ts'
import { fence } from './lease-schema.ts'
import { assertMetadata, nullableMetadata } from './metadata.ts'
import { poolParams } from './pool-schema.ts'
import { refusals } from './problem-schema.ts'
import { respond } from './respond.ts'
import { answer, closed, emptyBody, noContent, nullable } from './schema.ts'
import { wireKey } from './wire.ts'

const MAX_PAGE = 1000
const DEFAULT_PAGE = 100
const tags = ['keys']

export function registerKeys(app: App, engine: Engine): void {
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
        cursor: Type.Optional(Type.String({ description: 'The nextCursor of the last page; absent for the first.' }))
      }),
      response: {
        200: answer(
          Type.Object(
            {
              keys: Type.Array(keyRef),
              nextCursor: nullable(Type.String({ description: 'For the next page; null at the end.' }))
            },
            { title: 'KeyPage' }
          ),
          'A page of keys.',
          { keys: [exampleKey], nextCursor: null }
        ),
        ...refusals('unknown-pool', 'overloaded')
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
      body: Type.Object({ key: secret }, { ...closed, title: 'KeyLookup', examples: [{ key: EXAMPLE_SECRET }] }),
      response: {
        200: answer(keyRef, 'The key, without its secret.', exampleKey),
        ...refusals('unknown-pool', 'unknown-key')
      }
    },
    handler: (request, reply) => {
      const { pool } = request.params
      return respond(reply, engine.key(pool, keyId(request.body.key)), key => reply.send(wireKey(key, pool)))
    }
  })

  app.route({
    method: 'GET',
    url: '/v1/pools/:pool/keys/:id',
    config: { mayReveal: true },
    schema: {
      operationId: 'getKey',
      summary: 'Show a key',
      tags,
      params: keyParams,
      querystring: Type.Object({
        reveal: Type.Optional(
          Type.Boolean({ description: 'Also show the key itself. Needs the role `admin`.', examples: [true] })
        )
      }),
      response: {
        200: answer(keyRef, 'The key; with its secret where that was asked for.', exampleLeasedKey),
        ...refusals('unknown-pool', 'unknown-key')
      }
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
      response: {
        200: answer(keyRef, 'The key with its new deadline.', exampleKey),
        ...refusals('unknown-pool', 'unknown-key')
      }
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
      response: {
        200: answer(keyRef, 'It was activated before; with the time of the first.', exampleActiveKey),
        201: answer(keyRef, 'It is activated now.', exampleActiveKey),
        ...refusals('unknown-pool', 'unknown-key')
      }
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
      response: {
        200: answer(keyRef, 'The key with its new metadata.', exampleKey),
        ...refusals('unknown-pool', 'unknown-key')
      }
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
      querystring: Type.Object({
        fence: Type.Optional({ ...fence, description: 'Ends only the lease with this fence.' })
      }),
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
