import { gzipSync } from 'node:zlib'
import t from 'tap'
import { createService, POOL } from '../support/create-service.ts'
import { invalid, refused } from '../support/problems.ts'

const MEBIBYTE = 2 ** 20
const ILL_FORMED = [
  '',
  'json',
  'a/',
  '/b',
  'application json',
  'application/json/x',
  ';',
  'application/json, text/html',
  '{}'
]
const FOREIGN = [
  'text/plain',
  'application/x-www-form-urlencoded',
  'multipart/form-data; boundary=x',
  'image/png',
  '*/*'
]
const JSON_TYPES = [
  'application/json',
  'APPLICATION/JSON',
  'application/json; charset=utf-8',
  'application/json;charset="UTF-8"',
  'application/json ; x=y',
  'application/problem+json',
  'application/vnd.keypool.v1+json'
]
const asJson = { 'content-type': 'application/json' }

/** Every call that needs no body, where it succeeds. */
async function bodilessCalls({ call, generate, acquire }: Awaited<ReturnType<typeof createService>>) {
  await call('PUT', POOL, { maxHoldMs: 86_400_000, leaseMs: 86_400_000 })
  const keys = await generate(100)
  let next = 0
  const id = () => keys[next++]?.id
  const leased = async () => (await acquire({ leaseMs: 1000 })).id
  return [
    async () => ({ method: 'PUT', path: '/v1/pools/mine' }),
    async () => ({ method: 'POST', path: 'keys' }),
    async () => ({ method: 'PUT', path: `keys/${id()}/keep-alive` }),
    async () => ({ method: 'PUT', path: `keys/${id()}/activation` }),
    async () => ({ method: 'POST', path: 'leases' }),
    async () => ({ method: 'PUT', path: `leases/${await leased()}/renewal` }),
    async () => ({ method: 'DELETE', path: `leases/${await leased()}` }),
    async () => ({ method: 'DELETE', path: `keys/${(await acquire()).keyId}/lease` }),
    async () => {
      const [key] = await generate()
      return { method: 'DELETE', path: `keys/${key?.id}` }
    },
    async () => {
      await call('PUT', '/v1/pools/gone')
      return { method: 'DELETE', path: '/v1/pools/gone' }
    }
  ]
}

t.test('where no body is needed, none, an empty one and `{}` do, with any content type', async t => {
  const service = await createService(t)
  for (const prepare of await bodilessCalls(service)) {
    const types = [undefined, ...JSON_TYPES.slice(0, 1), ...FOREIGN.slice(0, 2), ...ILL_FORMED.slice(0, 3)]
    for (const type of types) {
      for (const body of [undefined, '', '{}', ' {\n} ']) {
        const { method, path } = await prepare()
        const { status, text } = await service.call(
          method,
          path,
          body,
          type === undefined ? {} : { 'content-type': type }
        )
        t.ok(status < 300, `${method} ${path} ${type} ${body}: ${text}`)
      }
    }
  }
})

t.test('any ill-formed content type does for an empty body', async t => {
  const { call } = await createService(t)
  for (const type of [...ILL_FORMED, ...FOREIGN]) {
    t.equal((await call('POST', 'keys', '{}', { 'content-type': type })).status, 201, type)
  }
})

t.test('a call that takes no members refuses them', async t => {
  const { call, generate } = await createService(t)
  const [key] = await generate()
  for (const [method, path] of [
    ['PUT', `keys/${key?.id}/keep-alive`],
    ['PUT', `keys/${key?.id}/activation`],
    ['DELETE', `keys/${key?.id}`],
    ['DELETE', `keys/${key?.id}/lease`],
    ['DELETE', `leases/${key?.id}.1`],
    ['DELETE', '/v1/pools/mine']
  ] as const) {
    invalid(t, await call(method, path, { more: 1 }), 'body', '')
    invalid(t, await call(method, path, '[]', asJson), 'body', '')
    invalid(t, await call(method, path, 'null', asJson), 'body', '')
    refused(t, await call(method, path, 'text', { 'content-type': 'text/plain' }), 'unsupported-media-type')
  }
  t.equal((await call('GET', `keys/${key?.id}`)).status, 200)
})

