import t from 'tap'
import { createService, POOL } from '../support/create-service.ts'
import { invalid, refused } from '../support/problems.ts'

const SECRET = 'sk-live-51HqLyjWDarjtT1zdp7dc'
/** Far more than such an answer takes, and far less than a client would call stuck. */

t.test('a member that is unknown is refused, and what is known is told', async t => {
  const { call } = await createService(t)
  for (const [method, path, known] of [
    ['POST', 'keys', /count.*metadata.*keys/],
    ['POST', 'leases', /leaseMs.*holder.*waitMs/],
    ['PUT', '/v1/pools/mine', /leaseMs.*maxHoldMs.*keepAliveMs.*alphabet.*length.*prefix.*reuseDeleted.*maxKeys/]
  ] as const) {
    const answer = await call(method, path, { whatever: 1 })
    invalid(t, answer, 'body', '')
    t.match(answer.body.detail, known)
  }
  invalid(t, await call('POST', 'keys/lookup', { key: 'a', more: 1 }), 'body', '')
  invalid(t, await call('POST', 'batch', { operations: [{ op: 'acquire' }], more: 1 }), 'body', '')
  invalid(t, await call('PUT', `leases/x/renewal`, { more: 1 }), 'body', '')
  invalid(t, await call('POST', 'keys', { keys: [{ key: 'a' }, { key: 'b', more: 1 }] }), 'body', '/keys/1')
})

t.test('a member that is mistyped is pointed at', async t => {
  const { call } = await createService(t)
  for (const name of ['leasems', 'lease_ms', 'LeaseMs', 'lease-ms']) {
    invalid(t, await call('POST', 'leases', { [name]: 100 }), 'body', `/${name}`)
  }
})

t.test('every error is told, at most twenty', async t => {
  const { call } = await createService(t)
  const several = await call('PUT', '/v1/pools/mine', {
    leaseMs: 1,
    keepAliveMs: '1',
    alphabet: 'a',
    length: 0,
    prefix: ' '
  })
  invalid(t, several, 'body', '/leaseMs', '/keepAliveMs', '/alphabet', '/length', '/prefix')
  const many = await call('POST', 'keys', { keys: Array.from({ length: 1000 }, () => ({ key: 'with a space' })) })
  invalid(t, many, 'body', ...Array.from({ length: 20 }, (_, i) => `/keys/${i}/key`))
  t.match(many.body.detail, '/keys/0/key')
})

t.test('nothing is coerced in a body', async t => {
  const { call, generate, counts } = await createService(t)
  const [key] = await generate()
  const wrong: [string, string, object, string][] = [
    ['POST', 'keys', { count: '2' }, '/count'],
    ['POST', 'keys', { count: true }, '/count'],
    ['POST', 'keys', { keys: { key: 'a' } }, '/keys'],
    ['POST', 'leases', { holder: 5 }, '/holder'],
    ['POST', 'leases', { waitMs: '0' }, '/waitMs'],
    ['PUT', '/v1/pools/mine', { reuseDeleted: 'false' }, '/reuseDeleted'],
    ['PUT', '/v1/pools/mine', { keepAliveMs: 'null' }, '/keepAliveMs'],
    ['PUT', 'leases/x/renewal', { keepAlive: 'true' }, '/keepAlive'],
    ['POST', 'keys/lookup', { key: 5 }, '/key'],
    ['POST', 'batch', { operations: { op: 'acquire' } }, '/operations']
  ]
  for (const [method, path, body, pointer] of wrong) invalid(t, await call(method, path, body), 'body', pointer)
  t.match(await counts(), { total: 1, leased: 0 })
  t.ok(key)
  t.equal(
    (await call('POST', 'keys', '{"count":1.0}', { 'content-type': 'application/json' })).status,
    201,
    'one is one'
  )
})

