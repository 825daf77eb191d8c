import t from 'tap'
import { turns, until } from '../support/create-engine.ts'
import { createService, type ServiceOfTest } from '../support/create-service.ts'
import { KEEP_ALIVE_MS, LEASE_MS } from '../support/pool.ts'
import { invalid, refused } from '../support/problems.ts'

type Operation = { op: string; lease?: string; id?: string; [member: string]: unknown }

/** The single call that an operation stands for. */
function singleCall(pool: string, { op, lease, id, ...members }: Operation): [string, string, object?] {
  const query = Object.entries(members).map(([name, value]) => `${name}=${value}`)
  const suffix = query.length > 0 ? `?${query.join('&')}` : ''
  switch (op) {
    case 'acquire':
      return ['POST', `${pool}/leases`, members]
    case 'release':
      return ['DELETE', `${pool}/leases/${lease}${suffix}`]
    case 'renew':
      return ['PUT', `${pool}/leases/${lease}/renewal`, members]
    case 'keepAlive':
      return ['PUT', `${pool}/keys/${id}/keep-alive`]
    case 'activate':
      return ['PUT', `${pool}/keys/${id}/activation`]
    case 'delete':
      return ['DELETE', `${pool}/keys/${id}`]
    default:
      return ['DELETE', `${pool}/keys/${id}/lease${suffix}`]
  }
}

/** Two pools that differ in nothing but their name: one key each, the same, and the same fences. */
async function twins({ call }: ServiceOfTest): Promise<{ id: string; pools: string[] }> {
  const pools = ['/v1/pools/single', '/v1/pools/batch']
  for (const pool of pools) {
    await call('PUT', pool, { maxHoldMs: 2 * LEASE_MS })
    await call('POST', `${pool}/keys`, { keys: [{ key: 'the-same', metadata: { a: 'b' } }] })
  }
  return { id: (await call('GET', `${pools[0]}/keys`)).body.keys[0].id, pools }
}

t.test('each result is what the single call would have given', async t => {
  const service = await createService(t)
  const { call, clock } = service
  const { id, pools } = await twins(service)
  const [single = '', batch = ''] = pools
  const unknown = 'a'.repeat(22)
  const fence = (await call('POST', `${single}/leases`)).body.fence
  await call('POST', `${batch}/batch`, { operations: [{ op: 'acquire' }] })
  const lease = `${id}.${fence}`
  const next = `${id}.${fence + 1}`

  const steps: Operation[] = [
    { op: 'acquire', holder: 'x' },
    { op: 'renew', lease },
    { op: 'renew', lease, leaseMs: 60_000, keepAlive: true },
    { op: 'keepAlive', id },
    { op: 'keepAlive', id: unknown },
    { op: 'activate', id },
    { op: 'activate', id },
    { op: 'activate', id: unknown },
    { op: 'unblock', id, fence: fence + 1 },
    { op: 'release', lease, cooldownMs: 1000 },
    { op: 'acquire' },
    { op: 'release', lease },
    { op: 'unblock', id },
    { op: 'unblock', id },
    { op: 'unblock', id: unknown },
    { op: 'acquire', leaseMs: LEASE_MS + 1 },
    { op: 'acquire', leaseMs: 1000, holder: 'y' },
    { op: 'release', lease },
    { op: 'renew', lease },
    { op: 'renew', lease: next, leaseMs: LEASE_MS + 1 },
    { op: 'unblock', id, fence: fence + 1 },
    { op: 'release', lease: next },
    { op: 'release', lease: 'nonsense' },
    { op: 'delete', id },
    { op: 'delete', id },
    { op: 'acquire' }
  ]
  for (const step of steps) {
    clock.advance(10)
    const alone = await call(...singleCall(single, step))
    const together = await call('POST', `${batch}/batch`, { operations: [step] })
    t.equal(together.status, 200)
    const [result] = together.body.results
    t.strictSame(Object.keys(result), ['status', 'body'])
    t.equal(result.status, alone.status, JSON.stringify(step))
    const expected = alone.text === '' ? null : JSON.parse(alone.text.replaceAll('"pool":"single"', '"pool":"batch"'))
    if (expected?.code) expected.instance = together.headers['x-request-id']
    t.strictSame(result.body, expected, JSON.stringify(step))
  }
  t.strictSame(
    { ...(await call('GET', batch)).body, name: '' },
    { ...(await call('GET', single)).body, name: '' },
    'both pools end in the same state'
  )
})

t.test('operations are applied in order', async t => {
  const { call, generate, acquire, counts } = await createService(t)
  await generate()
  const lease = await acquire()
  const { status, body } = await call('POST', 'batch', {
    operations: [
      { op: 'acquire' },
      { op: 'release', lease: lease.id },
      { op: 'acquire', holder: 'next' },
      { op: 'release', lease: lease.id },
      { op: 'delete', id: lease.keyId },
      { op: 'acquire' }
    ]
  })
  t.equal(status, 200)
  t.match(body.results, [
    { status: 404, body: { code: 'no-free-key', reason: 'all-held', retryAfterMs: LEASE_MS } },
    { status: 204, body: null },
    { status: 201, body: { holder: 'next', key: lease.key } },
    { status: 410, body: { code: 'lease-lost' } },
    { status: 204, body: null },
    { status: 404, body: { code: 'no-free-key', reason: 'pool-empty' } }
  ])
  t.match(await counts(), { total: 0 })
})

