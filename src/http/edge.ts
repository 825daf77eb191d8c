import type { IncomingMessage } from 'node:http'
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { mendContentType, UnsupportedMediaType } from './bodies.ts'
import { KnownPaths } from './known-paths.ts'
import { Overloaded, TooManyRequests } from './overload.ts'
import { InvalidRequest, sendInvalid, sendProblem } from './problems.ts'

const MAX_URL_LENGTH = 8192

const NOTHING_HERE = 'Nothing is served at this path: see /docs.'
const REQUEST_ID = /^[A-Za-z0-9._~-]{1,128}$/

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Answers a request whose method the path does not have, where that is not a problem. */
    methodNotAllowed?: (request: FastifyRequest, reply: FastifyReply) => unknown
    /** Whether the route is served while the service drains. */
    whileDraining?: boolean
  }
}

/** Names requests: by the caller's X-Request-Id where that is harmless, or by a number under a random prefix. */
export function requestIds(prefix: string): (request?: Pick<IncomingMessage, 'headers'>) => string {
  let requests = 0
  return request => {
    const given = request?.headers['x-request-id']
    return typeof given === 'string' && REQUEST_ID.test(given) ? given : `${prefix}-${(++requests).toString(36)}`
  }
}

/** What every answer has, the order of the checks before a body is read, and what becomes of errors. */
export function guardEdge(app: FastifyInstance, state: { readonly draining: boolean }): void {
  const paths = new KnownPaths()
  app.addHook('onRoute', ({ url, method, config }) => paths.add(url, method, config?.methodNotAllowed))

  app.addHook('onRequest', (request, reply, done) => {
    reply.header('x-request-id', request.id)
    if (!request.url.startsWith('/docs')) reply.header('cache-control', 'no-store')
    if (!hasOneHost(request.raw)) {
      sendInvalid(reply, [{ in: 'header', pointer: '/host', detail: 'must be there, and once' }])
    } else if (request.url.length > MAX_URL_LENGTH) {
      sendProblem(reply, 'uri-too-long', `The address has more than ${MAX_URL_LENGTH} characters.`)
    } else if (request.is404) {
      answerUnknown(paths, request, reply)
    } else if (state.draining && request.routeOptions.config.whileDraining !== true) {
      reply.header('connection', 'close')
      sendProblem(reply, 'draining', 'The server is stopping; nothing was changed.')
    } else {
      mendContentType(request)
      done()
    }
  })

  app.setErrorHandler((error: FastifyError, request, reply) => answerError(error, request, reply))
  // Every such request was answered before: this takes the place of Fastify's own, which logs the address.
  app.setNotFoundHandler((request, reply) => answerUnknown(paths, request, reply))
}

/** HTTP/1.1 asks for a 400 otherwise (RFC 9112, 3.2); 1.0 has no such header. Of several, Node would keep the first. */
function hasOneHost({ rawHeaders, httpVersion }: IncomingMessage): boolean {
  let hosts = 0
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i] as string
    if (name.length === 4 && name.toLowerCase() === 'host') hosts++
  }
  return hosts === 1 || (hosts === 0 && httpVersion === '1.0')
}

/** A line per request, at the level debug: the route's template, never the address, which may hold a secret. */
export function logRequests(app: FastifyInstance): void {
  if (app.log.level !== 'debug' && app.log.level !== 'trace') return
  app.addHook('onResponse', (request, reply, done) => {
    const { method, id, routeOptions } = request
    request.log.debug(
      { requestId: id, method, route: routeOptions.url, status: reply.statusCode, ms: Math.round(reply.elapsedTime) },
      'request'
    )
    done()
  })
}

function answerUnknown(paths: KnownPaths, request: FastifyRequest, reply: FastifyReply): void {
  const known = paths.find(pathOf(request.url))
  // A path with a wildcard has the method, but may have nothing to serve.
  if (known === undefined || known.methods.has(request.method)) {
    sendProblem(reply, 'not-found', NOTHING_HERE)
    return
  }
  const allow = [...known.methods].join(', ')
  reply.header('allow', allow)
  if (known.methodNotAllowed !== undefined) known.methodNotAllowed(request, reply)
  else sendProblem(reply, 'method-not-allowed', `This path has the methods ${allow}.`)
}

/** As the router reads it: without scheme and host, query or fragment, and decoded, which it has found to be possible. */
function pathOf(url: string): string {
  return decodeURIComponent(url.replace(/^https?:\/\/[^/?#]*/i, '').replace(/[?#;].*$/s, ''))
}

function answerError(error: FastifyError, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  if (error instanceof InvalidRequest) return sendInvalid(reply, error.errors)
  if (error instanceof TooManyRequests) {
    return sendProblem(reply, 'too-many-requests', 'More requests than KEYPOOL_RATE_LIMIT came within a second.')
  }
  if (error instanceof Overloaded) {
    return sendProblem(reply, 'overloaded', 'The server has more to do than it can; nothing was changed.')
  }
  if (error instanceof UnsupportedMediaType || error.statusCode === 415) {
    return sendProblem(reply, 'unsupported-media-type', 'Send the body as application/json.')
  }
  // What @fastify/static says of a path that it does not look up.
  if (error.statusCode === 403) return sendProblem(reply, 'not-found', NOTHING_HERE)
  if (error.statusCode === 413) {
    // What is left of it is thrown away for a while, but not to its end, which may never come.
    return sendProblem(reply.header('connection', 'close'), 'payload-too-large', 'The body has more than 4 MiB.')
  }
  if (error.statusCode === 412 || error.statusCode === 416) {
    return sendInvalid(reply, [
      { in: 'header', pointer: '', detail: 'asks for a version or a range that there is not' }
    ])
  }
  if (error.statusCode === 400) {
    return sendInvalid(reply, [{ in: 'body', pointer: '', detail: 'did not arrive as it was announced' }])
  }
  request.log.error({ err: error, requestId: request.id, route: request.routeOptions.url }, 'a request met a fault')
  return sendProblem(reply, 'internal', 'Something broke; the log says what, under this request id.')
}

/** Fastify gives these to its own handlers, which repeat the path: it may hold a secret. */
export function answerFrameworkError(error: FastifyError, request: FastifyRequest, reply: FastifyReply): void {
  reply.header('x-request-id', request.id).header('cache-control', 'no-store')
  if (error.statusCode === 414) sendProblem(reply, 'uri-too-long', 'A part of the path is too long.')
  else sendInvalid(reply, [{ in: 'path', pointer: '', detail: 'is not a valid URL path' }])
}
