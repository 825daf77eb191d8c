import { createHash } from 'node:crypto'
import t from 'tap'
import { createService, POOL } from '../support/create-service.ts'
import { KEEP_ALIVE_MS } from '../support/pool.ts'
import { invalid, refused } from '../support/problems.ts'

const idOf = (key: string): string => createHash('sha256').update(key).digest('base64url').slice(0, 22)
const ids = (keys: { id: string }[]): string[] => keys.map(({ id }) => id)

t.test('without a body one key is generated', async t => {
  const { call, clock } = await createService(t)
  const now = clock.now()
  for (const body of [undefined, '', '{}', {}, { count: 1 }]) {
    const { status, headers, body: made } = await call('POST', 'keys', body)
    t.equal(status, 201)
    const [{ id, key, ...rest }] = made.keys
    t.strictSame(Object.keys(made), ['keys'])
    t.equal(made.keys.length, 1)
    t.match(key, /^[A-Za-z0-9]{20}$/)
    t.equal(id, idOf(key))
    t.equal(headers['location'], `${POOL}/keys/${id}`)
    t.strictSame(rest, {
      pool: 'default',
      state: 'free',
      createdAt: new Date(now).toISOString(),
      activatedAt: null,
      keepAliveBy: new Date(now + KEEP_ALIVE_MS).toISOString(),
      keepAliveInMs: KEEP_ALIVE_MS,
      coolingUntil: null,
      coolingInMs: null,
      lease: null,
      metadata: null
    })
  }
})

t.test('up to a thousand keys are generated at once', async t => {
  const { call, counts } = await createService(t)
  const { status, headers, body } = await call('POST', 'keys', { count: 1000, metadata: { vendor: 'x' } })
  t.equal(status, 201)
  t.notOk(headers['location'], 'there is not one place')
  t.equal(new Set(body.keys.map(({ key }: { key: string }) => key)).size, 1000)
  t.ok(body.keys.every(({ metadata }: { metadata: unknown }) => JSON.stringify(metadata) === '{"vendor":"x"}'))
  for (const count of [0, 1001, -1, 1.5, '1', null, true])
    invalid(t, await call('POST', 'keys', { count }), 'body', '/count')
  t.match(await counts(), { total: 1000 })
})

t.test('keys that do not age have no keep-alive deadline', async t => {
  const { call, clock } = await createService(t)
  await call('PUT', POOL, { keepAliveMs: null })
  const [key] = (await call('POST', 'keys')).body.keys
  t.match(key, { keepAliveBy: null, keepAliveInMs: null })
  clock.advance(31_536_000_000)
  t.match((await call('PUT', `keys/${key.id}/keep-alive`)).body, { keepAliveBy: null, keepAliveInMs: null })
  t.match((await call('POST', 'leases')).body, { keepAliveBy: null, keepAliveInMs: null })
})

t.test('keys are imported as they are', async t => {
  const { call } = await createService(t)
  const visible = Array.from({ length: 94 }, (_, i) => String.fromCharCode(33 + i)).join('')
  const imports = ['a', visible, 'x'.repeat(512), '..', '%2F', '__proto__'].map(key => ({ key }))
  const { status, headers, body } = await call('POST', 'keys', {
    keys: imports.map((each, i) => (i === 1 ? { ...each, metadata: { n: '1' } } : each))
  })
  t.equal(status, 201)
  t.notOk(headers['location'])
  t.match(body.keys, imports)
  t.strictSame(
    ids(body.keys),
    imports.map(({ key }) => idOf(key))
  )
  t.strictSame(body.keys[1].metadata, { n: '1' })
  t.equal(body.keys[0].metadata, null)
  const one = await call('POST', 'keys', { keys: [{ key: 'single' }] })
  t.equal(one.headers['location'], `${POOL}/keys/${idOf('single')}`)
})

