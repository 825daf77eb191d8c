import { hash } from 'node:crypto'
import type { FastifyRequest } from 'fastify'
import { Type } from 'typebox'
import type { Retry } from '../engine.ts'
import { callerName } from './access.ts'
import { InvalidRequest } from './problems.ts'

export const idempotencyHeader = Type.Object({
  'idempotency-key': Type.Optional(
    Type.String({ description: 'Makes the call safe to repeat: 1 … 128 visible ASCII characters.' })
  )
})

const IDEMPOTENCY_KEY = /^[!-~]{1,128}$/

/** What makes a call a retry, where it has an Idempotency-Key. */
export function retryOf(request: FastifyRequest): Retry | undefined {
  const key = request.headers['idempotency-key']
  if (key === undefined) return undefined
  if (typeof key !== 'string' || !IDEMPOTENCY_KEY.test(key)) {
    throw new InvalidRequest([
      { in: 'header', pointer: '/idempotency-key', detail: 'must be 1 … 128 visible ASCII characters' }
    ])
  }
  // No name and no key has a space: nobody meets another's.
  const name = callerName(request)
  return { scope: name === undefined ? key : `${name} ${key}`, fingerprint: fingerprintOf(request.body) }
}

/** The same for the same JSON, whatever the order of its members. A hash: a body may hold keys. */
export function fingerprintOf(body: unknown): string {
  return hash('sha256', JSON.stringify(body ?? {}, sortMembers), 'base64url')
}

function sortMembers(_name: string, value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value
  return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)))
}
