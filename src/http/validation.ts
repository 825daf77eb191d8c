import type { FastifyRequest, FastifySchemaCompiler } from 'fastify'
import Schema from 'typebox/schema'
import { Settings } from 'typebox/system'
import type { Metadata, Retry } from '../engine.ts'
import { InvalidRequest, type RequestError } from './problems.ts'
import { MAX_METADATA_BYTES } from './schemas.ts'
import { fingerprintOf } from './fingerprint.ts'

interface JsonSchema {
  type?: string | string[]
  properties?: Record<string, JsonSchema>
  items?: JsonSchema
  oneOf?: JsonSchema[]
  discriminator?: { propertyName: string }
  const?: string
  description?: string
}

/** More errors than are told, since several of them can be about one place. */
Settings.Set({ maxErrors: 100 })

/** How many members and elements of a body are looked at to tell all that is wrong; a larger one is told the first. */
const MAX_EXPLAINED = 20_000

const PARTS = { body: 'body', querystring: 'query', params: 'path' } as const

/**
 * Checks each part of a request against its schema. Bodies are taken as they are: no member is dropped or converted.
 * Parameters come as strings: those that should be numbers or booleans, and are written as such, become so.
 */
export const validatorCompiler: FastifySchemaCompiler<JsonSchema> = ({ schema, httpPart }) => {
  // Headers are documented by their schema, and checked by those who read them.
  if (httpPart === 'headers') return () => true
  const validator = Schema.Compile(schema)
  const part = PARTS[httpPart as keyof typeof PARTS]
  const convert = part === 'query' ? convertQuery(schema) : undefined
  return (data: unknown) => {
    const value = convert === undefined ? data : convert(data as Record<string, unknown>)
    if (validator.Check(value)) return { value }
    return { error: new InvalidRequest(explain(schema, value, part)) }
  }
}

/** Turns those parameters of a query that should be numbers or booleans, and are written as such, into these. */
function convertQuery(schema: JsonSchema): (query: Record<string, unknown>) => Record<string, unknown> {
  const { properties } = schema as { properties: Record<string, JsonSchema> }
  const types = Object.entries(properties).map(([name, { type }]) => [name, type] as const)
  return query => {
    for (const [name, type] of types) {
      const text = query[name]
      if (typeof text !== 'string') continue
      if (type === 'integer' && /^-?\d{1,16}$/.test(text)) query[name] = Number(text)
      if (type === 'boolean' && (text === 'true' || text === 'false')) query[name] = text === 'true'
    }
    return query
  }
}

function explain(schema: JsonSchema, value: unknown, part: RequestError['in']): RequestError[] {
  if (!isSmall(value))
    return [{ in: part, pointer: '', detail: 'does not match the schema, and is too large to say where' }]
  const [, errors] = Schema.Errors(meantSchema(schema, value), value)
  const names = namesIn(schema)
  const told = new Map<string, RequestError>()
  for (const error of errors) {
    for (const { pointer: exact, detail } of tell(error, schema, names)) {
      const pointer = withoutSecrets(exact, names)
      if (!told.has(pointer)) told.set(pointer, { in: part, pointer, detail })
    }
  }
  return [...told.values()]
}

function isSmall(value: unknown): boolean {
  let left = MAX_EXPLAINED
  const open = [value]
  while (open.length > 0) {
    const next = open.pop()
    if (typeof next !== 'object' || next === null) continue
    if (Array.isArray(next) && next.length > left) return false
    for (const member of Object.values(next)) {
      if (--left < 0) return false
      open.push(member)
    }
  }
  return true
}

/** The schema with each list of alternatives replaced by the one that each element's tag means: its errors alone help. */
function meantSchema(schema: JsonSchema, value: unknown): JsonSchema {
  if (schema.properties === undefined || typeof value !== 'object' || value === null) return schema
  const properties: Record<string, object> = {}
  for (const [name, property] of Object.entries(schema.properties)) {
    const elements = (value as Record<string, unknown>)[name]
    const { oneOf, discriminator } = property.items ?? {}
    if (oneOf === undefined || discriminator === undefined || !Array.isArray(elements)) {
      properties[name] = property
      continue
    }
    const { items: _, ...rest } = property
    properties[name] = {
      ...rest,
      prefixItems: elements.map(element => meantBranch(oneOf, discriminator.propertyName, element))
    }
  }
  return { ...schema, properties }
}