t.test('what is no key is not imported', async t => {
  const { call, counts } = await createService(t)
  for (const key of ['', 'x'.repeat(513), 'a b', 'a\n', 'ä', '\u0000', 5, null, ['a'], {}]) {
    invalid(t, await call('POST', 'keys', { keys: [{ key: 'fine' }, { key }] }), 'body', '/keys/1/key')
  }
  invalid(t, await call('POST', 'keys', { keys: [{}] }), 'body', '/keys/0/key')
  invalid(t, await call('POST', 'keys', { keys: [{ key: 'a', metadata: null }] }), 'body', '/keys/0/metadata')
  for (const keys of [[], {}, 'a', null]) invalid(t, await call('POST', 'keys', { keys }), 'body', '/keys')
  for (const element of ['a', 5, null]) {
    invalid(t, await call('POST', 'keys', { keys: [{ key: 'fine' }, element] }), 'body', '/keys/1')
  }
  const tooMany = Array.from({ length: 1001 }, (_, i) => ({ key: `key-${i}` }))
  invalid(t, await call('POST', 'keys', { keys: tooMany }), 'body', '/keys')
  t.equal((await call('POST', 'keys', { keys: tooMany.slice(1) })).status, 201)
  t.match(await counts(), { total: 1000 })
})

t.test('a call generates or imports, not both', async t => {
  const { call, counts } = await createService(t)
  const keys = [{ key: 'a' }]
  invalid(t, await call('POST', 'keys', { keys, count: 1 }), 'body', '/count')
  invalid(t, await call('POST', 'keys', { keys, metadata: {} }), 'body', '/metadata')
  invalid(t, await call('POST', 'keys', { keys, metadata: {}, count: 1 }), 'body', '/count', '/metadata')
  t.match(await counts(), { total: 0 })
})

t.test('the same key twice in one import is refused, with a pointer to each repeat', async t => {
  const { call, counts } = await createService(t)
  const keys = ['a', 'b', 'a', 'c', 'b', 'a'].map(key => ({ key }))
  invalid(t, await call('POST', 'keys', { keys }), 'body', '/keys/2/key', '/keys/4/key', '/keys/5/key')
  const many = await call('POST', 'keys', { keys: Array.from({ length: 1000 }, () => ({ key: 'a' })) })
  invalid(t, many, 'body', ...Array.from({ length: 20 }, (_, i) => `/keys/${i + 1}/key`))
  t.match(await counts(), { total: 0 })
})

t.test('an import with keys that live or are retired imports nothing, and says which', async t => {
  const { call, clock, counts } = await createService(t)
  const bodyOf = (...keys: string[]) => ({ keys: keys.map(key => ({ key })) })
  await call('POST', 'keys', bodyOf('retired-1', 'retired-2'))
  clock.advance(KEEP_ALIVE_MS)
  await call('POST', 'keys', bodyOf('living-1', 'living-2'))
  const before = await counts()

  refused(t, await call('POST', 'keys', bodyOf('new', 'living-2', 'x', 'living-1')), 'key-exists', { indexes: [1, 3] })
  refused(t, await call('POST', 'keys', bodyOf('retired-2', 'new', 'retired-1')), 'key-retired', { indexes: [0, 2] })
  refused(t, await call('POST', 'keys', bodyOf('retired-1', 'living-1')), 'key-exists', { indexes: [1] })
  t.strictSame(await counts(), before)
})

t.test('a deleted key may come again, unless the policy says no', async t => {
  const { call } = await createService(t)
  const body = { keys: [{ key: 'again' }] }
  for (let i = 0; i < 3; i++) {
    t.equal((await call('POST', 'keys', body)).status, 201)
    t.equal((await call('DELETE', `keys/${idOf('again')}`)).status, 204)
  }
  await call('PUT', POOL, { reuseDeleted: false })
  t.equal((await call('POST', 'keys', body)).status, 201)
  t.equal((await call('DELETE', `keys/${idOf('again')}`)).status, 204)
  refused(t, await call('POST', 'keys', body), 'key-retired', { indexes: [0] })
})

