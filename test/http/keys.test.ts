import { createHash } from 'node:crypto'
import t from 'tap'
import { createService, POOL } from '../support/create-service.ts'
import { KEEP_ALIVE_MS, LEASE_MS } from '../support/pool.ts'
import { invalid, refused } from '../support/problems.ts'

const UNKNOWN_ID = 'a'.repeat(22)
const idOf = (key: string): string => createHash('sha256').update(key).digest('base64url').slice(0, 22)
const ids = (keys: { id: string }[]): string[] => keys.map(({ id }) => id)

/** Metadata of exactly so many bytes as compact JSON. */
function metadataOf(bytes: number): Record<string, string> {
  const letters = 'ä'.repeat(Math.floor((bytes - 8) / 2)) + 'a'.repeat((bytes - 8) % 2)
  const metadata = { a: letters }
  if (Buffer.byteLength(JSON.stringify(metadata)) !== bytes) throw new Error('miscounted')
  return metadata
}

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

t.test('metadata is at most 1 KiB as compact UTF-8 JSON', async t => {
  const { call, generate } = await createService(t)
  const [key] = await generate()
  const good = metadataOf(1024)
  const bad = metadataOf(1025)
  t.strictSame((await call('POST', 'keys', { metadata: good })).body.keys[0].metadata, good)
  t.strictSame((await call('PUT', `keys/${key?.id}/metadata`, good)).body.metadata, good)
  t.equal((await call('POST', 'keys', { keys: [{ key: 'a', metadata: good }] })).status, 201)
  const spaced = JSON.stringify(good, null, 500)
  t.equal((await call('PUT', `keys/${key?.id}/metadata`, spaced, { 'content-type': 'application/json' })).status, 200)

  invalid(t, await call('POST', 'keys', { metadata: bad }), 'body', '/metadata')
  invalid(t, await call('PUT', `keys/${key?.id}/metadata`, bad), 'body', '')
  const imports = [{ key: 'b' }, { key: 'c', metadata: bad }]
  invalid(t, await call('POST', 'keys', { keys: imports }), 'body', '/keys/1/metadata')
})

t.test('metadata is a flat object of strings', async t => {
  const { call, generate } = await createService(t)
  const [key] = await generate()
  for (const metadata of [[], 'a', 5, true]) {
    const json = { 'content-type': 'application/json' }
    invalid(t, await call('PUT', `keys/${key?.id}/metadata`, JSON.stringify(metadata), json), 'body', '')
    invalid(t, await call('POST', 'keys', { metadata }), 'body', '/metadata')
  }
  for (const value of [5, null, true, {}, []]) {
    t.match(await call('PUT', `keys/${key?.id}/metadata`, { a: 'fine', b: value }), { status: 400 })
    t.match(await call('POST', 'keys', { metadata: { b: value } }), { status: 400 })
  }
  t.match(await call('POST', 'keys', { metadata: null }), { status: 400 })
  const odd = { '': '', constructor: 'a', 'quo"te': '\u0000\ud83d\ude00', toString: 'b', 'a/b~': 'ä' }
  t.strictSame((await call('PUT', `keys/${key?.id}/metadata`, odd)).body.metadata, odd)
  t.strictSame((await call('GET', `keys/${key?.id}`)).body.metadata, odd)
})

t.test('metadata is replaced, and null removes it', async t => {
  const { call, generate } = await createService(t)
  const [key] = await generate()
  const put = (body: string | object | undefined, type = 'application/json') =>
    call('PUT', `keys/${key?.id}/metadata`, body, body === undefined ? {} : { 'content-type': type })
  t.match((await put({ a: '1', b: '2' })).body, { id: key?.id, metadata: { a: '1', b: '2' } })
  t.strictSame((await put({ c: '3' })).body.metadata, { c: '3' })
  const removed = await put('null')
  t.equal(removed.status, 200)
  t.equal(removed.body.metadata, null)
  t.strictSame((await put({})).body.metadata, {})
})

