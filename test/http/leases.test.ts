import t from 'tap'
import { byNow, turns, until } from '../support/create-engine.ts'
import { createService, POOL } from '../support/create-service.ts'
import { KEEP_ALIVE_MS, LEASE_MS } from '../support/pool.ts'
import { invalid, refused } from '../support/problems.ts'

const UNKNOWN_LEASE = `${'a'.repeat(22)}.1`

t.test('a lease is granted with all that its holder needs', async t => {
  const { call, clock, generate } = await createService(t)
  const [key] = (await call('POST', 'keys', { metadata: { vendor: 'x' } })).body.keys
  clock.advance(5)
  const { status, type, headers, body } = await call('POST', 'leases', { holder: 'worker-1', leaseMs: 30_000 })
  const now = clock.now()
  t.equal(status, 201)
  t.equal(type, 'application/json')
  t.equal(headers['cache-control'], 'no-store')
  t.equal(headers['location'], `${POOL}/leases/${body.id}`)
  t.ok(Number.isSafeInteger(body.fence) && body.fence > 0)
  t.strictSame(body, {
    id: `${key.id}.${body.fence}`,
    fence: body.fence,
    pool: 'default',
    keyId: key.id,
    key: key.key,
    holder: 'worker-1',
    acquiredAt: new Date(now).toISOString(),
    expiresAt: new Date(now + 30_000).toISOString(),
    expiresInMs: 30_000,
    renewAfterMs: 10_000,
    keepAliveBy: new Date(now + KEEP_ALIVE_MS - 5).toISOString(),
    keepAliveInMs: KEEP_ALIVE_MS - 5,
    metadata: { vendor: 'x' }
  })
  const { key: _, ...shown } = body
  const found = await call('GET', headers['location'] ?? '')
  t.equal(found.status, 200)
  t.strictSame(found.body, shown, 'shown without the secret')
  t.ok(await generate())
})

t.test('without a body a lease is as long as the policy says', async t => {
  const { call, generate } = await createService(t)
  await generate(6)
  for (const body of [undefined, '', '{}', {}, ' { } ']) {
    const { status, body: lease } = await call('POST', 'leases', body)
    t.equal(status, 201)
    t.match(lease, { expiresInMs: LEASE_MS, holder: null, renewAfterMs: null, metadata: null })
  }
  await call('PUT', POOL, { leaseMs: 500, maxHoldMs: 1000 })
  t.match((await call('POST', 'leases')).body, { expiresInMs: 500, renewAfterMs: 166 })
})

t.test('each member of the request has its range', async t => {
  const { call, generate } = await createService(t)
  await generate(6)
  const bad: Record<string, unknown[]> = {
    leaseMs: [99, 86_400_001, 100.5, '1000', null, 0, -1, true, {}],
    holder: ['', 'x'.repeat(129), 5, null, []],
    waitMs: [-1, 60_001, 0.5, '0', null, false]
  }
  for (const [member, values] of Object.entries(bad)) {
    for (const value of values) invalid(t, await call('POST', 'leases', { [member]: value }), 'body', `/${member}`)
  }
  const both = await call('POST', 'leases', { leaseMs: 'a', holder: 1, waitMs: null })
  invalid(t, both, 'body', '/leaseMs', '/holder', '/waitMs')
  for (const good of [
    { leaseMs: 100 },
    { holder: 'x' },
    { holder: 'ä'.repeat(128) },
    { holder: '😀'.repeat(128) },
    { waitMs: 0 },
    { waitMs: 60_000 }
  ]) {
    t.match(await call('POST', 'leases', good), { status: 201 })
  }
})

t.test('a lease is not longer than the policy allows', async t => {
  const { call, generate } = await createService(t)
  await generate(2)
  invalid(t, await call('POST', 'leases', { leaseMs: LEASE_MS + 1 }), 'body', '/leaseMs')
  const lease = (await call('POST', 'leases', { leaseMs: LEASE_MS })).body
  invalid(t, await call('PUT', `leases/${lease.id}/renewal`, { leaseMs: LEASE_MS + 1 }), 'body', '/leaseMs')
  await call('PUT', POOL, { leaseMs: 86_400_000 })
  t.match(await call('POST', 'leases', { leaseMs: 86_400_000 }), { status: 201 })
})

t.test('no two live leases name the same key, and at the end nothing is left', async t => {
  const { call, generate } = await createService(t)
  await generate(50)
  const answers = await Promise.all(Array.from({ length: 60 }, () => call('POST', 'leases')))
  const leases = answers.filter(({ status }) => status === 201)
  t.equal(leases.length, 50)
  t.equal(new Set(leases.map(({ body }) => body.keyId)).size, 50)
  t.equal(new Set(leases.map(({ body }) => body.fence)).size, 50)
  for (const answer of answers) if (answer.status !== 201) refusedAllHeld(answer)

  function refusedAllHeld(answer: (typeof answers)[0]): void {
    refused(t, answer, 'no-free-key', { reason: 'all-held', retryAfterMs: LEASE_MS, counts: { leased: 50 } })
  }
})

