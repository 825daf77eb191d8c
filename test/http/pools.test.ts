import t from 'tap'
import { byNow, turns } from '../support/create-engine.ts'
import { createService } from '../support/create-service.ts'
import { KEEP_ALIVE_MS, LEASE_MS } from '../support/pool.ts'
import { invalid, refused } from '../support/problems.ts'

const DEFAULTS = {
  leaseMs: 60_000,
  maxHoldMs: null,
  keepAliveMs: 300_000,
  alphabet: 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789',
  length: 20,
  prefix: '',
  reuseDeleted: true,
  maxKeys: 10_000_000
}
const NOTHING = { total: 0, free: 0, leased: 0, cooling: 0, retired: 0, waiting: 0 }
const VISIBLE = Array.from({ length: 94 }, (_, i) => String.fromCharCode(33 + i)).join('')

t.test('a new pool has the defaults of the contract', async t => {
  const { call } = await createService(t)
  const made = await call('PUT', '/v1/pools/mine')
  t.equal(made.status, 201)
  t.equal(made.type, 'application/json')
  t.equal(made.headers['cache-control'], 'no-store')
  t.equal(made.headers['location'], '/v1/pools/mine')
  t.strictSame(made.body, {
    name: 'mine',
    policy: DEFAULTS,
    counts: NOTHING,
    keyspace: { size: '704423425546998022968330264616370176', remaining: '704423425546998022968330264616370176' }
  })
  t.strictSame((await call('GET', '/v1/pools/mine')).body, made.body)
  t.strictSame((await call('GET', '/v1/pools/default')).body, { ...made.body, name: 'default' })
})

t.test('all pools are listed', async t => {
  const { call } = await createService(t)
  await call('PUT', '/v1/pools/mine', { leaseMs: 1000 })
  const { status, body } = await call('GET', '/v1/pools')
  t.equal(status, 200)
  t.strictSame(Object.keys(body), ['pools'])
  t.match(body.pools, [{ name: 'default' }, { name: 'mine', policy: { leaseMs: 1000 } }])
  t.strictSame(body.pools[1], (await call('GET', '/v1/pools/mine')).body)
})

t.test('members that are absent keep their value', async t => {
  const { call } = await createService(t)
  await call('PUT', '/v1/pools/mine', { leaseMs: 1000, prefix: 'sk-' })
  const changed = await call('PUT', '/v1/pools/mine', { keepAliveMs: null, maxKeys: 5 })
  t.equal(changed.status, 200)
  t.notOk(changed.headers['location'])
  const policy = { ...DEFAULTS, leaseMs: 1000, prefix: 'sk-', keepAliveMs: null, maxKeys: 5 }
  t.strictSame(changed.body.policy, policy)
  for (const body of [undefined, '', '{}', {}]) {
    const same = await call('PUT', '/v1/pools/mine', body)
    t.equal(same.status, 200)
    t.strictSame(same.body.policy, policy)
  }
})

t.test('each member of a policy has its range', async t => {
  const { call } = await createService(t)
  const ranges: Record<string, { good: unknown[]; bad: unknown[] }> = {
    leaseMs: { good: [100, 60_000], bad: [99, 86_400_001, 100.5, '100', null, true, [], -1] },
    maxHoldMs: { good: [null, 60_000, 31_536_000_000], bad: [31_536_000_001, 99, 60_000.5, '60000', false] },
    keepAliveMs: { good: [null, 100, 31_536_000_000], bad: [99, 31_536_000_001, 0, 1e300, '100', {}] },
    alphabet: {
      good: ['ab', VISIBLE],
      bad: ['a', '', 'aa', 'aba', 'a b', 'aä', `${VISIBLE}!`, 'a\n', 'ab\n', 'a\u0000', 12, null]
    },
    length: { good: [1, 128], bad: [0, 129, 1.5, '1', null] },
    prefix: { good: ['', VISIBLE.slice(0, 64)], bad: [VISIBLE.slice(0, 65), ' ', 'ä', 'a\n', null, 1] },
    reuseDeleted: { good: [true, false], bad: ['true', 1, 0, null] },
    maxKeys: { good: [1, 16_000_000], bad: [0, 16_000_001, '1', null, 1.1] }
  }
  for (const [member, { good, bad }] of Object.entries(ranges)) {
    for (const value of good) {
      const { status, body } = await call('PUT', '/v1/pools/good', { [member]: value })
      t.ok(status === 200 || status === 201, `${member}: ${value}`)
      t.strictSame(body.policy[member], value)
    }
    await call('DELETE', '/v1/pools/good')
    for (const value of bad) invalid(t, await call('PUT', '/v1/pools/bad', { [member]: value }), 'body', `/${member}`)
  }
  t.match(await call('PUT', '/v1/pools/long', { leaseMs: 86_400_000 }), { status: 201 })
  refused(t, await call('GET', '/v1/pools/bad'), 'unknown-pool')
})

