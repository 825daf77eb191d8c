import fc, { type Arbitrary } from 'fast-check'
import type { Caller } from './callers.ts'
import type { ApiDocument, Operation } from './document.ts'
import { hostileString, hostileText, HUSH, nearlyValid, type Value, valid } from './values.ts'

/** A request before what it refers to is known. */
export interface Draft {
  operation: string
  method: string
  /** The path's template. */
  path: string
  /** Path parameters: encoded where they are values, put in as they are where they are texts. */
  params: Record<string, { value: Value } | { text: string }>
  query: readonly (readonly [string, Value])[]
  headers: Readonly<Record<string, Value>>
  body: { value: Value } | { text: string } | { bytes: number } | undefined
  by: Caller
  /** Whether its token, if any, is sent as `?token=`. */
  tokenInQuery: boolean
}

export type Step = { requests: Draft[] } | { pass: number }

const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS']
const MORE_THAN_A_BODY = 4 * 1024 * 1024 + 1
const TYPES = [
  'text/plain',
  'application/x-www-form-urlencoded',
  'application/json; charset=utf-16',
  'application/json; charset=utf-8',
  'application/merge-patch+json',
  'multipart/form-data; boundary=x',
  'nonsense',
  '',
  'a/b;c',
  `application/${HUSH}`
]
const HOSTILE_SEGMENTS = [
  '',
  '%',
  '%zz',
  '%00',
  '%2e%2e',
  '%ff',
  '..',
  ';',
  '%2F',
  '%5C',
  `${HUSH}%2F`,
  'a'.repeat(9000)
]
const HOSTILE_HEADERS: Record<string, string>[] = [
  { 'content-encoding': 'gzip' },
  { 'x-request-id': 'not allowed' },
  { 'x-request-id': 'mine~1' },
  { 'idempotency-key': '' },
  { 'idempotency-key': 'é' },
  { 'idempotency-key': 'x'.repeat(129) },
  { 'x-http-method-override': 'DELETE' },
  { authorization: `Bearer ${HUSH}-token` },
  { cookie: `key=${HUSH}` },
  { accept: 'text/html' },
  { 'if-none-match': '*' },
  { range: 'bytes=0-1' },
  { host: '' }
]
/** Few, so that calls are repeated. */
const IDEMPOTENCY_KEYS = ['a', 'b', 'c', '~!']

/** What happens to the service in one run: requests, one after the other or some at once, and time that passes. */
export function steps(document: ApiDocument, count: number, callers: readonly Caller[]): Arbitrary<Step[]> {
  const by = fc.oneof(...callers.map(caller => ({ weight: caller.weight, arbitrary: fc.constant(caller) })))
  const drafts = fc.oneof(
    ...document.operations.map(operation => ({
      // Those that bring keys and leases, so that there is something to meet.
      weight: operation.method === 'POST' ? 3 : 1,
      arbitrary: draft(document, operation, by)
    }))
  )
  const step: Arbitrary<Step> = fc.oneof(
    { weight: 40, arbitrary: drafts.map(request => ({ requests: [request] })) },
    { weight: 2, arbitrary: fc.array(drafts, { minLength: 2, maxLength: 5 }).map(requests => ({ requests })) },
    { weight: 1, arbitrary: fc.constantFrom(0, 1, 99, 100, 1000, 59_999, 60_000, 299_999).map(pass => ({ pass })) }
  )
  return fc.array(step, { minLength: count, maxLength: count, size: 'max' })
}

