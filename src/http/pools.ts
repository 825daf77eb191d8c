import { Type } from 'typebox'
import { isGranted } from '../access/bearer.ts'
import type { Engine } from '../engine.ts'
import { isAlphabet } from '../pool/policy.ts'
import type { App } from './app-type.ts'
import { examplePool } from './examples.ts'
import { policyChanges, poolName, poolParams, poolRef } from './pool-schema.ts'
import { refusals } from './problem-schema.ts'
import { InvalidRequest, sendProblem } from './problems.ts'
import { respond } from './respond.ts'
import { answer, emptyBody, located, noContent } from './schema.ts'

const tags = ['pools']

/** `isProtected` tells which pools can't be deleted. */
export function registerPools(app: App, engine: Engine, isProtected: (pool: string) => boolean): void {
  app.route({
    method: 'GET',
    url: '/v1/pools',
    schema: {
      operationId: 'listPools',
      summary: 'List the pools',
      description: 'Those that are granted to the token.',
      tags,
      response: {
        200: answer(Type.Object({ pools: Type.Array(poolRef) }, { title: 'Pools' }), 'All pools.', {
          pools: [examplePool]
        }),
        ...refusals()
      }
    },
    handler: ({ caller }, reply) =>
      respond(reply, engine.pools(), pools =>
        reply.send({ pools: caller === undefined ? pools : pools.filter(({ name }) => isGranted(caller, name)) })
      )
  })

  app.route({
    method: 'PUT',
    url: '/v1/pools/:pool',
    config: { bodyOptional: true },
    schema: {
      operationId: 'putPool',
      summary: 'Make a pool, or change its policy',
      description:
        'Members that are absent keep their value; in a new pool they have their default. A change applies to what happens next: no running lease or life ends, shrinks or grows.',
      tags,
      params: Type.Object({ pool: { ...poolName, description: 'The name of the pool.' } }),
      body: policyChanges,
      response: {
        200: answer(poolRef, 'The policy is changed.', examplePool),
        201: located(answer(poolRef, 'The pool is made.', examplePool), 'The path of the pool.'),
        ...refusals('too-many-pools', 'policy-locked')
      }
    },
    handler: (request, reply) => {
      const { alphabet } = request.body
      if (alphabet !== undefined && !isAlphabet(alphabet)) {
        throw new InvalidRequest([{ in: 'body', pointer: '/alphabet', detail: 'must have no character twice' }])
      }
      return respond(reply, engine.putPool(request.params.pool, request.body), ({ made, pool }) => {
        if (made) reply.code(201).header('location', `/v1/pools/${pool.name}`)
        reply.send(pool)
      })
    }
  })

  app.route({
    method: 'GET',
    url: '/v1/pools/:pool',
    schema: {
      operationId: 'getPool',
      summary: 'Show a pool: its policy, counts and key space',
      tags,
      params: poolParams,
      response: { 200: answer(poolRef, 'The pool.', examplePool), ...refusals('unknown-pool') }
    },
    handler: (request, reply) => respond(reply, engine.pool(request.params.pool), pool => reply.send(pool))
  })

  app.route({
    method: 'DELETE',
    url: '/v1/pools/:pool',
    config: { bodyOptional: true },
    schema: {
      operationId: 'deletePool',
      summary: 'Delete a pool with all its keys',
      description: 'Its retired keys are forgotten, and callers that wait for one of its keys are refused.',
      tags,
      params: Type.Object({ pool: Type.String({ description: 'The name of the pool.', examples: ['scratch'] }) }),
      body: emptyBody,
      response: { 204: noContent('The pool is gone.'), ...refusals('unknown-pool', 'pool-protected') }
    },
    handler: (request, reply) => {
      const { pool } = request.params
      if (isProtected(pool)) return sendProblem(reply, 'pool-protected', 'This pool can not be deleted.')
      return respond(reply, engine.deletePool(pool), () => reply.code(204).send())
    }
  })
}