t.test('no metadata is not null: a body is needed', async t => {
  const { call, generate } = await createService(t)
  const [key] = await generate()
  await call('PUT', `keys/${key?.id}/metadata`, { a: '1' })
  invalid(t, await call('PUT', `keys/${key?.id}/metadata`), 'body', '')
  invalid(t, await call('PUT', `keys/${key?.id}/metadata`, '', { 'content-type': 'application/json' }), 'body', '')
  t.strictSame((await call('GET', `keys/${key?.id}`)).body.metadata, { a: '1' })
})

t.test('a key is found by its secret', async t => {
  const { call, generate, acquire, clock } = await createService(t)
  const [key] = await generate()
  const found = await call('POST', 'keys/lookup', { key: key?.key })
  t.equal(found.status, 200)
  t.match(found.body, { id: key?.id, state: 'free' })
  t.notOk('key' in found.body)
  const lease = await acquire({ holder: 'me' })
  t.match((await call('POST', 'keys/lookup', { key: key?.key })).body, {
    state: 'leased',
    lease: { id: lease.id, fence: lease.fence, holder: 'me', expiresAt: lease.expiresAt, expiresInMs: LEASE_MS }
  })
  refused(t, await call('POST', 'keys/lookup', { key: 'unknown' }), 'unknown-key')
  clock.advance(KEEP_ALIVE_MS)
  refused(t, await call('POST', 'keys/lookup', { key: key?.key }), 'unknown-key')
  invalid(t, await call('POST', 'keys/lookup', {}), 'body', '/key')
  invalid(t, await call('POST', 'keys/lookup', { key: '' }), 'body', '/key')
  invalid(t, await call('POST', 'keys/lookup'), 'body', '')
})

t.test('a key is shown with its secret only on request', async t => {
  const { call, generate } = await createService(t)
  const [key] = await generate()
  t.notOk('key' in (await call('GET', `keys/${key?.id}`)).body)
  t.notOk('key' in (await call('GET', `keys/${key?.id}?reveal=false`)).body)
  const revealed = await call('GET', `keys/${key?.id}?reveal=true`)
  t.equal(revealed.status, 200)
  t.equal(revealed.body.key, key?.key)
  for (const value of ['1', 'yes', 'TRUE', '']) {
    invalid(t, await call('GET', `keys/${key?.id}?reveal=${value}`), 'query', '/reveal')
  }
})

t.test('a secret is shown by the calls that may, and by no other', async t => {
  const { call, generate } = await createService(t)
  await call('PUT', POOL, { maxHoldMs: 10 * LEASE_MS })
  const [key] = await generate()
  const secret = String(key?.key)
  const lease = (await call('POST', 'leases')).body
  t.equal(lease.key, secret)
  const silent: [string, string, (string | object)?][] = [
    ['GET', POOL],
    ['GET', '/v1/pools'],
    ['GET', 'keys'],
    ['GET', `keys/${key?.id}`],
    ['POST', 'keys/lookup', { key: secret }],
    ['POST', 'keys', { keys: [{ key: secret }] }],
    ['POST', 'keys', { keys: [{ key: secret }, { key: secret }] }],
    ['POST', 'keys/lookup', { key: `${secret} ` }],
    ['POST', 'keys/lookup', { [secret]: 1 }],
    ['POST', 'keys', { metadata: { [secret]: 1 } }],
    ['POST', 'keys/lookup', `{"key":"${secret}`],
    ['PUT', `keys/${key?.id}/keep-alive`],
    ['PUT', `keys/${key?.id}/activation`],
    ['PUT', `keys/${key?.id}/metadata`, { a: 'b' }],
    ['GET', `leases/${lease.id}`],
    ['PUT', `leases/${lease.id}/renewal`],
    ['POST', 'leases'],
    ['GET', `keys/${secret}`],
    ['GET', `/v1/${secret}`],
    ['GET', `/v1/pools/${secret}/keys`],
    ['GET', `keys?cursor=${secret}`],
    ['GET', `keys?limit=${secret}`],
    ['GET', `/%zz/${secret}`],
    ['PATCH', `keys/${secret}`],
    ['DELETE', `leases/${secret}`],
    [
      'POST',
      'batch',
      {
        operations: [
          { op: 'activate', id: key?.id },
          { op: 'renew', lease: lease.id }
        ]
      }
    ],
    ['POST', 'batch', { operations: [{ op: secret, [secret]: 1 }] }]
  ]
  for (const [method, path, body] of silent) {
    const answer = await call(
      method,
      path,
      body,
      typeof body === 'string' ? { 'content-type': 'application/json' } : {}
    )
    t.notMatch(answer.text + JSON.stringify(answer.headers), secret, `${method} ${path} ${answer.status}`)
  }
})

