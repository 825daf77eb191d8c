import type { FastifyReply } from 'fastify'
import { MAX_POOLS, MAX_WAITING } from '../engine.ts'

/** What a problem's code means. `about` is for whoever opens the code's page. */
interface ProblemKind {
  status: number
  title: string
  about: string
}

const kind = (status: number, title: string, about: string): ProblemKind => ({ status, title, about })

const figure = (number: number): string => number.toLocaleString('en')

/** Every problem that the service answers with. Codes are stable; texts may change. */
export const PROBLEMS = {
  'invalid-request': kind(
    400,
    'The request is malformed',
    'The request is not HTTP, not JSON, or not what the call takes. `errors` names each place, at most 20. Correct it; repeating the same request gives the same answer.'
  ),
  unauthorized: kind(
    401,
    'A token is needed',
    'The call needs a token that the server knows: send it as `Authorization: Bearer <token>`.'
  ),
  forbidden: kind(
    403,
    'The token may not do this',
    "The token's role or pools do not cover the call, or the lease belongs to another token."
  ),
  'not-found': kind(
    404,
    'There is no such route',
    'Nothing is served at this path. The routes are listed under /docs.'
  ),
  'unknown-pool': kind(404, 'There is no such pool', 'No pool has this name. PUT /v1/pools/{pool} makes one.'),
  'unknown-key': kind(
    404,
    'There is no such key',
    'No living key of the pool has this id: it never existed, was deleted, or is retired because nobody kept it alive. A retired key never comes back.'
  ),
  'no-free-key': kind(
    404,
    'No key is free',
    '`reason` says whether the pool has no keys (`pool-empty`) or all are leased or cooling (`all-held`). Try again after `retryAfterMs`, or let the server wait for a key with `waitMs`.'
  ),
  'method-not-allowed': kind(
    405,
    'The path has other methods',
    'The header Allow lists the methods that this path has.'
  ),
  'request-timeout': kind(408, 'The request came too slowly', 'The request did not arrive in time. Send it again.'),
  'key-not-leased': kind(409, 'The key is free', 'There is no lease to end: the key is neither leased nor cooling.'),
  'key-exists': kind(
    409,
    'A key is in the pool already',
    'Nothing was imported: the keys at `indexes` live in the pool. Leave them out.'
  ),
  'key-retired': kind(
    409,
    'A key is retired',
    'Nothing was imported: the keys at `indexes` were retired and never come back. Leave them out.'
  ),
  'keyspace-exhausted': kind(
    409,
    'Too few keys are unused',
    'Nothing was generated: only `remaining` keys of this alphabet and length are neither living nor retired. Ask for fewer, or use a pool with longer keys.'
  ),
  'pool-full': kind(
    409,
    'The pool is full',
    'Nothing was added: the pool would have more than `maxKeys` living keys. Delete some, or raise `maxKeys`.'
  ),
  'too-many-pools': kind(
    409,
    'There are too many pools',
    `The server holds at most ${figure(MAX_POOLS)} pools. Delete one first.`
  ),
  'policy-locked': kind(
    409,
    'The shape of the keys is fixed',
    '`alphabet`, `length` and `prefix` can change only while the pool has neither living nor retired keys. Make another pool.'
  ),
  'pool-protected': kind(
    409,
    'The pool must stay',
    'The pool `default`, and `tokens` while its dialect is on, can not be deleted.'
  ),
  'max-hold-reached': kind(
    409,
    'The lease can not last longer',
    'The deadline already is the latest that the policy allows (`maxHoldMs` from the moment of the grant). Release the lease and acquire another.'
  ),
  'lease-lost': kind(
    410,
    'The lease has ended',
    'The lease passed its deadline, was ended by somebody else, or never was; the key may have another holder. Stop using it, and acquire another.'
  ),
  'payload-too-large': kind(413, 'The body is too large', 'A body has at most 4 MiB. Send the keys in several calls.'),
  'uri-too-long': kind(414, 'The address is too long', 'A path with its query has at most 8,192 characters.'),
  'unsupported-media-type': kind(
    415,
    'The body is not JSON',
    'Send the body as application/json, in UTF-8 and not compressed.'
  ),
  'expectation-failed': kind(417, 'The expectation can not be met', 'The only expectation known is 100-continue.'),
  'idempotency-key-reused': kind(
    422,
    'The Idempotency-Key belongs to another request',
    'The same header came with a different body before. Use a new one for each new request.'
  ),
  'too-many-requests': kind(
    429,
    'The requests come too fast',
    'The server is set to take so many requests per second from each caller. Nothing was changed; try again after `Retry-After` seconds.'
  ),
  'headers-too-large': kind(431, 'The headers are too large', 'All headers together have at most 16 KiB.'),
  internal: kind(500, 'The server is at fault', 'Something broke; the log has the details under the request id.'),
  overloaded: kind(
    503,
    'There are too many callers',
    `At most ${figure(MAX_WAITING)} callers wait per pool, and none are let in while the server is far behind with its answers. Nothing was changed; try again later.`
  ),
  'storage-unavailable': kind(
    503,
    'The storage can not be written',
    'Nothing was changed, unless `detail` says that the call may have been carried out: repeat it with its `Idempotency-Key` then. `/readyz` says why; the server writes again by itself when the fault is gone. Try again later.'
  ),
  draining: kind(
    503,
    'The server is stopping',
    'Nothing was changed. Connect again, to another server if there is one.'
  ),
  'not-ready': kind(503, 'The server is not ready', '`reasons` says why.')
} as const satisfies Record<string, ProblemKind>

