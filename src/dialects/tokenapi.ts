import type { FastifyReply, FastifyRequest } from 'fastify'
import { Type } from 'typebox'
import { type Engine, isRefusal, type Refusal } from '../engine.ts'
import type { App } from '../http/app-type.ts'
import { refuse } from '../http/refusals.ts'
import { refusals } from '../http/problem-schema.ts'
import { answer } from '../http/schema.ts'
import { keyId } from '../pool/key-id.ts'

export const TOKEN_POOL = 'tokens'

/** What the keys of the pool are made of. */
export interface TokenShape {
  alphabet: string
  length: number
}

export const DEFAULT_TOKENS: Readonly<TokenShape> = {
  alphabet: 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz',
  length: 4
}

const NONE_LEFT = 'Ключи кончились'
const UNKNOWN = 'Ключ не выдан'
const ACTIVATED_BEFORE = 'Ключ уже активирован'
const NOT_ACTIVATED = 'Ключ выдан, но не активирован'
const ACTIVATED = 'Ключ выдан и активирован'

// The colon at the end of each member's name is part of it.
const status = Type.Object({ 'keystatus:': Type.String() }, { title: 'OldStatus' })
const left = Type.Object({ 'leftkeys:': Type.Unsafe<number | string>({ type: ['integer', 'string'] }) })
const issued = Type.Object({
  'key:': Type.Optional(Type.String()),
  'leftkeys:': Type.Optional(left.properties['leftkeys:']),
  'keystatus:': Type.Optional(Type.String())
})
const tokenParams = Type.Object({ token: Type.String({ description: 'The key itself.', examples: ['gQdR'] }) })

/** Makes the dialect's pool where it is missing. Throws where the engine refuses that. */
export async function makeTokenPool(engine: Engine, shape: TokenShape): Promise<void> {
  const pool = await engine.pool(TOKEN_POOL)
  if (!isRefusal(pool)) return
  const outcome =
    pool.refusal === 'unknown-pool'
      ? await engine.putPool(TOKEN_POOL, { ...shape, keepAliveMs: null, reuseDeleted: true })
      : pool
  if (isRefusal(outcome)) throw new Error(`the pool ${TOKEN_POOL} was not made: ${outcome.refusal}`)
}

/** What a call came to: its answer, with the id of the key that it changed or found, or a refusal that the old server did not know. */
type Told = { outcome: string; answer: object; id?: string | undefined } | Refusal

/** The calls of a Bottle service, for clients that know nothing else. */
export function registerTokenApi(app: App, engine: Engine): void {
  const route = (
    method: 'GET' | 'POST' | 'PUT' | 'DELETE',
    url: string,
    { summary, response }: { summary: string; response: object },
    handler: (token: string) => Promise<Told>
  ): void => {
    app.route({
      method,
      url,
      config: { bodyIgnored: true, pool: TOKEN_POOL, tokenInQuery: true },
      exposeHeadRoute: false,
      schema: {
        summary,
        operationId: url.split('/')[2] as string,
        tags: ['tokenapi'],
        ...(url.includes(':') ? { params: tokenParams } : {}),
        response: { 200: response, ...refusals() }
      },
      handler: async (request: FastifyRequest, reply: FastifyReply) => {
        const told = await handler((request.params as { token?: string }).token ?? '')
        // The old server wrote each outcome to its console. The token stays out of it.
        request.log.info({ call: url, outcome: isRefusal(told) ? told.refusal : told.outcome }, 'tokenapi')
        if (!isRefusal(told)) request.deeds = [told.id === undefined ? { outcome: told.outcome } : { id: told.id }]
        return isRefusal(told) ? refuse(reply, told) : reply.send(told.answer)
      }
    })
  }

  route(
    'POST',
    '/api/get_token',
    {
      summary: 'Generate a token',
      response: answer(issued, 'The token, and how many are left.', { 'key:': 'gQdR', 'leftkeys:': 7311615 })
    },
    async () => {
      const keys = await engine.generate(TOKEN_POOL, { count: 1, metadata: null })
      if (isRefusal(keys)) return isNoneLeft(keys) ? { outcome: keys.refusal, answer: say(NONE_LEFT) } : keys
      const left = await remaining()
      return isRefusal(left)
        ? left
        : { outcome: 'generated', answer: { 'key:': keys[0]?.key, ...left }, id: keys[0]?.id }
    }
  )

  route(
    'PUT',
    '/api/activate_token/:token',
    { summary: 'Activate a token', response: answer(status, 'What became of it.', say(ACTIVATED_BEFORE)) },
    async token => {
      const outcome = await engine.activate(TOKEN_POOL, keyId(token))
      if (isRefusal(outcome)) return unlessUnknown(outcome)
      return outcome.first
        ? { outcome: 'activated', answer: say(`Вы активировали ключ ${token}`), id: outcome.key.id }
        : { outcome: 'activated before', answer: say(ACTIVATED_BEFORE), id: outcome.key.id }
    }
  )

  route(
    'GET',
    '/api/get_token_status/:token',
    { summary: 'Show a token', response: answer(status, 'What it is.', say(ACTIVATED)) },
    async token => {
      const key = await engine.key(TOKEN_POOL, keyId(token))
      if (isRefusal(key)) return unlessUnknown(key)
      return key.activatedAt === null
        ? { outcome: 'not activated', answer: say(NOT_ACTIVATED), id: key.id }
        : { outcome: 'activated', answer: say(ACTIVATED), id: key.id }
    }
  )

  route(
    'DELETE',
    '/api/del_token/:token',
    { summary: 'Delete a token', response: answer(status, 'What became of it.', say(UNKNOWN)) },
    async token => {
      const outcome = await engine.delete(TOKEN_POOL, keyId(token))
      if (isRefusal(outcome)) return unlessUnknown(outcome)
      return { outcome: 'deleted', answer: say(`Вы удалили ключ ${token}`), id: keyId(token) }
    }
  )

  route(
    'GET',
    '/api/get_number_token',
    { summary: 'How many tokens are left', response: answer(left, 'How many.', { 'leftkeys:': 7311615 }) },
    async () => {
      const left = await remaining()
      return isRefusal(left) ? left : { outcome: 'counted', answer: left }
    }
  )

  async function remaining(): Promise<{ 'leftkeys:': number | string } | Refusal> {
    const pool = await engine.pool(TOKEN_POOL)
    if (isRefusal(pool)) return pool.refusal === 'unknown-pool' ? { 'leftkeys:': 0 } : pool
    return { 'leftkeys:': pool.keyspace.remaining }
  }
}

function isNoneLeft({ refusal }: Refusal): boolean {
  return ['keyspace-exhausted', 'pool-full', 'unknown-pool'].includes(refusal)
}

/** The old server knew of no other reason than that it had not issued the token. */
function unlessUnknown(refused: Refusal): Told {
  const { refusal } = refused
  return refusal === 'unknown-key' || refusal === 'unknown-pool' ? { outcome: refusal, answer: say(UNKNOWN) } : refused
}

function say(text: string): object {
  return { 'keystatus:': text }
}
