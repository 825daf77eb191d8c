import { readFileSync } from 'node:fs'
import { Validator } from '@seriousme/openapi-schema-validator'
import t from 'tap'
import Schema from 'typebox/schema'
import { parse } from 'yaml'
import { type ProblemCode, PROBLEMS } from '../../src/http/problems.ts'
import { createService, POOL, type ServiceOfTest } from '../support/create-service.ts'

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
  responses: Record<string, Response>
}
interface Response {
  description: string
  headers?: object
  content?: Record<string, { schema: JsonSchema }>
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

/** The document with all that it refers to in its place. */
async function resolvedOf(service: ServiceOfTest) {
  const document = await documentOf(service)
  const resolve = (part: unknown): unknown => {
    if (typeof part !== 'object' || part === null) return part
    if (Array.isArray(part)) return part.map(resolve)
    const { $ref } = part as { $ref?: string }
    if ($ref === undefined) return Object.fromEntries(Object.entries(part).map(([word, each]) => [word, resolve(each)]))
    const found = $ref
      .split('/')
      .slice(1)
      .reduce((place, word) => place?.[word], document)
    if (found === undefined) throw new Error(`${$ref} refers to nothing`)
    return resolve(found)
  }
  return resolve(document) as typeof document
}

/** The statuses that a call may have whatever it does. Nobody reads the body of a GET; what ignores its body takes any type. */
function anywhereOf(method: string, path: string, { security }: Operation): string[] {
  const anywhere = ['400', '403', '408', '414', '417', '431', '500']
  if (method !== 'GET') anywhere.push('413')
  if (method !== 'GET' && path.startsWith('/v1')) anywhere.push('415')
  if (path !== '/livez') anywhere.push('503')
  if (!['/livez', '/readyz'].includes(path)) anywhere.push('429')
  if (security.length > 0) anywhere.push('401')
  return anywhere
}

t.test('the committed document is the one that is served', async t => {
  const service = await createService(t, BOTH)
  const committed = parse(readFileSync(new URL('../../openapi.yaml', import.meta.url), 'utf8'))
  t.equal(committed.openapi, '3.1.0')
  t.strictSame(await documentOf(service), committed, 'openapi.yaml is old: run npm run openapi')
})

t.test('every route has a name of its own, a summary, a tag and its statuses', async t => {
  const document = await resolvedOf(await createService(t, BOTH))
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
    const anywhere = ['400', '401', '403', '408', '413', '414', '415', '417', '429', '431', '500', '503']
    t.strictSame(
      anywhere.filter(status => status in responses),
      anywhereOf(method, path, operation).sort(),
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
  const anywhere = [400, 401, 403, 408, 413, 414, 415, 417, 429, 431, 500, 503]
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

t.test('the examples of bodies pass their own schemas', async t => {
  const document = await resolvedOf(await createService(t, BOTH))
  let count = 0
  for (const { operation } of operationsOf(document)) {
    const bodies = [operation.requestBody, ...Object.values(operation.responses)]
    for (const content of bodies.flatMap(body => Object.values(body?.content ?? {}))) {
      const { schema, example, examples = {} } = content as Content
      const values = [...(example === undefined ? [] : [example]), ...Object.values(examples).map(({ value }) => value)]
      t.ok(values.length > 0, `${operation.operationId} has examples of all bodies`)
      for (const value of values) {
        count++
        const [valid, errors] = Schema.Errors(schema, value)
        t.ok(valid, `${operation.operationId}: ${JSON.stringify(value)} ${JSON.stringify(errors)}`)
      }
    }
  }
  t.ok(count >= 300)
})

interface Content {
  schema: JsonSchema
  example?: unknown
  examples?: Record<string, { value: unknown }>
}

t.test('it is valid OpenAPI 3.1', async t => {
  const validator = new Validator()
  const { valid, errors } = await validator.validate(await documentOf(await createService(t, BOTH)))
  t.ok(valid, JSON.stringify(errors))
  t.equal(validator.version, '3.1')
})

t.test('what recurs is told once', async t => {
  const document = await documentOf(await createService(t, BOTH))
  const titled = JSON.stringify(document.paths).match(/"title":"\w+"/g)
  t.equal(titled, null)
  for (const { operation } of operationsOf(document)) {
    for (const [status, response] of Object.entries(operation.responses)) {
      const isTold = '$ref' in response || status < '400' || operation.tags[0] === 'random_api_key'
      t.ok(isTold, `${operation.operationId} ${status}`)
    }
  }
  const used = JSON.stringify(document)
  for (const [kind, parts] of Object.entries(document.components) as [string, object][]) {
    for (const name of Object.keys(parts)) {
      // No route can refuse a method: the answer is for all paths.
      if (name !== 'MethodNotAllowed' && kind !== 'examples' && kind !== 'securitySchemes') {
        t.ok(used.includes(`#/components/${kind}/${name}"`) || name.endsWith('Problem'), `${kind} ${name}`)
      }
    }
  }
})

t.test('every problem has a schema and an example of its own', async t => {
  const { components } = await resolvedOf(await createService(t))
  for (const code of Object.keys(PROBLEMS)) {
    const name = code.replace(/(^|-)./g, start => start.slice(-1).toUpperCase())
    const schema = components.schemas[`${name}Problem`]
    t.match(schema.properties, { code: { const: code }, status: { const: PROBLEMS[code as ProblemCode].status } })
    const { value } = components.examples[code]
    t.ok(Schema.Check(schema, value), code)
    t.notOk(Schema.Check(schema, { ...value, code: 'another' }), code)
  }
  const members = (code: string) => Object.keys(components.schemas[`${code}Problem`].properties).slice(2)
  t.strictSame(members('InvalidRequest'), ['errors'])
  t.strictSame(members('NoFreeKey'), ['reason', 'retryAfterMs', 'counts'])
  t.strictSame(members('KeyExists'), ['indexes'])
  t.strictSame(members('KeyRetired'), ['indexes'])
  t.strictSame(members('KeyspaceExhausted'), ['remaining'])
  t.strictSame(members('NotReady'), ['reasons'])
})

t.test('every answer tells its headers', async t => {
  const document = await resolvedOf(await createService(t, BOTH))
  const located: string[] = []
  for (const { operation } of operationsOf(document)) {
    for (const [status, { headers = {}, content = {} }] of Object.entries(operation.responses)) {
      const where = `${operation.operationId} ${status}`
      t.ok('X-Request-Id' in headers && 'Cache-Control' in headers, where)
      if ('Location' in headers) located.push(where)
      const isLater =
        status === '503' ||
        status === '429' ||
        'no-free-key' in ((content['application/problem+json'] as Content | undefined)?.examples ?? {})
      t.equal('Retry-After' in headers, isLater && status >= '400', where)
    }
  }
  t.strictSame(located.sort(), ['acquireLease 201', 'generateOrImportKeys 201', 'putPool 201'])
  t.ok('Allow' in document.components.responses.MethodNotAllowed.headers)
})

t.test('every parameter is described, and is filled in or may be absent', async t => {
  const document = await resolvedOf(await createService(t, BOTH))
  for (const { operation } of operationsOf(document)) {
    for (const { name, required, example, schema, ...parameter } of operation.parameters ?? []) {
      const where = `${operation.operationId} ${name}`
      t.match((parameter as { description?: string }).description, /\w/, where)
      t.ok(!required || example !== undefined, where)
      if (example !== undefined) t.ok(Schema.Check(schema, example), where)
    }
  }
})

t.test('the tags of alternatives lead to their schemas', async t => {
  const document = await documentOf(await createService(t))
  const { oneOf, discriminator } = document.components.schemas.Operation
  t.strictSame(Object.keys(discriminator.mapping), [
    'acquire',
    'release',
    'renew',
    'keepAlive',
    'activate',
    'delete',
    'unblock'
  ])
  t.strictSame(
    Object.values(discriminator.mapping),
    oneOf.map(({ $ref }: { $ref: string }) => $ref)
  )
  for (const [op, path] of Object.entries<string>(discriminator.mapping)) {
    t.equal(document.components.schemas[path.split('/').at(-1) as string].properties.op.const, op)
  }
})

t.test('the document is served from one text, to HEAD too', async t => {
  const { call, app } = await createService(t)
  const first = await call('GET', '/docs/json')
  t.match(first, { status: 200, type: 'application/json' })
  t.equal(first.headers['content-length'], String(Buffer.byteLength(first.text)))
  app.swagger().info.title = 'another'
  t.equal((await call('GET', '/docs/json')).text, first.text)
  const head = await call('HEAD', '/docs/json')
  t.match(head, { status: 200, text: '', type: 'application/json' })
  t.equal(head.headers['content-length'], first.headers['content-length'])
})

/** The body that Swagger UI fills in before anybody types: the example, or all members that a schema lists. */
function prefilled(body: Operation['requestBody']): unknown {
  const { schema, example, examples } = (Object.values(body?.content ?? {})[0] ?? {}) as Partial<Content>
  if (example !== undefined) return example
  if (examples !== undefined) return Object.values(examples)[0]?.value
  if (schema === undefined || Object.keys(schema.properties ?? {}).length > 0) return undefined
  return {}
}

t.test('each call succeeds as Swagger UI fills it in, but for ids that are made up', async t => {
  const service = await createService(t, BOTH)
  const operations = operationsOf(await resolvedOf(service))
  // In the order of a first visit: what makes pools and keys comes first.
  const rank = ({ method, path }: { method: string; path: string }) =>
    (path.startsWith('/v1') ? 0 : 10) +
    (method === 'PUT' ? 0 : method === 'POST' ? (path.endsWith('/keys') ? 1 : 2) : 3)
  const generation = operations.find(({ operation }) => operation.operationId === 'generateOrImportKeys')
  const { examples } = generation?.operation.requestBody?.content['application/json'] as Content
  const imported = examples?.['import']?.value as object
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
    // Where it was deleted, it comes back.
    await service.call('POST', `${POOL}/keys`, imported)
    if (requestBody !== undefined) t.not(body, undefined, `${operationId} has an example`)

    const answer = await service.call(method, url, body as object | undefined)
    const isMadeUp = /\{(leaseId|token)\}/.test(path) || operationId === 'unblockKey'
    const where = `${operationId} ${url} ${answer.status} ${answer.text}`
    if (!isMadeUp && operationId !== 'deletePool') t.ok(answer.status < 300, where)
    else if (path.startsWith('/v1')) t.ok(answer.status < 300 || [404, 409, 410].includes(answer.status), where)
    else t.ok(answer.status < 500 && answer.status !== 415, where)
  }
})
