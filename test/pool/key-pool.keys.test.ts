import t from 'tap'
import { keyId } from '../../src/pool/key-id.ts'
import { createLease, createPool, generateOne, granted, KEEP_ALIVE_MS, LEASE_MS } from '../support/pool.ts'

const UNKNOWN = keyId('unknown')

t.test('generate', async t => {
  t.test('answers new free keys with their secrets', async t => {
    const { pool, clock } = createPool({ policy: { prefix: 'sk_' } })
    const keys = granted(pool.generate(3, { colour: 'red' }))
    t.equal(new Set(keys.map(({ key }) => key)).size, 3)
    for (const [i, view] of keys.entries()) {
      t.match(view.key, /^sk_[A-Za-z0-9]{20}$/)
      t.strictSame(view, {
        id: keyId(view.key as string),
        key: view.key,
        state: 'free',
        createdAt: clock.now(),
        activatedAt: null,
        keepAliveBy: clock.now() + KEEP_ALIVE_MS,
        keepAliveInMs: KEEP_ALIVE_MS,
        coolingUntil: null,
        coolingInMs: null,
        lease: null,
        metadata: { colour: 'red' },
        serial: i + 1,
        servedAt: null,
        changedAt: clock.now()
      })
    }
  })

  t.test('refuses where fewer unused keys remain than asked for, and then makes none', async t => {
    const { pool } = createPool({ policy: { alphabet: 'ab', length: 2 } })
    t.equal(pool.generate(5), 'keyspace-exhausted')
    granted(pool.generate(3))
    t.equal(pool.generate(2), 'keyspace-exhausted')
    t.equal(pool.counts().total, 3)
    granted(pool.generate(1))
    t.equal(pool.generate(), 'keyspace-exhausted')
    t.strictSame(pool.keyspace(), { size: 4, remaining: 0 })
  })

  t.test('refuses to pass maxKeys, and then makes none', async t => {
    const { pool } = createPool({ policy: { maxKeys: 3 } })
    t.equal(pool.generate(4), 'pool-full')
    granted(pool.generate(2))
    t.equal(pool.generate(2), 'pool-full')
    granted(pool.generate(1))
    t.equal(pool.generate(1), 'pool-full')
    t.equal(pool.counts().total, 3)
  })

  t.test('takes nonsense for a mistake of the caller', async t => {
    const { pool } = createPool()
    for (const count of [0, -1, 1.5, NaN]) t.throws(() => pool.generate(count), RangeError)
  })
})

t.test('importKeys', async t => {
  t.test('answers the keys in their order, with metadata where given', async t => {
    const { pool } = createPool()
    const keys = granted(
      pool.importKeys([{ key: 'one' }, { key: 'two', metadata: { colour: 'red' } }, { key: 'three', metadata: null }])
    )
    t.strictSame(
      keys.map(({ id, key, metadata, state }) => ({ id, key, metadata, state })),
      [
        { id: keyId('one'), key: 'one', metadata: null, state: 'free' },
        { id: keyId('two'), key: 'two', metadata: { colour: 'red' }, state: 'free' },
        { id: keyId('three'), key: 'three', metadata: null, state: 'free' }
      ]
    )
    t.strictSame(pool.importKeys([]), [])
  })

  t.test('refuses living keys before retired ones, with all their indexes, and imports none', async t => {
    const { pool, clock } = createPool()
    granted(pool.importKeys([{ key: 'retired' }, { key: 'retired-too' }]))
    clock.advance(KEEP_ALIVE_MS)
    granted(pool.importKeys([{ key: 'living' }]))
    const imports = ['new', 'retired', 'living', 'retired-too'].map(key => ({ key }))
    t.strictSame(pool.importKeys(imports), { refusal: 'key-exists', indexes: [2] })
    t.strictSame(pool.importKeys(imports.filter(({ key }) => key !== 'living')), {
      refusal: 'key-retired',
      indexes: [1, 2]
    })
    t.equal(pool.get(keyId('new')), 'unknown-key')
  })

  t.test('refuses to pass maxKeys', async t => {
    const { pool } = createPool({ policy: { maxKeys: 2 } })
    granted(pool.importKeys([{ key: 'one' }]))
    t.equal(pool.importKeys([{ key: 'two' }, { key: 'three' }]), 'pool-full')
    granted(pool.importKeys([{ key: 'two' }]))
    t.equal(pool.importKeys([{ key: 'three' }]), 'pool-full')
  })

  t.test('takes the keys that may be generated out of those that remain', async t => {
    const { pool } = createPool({ policy: { alphabet: 'ab', length: 2 } })
    granted(pool.importKeys(['ab', 'abc', 'AB'].map(key => ({ key }))))
    t.strictSame(pool.keyspace(), { size: 4, remaining: 3 })
    t.strictSame(
      granted(pool.generate(3))
        .map(({ key }) => key)
        .sort(),
      ['aa', 'ba', 'bb']
    )
  })

  t.test('takes nonsense for a mistake of the caller', async t => {
    const { pool } = createPool()
    for (const keys of [['twice', 'once', 'twice'], [''], ['with space'], ['fine', 'x'.repeat(513)], ['é']])
      t.throws(() => pool.importKeys(keys.map(key => ({ key }))), RangeError, keys.join())
    t.equal(pool.counts().total, 0)
  })
})

