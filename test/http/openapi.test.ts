import { readFileSync } from 'node:fs'
import t from 'tap'
import Schema from 'typebox/schema'
import { parse } from 'yaml'
import { createService, type ServiceOfTest } from '../support/create-service.ts'

const BOTH = { dialects: ['random_api_key', 'tokenapi'] as const }

interface Parameter {
  name: string
  in: string
  required?: boolean
  example?: unknown
  schema: { default?: unknown }
}
interface Operation {
  operationId: string
  summary: string
  tags: string[]
  security: object[]
  parameters?: Parameter[]
  requestBody?: { required?: boolean; content: Record<string, { schema: JsonSchema; example?: unknown }> }
  responses: Record<string, { description: string; content?: Record<string, { schema: JsonSchema }> }>
}
interface JsonSchema {
  type?: string | string[]
  properties?: Record<string, JsonSchema>
  [word: string]: unknown
}

/** The operations of a document, each with its method and path. */
function operationsOf(document: { paths: Record<string, Record<string, Operation>> }) {
  return Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ method: method.toUpperCase(), path, operation }))
  )
}

async function documentOf({ call }: ServiceOfTest) {
  return (await call('GET', '/docs/json')).body
}

t.test('the committed document is the one that is served', async t => {
  const service = await createService(t, BOTH)
  const committed = parse(readFileSync(new URL('../../openapi.yaml', import.meta.url), 'utf8'))
  t.equal(committed.openapi, '3.1.0')
  t.strictSame(await documentOf(service), committed, 'openapi.yaml is old: run npm run openapi')
})

t.test('every route has a name of its own, a summary, a tag and its statuses', async t => {
  const document = await documentOf(await createService(t, BOTH))
  const operations = operationsOf(document)
  const names = operations.map(({ operation }) => operation.operationId)
  t.equal(new Set(names).size, names.length)
  t.ok(operations.length >= 30)
  const tags = document.tags.map(({ name }: { name: string }) => name)
  for (const { method, path, operation } of operations) {
    const { operationId, summary, responses } = operation
    const where = `${method} ${path}`
    t.match(operationId, /^\w+$/, where)
    t.match(summary, /\w/, where)
    t.ok(operation.tags.length === 1 && tags.includes(operation.tags[0]), where)
    const statuses = Object.keys(responses)
    t.ok(
      statuses.some(status => status.startsWith('2')),
      where
    )
    const anywhere = [
      '400',
      ...(operation.security.length > 0 ? ['401'] : []),
      '403',
      '408',
      '413',
      '414',
      '415',
      '417',
      '431',
      '500',
      '503'
    ]
    t.strictSame(
      anywhere.filter(status => !(status in responses)),
      [],
      where
    )
    const undescribed = Object.entries(responses).filter(
      ([, { description }]) => !/\w/.test(description) || description === 'Default Response'
    )
    t.strictSame(undescribed, [], where)
    t.notOk(responses['204']?.content, where)
  }
})

t.test('the calls of the contract are all there, with the statuses that it names', async t => {
  const document = await documentOf(await createService(t))
  const pool = '/v1/pools/{pool}'
  const contract: Record<string, number[]> = {
    'GET /v1/pools': [200],
    [`PUT ${pool}`]: [200, 201, 409],
    [`GET ${pool}`]: [200, 404],
    [`DELETE ${pool}`]: [204, 404, 409],
    [`POST ${pool}/keys`]: [201, 404, 409, 422],
    [`GET ${pool}/keys`]: [200, 404],
    [`POST ${pool}/keys/lookup`]: [200, 404],
    [`GET ${pool}/keys/{id}`]: [200, 404],
    [`DELETE ${pool}/keys/{id}`]: [204, 404],
    [`PUT ${pool}/keys/{id}/keep-alive`]: [200, 404],
    [`PUT ${pool}/keys/{id}/activation`]: [200, 201, 404],
    [`PUT ${pool}/keys/{id}/metadata`]: [200, 404],
    [`DELETE ${pool}/keys/{id}/lease`]: [204, 404, 409, 410],
    [`POST ${pool}/leases`]: [201, 404, 422],
    [`GET ${pool}/leases/{leaseId}`]: [200, 404, 410],
    [`PUT ${pool}/leases/{leaseId}/renewal`]: [200, 404, 409, 410],
    [`DELETE ${pool}/leases/{leaseId}`]: [204, 404, 410],
    [`POST ${pool}/batch`]: [200, 404, 422],
    'GET /livez': [200],
    'GET /readyz': [200],
    'GET /problems/{code}': [200, 404]
  }
  const anywhere = [400, 401, 403, 408, 413, 414, 415, 417, 431, 500, 503]
  const found = operationsOf(document).map(({ method, path, operation }) => [
    `${method} ${path}`,
    Object.keys(operation.responses)
      .map(Number)
      .filter(status => !anywhere.includes(status))
  ])
  t.strictSame(Object.fromEntries(found), contract)
})

