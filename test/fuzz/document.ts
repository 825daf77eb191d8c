import { readFileSync } from 'node:fs'
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js'
import formats from 'ajv-formats'
import { parse } from 'yaml'

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
  responses: Record<
    string,
    { content?: Record<string, Content>; headers?: Record<string, { required?: boolean; schema?: Schema }> }
  >
}

interface OpenApi {
  paths: Record<string, Record<string, Omit<Operation, 'id' | 'method' | 'path' | 'body'> & RawOperation>>
}
interface RawOperation {
  operationId: string
  parameters?: Parameter[]
  requestBody?: { required?: boolean; content: Record<string, { schema: Schema }> }
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
      Object.entries(methods).map(([method, { operationId, parameters = [], requestBody, responses }]) => {
        const schema = Object.values(requestBody?.content ?? {})[0]?.schema
        return {
          id: operationId,
          method: method.toUpperCase(),
          path,
          parameters,
          body: schema && { schema, required: requestBody?.required === true },
          responses
        }
      })
    )
  }

  static read(): ApiDocument {
    return new ApiDocument(readFileSync(new URL('../../openapi.yaml', import.meta.url), 'utf8'))
  }

  /** What a reference stands for. */
  resolve(schema: Schema): Schema {
    if (schema.$ref === undefined) return schema
    let found: unknown = this.#document
    for (const part of schema.$ref.slice(2).split('/')) found = (found as Record<string, unknown>)[part]
    return found as Schema
  }

  /** What is wrong with a body, or undefined. */
  bodyFault(operation: Operation, status: string, type: string, body: unknown): string | undefined {
    return this.#fault(['responses', status, 'content', type, 'schema'], operation, body)
  }

  headerFault(operation: Operation, status: string, header: string, value: string): string | undefined {
    const type = this.resolve(operation.responses[status]?.headers?.[header]?.schema ?? {}).type
    const read = type === 'integer' || type === 'number' ? Number(value) : value
    return this.#fault(['responses', status, 'headers', header, 'schema'], operation, read)
  }

  #fault(place: string[], { path, method }: Operation, value: unknown): string | undefined {
    const pointer = ['paths', path, method.toLowerCase(), ...place]
      .map(part => encodeURIComponent(part.replaceAll('~', '~0').replaceAll('/', '~1')))
      .join('/')
    const validate = this.#validators.get(pointer) ?? this.#ajv.compile({ $ref: `api#/${pointer}` })
    this.#validators.set(pointer, validate)
    return validate(value) ? undefined : this.#ajv.errorsText(validate.errors)
  }
}
