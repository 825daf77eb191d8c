import t from 'tap'
import { cryptoRandom, DEFAULT_POLICY, KeyPool } from '../../src/pool/key-pool.ts'
import { createLease, createPool, generateOne, granted, KEEP_ALIVE_MS, LEASE_MS } from '../support/pool.ts'

t.test('a pool', async t => {
  t.test('needs nothing but a clock', async t => {
    const pool = new KeyPool({ clock: () => 1_000_000 })
    t.strictSame(pool.policy, DEFAULT_POLICY)
    t.match(granted(pool.generate())[0]?.key, /^[A-Za-z0-9]{20}$/)
    t.equal(pool.fence, 0)
    t.equal(pool.nextSweepAt, 1_000_000 + KEEP_ALIVE_MS)
    t.equal(cryptoRandom().below(1), 0)
  })

  t.test('with no key has nothing to sweep, to lend or to count', async t => {
    const { pool } = createPool()
    t.equal(pool.nextSweepAt, Infinity)
    t.equal(pool.sweep(100), false)
    t.equal(pool.acquire(), 'no-free-key')
    t.equal(pool.nextFreeInMs(), null)
    t.strictSame(pool.counts(), { total: 0, free: 0, leased: 0, cooling: 0, retired: 0 })
    t.strictSame(pool.list({ limit: 10 }), { keys: [], nextCursor: null })
    t.strictSame(pool.heapSizes, { holds: 0, lives: 0 })
  })

  t.test('refuses a policy out of its ranges, and a longest hold below a lease', async t => {
    t.throws(() => createPool({ policy: { leaseMs: 99 } }), RangeError)
    t.throws(() => createPool({ policy: { maxHoldMs: LEASE_MS - 1 } }), /maxHoldMs/)
    t.doesNotThrow(() => createPool({ policy: { maxHoldMs: LEASE_MS } }))
  })
})

t.test('setPolicy', async t => {
  t.test('keeps the members that are absent, and answers the whole', async t => {
    const { pool } = createPool()
    t.strictSame(pool.setPolicy({ leaseMs: 500 }), { ...DEFAULT_POLICY, leaseMs: 500 })
    t.strictSame(pool.setPolicy({ maxKeys: 5 }), { ...DEFAULT_POLICY, leaseMs: 500, maxKeys: 5 })
    t.ok(Object.isFrozen(pool.policy))
  })

  t.test('changes nothing where it refuses', async t => {
    const { pool } = createPool({ policy: { maxHoldMs: 90_000 } })
    t.equal(pool.setPolicy({ leaseMs: 90_001 }), 'max-hold-too-short')
    t.throws(() => pool.setPolicy({ maxKeys: 5, length: 0 }), RangeError)
    t.strictSame(pool.policy, { ...DEFAULT_POLICY, maxHoldMs: 90_000 })
    t.not(pool.setPolicy({ leaseMs: 90_000 }), 'max-hold-too-short')
  })

  for (const [name, changes] of Object.entries({
    alphabet: { alphabet: 'xy' },
    length: { length: 5 },
    prefix: { prefix: 'sk_' }
  })) {
    t.test(`does not change the ${name} while a key is living or retired`, async t => {
      const { pool, clock } = createPool({ policy: { alphabet: 'ab', length: 4 } })
      const { id } = generateOne(pool)
      t.equal(pool.setPolicy(changes), 'policy-locked')
      t.not(pool.setPolicy({ alphabet: 'ab', length: 4, prefix: '' }), 'policy-locked', 'the same again is no change')
      pool.delete(id)
      const policy = granted(pool.setPolicy(changes))
      t.match(policy, changes)
      const { key } = generateOne(pool)
      t.equal(key.length, policy.prefix.length + policy.length)
      t.ok(key.startsWith(policy.prefix))

      clock.advance(KEEP_ALIVE_MS)
      t.equal(pool.sweep(1), false)
      t.equal(pool.setPolicy({ alphabet: 'ab', length: 4, prefix: '' }), 'policy-locked', 'retired')
    })
  }

  t.test('ends, shortens and extends no running lease or life', async t => {
    const { pool, clock, key, lease } = createLease({ maxHoldMs: 3 * LEASE_MS })
    pool.setPolicy({ leaseMs: 100, maxHoldMs: null, keepAliveMs: 100 })
    clock.advance(LEASE_MS - 1)
    t.match(pool.lease(lease.id), { expiresInMs: 1, renewAfterMs: null })
    t.equal(pool.renew(lease.id), 'max-hold-reached')
    clock.advance(1)
    t.equal(pool.lease(lease.id), 'lease-lost')
    t.match(pool.get(key.id), { state: 'free', keepAliveInMs: KEEP_ALIVE_MS - LEASE_MS })
    t.match(pool.acquire(), { expiresInMs: 100 })
    t.match(pool.keepAlive(key.id), { keepAliveInMs: 100 })
  })

  t.test('lets a key live for ever from its next keep-alive on, and back', async t => {
    const { pool, clock, key } = createLease()
    pool.setPolicy({ keepAliveMs: null })
    t.match(pool.get(key.id), { keepAliveInMs: KEEP_ALIVE_MS })
    t.match(pool.keepAlive(key.id), { keepAliveBy: null, keepAliveInMs: null })
    clock.advance(10 * KEEP_ALIVE_MS)
    t.equal(pool.sweep(10), false)
    t.equal(pool.nextSweepAt, Infinity)
    pool.setPolicy({ keepAliveMs: 100 })
    t.match(pool.get(key.id), { keepAliveBy: null })
    t.match(pool.keepAlive(key.id), { keepAliveInMs: 100 })
    clock.advance(100)
    t.equal(pool.get(key.id), 'unknown-key')
  })
})

t.test('keyspace', async t => {
  t.test('answers numbers up to 2^53 - 1, and decimal strings past it', async t => {
    t.strictSame(createPool({ policy: { alphabet: 'ab', length: 52 } }).pool.keyspace(), {
      size: 2 ** 52,
      remaining: 2 ** 52
    })
    const { pool } = createPool({ policy: { alphabet: 'ab', length: 53 } })
    granted(pool.generate(3))
    t.strictSame(pool.keyspace(), { size: '9007199254740992', remaining: '9007199254740989' })
  })

  t.test('does not get a retired key back, but a deleted one', async t => {
    const { pool, clock } = createPool({ policy: { alphabet: 'ab', length: 2 } })
    const [first] = granted(pool.generate(2))
    pool.delete(first?.id as string)
    t.match(pool.keyspace(), { remaining: 3 })
    clock.advance(KEEP_ALIVE_MS)
    t.match(pool.keyspace(), { remaining: 3 })
    t.match(pool.counts(), { total: 0, retired: 1 })
    t.match(pool.keyspace(), { remaining: 3 })
  })
})

t.test('counts', async t => {
  t.test('name each key once, by its state', async t => {
    const { pool, clock } = createPool()
    granted(pool.generate(5))
    granted(pool.acquire())
    pool.release(granted(pool.acquire()).id, { cooldownMs: 1000 })
    t.strictSame(pool.counts(), { total: 5, free: 3, leased: 1, cooling: 1, retired: 0 })
    clock.advance(KEEP_ALIVE_MS)
    t.strictSame(pool.counts(), { total: 0, free: 0, leased: 0, cooling: 0, retired: 5 })
  })
})
