import { readFileSync } from 'node:fs'
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js'
import formats from 'ajv-formats'
import { parse } from 'yaml'
import { ROLES, type Role } from '../../src/access/bearer.ts'

/** The words of JSON Schema that values are made from; the validator knows all. */
export interface Schema {
  $ref?: string
  type?: string | string[]
  enum?: unknown[]
  const?: unknown
  oneOf?: (Schema | boolean)[]
  anyOf?: (Schema | boolean)[]
  properties?: Record<string, Schema | boolean>
  required?: string[]
  additionalProperties?: Schema | boolean
  dependentSchemas?: Record<string, Schema>
  items?: Schema
  minItems?: number
  maxItems?: number
  minimum?: number
  maximum?: number
  minLength?: number
  maxLength?: number
  pattern?: string
  examples?: unknown[]
}

export interface Parameter {
  name: string
  in: 'path' | 'query' | 'header'
  required?: boolean
  schema: Schema
}

interface Content {
  schema?: Schema
}

export interface Operation {
  id: string
  method: string
  /** With its parameters in braces. */
  path: string
  parameters: Parameter[]
  body: { schema: Schema; required: boolean } | undefined
  /** The least that may call it; undefined where everybody may. */
  role: Role | undefined
  /** Whether the token may come as `?token=`. */
  tokenInQuery: boolean
  responses: Record<
    string,
    { content?: Record<string, Content>; headers?: Record<string, { required?: boolean; schema?: Schema }> }
  >
}

interface OpenApi {
  paths: Record<
    string,
    Record<string, Omit<Operation, 'id' | 'method' | 'path' | 'body' | 'role' | 'tokenInQuery'> & RawOperation>
  >
}
interface RawOperation {
  operationId: string
  parameters?: Parameter[]
  requestBody?: { required?: boolean; content: Record<string, { schema: Schema }> }
  description?: string
  security: Record<string, []>[]
}

/**
 * openapi.yaml, read as a stranger reads it: what there is to call, and what may be answered. A route that is added to it
 * is fuzzed from then on. Answers are validated by Ajv, which knows the dialect of JSON Schema that OpenAPI 3.1 uses.
 */
export class ApiDocument {
  readonly operations: readonly Operation[]
  readonly #document: OpenApi
  readonly #ajv = new Ajv2020({ strict: false, validateSchema: false })
  readonly #validators = new Map<string, ValidateFunction>()

  constructor(text: string) {
    this.#document = parse(text) as OpenApi
    formats.default(this.#ajv)
    this.#ajv.addSchema(this.#document, 'api')
    this.operations = Object.entries(this.#document.paths).flatMap(([path, methods]) =>
      Object.entries(methods).map(([method, raw]) => {
        const { operationId, parameters = [], requestBody, responses, security } = raw
        const schema = Object.values(requestBody?.content ?? {})[0]?.schema
        const answers = Object.entries(responses).map(([status, response]) => {
          const { headers = {}, ...rest } = this.resolve(response)
          const told = Object.entries(headers).map(([name, header]) => [name, this.resolve(header)])
          return [status, { ...rest, headers: Object.fromEntries(told) }]
        })
        return {
          id: operationId,
          method: method.toUpperCase(),
          path,
          parameters: parameters.map(parameter => this.resolve(parameter)),
          body: schema && { schema, required: requestBody?.required === true },
          role: roleOf(raw),
          tokenInQuery: security.some(scheme => 'token' in scheme),
          responses: Object.fromEntries(answers) as Operation['responses']
        }
      })
    )
  }

  static read(): ApiDocument {
    return new ApiDocument(readFileSync(new URL('../../openapi.yaml', import.meta.url), 'utf8'))
  }

  /** What a reference stands for. */
  resolve<T extends object>(part: T & { $ref?: string }): T {
    if (part.$ref === undefined) return part
    let found: unknown = this.#document
    for (const word of part.$ref.slice(2).split('/')) found = (found as Record<string, unknown>)[word]
    return found as T
  }

  /** What is wrong with a body, or undefined. */
  bodyFault(operation: Operation, status: string, type: string, body: unknown): string | undefined {
    return this.#fault(operation.responses[status]?.content?.[type]?.schema ?? {}, body)
  }

  headerFault(operation: Operation, status: string, header: string, value: string): string | undefined {
    const schema = operation.responses[status]?.headers?.[header]?.schema ?? {}
    const { type } = this.resolve(schema)
    const read = type === 'integer' || type === 'number' ? Number(value) : value
    return this.#fault(schema, read)
  }

  #fault(schema: Schema, value: unknown): string | undefined {
    const text = JSON.stringify(schema).replaceAll('"$ref":"#/', '"$ref":"api#/')
    const validate = this.#validators.get(text) ?? this.#ajv.compile(JSON.parse(text))
    this.#validators.set(text, validate)
    return validate(value) ? undefined : this.#ajv.errorsText(validate.errors)
  }
}

/** In words, since roles are none of OpenAPI's. */
function roleOf({ operationId, description = '', security }: RawOperation): Role | undefined {
  const role = ROLES.find(role => description.endsWith(`Needs the role \`${role}\`.`))
  if ((role === undefined) !== (security.length === 0)) throw new Error(`who may call ${operationId}?`)
  return role
}
