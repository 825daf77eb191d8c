import type { FastifyReply, FastifyRequest } from 'fastify'
import { Type } from 'typebox'
import { DEFAULT_POOL as POOL, type Engine, isRefusal, type KeyView, type Refusal } from '../engine.ts'
import { callerName } from '../http/access.ts'
import type { App } from '../http/app-type.ts'
import { Caller, releaseUnlessWritten } from '../http/caller.ts'
import { EXAMPLE_SECRET } from '../http/example-key.ts'
import { instant } from '../http/instants.ts'
import { refusals } from '../http/problem-schema.ts'
import { refuse } from '../http/refusals.ts'
import { answer, nullable } from '../http/schema.ts'
import { keyId } from '../pool/key-id.ts'

const NO_KEY = 'No available key found'
const UNKNOWN_TO_UPDATE = 'Kindly send key to be updated, given key does not exist'
const UNKNOWN_TO_DELETE = 'Kindly send key to be deleted, given key does not exist'
const DELETED = 'Given key has been deleted'
const SCHEDULED = 'Scheduler has been started to unblock keys at given condition, Kindly do not hit again '

const message = Type.Object({ message: Type.String() }, { title: 'OldMessage' })
const row = Type.Object(
  {
    id: Type.Integer({ description: 'Grows, and stays with its key.' }),
    api_key: Type.String(),
    alive: nullable(Type.String({ description: 'When the key was last served.' })),
    is_blocked: Type.Boolean(),
    created_at: Type.String(),
    updated_at: Type.String()
  },
  { title: 'OldRow' }
)
const byKey = Type.Object({
  api_key: Type.String({ description: 'The key itself.', examples: [EXAMPLE_SECRET] })
})

const exampleRow = {
  id: 1,
  api_key: EXAMPLE_SECRET,
  alive: null,
  is_blocked: false,
  created_at: '2026-11-21T12:00:00.000000',
  updated_at: '2026-11-21T12:00:00.000000'
}
const showsRow = (description: string) => answer(row, description, exampleRow)
const says = (text: string) => answer(message, text, { message: text })