t.test('a malformed operation refuses the whole call, and nothing is applied', async t => {
  const { call, generate, counts } = await createService(t)
  await generate(3)
  const operations = [{ op: 'acquire' }, { op: 'acquire' }, { op: 'acquire', leaseMs: 1 }]
  invalid(t, await call('POST', 'batch', { operations }), 'body', '/operations/2/leaseMs')
  t.match(await counts(), { leased: 0, free: 3 })
})

t.test('up to a thousand operations', async t => {
  const { call, generate } = await createService(t)
  await generate(999)
  const operations = Array.from({ length: 1000 }, () => ({ op: 'acquire' }))
  const { status, body } = await call('POST', 'batch', { operations })
  t.equal(status, 200)
  t.equal(body.results.length, 1000)
  const leases = body.results.slice(0, 999)
  t.ok(leases.every((result: { status: number }) => result.status === 201))
  t.equal(new Set(leases.map(({ body: { keyId } }: { body: { keyId: string } }) => keyId)).size, 999)
  t.match(body.results[999], { status: 404, body: { code: 'no-free-key' } })
  invalid(t, await call('POST', 'batch', { operations: [...operations, { op: 'acquire' }] }), 'body', '/operations')
})

t.test('who waits is served after a batch, not inside it', async t => {
  const { call, generate, acquire, counts } = await createService(t)
  await generate()
  const lease = await acquire()
  const waiting = call('POST', 'leases', { holder: 'waits', waitMs: 60_000 })
  await until(async () => (await counts()).waiting === 1)
  const { body } = await call('POST', 'batch', {
    operations: [
      { op: 'release', lease: lease.id },
      { op: 'acquire', holder: 'inside' }
    ]
  })
  t.match(body.results[1], { status: 201, body: { holder: 'inside' } })
  t.match(await counts(), { waiting: 1 })
  await call('POST', 'batch', { operations: [{ op: 'release', lease: body.results[1].body.id }] })
  t.match(await waiting, { status: 201, body: { holder: 'waits' } })
})

t.test('a retry gets the recorded statuses, with what still is', async t => {
  const { call, clock, generate, counts } = await createService(t)
  const [, second] = await generate(2)
  const headers = { 'idempotency-key': 'b' }
  const operations = [
    { op: 'acquire' },
    { op: 'activate', id: second?.id },
    { op: 'keepAlive', id: second?.id },
    { op: 'release', lease: 'nonsense' }
  ]
  const first = await call('POST', 'batch', { operations }, headers)
  t.strictSame(
    first.body.results.map(({ status }: { status: number }) => status),
    [201, 201, 200, 410]
  )
  clock.advance(1000)
  const again = await call('POST', 'batch', { operations }, headers)
  t.equal(again.status, 200)
  t.match(again.body.results, [
    { status: 201, body: { id: first.body.results[0].body.id, expiresInMs: LEASE_MS - 1000, key: String } },
    { status: 201, body: { id: second?.id } },
    { status: 200, body: { id: second?.id, keepAliveInMs: KEEP_ALIVE_MS - 1000 } },
    { status: 410, body: { code: 'lease-lost' } }
  ])
  t.match(await counts(), { leased: 1 })
  refused(t, await call('POST', 'batch', { operations: operations.slice(1) }, headers), 'idempotency-key-reused')

  await call('DELETE', `leases/${first.body.results[0].body.id}`)
  await call('DELETE', `keys/${second?.id}`)
  const last = await call('POST', 'batch', { operations }, headers)
  t.match(last.body.results, [
    { status: 201, body: null },
    { status: 201, body: null },
    { status: 200, body: null },
    { status: 410, body: { code: 'lease-lost' } }
  ])
  clock.advance(600_000)
  await generate()
  t.match((await call('POST', 'batch', { operations }, headers)).body.results[0], { status: 201, body: { id: String } })
})

t.test('a retry of a renewal shows no secret', async t => {
  const { call, clock, generate, acquire } = await createService(t)
  await call('PUT', '/v1/pools/default', { maxHoldMs: 3 * LEASE_MS })
  await generate()
  const lease = await acquire()
  clock.advance(1000)
  const operations = [{ op: 'renew', lease: lease.id }]
  for (let i = 0; i < 2; i++) {
    const { body } = await call('POST', 'batch', { operations }, { 'idempotency-key': 'b' })
    t.match(body.results, [{ status: 200, body: { id: lease.id, expiresInMs: LEASE_MS } }])
    t.notOk('key' in body.results[0].body)
  }
})

t.test('the leases of a batch stay when its answer was written', async t => {
  const { call, generate, counts } = await createService(t)
  await generate(2)
  await call('POST', 'batch', { operations: [{ op: 'acquire' }, { op: 'acquire' }] })
  await turns(3)
  t.match(await counts(), { leased: 2 })
})