export type ProblemCode = keyof typeof PROBLEMS

/** RFC 9457. `instance` is the request's id. */
export interface Problem {
  type: string
  title: string
  status: number
  detail: string
  code: ProblemCode
  instance: string
  [member: string]: unknown
}

export const PROBLEM_TYPE = 'application/problem+json'

/**
 * Where nobody knows when it will be of use to try again, callers are told 1, 2, 3 and 4 seconds in turn: those who are
 * refused in one moment do not all come back in another.
 */
const RETRY_SPREAD_S = 4
let spread = 0

export function problem(code: ProblemCode, instance: string, detail: string, members: object = {}): Problem {
  const { status, title } = PROBLEMS[code]
  return { type: `/problems/${code}`, title, status, detail, code, instance, ...members }
}

/** While this server stops, another may take the call at once. */
function retryAfter(code: ProblemCode): number {
  return code === 'draining' ? 1 : 1 + (spread++ % RETRY_SPREAD_S)
}

/** Answers with a problem. A 503 says when to try again. */
export function sendProblem(reply: FastifyReply, code: ProblemCode, detail: string, members?: object): FastifyReply {
  const { status } = PROBLEMS[code]
  if (status === 503) reply.header('retry-after', retryAfter(code))
  return reply
    .code(status)
    .header('content-type', PROBLEM_TYPE)
    .send(JSON.stringify(problem(code, reply.request.id, detail, members)))
}

/** A place in a request that is wrong: a JSON pointer into the body, or into the parameters by name. */
export interface RequestError {
  in: 'body' | 'query' | 'path' | 'header'
  pointer: string
  detail: string
}

const MAX_ERRORS = 20

/** Thrown at the edge, before any engine is asked. */
export class InvalidRequest extends Error {
  readonly errors: RequestError[]

  constructor(errors: RequestError[]) {
    super('invalid request')
    this.errors = errors.slice(0, MAX_ERRORS)
  }
}

export function sendInvalid(reply: FastifyReply, errors: RequestError[]): FastifyReply {
  return sendProblem(reply, 'invalid-request', invalidDetail(errors), { errors })
}

/** The first of the errors in a sentence. */
export function invalidDetail([first]: RequestError[]): string {
  if (first === undefined) return 'The request is malformed.'
  return `In the ${first.in}${first.pointer === '' ? '' : `, ${first.pointer}`}: ${first.detail}.`
}