t.test('generation is all or nothing', async t => {
  const { call } = await createService(t)
  await call('PUT', '/v1/pools/small', { alphabet: 'abc', length: 2, maxKeys: 8 })
  const generate = (count: number) => call('POST', '/v1/pools/small/keys', { count })
  refused(t, await generate(10), 'keyspace-exhausted', { remaining: 9 })
  refused(t, await generate(9), 'pool-full')
  const { keys } = (await generate(7)).body
  refused(t, await generate(3), 'keyspace-exhausted', { remaining: 2 })
  refused(t, await generate(2), 'pool-full')
  const imports = { keys: [{ key: 'from' }, { key: 'elsewhere' }] }
  refused(t, await call('POST', '/v1/pools/small/keys', imports), 'pool-full')
  t.match((await call('GET', '/v1/pools/small')).body, { counts: { total: 7 }, keyspace: { remaining: 2 } })
  const last = (await generate(1)).body.keys
  t.notOk(ids(keys).includes(last[0].id))
})

t.test('the last key of a space is found, and its deletion gives it back', async t => {
  const { call } = await createService(t)
  await call('PUT', '/v1/pools/tiny', { alphabet: 'ab', length: 1, prefix: 'k-' })
  const found = new Set<string>()
  for (let i = 0; i < 2; i++) found.add((await call('POST', '/v1/pools/tiny/keys')).body.keys[0].key)
  t.strictSame([...found].sort(), ['k-a', 'k-b'])
  refused(t, await call('POST', '/v1/pools/tiny/keys'), 'keyspace-exhausted', { remaining: 0 })
  await call('DELETE', `/v1/pools/tiny/keys/${idOf('k-a')}`)
  t.match((await call('POST', '/v1/pools/tiny/keys')).body, { keys: [{ key: 'k-a' }] })
})

t.test('a retry of a generation gets the keys that still live, as they are', async t => {
  const { call, clock, counts } = await createService(t)
  const headers = { 'idempotency-key': 'order-1' }
  const first = await call('POST', 'keys', { count: 3, metadata: { a: '1', b: '2' } }, headers)
  t.equal(first.status, 201)
  const same = await call('POST', 'keys', '{"metadata":{"b":"2","a":"1"}, "count":3}', {
    ...headers,
    'content-type': 'application/json'
  })
  t.equal(same.status, 201)
  t.strictSame(same.body, first.body, 'the same JSON in another order')

  const [gone, active] = first.body.keys
  await call('DELETE', `keys/${gone.id}`)
  await call('PUT', `keys/${active.id}/activation`)
  clock.advance(1000)
  const later = await call('POST', 'keys', { count: 3, metadata: { a: '1', b: '2' } }, headers)
  t.equal(later.status, 201)
  t.match(later.body.keys, [
    { id: active.id, key: active.key, activatedAt: String, keepAliveInMs: KEEP_ALIVE_MS - 1000 },
    { id: first.body.keys[2].id }
  ])
  t.equal(later.body.keys.length, 2)
  refused(t, await call('POST', 'keys', { count: 2 }, headers), 'idempotency-key-reused')
  refused(t, await call('POST', 'keys', { keys: [{ key: 'a' }] }, headers), 'idempotency-key-reused')
  t.match(await counts(), { total: 2 })
  t.equal((await call('POST', 'keys', {}, { 'idempotency-key': 'order-2' })).status, 201)
})

t.test('a retry of an import imports nothing more', async t => {
  const { call } = await createService(t)
  const headers = { 'idempotency-key': '~!order' }
  const body = { keys: [{ key: 'mine' }] }
  const first = await call('POST', 'keys', body, headers)
  const again = await call('POST', 'keys', body, headers)
  t.equal(again.status, 201)
  t.strictSame(again.body, first.body)
  t.equal(again.headers['location'], first.headers['location'])
  refused(t, await call('POST', 'keys', body), 'key-exists', { indexes: [0] })
})

t.test('a refused call is not kept for retries', async t => {
  const { call, clock } = await createService(t)
  await call('PUT', POOL, { maxKeys: 1 })
  const headers = { 'idempotency-key': 'r' }
  refused(t, await call('POST', 'keys', { count: 2 }, headers), 'pool-full')
  t.equal((await call('POST', 'keys', { count: 1 }, headers)).status, 201)
  clock.advance(600_000 - 1)
  t.strictSame((await call('POST', 'keys', { count: 1 }, headers)).body, { keys: [] }, 'none of them lives')
  clock.advance(1)
  t.equal((await call('POST', 'keys', { count: 1 }, headers)).body.keys.length, 1)
})
