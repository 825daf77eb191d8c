import { isUtf8 } from 'node:buffer'
import type { FastifyInstance, FastifyRequest, preValidationHookHandler } from 'fastify'
import { isModest } from './json-shape.ts'
import { InvalidRequest } from './problems.ts'

export const MAX_BODY_BYTES = 4 * 1024 * 1024

/** Whatever is in a body of this length, to parse it takes a few milliseconds at most. */
const CHEAP_BYTES = 65_536

const JSON_TYPE = /^application\/(json|[\w.!#$&^-]+\+json)$/i

/** Thrown for a body of another type than JSON. */
export class UnsupportedMediaType extends Error {}

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Whether the call needs no body: an absent or empty one, or `{}` of any type, then counts as `{}`. */
    bodyOptional?: boolean
    /** Whether the call ignores its body, whatever it is. */
    bodyIgnored?: boolean
  }
}

/** Replaces Fastify's parsers by one that knows which calls need a body. Of what the caller wrote nothing is repeated. */
export function readBodies(app: FastifyInstance): void {
  const parseJson = app.getDefaultJsonParser('error', 'error')
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', { parseAs: 'buffer', bodyLimit: MAX_BODY_BYTES }, (request, body: Buffer, done) => {
    const { bodyOptional, bodyIgnored } = request.routeOptions.config
    if (bodyIgnored) return done(null, undefined)
    if (bodyOptional && isNothing(body)) return done(null, {})
    if (!isJson(request)) return done(new UnsupportedMediaType())
    if (!isUtf8(body)) return done(wrongBody('is not UTF-8'))
    if (body.length > CHEAP_BYTES && !isModest(body)) {
      return done(wrongBody('has more members, or is nested deeper, than any call takes'))
    }
    // Refuses __proto__ and the like, too.
    parseJson(request, body.toString(), (error, value) =>
      error ? done(wrongBody('is not valid JSON, or has a member that is named like a prototype')) : done(null, value)
    )
  })
  // Without any body there was nothing to parse.
  app.addHook('onRoute', route => {
    if (route.config?.bodyOptional) route.preValidation = supplyBody
    else if (route.schema?.body !== undefined) route.preValidation = demandBody
  })
}

const supplyBody: preValidationHookHandler = (request, _reply, done) => {
  if (request.body === undefined) request.body = {}
  done()
}

/** Fastify would check null in the place of none, which some bodies may be. */
const demandBody: preValidationHookHandler = (request, _reply, done) => {
  done(request.body === undefined ? wrongBody('is missing') : undefined)
}

/** Fastify refuses an ill-formed type before it looks for a body: such a type is as good as an unknown one. */
export function mendContentType(request: FastifyRequest): void {
  const type = request.headers['content-type']
  if (type !== undefined && !/^[\w.!#$%&'*+^`|~-]+\/[\w.!#$%&'*+^`|~-]+\s*(;.*)?$/.test(type)) {
    request.headers['content-type'] = 'application/octet-stream'
  }
}

function isNothing(body: Buffer): boolean {
  const text = body.toString('latin1').trim()
  return text === '' || (text.startsWith('{') && text.endsWith('}') && text.slice(1, -1).trim() === '')
}

function isJson(request: FastifyRequest): boolean {
  const { 'content-type': header = '', 'content-encoding': encoding = 'identity' } = request.headers
  const [type = '', ...parameters] = header.split(';')
  const charset = parameters.map(parameter => parameter.trim()).find(parameter => /^charset=/i.test(parameter))
  return (
    JSON_TYPE.test(type.trim()) &&
    encoding === 'identity' &&
    (charset === undefined || /^charset="?utf-?8"?$/i.test(charset))
  )
}

function wrongBody(detail: string): InvalidRequest {
  return new InvalidRequest([{ in: 'body', pointer: '', detail }])
}
