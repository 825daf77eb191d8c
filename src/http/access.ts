import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { type Bearer, type Bearers, covers, isGranted } from '../access/bearer.ts'
import type { Operation } from '../engine.ts'
import { sendProblem } from './problems.ts'
import { type Need, needOf, OPERATIONS, REVEAL } from './roles.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** Who calls; undefined where the server knows no tokens, and on calls that are open. */
    caller: Bearer | undefined
  }
  interface FastifyContextConfig {
    /** From roles.ts, for every route. */
    need?: Need
    /** The pool that the call is about, where its path names none. */
    pool?: string
    /** Whether `?reveal=true` asks for a key itself. Elsewhere it is a parameter that nobody knows. */
    mayReveal?: boolean
    /** Whether the token may come as `?token=`, for clients that can't send a header. */
    tokenInQuery?: boolean
  }
}

/** RFC 6750, section 2.1. */
const BEARER = /^Bearer +([\w.~+/-]+=*) *$/i

/** Rejected where a request is beyond the rate of whoever it comes from. */
export type Limit = (request: FastifyRequest, reply: FastifyReply) => Promise<unknown>

/**
 * Lets in who may call, before a body is read. Without `bearers` everybody may do everything. Register before the routes:
 * one for which roles.ts has no role does not start.
 */
export function guardAccess(app: FastifyInstance, bearers: Bearers | undefined, limit: Limit | undefined): void {
  app.addHook('onRoute', route => {
    const { operationId } = (route.schema ?? {}) as { operationId?: string }
    route.config = { ...route.config, need: needOf(route.url, operationId) }
  })
  if (bearers === undefined) return

  app.decorateRequest('caller', undefined)
  app.addHook('onRequest', (request, reply, done) => {
    const refuse = refusalOf(request, bearers)
    if (refuse === undefined) done()
    else if (limit === undefined) refuse(reply)
    else limit(request, reply).then(() => refuse(reply), done)
  })
}

/** Finds out who calls. How the call is refused, undefined where it may be made. */
function refusalOf(request: FastifyRequest, bearers: Bearers): ((reply: FastifyReply) => void) | undefined {
  const { config } = request.routeOptions
  // The hook above gave every route one.
  const { role } = config.need as Need
  if (role === 'open') return undefined
  const token = tokenOf(request, config.tokenInQuery === true)
  const caller = token === undefined ? undefined : bearers.bearerOf(token)
  request.caller = caller
  if (caller === undefined) return reply => refuseStranger(request, reply)
  const pool = config.pool ?? (request.params as { pool?: string }).pool
  const { reveal } = request.query as { reveal?: unknown }
  if (!covers(caller, role)) return reply => forbid(reply, `The call needs the role ${role}.`)
  // Whatever else a parameter of this name may be, it is refused later.
  if (config.mayReveal && reveal === 'true' && !covers(caller, REVEAL)) {
    return reply => forbid(reply, `reveal needs the role ${REVEAL}.`)
  }
  if (pool !== undefined && !isGranted(caller, pool)) {
    return reply => forbid(reply, 'The pool is not granted to this token.')
  }
  return undefined
}

/** The name of the token that calls. */
export function callerName(request: FastifyRequest): string | undefined {
  return request.caller?.name
}

/** Whose leases the call may touch: nobody's but its own, or everybody's where undefined. */
export function ownerOf({ caller }: FastifyRequest): string | undefined {
  return caller === undefined || covers(caller, 'admin') ? undefined : caller.name
}

/** Of the operations of a batch, the first that its caller may not have. */
export function forbiddenOperation(
  { caller }: FastifyRequest,
  operations: readonly Operation[]
): Operation['op'] | undefined {
  return caller && operations.find(({ op }) => !covers(caller, OPERATIONS[op]))?.op
}

export function forbid(reply: FastifyReply, detail: string): FastifyReply {
  return sendProblem(reply, 'forbidden', detail)
}

function tokenOf({ headers, query }: FastifyRequest, mayBeInQuery: boolean): string | undefined {
  if (headers.authorization !== undefined || !mayBeInQuery) return BEARER.exec(headers.authorization ?? '')?.[1]
  const { token } = query as { token?: unknown }
  return typeof token === 'string' ? token : undefined
}

function refuseStranger({ headers }: FastifyRequest, reply: FastifyReply): void {
  // RFC 6750, section 3.1: no error is told where nothing was tried.
  const tried = headers.authorization !== undefined
  reply.header('www-authenticate', tried ? 'Bearer error="invalid_token"' : 'Bearer')
  sendProblem(
    reply,
    'unauthorized',
    tried ? 'The token is not known.' : 'The call needs a token: send the header Authorization: Bearer <token>.'
  )
}
