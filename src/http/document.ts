import type { ProblemCode } from './problems.ts'
import { problemExamples, problemResponse, problemSchemas, responseName } from './problem-document.ts'
import type { RefusedResponse } from './problem-schema.ts'

/** What a route says besides what Fastify's plugin puts into the document. */
export interface RouteNotes {
  bodyOptional: boolean
  /** By status. */
  examples: Record<string, object>
  refused: Record<string, RefusedResponse>
}

interface Schema {
  title?: string
  [word: string]: unknown
}
interface Response {
  description?: string
  headers?: Record<string, object>
  content?: Record<string, { schema: Schema; example?: object }>
}
interface Parameter {
  name: string
  in: string
}
interface Operation {
  operationId: string
  parameters?: (Parameter | { $ref: string })[]
  requestBody?: { required?: boolean; content: Record<string, { schema: Schema }> }
  responses: Record<string, Response | { $ref: string }>
}

/** The document as the plugin makes it. */
export interface ApiDocument {
  paths: Record<string, Record<string, Operation>>
  components: {
    schemas: Record<string, Schema>
    parameters?: Record<string, object>
    responses?: Record<string, object>
    headers?: Record<string, object>
    examples?: Record<string, object>
  }
}

const EVERYWHERE = {
  'X-Request-Id': { $ref: '#/components/headers/RequestId' },
  'Cache-Control': { $ref: '#/components/headers/CacheControl' }
}

const HEADERS = {
  RequestId: {
    description: 'The id of the request: the one given, where it is 1 … 128 of `A-Z a-z 0-9 . _ ~ -`, or a new one.',
    schema: { type: 'string' },
    example: 'a-request-id'
  },
  CacheControl: {
    description: 'Answers are not to be kept: they may hold keys.',
    schema: { type: 'string', const: 'no-store' }
  },
  RetryAfter: {
    description: 'When to try again, in whole seconds. With `no-free-key` only where an end is pending.',
    schema: { type: 'integer', minimum: 1 },
    example: 42
  },
  Allow: {
    description: 'The methods that the path has.',
    schema: { type: 'string' },
    example: 'GET, HEAD'
  }
}

/**
 * Makes the document say what the routes say: which bodies may be absent, examples, refused answers by their codes, the
 * headers of all answers. Each thing is told once: what has a title, and parameters and answers that recur, become
 * components.
 */
export function completeDocument(document: ApiDocument, notes: ReadonlyMap<string, RouteNotes>): void {
  const { components } = document
  const operations = Object.values(document.paths).flatMap(path => Object.values(path))
  const responses: Record<string, object> = {}
  const respondWith = (codes: readonly ProblemCode[], description: string): { $ref: string } => {
    const name = responseName(codes)
    responses[name] ??= withHeaders(problemResponse({ codes, description }))
    return { $ref: `#/components/responses/${name}` }
  }
  for (const operation of operations) {
    const { bodyOptional, examples, refused } = notes.get(operation.operationId) as RouteNotes
    if (operation.requestBody && bodyOptional) operation.requestBody.required = false
    for (const [status, response] of Object.entries(operation.responses)) {
      operation.responses[status] = withHeaders(response)
      for (const media of Object.values((response as Response).content ?? {})) {
        if (examples[status] !== undefined) media.example = examples[status]
      }
    }
    for (const [status, { codes, description }] of Object.entries(refused)) {
      operation.responses[status] ??= respondWith(codes, description)
    }
  }
  respondWith(['method-not-allowed'], 'Of every path, with a method that it has not.')
  nameTitled(components.schemas, operations)
  Object.assign(components.schemas, problemSchemas())
  nameTitled(components.schemas, [])
  components.parameters = nameRecurring(operations)
  components.responses = responses
  components.headers = HEADERS
  components.examples = problemExamples()
}

function withHeaders<T extends Response | object>(response: T): T {
  const { description, headers, ...rest } = response as Response
  // The rest of the same response.
  return { description, headers: { ...headers, ...EVERYWHERE }, ...rest } as T
}

/** Moves each schema with a title out of its place, to stand among the named ones under its title. */
function nameTitled(schemas: Record<string, Schema>, operations: readonly Operation[]): void {
  const move = (place: Record<string, unknown>): void => {
    for (const [word, part] of Object.entries(place)) {
      if (typeof part !== 'object' || part === null || word.startsWith('example')) continue
      move(part as Record<string, unknown>)
      const { title, ...schema } = part as Schema
      if (typeof title !== 'string') continue
      schemas[title] = schema
      place[word] = { $ref: `#/components/schemas/${title}` }
    }
  }
  for (const schema of Object.values(schemas)) move(schema)
  for (const { requestBody, responses } of operations) {
    if (requestBody) move(requestBody.content)
    move(responses)
  }
}

/** Moves parameters that several operations share, and answers with these by name. */
function nameRecurring(operations: readonly Operation[]): Record<string, object> {
  const times = new Map<string, number>()
  const all = operations.flatMap(({ parameters = [] }) => parameters)
  for (const parameter of all) {
    const text = JSON.stringify(parameter)
    times.set(text, (times.get(text) ?? 0) + 1)
  }
  const shared: Record<string, object> = {}
  for (const operation of operations) {
    operation.parameters?.forEach((parameter, i, parameters) => {
      if (times.get(JSON.stringify(parameter)) === 1) return
      const { name } = parameter as Parameter
      shared[name] = parameter
      parameters[i] = { $ref: `#/components/parameters/${name}` }
    })
  }
  return shared
}
