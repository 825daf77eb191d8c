import type { FastifyReply } from 'fastify'
import { MAX_POOLS, type Refusal, type Refusals } from '../engine.ts'
import {
  invalidDetail,
  type Problem,
  type ProblemCode,
  PROBLEMS,
  problem,
  type RequestError,
  sendProblem
} from './problems.ts'

/** The present problem of a refusal: its code, a sentence for its reader, and members of its own. */
interface Answer {
  code: ProblemCode
  detail: string
  members?: object
  retryAfterMs?: number | null
}

function invalid(error: RequestError): Answer {
  return { code: 'invalid-request', detail: invalidDetail([error]), members: { errors: [error] } }
}

/** What each refusal of an engine looks like on the wire. */
const ANSWERS = {
  'bad-cursor': () =>
    invalid({ in: 'query', pointer: '/cursor', detail: 'must be the nextCursor of an earlier page of the same walk' }),
  'lease-too-long': () =>
    invalid({ in: 'body', pointer: '/leaseMs', detail: "must not be longer than the leaseMs of the pool's policy" }),
  'max-hold-too-short': () =>
    invalid({ in: 'body', pointer: '/maxHoldMs', detail: 'must be null or at least leaseMs' }),
  draining: () => ({ code: 'draining', detail: 'The server is stopping; nothing was changed.' }),
  forbidden: () => ({ code: 'forbidden', detail: 'The lease belongs to another token.' }),
  'idempotency-key-reused': () => ({
    code: 'idempotency-key-reused',
    detail: 'This Idempotency-Key came with a different request before.'
  }),
  'key-exists': ({ indexes }) => ({
    code: 'key-exists',
    detail: 'Nothing was imported: the keys at these indexes are in the pool already.',
    members: { indexes }
  }),
  'key-not-leased': () => ({ code: 'key-not-leased', detail: 'The key is free: there is no lease to end.' }),
  'key-retired': ({ indexes }) => ({
    code: 'key-retired',
    detail: 'Nothing was imported: the keys at these indexes are retired for ever.',
    members: { indexes }
  }),
  'keyspace-exhausted': ({ remaining }) => ({
    code: 'keyspace-exhausted',
    detail: `Nothing was generated: only ${remaining} unused keys remain.`,
    members: { remaining }
  }),
  'lease-lost': () => ({
    code: 'lease-lost',
    detail: 'The lease has ended or never was: stop using its key, and acquire another.'
  }),
  'max-hold-reached': () => ({
    code: 'max-hold-reached',
    detail: 'The lease already lasts as long as the policy allows.'
  }),
  'no-free-key': ({ reason, retryAfterMs, counts }) => ({
    code: 'no-free-key',
    detail:
      reason === 'pool-empty'
        ? 'The pool has no keys: generate or import some.'
        : 'All keys are leased or cooling: try again later, or wait with waitMs.',
    members: { reason, ...(retryAfterMs === null ? {} : { retryAfterMs }), counts },
    retryAfterMs
  }),
  'not-ready': () => ({ code: 'not-ready', detail: 'The server still recovers; nothing was changed.' }),
  overloaded: () => ({
    code: 'overloaded',
    detail: 'Too many callers wait for a key of this pool; nothing was changed.'
  }),
  'policy-locked': () => ({
    code: 'policy-locked',
    detail: 'alphabet, length and prefix can not change while the pool has a living or retired key.'
  }),
  'pool-full': () => ({ code: 'pool-full', detail: 'Nothing was added: the pool would pass its maxKeys.' }),
  'storage-unavailable': ({ unsure }) => ({
    code: 'storage-unavailable',
    detail: unsure
      ? 'The storage did not answer: the call may have been carried out. It is safe to repeat with its Idempotency-Key.'
      : 'The storage can not be written at present; nothing was changed.'
  }),
  'too-many-pools': () => ({
    code: 'too-many-pools',
    detail: `No pool was made: there are ${MAX_POOLS.toLocaleString('en')} already.`
  }),
  'unknown-key': () => ({ code: 'unknown-key', detail: 'No living key of this pool has this id.' }),
  'unknown-pool': () => ({ code: 'unknown-pool', detail: 'No pool has this name.' })
} satisfies { [R in keyof Refusals]: (refusal: Refusal<R>) => Answer }

function answerTo(refusal: Refusal): Answer {
  // The table's type ties each code to its refusal; an index by a union loses the tie.
  return (ANSWERS[refusal.refusal] as (refusal: Refusal) => Answer)(refusal)
}

/** Answers a refused call. */
export function refuse(reply: FastifyReply, refusal: Refusal): FastifyReply {
  const { code, detail, members, retryAfterMs = null } = answerTo(refusal)
  if (retryAfterMs !== null) reply.header('retry-after', Math.max(1, Math.ceil(retryAfterMs / 1000)))
  return sendProblem(reply, code, detail, members)
}

/** The answer to a refused operation of a batch. */
export function refusedOperation(refusal: Refusal, instance: string): { status: number; body: Problem } {
  const { code, detail, members } = answerTo(refusal)
  return { status: PROBLEMS[code].status, body: problem(code, instance, detail, members) }
}