t.test('a key is deleted, leased or not', async t => {
  const { call, generate, acquire, clock, counts } = await createService(t)
  const [key] = await generate()
  const lease = await acquire()
  const { status, text } = await call('DELETE', `keys/${key?.id}`)
  t.equal(status, 204)
  t.equal(text, '')
  refused(t, await call('GET', `leases/${lease.id}`), 'lease-lost')
  refused(t, await call('DELETE', `leases/${lease.id}`), 'lease-lost')
  refused(t, await call('PUT', `leases/${lease.id}/renewal`), 'lease-lost')
  refused(t, await call('DELETE', `keys/${key?.id}`), 'unknown-key')
  // Its lease deadline passes, and does nothing.
  clock.advance(LEASE_MS)
  t.strictSame(await counts(), { total: 0, free: 0, leased: 0, cooling: 0, retired: 0, waiting: 0 })
})

t.test('a key lives until its keep-alive deadline, not longer', async t => {
  const { call, generate, clock } = await createService(t)
  const [key] = await generate()
  clock.advance(KEEP_ALIVE_MS - 1)
  t.match((await call('GET', `keys/${key?.id}`)).body, { keepAliveInMs: 1 })
  const kept = await call('PUT', `keys/${key?.id}/keep-alive`)
  t.equal(kept.status, 200)
  t.match(kept.body, {
    id: key?.id,
    keepAliveInMs: KEEP_ALIVE_MS,
    keepAliveBy: new Date(clock.now() + KEEP_ALIVE_MS).toISOString()
  })
  t.notOk('key' in kept.body)
  clock.advance(KEEP_ALIVE_MS - 1)
  t.equal((await call('GET', `keys/${key?.id}`)).status, 200)
  clock.advance(1)
  refused(t, await call('GET', `keys/${key?.id}`), 'unknown-key')
  refused(t, await call('PUT', `keys/${key?.id}/keep-alive`), 'unknown-key')
  refused(t, await call('POST', 'leases'), 'no-free-key', { reason: 'pool-empty', counts: { total: 0, retired: 1 } })
})

t.test('keeping alive does not extend a lease, and a lease does not keep alive', async t => {
  const { call, generate, acquire, clock } = await createService(t)
  await call('PUT', POOL, { leaseMs: 400_000 })
  const [key] = await generate()
  const lease = await acquire()
  clock.advance(1000)
  const kept = (await call('PUT', `keys/${key?.id}/keep-alive`)).body
  t.match(kept, { state: 'leased', lease: { id: lease.id, expiresAt: lease.expiresAt, expiresInMs: 399_000 } })
  clock.advance(KEEP_ALIVE_MS - 1)
  t.equal((await call('GET', `leases/${lease.id}`)).status, 200)
  clock.advance(1)
  refused(t, await call('GET', `leases/${lease.id}`), 'lease-lost')
  refused(t, await call('GET', `keys/${key?.id}`), 'unknown-key')
})

t.test('a key is activated once', async t => {
  const { call, generate, clock } = await createService(t)
  const [key] = await generate()
  const first = await call('PUT', `keys/${key?.id}/activation`)
  const activatedAt = new Date(clock.now()).toISOString()
  t.equal(first.status, 201)
  t.match(first.body, { id: key?.id, activatedAt })
  clock.advance(5000)
  const second = await call('PUT', `keys/${key?.id}/activation`, '{}', { 'content-type': 'text/html' })
  t.equal(second.status, 200)
  t.match(second.body, { id: key?.id, activatedAt, keepAliveInMs: KEEP_ALIVE_MS - 5000 })
})