t.test('a longest hold below the length of a lease is refused', async t => {
  const { call } = await createService(t)
  invalid(t, await call('PUT', '/v1/pools/mine', { maxHoldMs: 59_999 }), 'body', '/maxHoldMs')
  refused(t, await call('GET', '/v1/pools/mine'), 'unknown-pool')
  await call('PUT', '/v1/pools/mine', { maxHoldMs: 60_000 })
  invalid(t, await call('PUT', '/v1/pools/mine', { leaseMs: 60_001 }), 'body', '/maxHoldMs')
  t.match((await call('PUT', '/v1/pools/mine', { leaseMs: 70_000, maxHoldMs: null })).body.policy, { leaseMs: 70_000 })
})

t.test('a name that is impossible is refused by PUT, and unknown elsewhere', async t => {
  const { call } = await createService(t)
  for (const name of ['a', '0', '9-', 'a-b', 'x'.repeat(63)]) {
    t.match(await call('PUT', `/v1/pools/${name}`), { status: 201, body: { name } })
  }
  for (const name of ['A', '-a', 'a_b', 'a.b', 'x'.repeat(64), '%C3%A4', 'a%20b', '__proto__', 'a%2Fb', '']) {
    invalid(t, await call('PUT', `/v1/pools/${name}`), 'path', '/pool')
    refused(t, await call('GET', `/v1/pools/${name}`), 'unknown-pool')
    refused(t, await call('DELETE', `/v1/pools/${name}`), 'unknown-pool')
    refused(t, await call('POST', `/v1/pools/${name}/keys`), 'unknown-pool')
  }
  refused(t, await call('GET', '/v1/pools/constructor'), 'unknown-pool')
})

t.test('every call on a pool that is unknown says so', async t => {
  const { call } = await createService(t)
  const id = 'a'.repeat(22)
  const calls: [string, string, object?][] = [
    ['GET', ''],
    ['DELETE', ''],
    ['POST', '/keys'],
    ['POST', '/keys', { keys: [{ key: 'a' }] }],
    ['GET', '/keys'],
    ['POST', '/keys/lookup', { key: 'a' }],
    ['GET', `/keys/${id}`],
    ['DELETE', `/keys/${id}`],
    ['PUT', `/keys/${id}/keep-alive`],
    ['PUT', `/keys/${id}/activation`],
    ['PUT', `/keys/${id}/metadata`, {}],
    ['DELETE', `/keys/${id}/lease`],
    ['POST', '/leases'],
    ['POST', '/leases', { waitMs: 60_000 }],
    ['GET', `/leases/${id}.1`],
    ['PUT', `/leases/${id}.1/renewal`],
    ['DELETE', `/leases/${id}.1`],
    ['POST', '/batch', { operations: [{ op: 'acquire' }] }]
  ]
  for (const [method, path, body] of calls) {
    refused(t, await call(method, `/v1/pools/nowhere${path}`, body), 'unknown-pool')
  }
})

t.test('the shape of keys is fixed while a key lives or is retired', async t => {
  const { call, clock } = await createService(t)
  await call('PUT', '/v1/pools/mine', { keepAliveMs: 1000 })
  const change = (policy: object) => call('PUT', '/v1/pools/mine', policy)
  t.equal((await change({ length: 10 })).status, 200)
  const [{ id }] = (await call('POST', '/v1/pools/mine/keys')).body.keys
  for (const policy of [{ length: 11 }, { alphabet: 'ab' }, { prefix: 'x' }, { leaseMs: 500, length: 11 }]) {
    refused(t, await change(policy), 'policy-locked')
  }
  t.equal((await change({ length: 10, leaseMs: 700 })).status, 200, 'the same length is no change')
  await call('DELETE', `/v1/pools/mine/keys/${id}`)
  t.equal((await change({ length: 11 })).status, 200, 'no key is left')

  await call('POST', '/v1/pools/mine/keys')
  clock.advance(1000)
  t.match((await call('GET', '/v1/pools/mine')).body.counts, { total: 0, retired: 1 })
  refused(t, await change({ length: 12 }), 'policy-locked')
  t.match((await call('GET', '/v1/pools/mine')).body.policy, { length: 11, leaseMs: 700 })
})