t.test('which calls need a body is said', async t => {
  const document = await documentOf(await createService(t))
  const needed = operationsOf(document).filter(({ operation }) => operation.requestBody?.required === true)
  t.strictSame(needed.map(({ operation }) => operation.operationId).sort(), ['batch', 'lookupKey', 'setKeyMetadata'])
  const optional = operationsOf(document).filter(({ operation }) => operation.requestBody?.required === false)
  t.equal(optional.length, 6)
  const deletes = operationsOf(document).filter(({ method }) => method === 'DELETE')
  t.ok(deletes.every(({ operation }) => operation.requestBody === undefined))
  t.notMatch(JSON.stringify(document), 'x-body-optional')
})

/** A schema with what it refers to, for a validator that knows nothing of the document. */
function whole(document: { components: { schemas: Record<string, JsonSchema> } }, schema: unknown): JsonSchema {
  if (typeof schema !== 'object' || schema === null) return schema as never
  if (Array.isArray(schema)) return schema.map(part => whole(document, part)) as never
  const { $ref } = schema as { $ref?: string }
  if ($ref !== undefined) return whole(document, document.components.schemas[$ref.split('/').at(-1) as string])
  return Object.fromEntries(Object.entries(schema).map(([word, part]) => [word, whole(document, part)]))
}

t.test('the examples of bodies pass their own schemas', async t => {
  const document = await documentOf(await createService(t, BOTH))
  let examples = 0
  for (const { operation } of operationsOf(document)) {
    const bodies = [operation.requestBody, ...Object.values(operation.responses)]
    for (const content of bodies.flatMap(body => Object.values(body?.content ?? {}))) {
      const { schema, example } = content as { schema: JsonSchema; example?: unknown }
      if (example === undefined) continue
      examples++
      const [valid, errors] = Schema.Errors(whole(document, schema), example)
      t.ok(valid, `${operation.operationId}: ${JSON.stringify(errors)}`)
    }
  }
  t.ok(examples >= 8)
})

/** The body that Swagger UI fills in before anybody types: the example, or all members that a schema lists. */
function prefilled(body: Operation['requestBody']): unknown {
  const { schema, example } = Object.values(body?.content ?? {})[0] ?? {}
  if (example !== undefined) return example
  if (schema === undefined || Object.keys(schema.properties ?? {}).length > 0) return undefined
  return {}
}

t.test('each call succeeds as Swagger UI fills it in, but for ids that are made up', async t => {
  const service = await createService(t, BOTH)
  const operations = operationsOf(await documentOf(service))
  // In the order of a first visit: what makes pools and keys comes first.
  const rank = ({ method, path }: { method: string; path: string }) =>
    (path.startsWith('/v1') ? 0 : 10) +
    (method === 'PUT' ? 0 : method === 'POST' ? (path.endsWith('/keys') ? 1 : 2) : 3)
  for (const { method, path, operation } of operations.sort((a, b) => rank(a) - rank(b))) {
    const { operationId, parameters = [], requestBody } = operation
    const inPath = parameters.filter(parameter => parameter.in === 'path')
    const inQuery = parameters.filter(parameter => parameter.in === 'query')
    let url = path
    for (const { name, example } of inPath) url = url.replace(`{${name}}`, encodeURIComponent(String(example ?? name)))
    const query = inQuery
      .map(({ name, example, schema, required }) => [name, example ?? schema.default ?? (required ? 'x' : undefined)])
      .filter(([, value]) => value !== undefined)
      .map(([name, value]) => `${name}=${value}`)
    if (query.length > 0) url += `?${query.join('&')}`
    const body = prefilled(requestBody)
    if (requestBody !== undefined) t.not(body, undefined, `${operationId} has an example`)

    const answer = await service.call(method, url, body as object | undefined)
    const isMadeUp =
      /\{(id|leaseId|token)\}/.test(path) || inQuery.some(({ required }) => required) || operationId === 'lookupKey'
    const where = `${operationId} ${url} ${answer.status} ${answer.text}`
    if (!isMadeUp && operationId !== 'deletePool') t.ok(answer.status < 300, where)
    else if (path.startsWith('/v1')) t.ok(answer.status < 300 || [404, 409, 410].includes(answer.status), where)
    else t.ok(answer.status < 500 && answer.status !== 415, where)
  }
})