t.test('a key that never was, was deleted or is retired is the same to every call', async t => {
  const { call, generate, clock } = await createService(t)
  const [retired] = await generate()
  clock.advance(KEEP_ALIVE_MS)
  const [deleted] = await generate()
  await call('DELETE', `keys/${deleted?.id}`)
  const calls: [string, string, object?][] = [
    ['GET', ''],
    ['GET', '?reveal=true'],
    ['DELETE', ''],
    ['PUT', '/keep-alive'],
    ['PUT', '/activation'],
    ['PUT', '/metadata', {}],
    ['DELETE', '/lease'],
    ['DELETE', '/lease?fence=1']
  ]
  for (const [method, path, body] of calls) {
    const texts = new Set<string>()
    for (const id of [UNKNOWN_ID, retired?.id, deleted?.id, 'short', 'x'.repeat(500), '%00']) {
      const answer = await call(method, `keys/${id}${path}`, body)
      refused(t, answer, 'unknown-key')
      texts.add(answer.text.replace(answer.body.instance, ''))
    }
    t.equal(texts.size, 1)
  }
})

t.test('a lease is ended by the id of its key', async t => {
  const { call, generate, acquire } = await createService(t)
  const [key] = await generate()
  const unblock = (query = '') => call('DELETE', `keys/${key?.id}/lease${query}`)
  refused(t, await unblock(), 'key-not-leased')
  refused(t, await unblock('?fence=1'), 'key-not-leased')

  const first = await acquire()
  refused(t, await unblock(`?fence=${first.fence + 1}`), 'lease-lost')
  refused(t, await unblock(`?fence=${first.fence - 1}`), 'lease-lost')
  t.match(await unblock(`?fence=${first.fence}`), { status: 204, text: '' })
  refused(t, await call('DELETE', `leases/${first.id}`), 'lease-lost')
  refused(t, await call('PUT', `leases/${first.id}/renewal`), 'lease-lost')

  const second = await acquire()
  t.not(second.id, first.id)
  refused(t, await unblock(`?fence=${first.fence}`), 'lease-lost')
  t.match(await unblock(), { status: 204 })
  t.match((await call('GET', `keys/${key?.id}`)).body, { state: 'free', lease: null, keepAliveInMs: KEEP_ALIVE_MS })

  await call('DELETE', `leases/${(await acquire()).id}?cooldownMs=60000`)
  t.match((await call('GET', `keys/${key?.id}`)).body, { state: 'cooling' })
  t.match(await unblock(), { status: 204 })
  t.match((await call('GET', `keys/${key?.id}`)).body, { state: 'free', coolingUntil: null })

  for (const fence of ['0', '-1', 'x', '1.5', '', '9007199254740992', '99999999999999999']) {
    invalid(t, await unblock(`?fence=${fence}`), 'query', '/fence')
  }
})

t.test('a walk shows each key, a page at a time', async t => {
  const { call, generate } = await createService(t)
  t.strictSame((await call('GET', 'keys')).body, { keys: [], nextCursor: null })
  const keys = await generate(250)
  const first = (await call('GET', 'keys')).body
  t.equal(first.keys.length, 100, 'the default')
  t.notOk('key' in first.keys[0])
  t.strictSame(first.keys[0], (await call('GET', `keys/${first.keys[0].id}`)).body)

  for (const limit of [1, 7, 100, 250, 1000]) {
    const found: string[] = []
    let cursor: string | null = ''
    while (cursor !== null) {
      const { body } = await call('GET', `keys?limit=${limit}${cursor && `&cursor=${cursor}`}`)
      t.ok(body.keys.length <= limit)
      found.push(...ids(body.keys))
      cursor = body.nextCursor
    }
    t.strictSame(found.sort(), ids(keys).sort())
  }
  for (const limit of ['0', '1001', '-1', 'x', '', '1.5', '1e2']) {
    invalid(t, await call('GET', `keys?limit=${limit}`), 'query', '/limit')
  }
})