t.test('a change of policy touches no running lease or life', async t => {
  const { call, clock, generate, acquire } = await createService(t)
  await generate(2)
  const lease = await acquire()
  await call('PUT', '/v1/pools/default', { leaseMs: 1000, keepAliveMs: 2000 })
  t.match((await call('GET', `leases/${lease.id}`)).body, { expiresAt: lease.expiresAt, expiresInMs: LEASE_MS })
  t.match((await call('GET', `keys/${lease.keyId}`)).body, { keepAliveInMs: KEEP_ALIVE_MS })
  const other = await acquire()
  t.match(other, { expiresInMs: 1000, keepAliveInMs: KEEP_ALIVE_MS })
  t.match((await call('PUT', `keys/${other.keyId}/keep-alive`)).body, { keepAliveInMs: 2000 })
  clock.advance(LEASE_MS - 1)
  t.match(await call('GET', `leases/${lease.id}`), { status: 200 })
  t.match(await call('GET', `keys/${other.keyId}`), { status: 404 })
})

t.test('at most a thousand pools', async t => {
  const { call, engine } = await createService(t)
  for (let i = 1; i < 1000; i++) void engine.putPool(`pool-${i}`, {})
  refused(t, await call('PUT', '/v1/pools/one-more'), 'too-many-pools')
  t.equal((await call('PUT', '/v1/pools/pool-1', { leaseMs: 100 })).status, 200)
  t.equal((await call('GET', '/v1/pools')).body.pools.length, 1000)
  await call('DELETE', '/v1/pools/pool-1')
  t.equal((await call('PUT', '/v1/pools/one-more')).status, 201)
})

t.test('a pool is deleted with its keys, its retired ones too', async t => {
  const { call, clock } = await createService(t)
  await call('PUT', '/v1/pools/mine', { keepAliveMs: 1000 })
  await call('POST', '/v1/pools/mine/keys', { keys: [{ key: 'retired' }] })
  clock.advance(1000)
  await call('POST', '/v1/pools/mine/keys', { keys: [{ key: 'living' }] })
  const lease = (await call('POST', '/v1/pools/mine/leases')).body
  const deleted = await call('DELETE', '/v1/pools/mine')
  t.equal(deleted.status, 204)
  t.equal(deleted.text, '')
  refused(t, await call('GET', `/v1/pools/mine/leases/${lease.id}`), 'unknown-pool')
  refused(t, await call('DELETE', '/v1/pools/mine'), 'unknown-pool')

  await call('PUT', '/v1/pools/mine')
  t.strictSame((await call('GET', '/v1/pools/mine')).body.counts, NOTHING)
  const imported = await call('POST', '/v1/pools/mine/keys', { keys: [{ key: 'retired' }, { key: 'living' }] })
  t.equal(imported.status, 201)
  const again = (await call('POST', '/v1/pools/mine/leases')).body
  t.ok(again.fence > lease.fence, 'fences go on')
  refused(t, await call('GET', `/v1/pools/mine/leases/${lease.id}`), 'lease-lost')
})

t.test('who waits for a key of a pool that is deleted is told', async t => {
  const { call } = await createService(t)
  await call('PUT', '/v1/pools/mine')
  const waiting = call('POST', '/v1/pools/mine/leases', { waitMs: 60_000 })
  await turns(3)
  t.equal((await call('GET', '/v1/pools/mine')).body.counts.waiting, 1)
  t.equal(await byNow(waiting), 'pending')
  await call('DELETE', '/v1/pools/mine')
  refused(t, await waiting, 'unknown-pool')
})

