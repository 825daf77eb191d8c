import type { FastifySchemaCompiler } from 'fastify'
import Schema from 'typebox/schema'
import { Settings } from 'typebox/system'
import { KnownNames } from './known-names.ts'
import { type JsonSchema, knownMembers, meantSchema } from './meant-schema.ts'
import { InvalidRequest, type RequestError } from './problems.ts'

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
  return (value: unknown) => {
    convert?.(value as Record<string, unknown>)
    return validator.Check(value) || { error: new InvalidRequest(explain(schema, value, part)) }
  }
}

/** Turns those parameters of a query that should be numbers or booleans, and are written as such, into these. */
function convertQuery(schema: JsonSchema): (query: Record<string, unknown>) => void {
  const { properties } = schema as { properties: Record<string, JsonSchema> }
  const types = Object.entries(properties).map(([name, { type }]) => [name, type] as const)
  return query => {
    for (const [name, type] of types) {
      const text = query[name]
      if (typeof text !== 'string') continue
      if (type === 'integer' && /^-?\d{1,16}$/.test(text)) query[name] = Number(text)
      if (type === 'boolean' && (text === 'true' || text === 'false')) query[name] = text === 'true'
    }
  }
}

function explain(schema: JsonSchema, value: unknown, part: RequestError['in']): RequestError[] {
  if (!isSmall(value))
    return [{ in: part, pointer: '', detail: 'does not match the schema, and is too large to say where' }]
  const [, errors] = Schema.Errors(meantSchema(schema, value), value)
  const names = new KnownNames(schema)
  const told = new Map<string, RequestError>()
  for (const error of errors) {
    for (const { pointer: exact, detail } of tell(error, schema, names)) {
      const pointer = names.withoutSecrets(exact)
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

interface SchemaError {
  keyword: string
  schemaPath: string
  instancePath: string
  params: object
  message: string
}

/** Where and what, in words for the caller. What the caller wrote is not repeated: it may be a secret. */
function tell(error: SchemaError, schema: JsonSchema, names: KnownNames): { pointer: string; detail: string }[] {
  const params = error.params as Record<string, unknown>
  switch (error.keyword) {
    case 'additionalProperties':
      return tellUnknown(error.instancePath, params['additionalProperties'] as string[], schema, names)
    case 'boolean':
      // Comes with additionalProperties, which says more.
      return []
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

/** Of members that have no place where they are: those of another alternative may not stand beside the others. */
function tellUnknown(
  pointer: string,
  unknown: readonly string[],
  schema: JsonSchema,
  names: KnownNames
): { pointer: string; detail: string }[] {
  const known = pointer === '' ? knownMembers(schema) : []
  const list = known.length === 0 ? 'those in the documentation' : known.join(', ')
  return [...known.filter(name => unknown.includes(name)), ...unknown.filter(name => !known.includes(name))].map(
    name => ({
      pointer: `${pointer}/${name}`,
      detail: known.includes(name)
        ? 'can not stand beside the other members'
        : `${names.has(name) ? 'is no member here' : 'has a member that is unknown here'}; known are ${list}`
    })
  )
}
