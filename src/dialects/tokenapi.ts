import type { FastifyReply, FastifyRequest } from 'fastify'
import { Type } from 'typebox'
import { type Engine, isRefusal } from '../engine.ts'
import type { App } from '../http/app-type.ts'
import { refusals } from '../http/problem-schema.ts'
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
const status = Type.Object({ 'keystatus:': Type.String() })
const left = Type.Object({ 'leftkeys:': Type.Unsafe<number | string>({ type: ['integer', 'string'] }) })
const issued = Type.Object({
  'key:': Type.Optional(Type.String()),
  'leftkeys:': Type.Optional(left.properties['leftkeys:']),
  'keystatus:': Type.Optional(Type.String())
})
const tokenParams = Type.Object({ token: Type.String({ description: 'The key itself.', examples: ['gQdR'] }) })

/** The calls of a Bottle service, for clients that know nothing else. Makes its pool where that is missing. */
export async function registerTokenApi(app: App, engine: Engine, shape: TokenShape): Promise<void> {
  if (isRefusal(await engine.pool(TOKEN_POOL))) {
    const outcome = await engine.putPool(TOKEN_POOL, { ...shape, keepAliveMs: null, reuseDeleted: true })
    if (isRefusal(outcome)) throw new Error(`the pool ${TOKEN_POOL} was not made: ${outcome.refusal}`)
  }

  const route = (
    method: 'GET' | 'POST' | 'PUT' | 'DELETE',
    url: string,
    { summary, response }: { summary: string; response: object },
    handler: (token: string) => Promise<{ outcome: string; answer: object }>
  ): void => {
    app.route({
      method,
      url,
      config: { bodyIgnored: true },
      exposeHeadRoute: false,
      schema: {
        summary,
        operationId: url.split('/')[2] as string,
        tags: ['tokenapi'],
        ...(url.includes(':') ? { params: tokenParams } : {}),
        response: { 200: response, ...refusals() }
      },
      handler: async (request: FastifyRequest, reply: FastifyReply) => {
        const { outcome, answer } = await handler((request.params as { token?: string }).token ?? '')
        // The old server wrote each outcome to its console. The token stays out of it.
        request.log.info({ call: url, outcome }, 'tokenapi')
        return reply.send(answer)
      }
    })
  }

  route('POST', '/api/get_token', { summary: 'Generate a token', response: issued }, async () => {
    const keys = await engine.generate(TOKEN_POOL, { count: 1, metadata: null })
    if (isRefusal(keys)) return { outcome: keys.refusal, answer: say(NONE_LEFT) }
    return { outcome: 'generated', answer: { 'key:': keys[0]?.key, ...(await remaining()) } }
  })

  route('PUT', '/api/activate_token/:token', { summary: 'Activate a token', response: status }, async token => {
    const outcome = await engine.activate(TOKEN_POOL, keyId(token))
    if (isRefusal(outcome)) return { outcome: outcome.refusal, answer: say(UNKNOWN) }
    return outcome.first
      ? { outcome: 'activated', answer: say(`Вы активировали ключ ${token}`) }
      : { outcome: 'activated before', answer: say(ACTIVATED_BEFORE) }
  })

  route('GET', '/api/get_token_status/:token', { summary: 'Show a token', response: status }, async token => {
    const key = await engine.key(TOKEN_POOL, keyId(token))
    if (isRefusal(key)) return { outcome: key.refusal, answer: say(UNKNOWN) }
    return key.activatedAt === null
      ? { outcome: 'not activated', answer: say(NOT_ACTIVATED) }
      : { outcome: 'activated', answer: say(ACTIVATED) }
  })

  route('DELETE', '/api/del_token/:token', { summary: 'Delete a token', response: status }, async token => {
    const outcome = await engine.delete(TOKEN_POOL, keyId(token))
    if (isRefusal(outcome)) return { outcome: outcome.refusal, answer: say(UNKNOWN) }
    return { outcome: 'deleted', answer: say(`Вы удалили ключ ${token}`) }
  })

  route('GET', '/api/get_number_token', { summary: 'How many tokens are left', response: left }, async () => {
    return { outcome: 'counted', answer: await remaining() }
  })

  async function remaining(): Promise<object> {
    const pool = await engine.pool(TOKEN_POOL)
    return { 'leftkeys:': isRefusal(pool) ? 0 : pool.keyspace.remaining }
  }
}

function say(text: string): object {
  return { 'keystatus:': text }
}