t.test('a body is JSON, under any of its names', async t => {
  const { call } = await createService(t)
  for (const type of JSON_TYPES) {
    t.equal((await call('POST', 'keys', '{"count":1}', { 'content-type': type })).status, 201, type)
  }
})

t.test('a body of another type is refused, before it is read', async t => {
  const { call, counts } = await createService(t)
  for (const type of [...FOREIGN, ...ILL_FORMED, 'application/jsonx', 'text/json']) {
    for (const body of ['{"count":1}', 'count=1', '{"count":']) {
      refused(t, await call('POST', 'keys', body, { 'content-type': type }), 'unsupported-media-type')
    }
    refused(t, await call('POST', 'keys/lookup', '{}', { 'content-type': type }), 'unsupported-media-type')
  }
  refused(t, await call('POST', 'keys', Buffer.from('{"count":1}')), 'unsupported-media-type')
  t.match(await counts(), { total: 0 })
})

t.test('what is not valid JSON is refused without being repeated', async t => {
  const { call } = await createService(t)
  const wrong = [
    '{',
    '{"key":"sk-secret"',
    '{"key":"sk-secret",}',
    "{'key':'sk-secret'}",
    'sk-secret',
    '{"count":01}',
    '{"count":NaN}',
    '{} {}',
    '\u0000',
    '{"a":"\n"}',
    '['.repeat(100_000)
  ]
  for (const body of wrong) {
    const answer = await call('POST', 'keys', body, asJson)
    invalid(t, answer, 'body', '')
    t.notMatch(answer.text, 'sk-secret')
  }
})

t.test('a body is an object', async t => {
  const { call } = await createService(t)
  for (const body of ['[]', '"text"', '5', 'true', 'null', '[{"count":1}]']) {
    invalid(t, await call('POST', 'keys', body, asJson), 'body', '')
    invalid(t, await call('POST', 'leases', body, asJson), 'body', '')
    invalid(t, await call('POST', 'batch', body, asJson), 'body', '')
    invalid(t, await call('PUT', '/v1/pools/mine', body, asJson), 'body', '')
  }
})

t.test('a call that needs a body says so', async t => {
  const { call } = await createService(t)
  for (const path of ['keys/lookup', 'batch']) {
    invalid(t, await call('POST', path), 'body', '')
    invalid(t, await call('POST', path, '', asJson), 'body', '')
  }
  invalid(t, await call('POST', 'keys/lookup', '{}', asJson), 'body', '/key')
  invalid(t, await call('POST', 'batch', '{}', asJson), 'body', '/operations')
})

t.test('a body is UTF-8', async t => {
  const { call, generate } = await createService(t)
  const [key] = await generate()
  const put = (body: Buffer, type = 'application/json') =>
    call('PUT', `keys/${key?.id}/metadata`, body, { 'content-type': type })
  const text = '{"a":"ä€😀"}'
  t.strictSame((await put(Buffer.from(text))).body.metadata, { a: 'ä€😀' })
  invalid(t, await put(Buffer.from('{"a":"ä"}', 'latin1')), 'body', '')
  for (const charset of ['latin1', 'utf-16', 'us-ascii']) {
    refused(t, await put(Buffer.from(text), `application/json; charset=${charset}`), 'unsupported-media-type')
  }
  for (const charset of ['utf-8', 'UTF-8', '"utf-8"', 'utf8']) {
    t.equal((await put(Buffer.from(text), `application/json; charset=${charset}`)).status, 200)
  }
  invalid(t, await put(Buffer.from(text, 'utf16le')), 'body', '')
  invalid(t, await put(Buffer.from([0x7b, 0xff, 0x7d])), 'body', '')
  invalid(
    t,
    await put(Buffer.concat([Buffer.from('{"a":"'), Buffer.from([0xed, 0xa0, 0x80]), Buffer.from('"}')])),
    'body',
    ''
  )
})