t.test('a repeated query parameter is refused, an unknown one ignored', async t => {
  const { call, generate, acquire } = await createService(t)
  const [key] = await generate()
  invalid(t, await call('GET', 'keys?limit=1&limit=1'), 'query', '/limit')
  invalid(t, await call('GET', 'keys?state=free&state=free'), 'query', '/state')
  invalid(t, await call('GET', `keys/${key?.id}?reveal=true&reveal=true`), 'query', '/reveal')
  const lease = await acquire()
  invalid(t, await call('DELETE', `keys/${key?.id}/lease?fence=1&fence=1`), 'query', '/fence')
  invalid(t, await call('DELETE', `leases/${lease.id}?cooldownMs=0&cooldownMs=0`), 'query', '/cooldownMs')
  invalid(t, await call('GET', 'keys?limit=x&state=x'), 'query', '/state', '/limit')

  const unknown = 'more=1&more=2&__proto__=1&constructor=2&toString=3'
  t.equal((await call('GET', `keys?${unknown}`)).status, 200)
  t.equal((await call('GET', `/v1/pools?${unknown}`)).status, 200)
  t.equal((await call('GET', `${POOL}?reveal=5`)).status, 200)
  t.equal((await call('POST', `leases?waitMs=1000`)).body.code, 'no-free-key', 'members of the body are no parameters')
  t.equal((await call('DELETE', `leases/${lease.id}?${unknown}`)).status, 204)
})

t.test('numbers and truth values in a query are written in one way', async t => {
  const { call, generate } = await createService(t)
  const [key] = await generate(2)
  for (const limit of ['1', '01', '1000']) t.equal((await call('GET', `keys?limit=${limit}`)).status, 200)
  for (const limit of ['+1', '1.0', '1e0', ' 1', '0x1', 'Infinity', '1,000', '%31%', '']) {
    t.equal((await call('GET', `keys?limit=${limit}`)).status, 400, limit)
  }
  for (const reveal of ['true', 'false']) t.equal((await call('GET', `keys/${key?.id}?reveal=${reveal}`)).status, 200)
  invalid(t, await call('GET', `keys/${key?.id}?reveal=True`), 'query', '/reveal')
  invalid(t, await call('GET', `keys/${key?.id}?reveal`), 'query', '/reveal')
})

t.test('checks come in their order: type, then schema, then pool, then state', async t => {
  const { call } = await createService(t)
  const nowhere = '/v1/pools/nowhere'
  refused(t, await call('PATCH', `${nowhere}/keys`, 'text', { 'content-type': 'x' }), 'method-not-allowed')
  refused(t, await call('POST', `${nowhere}/keys`, 'text', { 'content-type': 'text/plain' }), 'unsupported-media-type')
  invalid(t, await call('POST', `${nowhere}/keys`, '{', { 'content-type': 'application/json' }), 'body', '')
  invalid(t, await call('POST', `${nowhere}/keys`, { count: 0 }), 'body', '/count')
  invalid(t, await call('POST', `${nowhere}/keys`, { keys: [{ key: 'a' }, { key: 'a' }] }), 'body', '/keys/1/key')
  invalid(t, await call('POST', `${nowhere}/keys`, {}, { 'idempotency-key': '' }), 'header', '/idempotency-key')
  invalid(t, await call('GET', `${nowhere}/keys?limit=0`), 'query', '/limit')
  refused(t, await call('GET', `${nowhere}/keys?cursor=x`), 'unknown-pool')
  refused(t, await call('POST', `${nowhere}/leases`, { leaseMs: 86_400_000 }), 'unknown-pool')
  invalid(t, await call('PUT', 'leases/x/renewal', { leaseMs: 60_001 }), 'body', '/leaseMs')
})

t.test('an operation that is malformed is pointed at, by what it was meant to be', async t => {
  const { call } = await createService(t)
  const batch = (...operations: unknown[]) => call('POST', 'batch', { operations })
  const fine = { op: 'acquire' }
  invalid(t, await batch(fine, { op: 'grab' }), 'body', '/operations/1/op')
  invalid(t, await batch(fine, {}), 'body', '/operations/1/op')
  invalid(t, await batch(fine, { op: 5 }), 'body', '/operations/1/op')
  invalid(t, await batch(fine, { op: 'release' }), 'body', '/operations/1/lease')
  invalid(t, await batch(fine, { op: 'release', lease: 5 }), 'body', '/operations/1/lease')
  invalid(
    t,
    await batch(fine, { op: 'renew', lease: 'x', leaseMs: 99, keepAlive: 1 }),
    'body',
    '/operations/1/leaseMs',
    '/operations/1/keepAlive'
  )
  invalid(t, await batch(fine, { op: 'unblock', id: 'x', fence: 0 }), 'body', '/operations/1/fence')
  invalid(t, await batch(fine, { op: 'acquire', waitMs: 5 }), 'body', '/operations/1')
  invalid(
    t,
    await batch(fine, { op: 'release', lease: 'x', cooldownMs: 86_400_001 }),
    'body',
    '/operations/1/cooldownMs'
  )
  for (const operation of ['acquire', null, 5, []]) {
    const answer = await batch(fine, operation)
    refused(t, answer, 'invalid-request', { errors: Array })
    t.match(answer.body.errors[0].pointer, /^\/operations\/1/)
  }
  invalid(t, await call('POST', 'batch', { operations: [] }), 'body', '/operations')
  invalid(
    t,
    await call('POST', 'batch', { operations: Array.from({ length: 1001 }, () => fine) }),
    'body',
    '/operations'
  )
  invalid(t, await call('POST', 'batch', { operations: 'all' }), 'body', '/operations')
})

