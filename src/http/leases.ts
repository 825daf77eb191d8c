import { Type } from 'typebox'
import type { Engine } from '../engine.ts'
import { callerName, ownerOf } from './access.ts'
import type { App } from './app-type.ts'
import { Caller, releaseUnlessWritten } from './caller.ts'
import { exampleGrant, exampleLease } from './examples.ts'
import { idempotencyHeader, retryOf } from './idempotency.ts'
import { cooldownMs, holder, keepAlive, leaseMs, leaseParams, leaseRef } from './lease-schema.ts'
import { poolParams } from './pool-schema.ts'
import { refusals } from './problem-schema.ts'
import { respond } from './respond.ts'
import { answer, closed, emptyBody, located, noContent } from './schema.ts'
import { wireLease } from './wire.ts'

const MAX_WAIT_MS = 60_000
const tags = ['leases']

export function registerLeases(app: App, engine: Engine): void {
  app.route({
    method: 'POST',
    url: '/v1/pools/:pool/leases',
    config: { bodyOptional: true },
    schema: {
      operationId: 'acquireLease',
      summary: 'Acquire a lease of a random free key',
      description:
        'Nobody else has the key until the lease is released or ends. A retry with the same Idempotency-Key gets the same lease for as long as it lives. Where the answer can not be written, the lease is released, unless it carried an Idempotency-Key.',
      tags,
      params: poolParams,
      headers: idempotencyHeader,
      body: Type.Object(
        {
          leaseMs: Type.Optional(leaseMs),
          holder: Type.Optional(holder),
          waitMs: Type.Optional(
            Type.Integer({
              minimum: 0,
              maximum: MAX_WAIT_MS,
              description: 'How long to wait for a key where none is free, in milliseconds. First come, first served.'
            })
          )
        },
        { ...closed, title: 'LeaseRequest', examples: [{ holder: 'worker-1', waitMs: 0 }] }
      ),
      response: {
        201: located(answer(leaseRef, 'The lease, with its key.', exampleGrant), 'The path of the lease.'),
        ...refusals('unknown-pool', 'no-free-key', 'idempotency-key-reused', 'overloaded')
      }
    },
    handler: (request, reply) => {
      const { pool } = request.params
      const { leaseMs, holder, waitMs } = request.body
      const retry = retryOf(request)
      const asked = { leaseMs, holder, waitMs, owner: callerName(request) }
      return respond(reply, engine.acquire(pool, asked, new Caller(reply, retry)), lease => {
        if (retry === undefined) releaseUnlessWritten(reply, engine, pool, () => [lease])
        reply.code(201).header('location', `/v1/pools/${pool}/leases/${lease.id}`)
        reply.send(wireLease(lease, pool))
      })
    }
  })

  app.route({
    method: 'GET',
    url: '/v1/pools/:pool/leases/:leaseId',
    schema: {
      operationId: 'getLease',
      summary: 'Show a running lease',
      tags,
      params: leaseParams,
      response: {
        200: answer(leaseRef, 'The lease, without its key.', exampleLease),
        ...refusals('unknown-pool', 'lease-lost')
      }
    },
    handler: (request, reply) => {
      const { pool, leaseId } = request.params
      return respond(reply, engine.lease(pool, leaseId, ownerOf(request)), lease => reply.send(wireLease(lease, pool)))
    }
  })

  app.route({
    method: 'PUT',
    url: '/v1/pools/:pool/leases/:leaseId/renewal',
    config: { bodyOptional: true },
    schema: {
      operationId: 'renewLease',
      summary: 'Renew a lease',
      description:
        'Moves the deadline to the later of the present one and leaseMs from now, but not past maxHoldMs from the grant.',
      tags,
      params: leaseParams,
      body: Type.Object(
        {
          leaseMs: Type.Optional(leaseMs),
          keepAlive: Type.Optional(keepAlive)
        },
        { ...closed, title: 'RenewalRequest', examples: [{ keepAlive: true }] }
      ),
      response: {
        200: answer(leaseRef, 'The lease with its new deadline, without its key.', exampleLease),
        ...refusals('unknown-pool', 'max-hold-reached', 'lease-lost')
      }
    },
    handler: (request, reply) => {
      const { pool, leaseId } = request.params
      const { leaseMs, keepAlive } = request.body
      const asked = { leaseMs, keepAlive, owner: ownerOf(request) }
      return respond(reply, engine.renew(pool, leaseId, asked), lease => reply.send(wireLease(lease, pool)))
    }
  })

  app.route({
    method: 'DELETE',
    url: '/v1/pools/:pool/leases/:leaseId',
    config: { bodyOptional: true },
    schema: {
      operationId: 'releaseLease',
      summary: 'Release a lease',
      description:
        'The key is free again, or cools first. Releasing again changes nothing and succeeds, until somebody else has leased the key.',
      tags,
      params: leaseParams,
      querystring: Type.Object({ cooldownMs: Type.Optional(cooldownMs) }),
      body: emptyBody,
      response: { 204: noContent('The lease has ended.'), ...refusals('unknown-pool', 'lease-lost') }
    },
    handler: (request, reply) => {
      const { pool, leaseId } = request.params
      // Not the query itself, which may have more members than are known.
      const asked = { cooldownMs: request.query.cooldownMs, owner: ownerOf(request) }
      return respond(reply, engine.release(pool, leaseId, asked), () => reply.code(204).send())
    }
  })
}