t.test('a list can be narrowed to a state', async t => {
  const { call, generate, acquire } = await createService(t)
  await generate(9)
  const leases = []
  for (let i = 0; i < 5; i++) leases.push(await acquire())
  for (const { id } of leases.slice(0, 2)) await call('DELETE', `leases/${id}?cooldownMs=1000`)
  for (const [state, count] of Object.entries({ free: 4, leased: 3, cooling: 2 })) {
    const { keys } = (await call('GET', `keys?state=${state}`)).body
    t.equal(keys.length, count)
    t.ok(keys.every((key: { state: string }) => key.state === state))
  }
  for (const state of ['retired', '', 'FREE', 'all']) {
    invalid(t, await call('GET', `keys?state=${state}`), 'query', '/state')
  }
})

t.test('a cursor is one of the same walk, or refused', async t => {
  const { call, generate, acquire } = await createService(t)
  await generate(30)
  for (let i = 0; i < 10; i++) await acquire()
  const cursorOf = async (query: string) => (await call('GET', `keys?limit=2${query}`)).body.nextCursor
  const all = await cursorOf('')
  const free = await cursorOf('&state=free')
  const leased = await cursorOf('&state=leased')
  for (const cursor of [all, free, leased]) t.match(cursor, /^[A-Za-z0-9_-]+$/)
  const refusedWith = async (query: string) => invalid(t, await call('GET', `keys?${query}`), 'query', '/cursor')
  for (const cursor of ['', 'x', '%00', 'bm9uc2Vuc2U', 'x'.repeat(3000)]) await refusedWith(`cursor=${cursor}`)
  await refusedWith(`cursor=${free}`)
  await refusedWith(`cursor=${all}&state=free`)
  await refusedWith(`cursor=${leased}&state=free`)
  await refusedWith(`cursor=${free}&cursor=${free}`)
  t.match(await call('GET', `keys?cursor=${free}&state=free`), { status: 200 })
})

for (const state of ['', 'free', 'leased', 'cooling']) {
  t.test(
    `a walk ${state && `over ${state} keys `}meets every key that keeps its state, whatever else happens`,
    async t => {
      const { call, generate, acquire, clock } = await createService(t)
      await call('PUT', POOL, { leaseMs: 86_400_000, keepAliveMs: null })
      // A third in each state; those with a fixed fate stay as they are.
      const keys = await generate(90)
      const leases = []
      for (let i = 0; i < 60; i++) leases.push(await acquire())
      for (const { id } of leases.slice(0, 30)) await call('DELETE', `leases/${id}?cooldownMs=86400000`)
      const states = new Map<string, string>()
      for (const { id } of keys) states.set(id, (await call('GET', `keys/${id}`)).body.state)
      const still = keys.filter((_, i) => i % 2 === 0).map(({ id }) => id)
      const moving = new Set(keys.filter((_, i) => i % 2 === 1).map(({ id }) => id))

      const met = new Set<string>()
      let cursor: string | null = ''
      let step = 0
      while (cursor !== null) {
        const query: string = `limit=3${state && `&state=${state}`}${cursor && `&cursor=${cursor}`}`
        const { status, body } = await call('GET', `keys?${query}`)
        if (status !== 200) throw new Error(body.detail)
        for (const key of body.keys) {
          met.add(key.id)
          if (state !== '' && key.state !== state) throw new Error(`${key.id} is ${key.state}`)
        }
        cursor = body.nextCursor

        // Between pages keys come, go and change their state.
        for (const id of [...moving].slice(0, 2)) {
          if (step % 2 === 0) await call('DELETE', `keys/${id}`)
          else await call('DELETE', `keys/${id}/lease`)
          moving.delete(id)
        }
        const [added] = await generate(1)
        moving.add(String(added?.id))
        clock.advance(1)
        if (++step > 500) throw new Error('a walk without end')
      }
      const expected = still.filter(id => state === '' || states.get(id) === state)
      t.ok(expected.length > 5)
      t.strictSame(
        expected.filter(id => !met.has(id)),
        []
      )
    }
  )
}

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