t.test('a body is not compressed', async t => {
  const { call } = await createService(t)
  const headers = { 'content-type': 'application/json', 'content-encoding': 'gzip' }
  refused(t, await call('POST', 'keys', gzipSync('{"count":1}'), headers), 'unsupported-media-type')
  t.equal((await call('POST', 'keys', '{"count":1}', { ...headers, 'content-encoding': 'identity' })).status, 201)
})

t.test('what would reach the prototype of objects is refused', async t => {
  const { call, generate } = await createService(t)
  const [key] = await generate()
  const bodies = [
    '{"__proto__":{"count":1}}',
    '{"metadata":{"__proto__":"a"}}',
    '{"metadata":{"\\u005f_proto__":"a"}}',
    '{"constructor":{"prototype":{"a":1}}}'
  ]
  for (const body of bodies) invalid(t, await call('POST', 'keys', body, asJson), 'body', '')
  invalid(t, await call('PUT', `keys/${key?.id}/metadata`, '{"__proto__":"a"}', asJson), 'body', '')
  t.notOk('count' in {})
})

t.test('a body has at most 4 MiB', async t => {
  const { call } = await createService(t)
  const padded = (bytes: number): string => '{"count":1}'.padEnd(bytes)
  t.equal((await call('POST', 'keys', padded(4 * MEBIBYTE), asJson)).status, 201)
  refused(t, await call('POST', 'keys', padded(4 * MEBIBYTE + 1), asJson), 'payload-too-large')
  const type = { 'content-type': 'text/plain' }
  refused(t, await call('POST', 'keys', padded(4 * MEBIBYTE + 1), type), 'payload-too-large')
})

t.test('the largest import fits', async t => {
  const { call } = await createService(t)
  const metadata = { a: 'x'.repeat(1016) }
  const keys = Array.from({ length: 1000 }, (_, i) => ({ key: String(i).padEnd(512, 'x'), metadata }))
  const { status, body } = await call('POST', 'keys', { keys })
  t.equal(status, 201)
  t.equal(body.keys.length, 1000)
})

t.test('a body that is shorter than announced is refused', async t => {
  const { call, counts } = await createService(t)
  invalid(t, await call('POST', 'keys', '{}', { ...asJson, 'content-length': '5' }), 'body', '')
  t.match(await counts(), { total: 0 })
})

t.test('GET takes no notice of a body', async t => {
  const { call } = await createService(t)
  t.equal((await call('GET', '/v1/pools', 'no json', asJson)).status, 200)
  t.equal((await call('GET', POOL, '{"a":1}', { 'content-type': 'text/plain' })).status, 200)
})

t.test('more members or levels than any call takes are refused before they are parsed', async t => {
  const { call } = await createService(t)
  const fill = (begin: string, part: string, end: string): string =>
    begin + part.repeat(Math.floor((4 * MEBIBYTE - begin.length - end.length) / part.length)) + end
  const bodies = [
    '['.repeat(2 * MEBIBYTE) + ']'.repeat(2 * MEBIBYTE),
    fill('', '[', ''),
    fill('{"keys":[', '{"a":0},', '{}]}'),
    fill('{"keys":[', '1,', '1]}'),
    fill('{', '"sk-secret":0,', '"a":0}'),
    fill('{"keys":[', '{"key":"sk-secret"},', 'x')
  ]
  for (const body of bodies) {
    for (const path of ['keys', 'leases', 'batch', 'keys/lookup']) {
      const answer = await call('POST', path, body, asJson)
      invalid(t, answer, 'body', '')
      t.notMatch(answer.text, 'sk-secret')
    }
  }
})