t.test('what the caller wrote is not repeated', async t => {
  const { call } = await createService(t)
  const bodies: [string, string, object][] = [
    ['POST', 'keys', { [SECRET]: 1 }],
    ['POST', 'keys', { count: SECRET }],
    ['POST', 'keys', { metadata: { [SECRET]: 1 } }],
    ['POST', 'keys', { metadata: { [SECRET]: { [SECRET]: SECRET } } }],
    ['POST', 'keys', { keys: [{ key: `${SECRET} ` }] }],
    ['POST', 'keys', { keys: [{ key: SECRET, [SECRET]: 1 }] }],
    ['POST', 'keys', { keys: [SECRET] }],
    ['POST', 'leases', { holder: SECRET.repeat(10) }],
    ['PUT', 'keys/x/metadata', { [SECRET]: null }],
    ['PUT', `/v1/pools/${SECRET}`, {}],
    ['POST', 'batch', { operations: [{ op: SECRET }] }],
    ['POST', 'batch', { operations: [{ op: 'acquire', [SECRET]: SECRET }] }],
    ['POST', 'batch', { operations: [SECRET] }],
    ['GET', `keys?state=${SECRET}`, {}],
    ['GET', `keys?limit=${SECRET}`, {}]
  ]
  for (const [method, path, body] of bodies) {
    const answer = await call(method, path, method === 'GET' ? undefined : body)
    t.equal(answer.status, 400, path)
    t.notMatch(answer.text, SECRET)
  }
})

t.test('a huge body that is malformed is refused with a few of its errors', async t => {
  const { call } = await createService(t)
  const members = (count: number): object => Object.fromEntries(Array.from({ length: count }, (_, i) => [`a${i}`, 1]))
  const elements = (count: number, element: unknown): unknown[] => Array.from({ length: count }, () => element)
  const bodies: [string, string, object][] = [
    ['POST', 'keys', members(300_000)],
    ['POST', 'keys', { metadata: members(300_000) }],
    ['POST', 'keys', { keys: elements(1_900_000, 1) }],
    ['POST', 'keys', { keys: elements(1_300_000, []) }],
    ['POST', 'keys', { keys: elements(1000, { key: 'a b', metadata: { a: 1 } }) }],
    ['POST', 'keys', { keys: [{ key: 'x'.repeat(4_000_000) }] }],
    ['POST', 'leases', { holder: 'x'.repeat(4_000_000) }],
    ['POST', 'leases', { holder: `a${'\u0301'.repeat(2_000_000)}` }],
    ['PUT', '/v1/pools/mine', { alphabet: 'ab'.repeat(2_000_000) }],
    ['PUT', '/v1/pools/mine', { prefix: 'ab'.repeat(2_000_000) }],
    ['POST', 'batch', { operations: elements(300_000, { op: 'x' }) }],
    ['POST', 'batch', { operations: elements(1000, { op: 'acquire', ...members(10) }) }],
    ['POST', 'batch', { operations: [{ op: 'acquire', ...members(200_000) }] }]
  ]
  for (const [method, path, body] of bodies) {
    const payload = JSON.stringify(body)
    const answer = await call(method, path, payload, { 'content-type': 'application/json' })
    refused(t, answer, 'invalid-request', { errors: Array })
    t.ok(answer.body.errors.length >= 1 && answer.body.errors.length <= 20)
  }
  const deep = '{"metadata":'.repeat(50_000) + '1' + '}'.repeat(50_000)
  invalid(t, await call('POST', 'keys', deep, { 'content-type': 'application/json' }), 'body', '')
})

t.test('a body with too many members to look at each is refused without a place', async t => {
  const { call } = await createService(t)
  for (const keys of [Array(30_000).fill(0), Array(15_000).fill({ a: 0 })]) {
    invalid(t, await call('POST', 'keys', { keys }), 'body', '')
  }
})