t.test('get', async t => {
  t.test('shows the secret only where asked to', async t => {
    const { pool, key } = createLease()
    const view = granted(pool.get(key.id))
    t.notOk('key' in view)
    t.strictSame(pool.get(key.id, true), { ...view, key: key.key })
    t.equal(pool.get(UNKNOWN), 'unknown-key')
    t.equal(pool.get(''), 'unknown-key')
  })

  t.test('applies both deadlines itself', async t => {
    const { pool, clock, key } = createLease()
    clock.advance(LEASE_MS - 1)
    t.match(pool.get(key.id), { state: 'leased', lease: { expiresInMs: 1 } })
    clock.advance(1)
    t.match(pool.get(key.id), { state: 'free', lease: null, changedAt: clock.now() })
    clock.advance(KEEP_ALIVE_MS - LEASE_MS - 1)
    t.match(pool.get(key.id), { keepAliveInMs: 1 })
    clock.advance(1)
    t.equal(pool.get(key.id), 'unknown-key')
  })
})

t.test('list', async t => {
  t.test('walks over all keys, page by page', async t => {
    const { pool } = createPool()
    const ids = new Set(granted(pool.generate(5)).map(({ id }) => id))
    granted(pool.acquire())
    pool.release(granted(pool.acquire()).id, { cooldownMs: 1000 })
    const met: string[] = []
    let cursor: string | undefined
    do {
      const page = granted(pool.list({ limit: 2, cursor }))
      t.ok(page.keys.length <= 2)
      met.push(...page.keys.map(({ id }) => id))
      cursor = page.nextCursor ?? undefined
    } while (cursor !== undefined)
    t.equal(met.length, 5)
    t.strictSame(new Set(met), ids)
  })

  t.test('walks over the keys of one state', async t => {
    const { pool } = createPool()
    granted(pool.generate(4))
    const lease = granted(pool.acquire())
    pool.release(granted(pool.acquire()).id, { cooldownMs: 1000 })
    t.equal(granted(pool.list({ state: 'free', limit: 10 })).keys.length, 2)
    t.match(pool.list({ state: 'leased', limit: 10 }), {
      keys: [{ id: lease.keyId, state: 'leased' }],
      nextCursor: null
    })
    t.match(pool.list({ state: 'cooling', limit: 10 }), { keys: [{ state: 'cooling' }], nextCursor: null })
    t.match(pool.list({ state: 'leased', limit: 1 }), { keys: [{}], nextCursor: String })
  })

  t.test('goes on where keys of the page before are gone', async t => {
    const { pool } = createPool()
    const keys = granted(pool.generate(6))
    const page = granted(pool.list({ limit: 1 }))
    for (const { id } of keys.slice(2)) pool.delete(id)
    const rest = granted(pool.list({ limit: 10, cursor: page.nextCursor as string }))
    t.strictSame(new Set(rest.keys.map(({ id }) => id)), new Set(keys.slice(0, 2).map(({ id }) => id)))
  })

  t.test('refuses a cursor that is none, or of another walk', async t => {
    const { pool } = createPool()
    granted(pool.generate(2))
    granted(pool.acquire())
    const all = granted(pool.list({ limit: 1 })).nextCursor as string
    const free = granted(pool.list({ limit: 1, state: 'free' })).nextCursor as string
    t.equal(pool.list({ limit: 1, cursor: '' }), 'bad-cursor')
    t.equal(pool.list({ limit: 1, cursor: 'nonsense' }), 'bad-cursor')
    t.equal(pool.list({ limit: 1, cursor: all, state: 'free' }), 'bad-cursor')
    t.equal(pool.list({ limit: 1, cursor: free }), 'bad-cursor')
    t.equal(pool.list({ limit: 1, cursor: free, state: 'leased' }), 'bad-cursor')
    t.not(pool.list({ limit: 1, cursor: free, state: 'free' }), 'bad-cursor')
  })

  t.test('shows no secret', async t => {
    const { pool } = createLease()
    for (const key of granted(pool.list({ limit: 10 })).keys) t.notOk('key' in key)
  })
})