function meantBranch(branches: JsonSchema[], tag: string, element: unknown): object {
  const tagOf = (branch: JsonSchema) => branch.properties?.[tag]?.const
  const meant = (element as Record<string, unknown> | null)?.[tag]
  return (
    branches.find(branch => tagOf(branch) === meant) ?? {
      type: 'object',
      required: [tag],
      properties: { [tag]: { enum: branches.map(tagOf) } }
    }
  )
}

interface SchemaError {
  keyword: string
  schemaPath: string
  instancePath: string
  params: object
  message: string
}

/** Where and what, in words for the caller. What the caller wrote is not repeated: it may be a secret. */
function tell(
  error: SchemaError,
  schema: JsonSchema,
  names: ReadonlySet<string>
): { pointer: string; detail: string }[] {
  const params = error.params as Record<string, unknown>
  switch (error.keyword) {
    case 'additionalProperties':
      return (params['additionalProperties'] as string[]).map(name => ({
        pointer: `${error.instancePath}/${name}`,
        detail: `${mayBeShown(name, names) ? 'is no member here' : 'has a member that is unknown here'}; known are ${knownMembers(error.instancePath, schema)}`
      }))
    case 'boolean':
      // Comes with additionalProperties, which says more, or with a member that excludes another.
      return error.schemaPath.endsWith('additionalProperties')
        ? []
        : [{ pointer: error.instancePath, detail: 'can not stand beside the other members' }]
    case 'required':
      return (params['requiredProperties'] as string[]).map(name => ({
        pointer: `${error.instancePath}/${name}`,
        detail: 'is required'
      }))
    case 'pattern':
      return [{ pointer: error.instancePath, detail: 'has characters, or a length, that are not allowed here' }]
    case 'enum':
      return [
        { pointer: error.instancePath, detail: `must be one of ${(params['allowedValues'] as string[]).join(', ')}` }
      ]
    default:
      return [{ pointer: error.instancePath, detail: error.message }]
  }
}

/** The names of a schema's members, at any depth, as `plain` writes them. */
function namesIn(schema: object, names = new Set<string>()): Set<string> {
  for (const [word, part] of Object.entries(schema) as [string, unknown][]) {
    if (typeof part !== 'object' || part === null) continue
    if (word === 'properties') for (const name of Object.keys(part)) names.add(plain(name))
    namesIn(part, names)
  }
  return names
}

/** Names that differ only so are taken for the same, mistyped. */
function plain(name: string): string {
  return name.replace(/[-_ ]/g, '').toLowerCase()
}

/** A member that the caller named may have a secret for its name: an index and a name that the schema has are none. */
function mayBeShown(name: string, names: ReadonlySet<string>): boolean {
  return /^\d{1,3}$/.test(name) || names.has(plain(name))
}

/** The pointer up to the first name that may be a secret. */
function withoutSecrets(pointer: string, names: ReadonlySet<string>): string {
  const [, ...parts] = pointer.split('/')
  const secret = parts.findIndex(part => !mayBeShown(part, names))
  return (secret === -1 ? parts : parts.slice(0, secret)).map(part => `/${part}`).join('')
}

function knownMembers(pointer: string, schema: JsonSchema): string {
  const known = Object.keys((pointer === '' ? schema.properties : undefined) ?? {})
  return known.length === 0 ? 'those in the documentation' : known.join(', ')
}

/** Refuses metadata that is too large. */
export function assertMetadata(metadata: Metadata | null | undefined, pointer: string): void {
  if (metadata && Buffer.byteLength(JSON.stringify(metadata)) > MAX_METADATA_BYTES) {
    throw new InvalidRequest([
      { in: 'body', pointer, detail: `must be at most ${MAX_METADATA_BYTES} bytes as compact JSON` }
    ])
  }
}

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
  return { scope: key, fingerprint: fingerprintOf(request.body) }
}
