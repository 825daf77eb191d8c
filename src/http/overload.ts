import rateLimit, { normalizeIP } from '@fastify/rate-limit'
import underPressure from '@fastify/under-pressure'
import type { FastifyContextConfig, FastifyInstance, FastifyRequest } from 'fastify'
import type { Limit } from './access.ts'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** What @fastify/under-pressure calls instead of refusing. */
    pressureHandler?: () => undefined
  }
}

/** Config of routes that supervisors ask: they are served whatever else is refused. */
export const alwaysServed: FastifyContextConfig = {
  whileDraining: true,
  rateLimit: false,
  pressureHandler: () => undefined
}

/**
 * WHEN THE SERVER IS OVERLOADED
 *
 * By the mean length of a turn of the event loop over five seconds. Its utilisation tells nothing: fifty connections flat
 * out keep it at 100 %, and everybody is answered within a few milliseconds. A turn then takes one to three; with a
 * million deadlines due, five, for the sweep works in slices of two. A mean of a second means that callers wait for
 * seconds while more come in than can be answered, which only refusing mends.
 *
 * Five seconds, so that no single pause (a machine that stands still, a start, a large collection) is taken for it: only
 * a handful of turns in all that time make such a mean.
 */
export interface PressureLimits {
  meanDelayMs: number
  sampleMs: number
}
export const PRESSURE_LIMITS: PressureLimits = { meanDelayMs: 1000, sampleMs: 5000 }

/** Passed to the error handler; one for all, since each would cost a stack. */
export class Overloaded extends Error {}

/** Refuses what comes while the event loop is far behind, before a body is read. Register before the routes. */
export async function refuseUnderPressure(
  app: FastifyInstance,
  { meanDelayMs, sampleMs }: PressureLimits
): Promise<void> {
  await app.register(underPressure, {
    maxEventLoopDelay: meanDelayMs,
    sampleInterval: sampleMs,
    customError: Overloaded
  })
}

/** Thrown for a request beyond the rate. No Error: under load it is a common answer, and needs no stack. */
export class TooManyRequests {}

/** A token's name has no space, so that none is taken for an address. Of IPv6 the network, /64, which one caller has. */
function tokenOrAddress({ caller, ip }: FastifyRequest): string {
  // Whatever the type says, a connection that was reset before anybody looked has no address.
  return caller === undefined ? `address ${normalizeIP(String(ip))}` : `token ${caller.name}`
}

/**
 * Refuses what is beyond so many requests per second of each token, or of each address without one: in windows of a second,
 * before a body is read. The library keeps the last 5,000 of them, and sets Retry-After. Register before the routes, and
 * give what it returns to those who refuse before it would: refusals count too.
 *
 * Strangers never use up what a token has, though they come from the same address: it may be that of a proxy, before which
 * anybody could shut everybody out. What that leaves them is to guess tokens, of 256 bits.
 */
export async function limitRate(app: FastifyInstance, perSecond: number): Promise<Limit> {
  await app.register(rateLimit, {
    max: perSecond,
    timeWindow: 1000,
    keyGenerator: tokenOrAddress,
    errorResponseBuilder: () => new TooManyRequests(),
    addHeadersOnExceeding: { 'x-ratelimit-limit': false, 'x-ratelimit-remaining': false, 'x-ratelimit-reset': false },
    addHeaders: {
      'x-ratelimit-limit': false,
      'x-ratelimit-remaining': false,
      'x-ratelimit-reset': false,
      'retry-after': true
    }
  })
  const limit = app.rateLimit()
  return (request, reply) => limit.call(app, request, reply)
}