t.test('an empty pool says so, without an estimate', async t => {
  const { call } = await createService(t)
  const answer = await call('POST', 'leases')
  refused(t, answer, 'no-free-key', {
    reason: 'pool-empty',
    counts: { total: 0, free: 0, leased: 0, cooling: 0, retired: 0, waiting: 0 }
  })
  t.notOk(answer.headers['retry-after'])
})

t.test('the estimate is the time to the earliest end, in seconds rounded up, at least one', async t => {
  const { call, clock, generate, acquire } = await createService(t)
  await generate(2)
  const first = await acquire({ leaseMs: 30_000 })
  clock.advance(1)
  await acquire({ leaseMs: 60_000 })
  const seen = async (retryAfterMs: number, retryAfter: string) => {
    const answer = await call('POST', 'leases')
    refused(t, answer, 'no-free-key', { reason: 'all-held', retryAfterMs, counts: { total: 2, free: 0 } })
    t.equal(answer.headers['retry-after'], retryAfter)
  }
  await seen(29_999, '30')
  clock.advance(8999)
  await seen(21_000, '21')
  await call('DELETE', `leases/${first.id}?cooldownMs=1001`)
  await seen(1001, '2')
  clock.advance(1)
  await seen(1000, '1')
  clock.advance(999)
  await seen(1, '1')
  clock.advance(1)
  t.match(await call('POST', 'leases'), { status: 201 })
})

t.test('a lease ends at its deadline, not before', async t => {
  const { call, clock, generate, acquire, counts } = await createService(t)
  await generate()
  const lease = await acquire()
  clock.advance(LEASE_MS - 1)
  t.match((await call('GET', `leases/${lease.id}`)).body, { expiresInMs: 1, expiresAt: lease.expiresAt })
  t.match(await counts(), { leased: 1 })
  clock.stall(1)
  refused(t, await call('GET', `leases/${lease.id}`), 'lease-lost')
  refused(t, await call('PUT', `leases/${lease.id}/renewal`), 'lease-lost')
  refused(t, await call('DELETE', `leases/${lease.id}`), 'lease-lost')
  t.match(await counts(), { leased: 0, free: 1 })
  const next = await acquire()
  t.equal(next.keyId, lease.keyId)
  t.ok(next.fence > lease.fence)
  // The old holder can not disturb the new one.
  for (const [method, path] of [
    ['GET', ''],
    ['DELETE', ''],
    ['PUT', '/renewal']
  ] as const) {
    refused(t, await call(method, `leases/${lease.id}${path}`), 'lease-lost')
  }
  t.match((await call('GET', `leases/${next.id}`)).body, { expiresInMs: LEASE_MS })
})

t.test('a lease that never was is lost', async t => {
  const { call, generate, acquire } = await createService(t)
  await generate(1)
  const { id, keyId, fence } = await acquire()
  const names = [
    UNKNOWN_LEASE,
    `${keyId}.${fence + 1}`,
    `${keyId}.0${fence}`,
    `${keyId}.`,
    keyId,
    `${id}0`,
    `${id}x`,
    'x',
    'x'.repeat(2000),
    '%00',
    `${keyId}.99999999999999999999`
  ]
  for (const name of names) {
    refused(t, await call('GET', `leases/${name}`), 'lease-lost')
    refused(t, await call('PUT', `leases/${name}/renewal`), 'lease-lost')
    refused(t, await call('DELETE', `leases/${name}`), 'lease-lost')
  }
  t.match(await call('GET', `leases/${id}`), { status: 200 })
})

t.test('with the default policy a renewal can not pass the length of a lease', async t => {
  const { call, clock, generate, acquire } = await createService(t)
  await generate(2)
  const lease = await acquire()
  t.equal(lease.renewAfterMs, null, 'a renewal can not move the deadline')
  clock.advance(LEASE_MS - 1)
  refused(t, await call('PUT', `leases/${lease.id}/renewal`), 'max-hold-reached')

  const short = await acquire({ leaseMs: 20_000 })
  clock.advance(15_000)
  const renewed = (await call('PUT', `leases/${short.id}/renewal`)).body
  t.match(renewed, { id: short.id, expiresInMs: 20_000, renewAfterMs: 6666 }, 'by its own length')
  clock.advance(15_000)
  t.match((await call('PUT', `leases/${short.id}/renewal`, { leaseMs: 30_000 })).body, {
    expiresInMs: 30_000,
    expiresAt: new Date(Date.parse(short.acquiredAt) + LEASE_MS).toISOString(),
    renewAfterMs: null
  })
  clock.advance(1)
  refused(t, await call('PUT', `leases/${short.id}/renewal`, { leaseMs: 30_000 }), 'max-hold-reached')
  clock.advance(29_998)
  t.match(await call('GET', `leases/${short.id}`), { status: 200 })
  clock.advance(1)
  refused(t, await call('GET', `leases/${short.id}`), 'lease-lost')
})