t.test('delete', async t => {
  t.test('ends a life, leased or not', async t => {
    const { pool, key, lease } = createLease()
    t.equal(pool.delete(key.id), 'deleted')
    t.equal(pool.delete(key.id), 'unknown-key')
    t.equal(pool.lease(lease.id), 'lease-lost')
    t.equal(pool.get(key.id), 'unknown-key')
    t.strictSame(pool.counts(), { total: 0, free: 0, leased: 0, cooling: 0, retired: 0 })
    t.equal(pool.delete(UNKNOWN), 'unknown-key')
  })

  t.test('retires the key where the policy says that it may not come again', async t => {
    const { pool, key } = createLease({ reuseDeleted: false, alphabet: 'ab', length: 1 })
    t.equal(pool.delete(key.id), 'deleted')
    t.strictSame(pool.importKeys([key]), { refusal: 'key-retired', indexes: [0] })
    t.equal(pool.counts().retired, 1)
    t.strictSame(pool.keyspace(), { size: 2, remaining: 1 })
    t.not(generateOne(pool).key, key.key)
  })

  t.test('leaves no secret behind in the slot that the next key takes', async t => {
    const { pool, key } = createLease()
    pool.setMetadata(key.id, { colour: 'red' })
    pool.activate(key.id)
    pool.delete(key.id)
    const [next] = granted(pool.generate(1))
    t.match(next, { state: 'free', metadata: null, activatedAt: null, servedAt: null, lease: null })
  })
})

t.test('keepAlive', async t => {
  t.test('moves the end of a life to now and keepAliveMs', async t => {
    const { pool, clock } = createPool()
    const { id } = generateOne(pool)
    clock.advance(KEEP_ALIVE_MS - 1)
    t.match(pool.keepAlive(id), { keepAliveBy: clock.now() + KEEP_ALIVE_MS, keepAliveInMs: KEEP_ALIVE_MS })
    clock.advance(KEEP_ALIVE_MS - 1)
    t.not(pool.get(id), 'unknown-key')
    clock.advance(1)
    t.equal(pool.keepAlive(id), 'unknown-key')
    t.equal(pool.counts().retired, 1)
  })

  t.test('knows no key that is gone or never was', async t => {
    const { pool, key } = createLease()
    pool.delete(key.id)
    t.equal(pool.keepAlive(key.id), 'unknown-key')
    t.equal(pool.keepAlive(UNKNOWN), 'unknown-key')
  })

  t.test('does not show the secret', async t => {
    const { pool, key } = createLease()
    t.notOk('key' in granted(pool.keepAlive(key.id)))
  })
})

t.test('activate', async t => {
  t.test('marks a key once, with the first instant', async t => {
    const { pool, clock, key } = createLease()
    const activatedAt = clock.now()
    t.match(pool.activate(key.id), { first: true, key: { id: key.id, activatedAt } })
    clock.advance(5)
    t.match(pool.activate(key.id), { first: false, key: { id: key.id, activatedAt } })
    t.match(pool.get(key.id), { activatedAt })
    t.equal(pool.activate(UNKNOWN), 'unknown-key')
  })

  t.test('knows no key whose life is over', async t => {
    const { pool, clock, key } = createLease()
    clock.advance(KEEP_ALIVE_MS)
    t.equal(pool.activate(key.id), 'unknown-key')
  })
})

t.test('setMetadata', async t => {
  t.test('replaces what was there by a copy that nobody can change', async t => {
    const { pool, key } = createLease()
    const metadata = { colour: 'red' }
    t.match(pool.setMetadata(key.id, metadata), { metadata: { colour: 'red' } })
    metadata.colour = 'blue'
    t.match(pool.get(key.id), { metadata: { colour: 'red' } })
    t.ok(Object.isFrozen(granted(pool.get(key.id)).metadata))
    t.match(pool.setMetadata(key.id, null), { metadata: null })
    t.match(pool.get(key.id), { metadata: null })
    t.equal(pool.setMetadata(UNKNOWN, null), 'unknown-key')
  })

  t.test('stays with the key through its leases', async t => {
    const { pool, key, lease } = createLease()
    pool.setMetadata(key.id, { colour: 'red' })
    t.match(pool.lease(lease.id), { metadata: { colour: 'red' } })
    pool.release(lease.id)
    t.match(pool.acquire(), { metadata: { colour: 'red' } })
  })
})
