import { type Engine, isRefusal, type LeaseView, type Operation, type Outcome } from '../engine.ts'
import { callerName, forbid, forbiddenOperation, ownerOf } from './access.ts'
import type { App } from './app-type.ts'
import { batch, results } from './batch-schema.ts'
import { releaseUnlessWritten } from './caller.ts'
import { exampleResults } from './examples.ts'
import { idempotencyHeader, retryOf } from './idempotency.ts'
import { poolParams } from './pool-schema.ts'
import { refusals } from './problem-schema.ts'
import { refusedOperation } from './refusals.ts'
import { respond } from './respond.ts'
import { answer } from './schema.ts'
import { wireKey, wireLease } from './wire.ts'

export function registerBatch(app: App, engine: Engine): void {
  app.route({
    method: 'POST',
    url: '/v1/pools/:pool/batch',
    // Of the four kinds of bodies the usual serializer would try one after the other.
    serializerCompiler: () => JSON.stringify,
    schema: {
      operationId: 'batch',
      summary: 'Many operations in one call',
      description:
        'Applied in order, without another caller in between. Each result has the status and the body that the single call would have given. A malformed operation, or one whose single call the token may not make, refuses the whole call, and nothing is applied.',
      tags: ['batch'],
      params: poolParams,
      headers: idempotencyHeader,
      body: batch,
      response: {
        200: answer(results, 'A result for each operation, in order.', exampleResults),
        ...refusals('unknown-pool', 'idempotency-key-reused', 'overloaded')
      }
    },
    handler: (request, reply) => {
      const { pool } = request.params
      const { operations } = request.body
      const forbidden = forbiddenOperation(request, operations)
      if (forbidden !== undefined) return void forbid(reply, `Nothing was applied: ${forbidden} needs the role admin.`)
      const retry = retryOf(request)
      const owned = ownAll(operations, callerName(request))
      return respond(reply, engine.batch(pool, owned, { retry, owner: ownerOf(request) }), outcomes => {
        if (retry === undefined) releaseUnlessWritten(reply, engine, pool, () => acquired(outcomes))
        reply.send({ results: outcomes.map(outcome => wireOutcome(outcome, pool, request.id)) })
      })
    }
  })
}

/** Leases belong to who takes them, also where that is an admin, who may touch those of others. */
function ownAll(operations: Operation[], owner: string | undefined): Operation[] {
  return owner === undefined ? operations : operations.map(each => (each.op === 'acquire' ? { ...each, owner } : each))
}

function acquired(outcomes: Outcome[]): LeaseView[] {
  return outcomes.flatMap(({ op, value }) => (op === 'acquire' && value !== null && !isRefusal(value) ? [value] : []))
}

function wireOutcome(outcome: Outcome, pool: string, requestId: string): { status: number; body: object | null } {
  if (isRefusal(outcome.value)) return refusedOperation(outcome.value, requestId)
  switch (outcome.op) {
    case 'acquire':
      return { status: 201, body: outcome.value && wireLease(outcome.value, pool) }
    case 'renew':
      return { status: 200, body: outcome.value && wireLease(outcome.value, pool) }
    case 'keepAlive':
      return { status: 200, body: outcome.value && wireKey(outcome.value, pool) }
    case 'activate':
      return { status: outcome.first ? 201 : 200, body: outcome.value && wireKey(outcome.value, pool) }
    default:
      return { status: 204, body: null }
  }
}