t.test('renewals go on until the longest hold', async t => {
  const { call, clock, generate, acquire } = await createService(t)
  await call('PUT', POOL, { leaseMs: 1000, maxHoldMs: 2500 })
  await generate()
  const lease = await acquire()
  t.equal(lease.renewAfterMs, 333)
  clock.advance(900)
  t.match((await call('PUT', `leases/${lease.id}/renewal`)).body, { expiresInMs: 1000, renewAfterMs: 333 })
  t.match(
    (await call('PUT', `leases/${lease.id}/renewal`, { leaseMs: 100 })).body,
    { expiresInMs: 1000 },
    'never shorter'
  )
  clock.advance(900)
  const last = (await call('PUT', `leases/${lease.id}/renewal`, '{}', { 'content-type': 'text/plain' })).body
  t.match(last, { expiresInMs: 700, renewAfterMs: null, acquiredAt: lease.acquiredAt, fence: lease.fence })
  t.notOk('key' in last)
  refused(t, await call('PUT', `leases/${lease.id}/renewal`), 'max-hold-reached')
  clock.advance(699)
  t.match((await call('GET', `leases/${lease.id}`)).body, { expiresInMs: 1, renewAfterMs: null })
  clock.advance(1)
  refused(t, await call('GET', `leases/${lease.id}`), 'lease-lost')
})

t.test('a renewal keeps the key alive where it says so', async t => {
  const { call, clock, generate, acquire } = await createService(t)
  await call('PUT', POOL, { maxHoldMs: 10 * LEASE_MS })
  await generate()
  const lease = await acquire()
  clock.advance(1000)
  const path = `leases/${lease.id}/renewal`
  t.match((await call('PUT', path)).body, { keepAliveInMs: KEEP_ALIVE_MS - 1000, keepAliveBy: lease.keepAliveBy })
  t.match((await call('PUT', path, { keepAlive: false })).body, { keepAliveInMs: KEEP_ALIVE_MS - 1000 })
  t.match((await call('PUT', path, { keepAlive: true })).body, { keepAliveInMs: KEEP_ALIVE_MS, expiresInMs: LEASE_MS })
  for (const keepAlive of ['true', 1, null]) invalid(t, await call('PUT', path, { keepAlive }), 'body', '/keepAlive')
  for (const leaseMs of [99, '100', null, 86_400_001])
    invalid(t, await call('PUT', path, { leaseMs }), 'body', '/leaseMs')
})

t.test('a renewal that is refused keeps nothing alive', async t => {
  const { call, clock, generate, acquire } = await createService(t)
  await generate()
  const lease = await acquire()
  clock.advance(1000)
  refused(t, await call('PUT', `leases/${lease.id}/renewal`, { keepAlive: true }), 'max-hold-reached')
  t.match((await call('GET', `leases/${lease.id}`)).body, { keepAliveInMs: KEEP_ALIVE_MS - 1000 })
})

t.test('a lease is released, also twice, until somebody else has the key', async t => {
  const { call, clock, generate, acquire, counts } = await createService(t)
  await generate()
  const lease = await acquire()
  const first = await call('DELETE', `leases/${lease.id}`)
  t.equal(first.status, 204)
  t.equal(first.text, '')
  t.match(await counts(), { free: 1, leased: 0 })
  refused(t, await call('GET', `leases/${lease.id}`), 'lease-lost')
  clock.advance(2 * LEASE_MS)
  t.equal((await call('DELETE', `leases/${lease.id}`)).status, 204)
  t.equal((await call('DELETE', `leases/${lease.id}?cooldownMs=1000`)).status, 204)
  t.match(await counts(), { free: 1, cooling: 0 }, 'the repetition changes nothing')

  const next = await acquire()
  refused(t, await call('DELETE', `leases/${lease.id}`), 'lease-lost')
  t.equal((await call('GET', `leases/${next.id}`)).status, 200)
})

t.test('a release after the end of the lease is too late', async t => {
  const { call, clock, generate, acquire } = await createService(t)
  const [key] = await generate()
  const expired = await acquire()
  clock.advance(LEASE_MS)
  refused(t, await call('DELETE', `leases/${expired.id}`), 'lease-lost')
  const unblocked = await acquire()
  await call('DELETE', `keys/${key?.id}/lease`)
  refused(t, await call('DELETE', `leases/${unblocked.id}`), 'lease-lost')
  const retired = await acquire()
  clock.advance(KEEP_ALIVE_MS)
  refused(t, await call('DELETE', `leases/${retired.id}`), 'lease-lost')
})