function draft(document: ApiDocument, operation: Operation, by: Arbitrary<Caller>): Arbitrary<Draft> {
  const { id, method, path, parameters, body } = operation
  const named = (place: string) => parameters.filter(parameter => parameter.in === place)
  const params = fc.record(
    Object.fromEntries(
      named('path').map(({ name, schema }) => [
        name,
        fc.oneof(
          { weight: 30, arbitrary: pathValue(document, name, schema, path) },
          { weight: 2, arbitrary: hostileString.map(value => ({ value })) },
          { weight: 1, arbitrary: fc.constantFrom(...HOSTILE_SEGMENTS).map(text => ({ text })) }
        )
      ])
    )
  )
  const queries = named('query').map(({ name, schema, required }) => {
    const value = fc.oneof(
      { weight: 8, arbitrary: valid(document, name, schema) },
      { weight: 1, arbitrary: nearlyValid(document, name, schema) },
      { weight: 1, arbitrary: hostileString }
    )
    const one = value.map(given => [[name, given]] as const)
    return fc.oneof(
      { weight: 10, arbitrary: required === true ? one : fc.oneof(one, fc.constant([])) },
      { weight: 1, arbitrary: fc.tuple(value, value).map(both => both.map(given => [name, given] as const)) },
      { weight: 1, arbitrary: fc.constant([['unknown', 'x']] as const) }
    )
  })
  const idempotent = named('header').some(({ name }) => name === 'idempotency-key')
  const headers = fc.oneof(
    { weight: 20, arbitrary: fc.constant<Record<string, Value>>({}) },
    { weight: 2, arbitrary: fc.constantFrom(...HOSTILE_HEADERS) },
    {
      weight: idempotent ? 6 : 1,
      arbitrary: fc.constantFrom(...IDEMPOTENCY_KEYS).map(key => ({ 'idempotency-key': key }))
    },
    { weight: 1, arbitrary: fc.constantFrom(...TYPES).map(type => ({ 'content-type': type })) }
  )
  return fc.record({
    operation: fc.constant(id),
    method: fc.oneof(
      { weight: 40, arbitrary: fc.constant(method) },
      { weight: 1, arbitrary: fc.constantFrom(...METHODS) },
      { weight: method === 'GET' ? 2 : 0, arbitrary: fc.constant('HEAD') }
    ),
    path: fc.oneof(
      { weight: 60, arbitrary: fc.constant(path) },
      {
        weight: 1,
        arbitrary: fc.constantFrom(`${path}/`, `${path}//`, `${path}/${HUSH}`, `/${HUSH}${path}`, `${path}?`)
      }
    ),
    params,
    query: fc.tuple(...queries).map(all => all.flat()),
    headers,
    body: bodyOf(document, body),
    by,
    tokenInQuery: fc.nat(3).map(nth => nth === 0)
  }) as Arbitrary<Draft>
}

/**
 * The pool that there always is, most often, so that the keys and leases of one call are those of the next; another one
 * for what is done to pools themselves.
 */
function pathValue(
  document: ApiDocument,
  name: string,
  schema: Operation['parameters'][number]['schema'],
  path: string
): Arbitrary<{ value: Value }> {
  const value =
    name === 'pool'
      ? fc.oneof(
          { weight: path.endsWith('{pool}') ? 1 : 12, arbitrary: fc.constant<Value>('default') },
          { weight: 2, arbitrary: fc.constantFrom('a', 'b', 'c') },
          { weight: 1, arbitrary: valid(document, name, schema) }
        )
      : valid(document, name, schema)
  return value.map(value => ({ value }))
}

function bodyOf(document: ApiDocument, body: Operation['body']): Arbitrary<Draft['body']> {
  const none = fc.constant(undefined)
  const text = hostileText.map(text => ({ text }))
  const large = fc.constant({ bytes: MORE_THAN_A_BODY })
  if (body === undefined) {
    return fc.oneof({ weight: 30, arbitrary: none }, { weight: 1, arbitrary: text })
  }
  return fc.oneof(
    { weight: 60, arbitrary: valid(document, '', body.schema).map(value => ({ value })) },
    { weight: 25, arbitrary: nearlyValid(document, '', body.schema).map(value => ({ value })) },
    { weight: body.required ? 1 : 20, arbitrary: none },
    { weight: 6, arbitrary: text },
    { weight: 1, arbitrary: fc.oneof({ weight: 9, arbitrary: text }, { weight: 1, arbitrary: large }) }
  )
}
