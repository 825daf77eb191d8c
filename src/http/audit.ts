import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { AuditTrail } from '../access/audit-trail.ts'
import { isGranted } from '../access/bearer.ts'
import type { Operation } from '../engine.ts'
import { callerName } from './access.ts'
import { PROBLEM_TYPE, PROBLEMS } from './problems.ts'

/** A part of what a call did: on which key or lease, and what that came to where it is another than the call's. */
export interface Deed {
  verb?: string
  id?: string | null | undefined
  fence?: number | null | undefined
  outcome?: string
}

declare module 'fastify' {
  interface FastifyRequest {
    /** What the call did, as far as its answer does not tell. Unused where there is no audit trail. */
    deeds: Deed[] | undefined
  }
}

const { status: UNAUTHORIZED } = PROBLEMS.unauthorized

/** Refusals that say that the key or the lease is there. */
const ID_IS_KNOWN = ['max-hold-reached', 'key-not-leased']
/** Outcomes that say that the pool is there. */
const POOL_IS_KNOWN = ['ok', 'unknown-key', 'no-free-key', 'key-not-leased', 'key-exists', 'key-retired', 'pool-full']
POOL_IS_KNOWN.push('keyspace-exhausted', 'policy-locked', 'pool-protected', 'max-hold-reached', 'lease-lost')
POOL_IS_KNOWN.push('idempotency-key-reused')

/** Refusals whose number the caller decides, or that come before anybody has looked who calls. */
const SUMMED_UP = ['too-many-requests', 'overloaded', 'uri-too-long', 'draining']

/**
 * Tells each change, each that was refused, each secret that was shown or tried, and whoever tries to call without a token,
 * when it is answered: in the order of the answers, and also where nobody reads them any more. A pool and a key are named
 * only where they are known to be: a careless caller may have put a secret there. What strangers are refused is summed up,
 * and so is what the pages of other sites are, where there are no tokens.
 */
export function auditCalls(
  app: FastifyInstance,
  trail: Pick<AuditTrail, 'write' | 'sumUp'> | undefined,
  hasTokens: boolean
): void {
  if (trail === undefined) return
  app.decorateRequest('deeds', undefined)

  app.addHook('preSerialization', (request, _reply, payload, done) => {
    if (isTold(request)) request.deeds ??= deedsOf(request, payload as Answer)
    done(null, payload)
  })

  app.addHook('onSend', (request, reply, payload, done) => {
    if (isTold(request) || reply.statusCode === UNAUTHORIZED) {
      const isProblem = String(reply.getHeader('content-type')).startsWith(PROBLEM_TYPE)
      const outcome = isProblem ? (JSON.parse(payload as string) as { code: string }).code : 'ok'
      const { operationId } = request.routeOptions.schema as { operationId: string }
      // Without tokens, only the pages of other sites are forbidden anything.
      const isStranger = request.caller === undefined && (hasTokens || outcome === 'forbidden')
      const deeds = (isProblem ? undefined : request.deeds) ?? [deedByPath(request, outcome)]
      for (const { verb = operationId, id = null, fence = null, outcome: own = outcome } of deeds) {
        const entry = {
          token: callerName(request) ?? null,
          // Whatever the type says, a connection that was reset before anybody looked has no address.
          remote: (request.ip as string | undefined) ?? null,
          verb,
          pool: poolOf(request, outcome),
          id,
          fence,
          outcome: own,
          requestId: request.id
        }
        if (isStranger || SUMMED_UP.includes(outcome)) trail.sumUp(entry)
        else trail.write(entry)
      }
    }
    done(null, payload)
  })
}

function isTold({ routeOptions, query }: FastifyRequest): boolean {
  const { need, mayReveal } = routeOptions.config
  // As it came, or as it was read.
  return need?.told === true || (mayReveal === true && String((query as { reveal?: unknown }).reveal) === 'true')
}

/** What an answer may have that is told. */
interface Answer {
  results?: { status: number; body: (Answer & { code?: string }) | null }[]
  keys?: { id: string }[]
  id?: string
  keyId?: string
  fence?: number
}

function deedsOf(request: FastifyRequest, answer: Answer): Deed[] {
  const { results, keys } = answer
  if (keys !== undefined) return keys.map(({ id }) => ({ id }))
  if (results === undefined) return [subjectOf(answer)]
  const { operations } = request.body as { operations: Operation[] }
  return results.map(({ status, body }, i) => {
    const operation = operations[i] as Operation
    const code = status < 300 ? 'ok' : String(body?.code)
    const subject = code === 'ok' && body !== null ? subjectOf(body) : subjectGiven(operation, code)
    return { verb: operation.op, outcome: code, ...subject }
  })
}

/** Of a lease or a key; a pool has neither. */
function subjectOf({ keyId, id, fence }: Answer): Deed {
  return { id: keyId ?? id, fence }
}

function deedByPath({ params }: FastifyRequest, outcome: string): Deed {
  const { id, leaseId } = params as { id?: string; leaseId?: string }
  return subjectGiven({ id, lease: leaseId }, outcome)
}

/** As the caller named it. */
function subjectGiven(
  given: { id?: string | undefined; lease?: string | undefined } | Operation,
  outcome: string
): Deed {
  if (outcome !== 'ok' && !ID_IS_KNOWN.includes(outcome)) return {}
  const { id, lease } = given as { id?: string; lease?: string }
  if (lease === undefined) return { id }
  const [keyId, fence] = lease.split('.')
  return { id: keyId, fence: Number(fence) }
}

function poolOf({ params, routeOptions, caller }: FastifyRequest, outcome: string): string | null {
  const pool = routeOptions.config.pool ?? (params as { pool: string }).pool
  const isGrantedByName = caller !== undefined && caller.pools !== '*' && isGranted(caller, pool)
  return routeOptions.config.pool !== undefined || isGrantedByName || POOL_IS_KNOWN.includes(outcome) ? pool : null
}