t.test('a released key cools for as long as the caller says', async t => {
  const { call, clock, generate, acquire, counts } = await createService(t)
  const [key] = await generate()
  const lease = await acquire()
  t.equal((await call('DELETE', `leases/${lease.id}?cooldownMs=5000`)).status, 204)
  t.match((await call('GET', `keys/${key?.id}`)).body, {
    state: 'cooling',
    coolingInMs: 5000,
    coolingUntil: new Date(clock.now() + 5000).toISOString(),
    lease: null
  })
  refused(t, await call('POST', 'leases'), 'no-free-key', {
    reason: 'all-held',
    retryAfterMs: 5000,
    counts: { cooling: 1 }
  })
  t.equal((await call('DELETE', `leases/${lease.id}`)).status, 204, 'again, and it cools on')
  clock.advance(4999)
  t.match(await counts(), { cooling: 1, free: 0 })
  clock.advance(1)
  t.match(await counts(), { cooling: 0, free: 1 })

  const again = await acquire()
  for (const cooldownMs of ['-1', '86400001', 'x', '', '1.5', '0x10', '1&cooldownMs=2']) {
    invalid(t, await call('DELETE', `leases/${again.id}?cooldownMs=${cooldownMs}`), 'query', '/cooldownMs')
  }
  t.equal((await call('DELETE', `leases/${again.id}?cooldownMs=0`)).status, 204)
  t.match(await counts(), { free: 1 })
  t.equal((await call('DELETE', `leases/${(await acquire()).id}?cooldownMs=86400000`)).status, 204)
})

t.test('a caller waits, first come first served, for the next key', async t => {
  const { call, generate, counts } = await createService(t)
  const waiting = ['first', 'second'].map(holder => call('POST', 'leases', { holder, waitMs: 60_000 }))
  await until(async () => (await counts()).waiting === 2)
  const made = await generate()
  const first = await waiting[0]
  t.match(first, { status: 201, body: { holder: 'first', key: made[0]?.key, expiresInMs: LEASE_MS } })
  t.equal(await byNow(waiting[1]), 'pending')
  await call('DELETE', `leases/${first?.body.id}`)
  t.match(await waiting[1], { status: 201, body: { holder: 'second', keyId: made[0]?.id } })
  t.match(await counts(), { waiting: 0, leased: 1 })
})

t.test('at the end of the wait the caller is refused', async t => {
  const { call, clock, generate, acquire, counts } = await createService(t)
  await generate()
  await acquire()
  const waiting = call('POST', 'leases', { waitMs: 1000 })
  await turns(5)
  t.match(await counts(), { waiting: 1 })
  clock.advance(999)
  t.equal(await byNow(waiting), 'pending')
  clock.advance(1)
  refused(t, await waiting, 'no-free-key', { reason: 'all-held', retryAfterMs: LEASE_MS - 1000, counts: { leased: 1 } })
})

t.test('beyond ten thousand that wait the pool is overloaded', async t => {
  const { call, engine } = await createService(t)
  for (let i = 0; i < 10_000; i++) void engine.acquire('default', { waitMs: 60_000 })
  refused(t, await call('POST', 'leases', { waitMs: 1 }), 'overloaded')
  refused(t, await call('POST', 'leases'), 'no-free-key', { reason: 'pool-empty', counts: { waiting: 10_000 } })
})

t.test('a retry gets the same lease for as long as it lives', async t => {
  const { call, clock, generate, counts } = await createService(t)
  await generate(2)
  const headers = { 'idempotency-key': 'job-1' }
  const first = await call('POST', 'leases', { holder: 'a', leaseMs: 30_000 }, headers)
  t.equal(first.status, 201)
  clock.advance(10_000)
  const again = await call('POST', 'leases', { leaseMs: 30_000, holder: 'a' }, headers)
  t.equal(again.status, 201)
  t.strictSame(again.body, {
    ...first.body,
    expiresInMs: 20_000,
    renewAfterMs: 6666,
    keepAliveInMs: KEEP_ALIVE_MS - 10_000
  })
  t.equal(again.headers['location'], first.headers['location'])
  refused(t, await call('POST', 'leases', { holder: 'b' }, headers), 'idempotency-key-reused')
  t.match(await counts(), { leased: 1 })
  clock.advance(20_000)
  const next = await call('POST', 'leases', { holder: 'b' }, headers)
  t.equal(next.status, 201)
  t.not(next.body.id, first.body.id)
})

t.test('callers who wait are refused when the service drains', async t => {
  const { call, service, counts } = await createService(t)
  const waiting = call('POST', 'leases', { waitMs: 60_000 })
  await until(async () => (await counts()).waiting === 1)
  service.drain()
  refused(t, await waiting, 'draining')
})