t.test('the pool `default` can not be deleted, nor `tokens` while its dialect is on', async t => {
  const { call } = await createService(t)
  refused(t, await call('DELETE', '/v1/pools/default'), 'pool-protected')
  refused(t, await call('DELETE', '/v1/pools/tokens'), 'unknown-pool')
  await call('PUT', '/v1/pools/tokens')
  t.equal((await call('DELETE', '/v1/pools/tokens')).status, 204)

  const withDialect = await createService(t, { dialects: ['tokenapi'] })
  t.match((await withDialect.call('GET', '/v1/pools/tokens')).body, {
    policy: { length: 4, keepAliveMs: null, reuseDeleted: true },
    keyspace: { size: 7_311_616, remaining: 7_311_616 }
  })
  refused(t, await withDialect.call('DELETE', '/v1/pools/tokens'), 'pool-protected')
})

t.test('counts tell the states of the keys', async t => {
  const { call, clock, generate, acquire, counts } = await createService(t)
  const keys = await generate(6)
  const leases = [await acquire(), await acquire(), await acquire()]
  await call('DELETE', `leases/${leases[0].id}?cooldownMs=5000`)
  t.strictSame(await counts(), { total: 6, free: 3, leased: 2, cooling: 1, retired: 0, waiting: 0 })
  clock.advance(5000)
  t.strictSame(await counts(), { total: 6, free: 4, leased: 2, cooling: 0, retired: 0, waiting: 0 })
  await call('DELETE', `keys/${leases[1].keyId}`)
  t.strictSame(await counts(), { total: 5, free: 4, leased: 1, cooling: 0, retired: 0, waiting: 0 })
  const kept = keys.find(({ id }) => id !== leases[1].keyId)
  await call('PUT', `keys/${kept?.id}/keep-alive`)
  clock.advance(KEEP_ALIVE_MS - 5000)
  t.strictSame(await counts(), { total: 1, free: 1, leased: 0, cooling: 0, retired: 4, waiting: 0 })
})

t.test('the key space is told in numbers up to 2^53 - 1, in strings beyond', async t => {
  const { call } = await createService(t)
  const keyspaceOf = async (policy: object) => (await call('PUT', `/v1/pools/p-${spaces++}`, policy)).body.keyspace
  let spaces = 0
  t.strictSame(await keyspaceOf({ alphabet: 'ab', length: 52 }), { size: 2 ** 52, remaining: 2 ** 52 })
  t.strictSame(await keyspaceOf({ alphabet: 'ab', length: 53 }), {
    size: '9007199254740992',
    remaining: '9007199254740992'
  })
  await call('POST', '/v1/pools/p-1/keys')
  t.strictSame((await call('GET', '/v1/pools/p-1')).body.keyspace, {
    size: '9007199254740992',
    remaining: '9007199254740991'
  })
  t.strictSame(await keyspaceOf({ alphabet: VISIBLE, length: 128 }), {
    size: String(94n ** 128n),
    remaining: String(94n ** 128n)
  })
})

t.test('what remains of the key space is neither living nor retired', async t => {
  const { call, clock } = await createService(t)
  await call('PUT', '/v1/pools/mine', { alphabet: 'ab', length: 3, prefix: 'x', keepAliveMs: 1000 })
  const remaining = async () => (await call('GET', '/v1/pools/mine')).body.keyspace.remaining
  t.equal(await remaining(), 8)
  await call('POST', '/v1/pools/mine/keys', { keys: [{ key: 'xaaa' }, { key: 'outside' }, { key: 'aaa' }] })
  t.equal(await remaining(), 7, 'an import inside the space counts')
  const { keys } = (await call('POST', '/v1/pools/mine/keys', { count: 2 })).body
  t.equal(await remaining(), 5)
  await call('DELETE', `/v1/pools/mine/keys/${keys[0].id}`)
  t.equal(await remaining(), 6)
  clock.advance(1000)
  t.equal(await remaining(), 6, 'retired ones stay used')
  const { keys: last } = (await call('POST', '/v1/pools/mine/keys', { count: 6 })).body
  t.equal(new Set(last.map(({ key }: { key: string }) => key)).size, 6)
  t.equal(await remaining(), 0)
})

t.test('HEAD stands where GET does', async t => {
  const { call } = await createService(t)
  for (const path of ['/v1/pools', '/v1/pools/default', '/v1/pools/nowhere']) {
    const [get, head] = [await call('GET', path), await call('HEAD', path)]
    t.equal(head.status, get.status)
    t.equal(head.text, '')
    t.equal(head.headers['content-length'], get.headers['content-length'])
    t.equal(head.type, get.type)
  }
})