/** The calls of a Django REST service, for clients that know nothing else; the differences are in the README. */
export function registerRandomApiKey(app: App, engine: Engine): void {
  const route = (
    method: 'GET' | 'POST' | 'PUT' | 'DELETE',
    path: string,
    { summary, response, query }: { summary: string; response: object; query?: typeof byKey },
    handler: (request: FastifyRequest, reply: FastifyReply) => Promise<unknown>
  ): void => {
    for (const url of [path, path.slice(0, -1)]) {
      app.route({
        method,
        url,
        config: { bodyIgnored: true, methodNotAllowed, pool: POOL, tokenInQuery: true },
        exposeHeadRoute: false,
        // The schema documents the parameter; a missing or repeated one has its own answer here.
        validatorCompiler: () => () => true,
        schema: {
          hide: url !== path,
          summary,
          operationId: `random_api_key_${method.toLowerCase()}_${path.split('/').at(-2)}`,
          tags: ['random_api_key'],
          ...(query ? { querystring: query } : {}),
          response: { ...refusals(), ...response }
        },
        handler
      })
    }
  }

  route(
    'POST',
    '/api/v1/random_api_key/',
    {
      summary: 'Generate a key',
      response: { 201: showsRow('The new key.'), ...refusals('keyspace-exhausted', 'pool-full') }
    },
    async (request, reply) => {
      const keys = await engine.generate(POOL, { count: 1, metadata: null })
      if (isRefusal(keys)) return refuse(reply, keys)
      const [key] = keys as [KeyView]
      request.deeds = [{ id: key.id }]
      return reply.code(201).send(rowOf(key))
    }
  )

  route(
    'GET',
    '/api/v1/random_api_key/',
    {
      summary: 'Lease a random free key',
      response: {
        200: answer(row, 'The key, which is blocked from now on.', {
          ...exampleRow,
          alive: '2026-11-21T12:00:20.000000',
          is_blocked: true
        }),
        404: says(NO_KEY)
      }
    },
    async (request, reply) => {
      const lease = await engine.acquire(POOL, { owner: callerName(request) }, new Caller(reply))
      if (isRefusal(lease)) return refuseUnless(reply, lease, 404, NO_KEY)
      request.deeds = [{ id: lease.keyId, fence: lease.fence }]
      releaseUnlessWritten(reply, engine, POOL, () => [lease])
      const key = await engine.key(POOL, lease.keyId, true)
      return isRefusal(key) ? refuseUnless(reply, key, 404, NO_KEY) : rowOf(key)
    }
  )

  route(
    'PUT',
    '/api/v1/random_api_key/',
    {
      summary: 'Unblock a key',
      query: byKey,
      response: { 200: showsRow('The key, which is free.'), 400: says(UNKNOWN_TO_UPDATE) }
    },
    async (request, reply) => {
      const id = idGiven(request)
      const unblocked = await engine.unblock(POOL, id)
      const failed = isRefusal(unblocked) && unblocked.refusal !== 'key-not-leased'
      const key = failed ? unblocked : await engine.key(POOL, id, true)
      return isRefusal(key) ? refuseUnless(reply, key, 400, UNKNOWN_TO_UPDATE) : rowOf(key)
    }
  )

  route(
    'DELETE',
    '/api/v1/random_api_key/',
    { summary: 'Delete a key', query: byKey, response: { 200: says(DELETED), 400: says(UNKNOWN_TO_DELETE) } },
    async (request, reply) => {
      const outcome = await engine.delete(POOL, idGiven(request))
      return isRefusal(outcome) ? refuseUnless(reply, outcome, 400, UNKNOWN_TO_DELETE) : say(reply, 200, DELETED)
    }
  )

  route(
    'PUT',
    '/api/v1/keep_alive/',
    {
      summary: 'Keep a key alive',
      query: byKey,
      response: { 200: showsRow('The key.'), 400: says(UNKNOWN_TO_UPDATE) }
    },
    async (request, reply) => {
      const id = idGiven(request)
      const kept = await engine.keepAlive(POOL, id)
      const key = isRefusal(kept) ? kept : await engine.key(POOL, id, true)
      return isRefusal(key) ? refuseUnless(reply, key, 400, UNKNOWN_TO_UPDATE) : rowOf(key)
    }
  )

  route(
    'GET',
    '/api/v1/start_scheduler/',
    { summary: 'Nothing: the sweep always runs', response: { 200: says(SCHEDULED) } },
    async (_request, reply) => say(reply, 200, SCHEDULED)
  )
}

/** Says that the key is unknown where that is the reason; the old server knew of no other. */
function refuseUnless(reply: FastifyReply, refused: Refusal, status: number, unknown: string): FastifyReply {
  const { refusal } = refused
  reply.request.deeds = [{ outcome: refusal }]
  return refusal === 'unknown-key' || refusal === 'no-free-key' ? say(reply, status, unknown) : refuse(reply, refused)
}

function say(reply: FastifyReply, status: number, text: string): FastifyReply {
  return reply.code(status).send({ message: text })
}

/** The id of the key in the query, which the call is about: of the last where there are several; of no key where there is none. */
function idGiven(request: FastifyRequest): string {
  const { api_key: given = '' } = request.query as { api_key?: string | string[] }
  const key = Array.isArray(given) ? (given.at(-1) as string) : given
  const id = keyId(key)
  request.deeds = [{ id }]
  return id
}

function rowOf(key: KeyView): object {
  return {
    id: key.serial,
    api_key: key.key,
    alive: key.servedAt === null ? null : naive(key.servedAt),
    is_blocked: key.state !== 'free',
    created_at: naive(key.createdAt),
    updated_at: naive(key.changedAt)
  }
}

/** ISO 8601 in UTC without a zone, in microseconds. */
function naive(at: number): string {
  return `${instant(at).slice(0, -1)}000`
}

function methodNotAllowed(request: FastifyRequest, reply: FastifyReply): FastifyReply {
  return reply.code(405).send({ detail: `Method "${request.method}" not allowed.` })
}
