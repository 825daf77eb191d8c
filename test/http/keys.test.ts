import t from 'tap'
import { createService, POOL } from '../support/create-service.ts'
import { KEEP_ALIVE_MS, LEASE_MS } from '../support/pool.ts'
import { invalid, refused } from '../support/problems.ts'

const UNKNOWN_ID = 'a'.repeat(22)
const ids = (keys: { id: string }[]): string[] => keys.map(({ id }) => id)

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
