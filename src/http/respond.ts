import type { FastifyReply } from 'fastify'
import { type Answer, isRefusal, type Refusal } from '../engine.ts'
import { refuse } from './refusals.ts'

/**
 * Answers a call when its engine has: a refusal as a problem, anything else by `send`. An answer that is there already is
 * sent at once: a promise would cost as much as the lease.
 */
export function respond<T>(
  reply: FastifyReply,
  answer: Answer<T>,
  send: (value: Exclude<T, { refusal: unknown }>) => unknown
): void | Promise<void> {
  if (answer instanceof Promise) return answer.then(value => settle(reply, value, send))
  settle(reply, answer, send)
}

function settle<T>(reply: FastifyReply, value: T, send: (value: Exclude<T, { refusal: unknown }>) => unknown): void {
  // Whatever has this member is one: see isRefusal.
  if (isRefusal(value)) refuse(reply, value as Refusal)
  else send(value as Exclude<T, { refusal: unknown }>)
}
