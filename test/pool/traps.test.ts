// What ten public servers written for the same exercise got wrong, as far as it concerns a pool: one test for each trap.

import t from 'tap'
import { keyId } from '../../src/pool/key-id.ts'
import { createPool, generateOne, granted, KEEP_ALIVE_MS, LEASE_MS } from '../support/pool.ts'
import { seededRandom } from '../support/seeded-random.ts'

t.test('a key past its keep-alive deadline is never acquired', async t => {
  const { pool, clock } = createPool()
  const { id } = generateOne(pool)
  clock.advance(KEEP_ALIVE_MS - 1)
  const lease = granted(pool.acquire())
  t.equal(lease.keyId, id)
  pool.release(lease.id)
  clock.advance(1)
  t.equal(pool.acquire(), 'no-free-key')
})

t.test('a leased key is kept alive as a free one is', async t => {
  const { pool, clock } = createPool({ policy: { leaseMs: 2 * KEEP_ALIVE_MS } })
  const { id } = generateOne(pool)
  const lease = granted(pool.acquire())
  clock.advance(KEEP_ALIVE_MS - 1)
  t.match(pool.keepAlive(id), { state: 'leased', keepAliveInMs: KEEP_ALIVE_MS })
  t.match(pool.lease(lease.id), { expiresAt: lease.expiresAt })
  clock.advance(KEEP_ALIVE_MS - 1)
  t.match(pool.lease(lease.id), { expiresInMs: 2, keepAliveInMs: 1 })
})

t.test('a keep-alive does not extend a lease', async t => {
  const { pool, clock } = createPool()
  const { id } = generateOne(pool)
  granted(pool.acquire())
  clock.advance(LEASE_MS - 1)
  granted(pool.keepAlive(id))
  clock.advance(1)
  t.match(pool.acquire(), { keyId: id })
})

t.test('a leased key whose life ends is retired, not released', async t => {
  const { pool, clock } = createPool({ policy: { leaseMs: 2 * KEEP_ALIVE_MS } })
  const { id, key } = generateOne(pool)
  const lease = granted(pool.acquire())
  clock.advance(KEEP_ALIVE_MS - 1)
  t.match(pool.get(id), { state: 'leased' })
  clock.advance(1)
  t.strictSame(pool.counts(), { total: 0, free: 0, leased: 0, cooling: 0, retired: 1 })
  t.equal(pool.lease(lease.id), 'lease-lost')
  t.equal(pool.release(lease.id), 'lease-lost')
  t.equal(pool.unblock(id), 'unknown-key')
  clock.advance(KEEP_ALIVE_MS)
  t.equal(pool.acquire(), 'no-free-key', 'nor when its lease would have ended')
  t.strictSame(pool.importKeys([{ key }]), { refusal: 'key-retired', indexes: [0] })
})

t.test('acquiring, renewing and releasing extend no life', async t => {
  const { pool, clock } = createPool({ policy: { maxHoldMs: KEEP_ALIVE_MS } })
  const { id } = generateOne(pool)
  const { keepAliveBy } = granted(pool.get(id))
  clock.advance(10)
  const lease = granted(pool.acquire())
  clock.advance(10)
  t.match(pool.renew(lease.id), { keepAliveBy })
  t.equal(pool.release(lease.id), 'released')
  t.match(pool.get(id), { keepAliveBy })
  t.equal(pool.release(granted(pool.acquire()).id, { cooldownMs: 1000 }), 'released')
  t.equal(pool.unblock(id), 'unblocked')
  t.match(pool.get(id), { keepAliveBy })
  clock.advance(KEEP_ALIVE_MS - 20)
  t.equal(pool.get(id), 'unknown-key')
})

t.test('unblocking or releasing a string that was never issued puts nothing into the pool', async t => {
  const { pool } = createPool()
  t.equal(pool.unblock(keyId('never')), 'unknown-key')
  t.equal(pool.release(`${keyId('never')}.1`), 'lease-lost')
  t.equal(pool.keepAlive(keyId('never')), 'unknown-key')
  t.equal(pool.counts().total, 0)
  t.equal(pool.acquire(), 'no-free-key')
})

t.test('unblocking a free key is refused, and it stands among the free ones once', async t => {
  const { pool } = createPool()
  const { id } = generateOne(pool)
  t.equal(pool.unblock(id), 'key-not-leased')
  const lease = granted(pool.acquire())
  pool.release(lease.id)
  pool.release(lease.id)
  t.equal(pool.unblock(id), 'key-not-leased')
  t.equal(pool.counts().free, 1)
  granted(pool.acquire())
  t.equal(pool.acquire(), 'no-free-key')
})

t.test('a key deleted while leased does not come back at its lease deadline', async t => {
  const { pool, clock } = createPool()
  const { id } = generateOne(pool)
  const lease = granted(pool.acquire())
  t.equal(pool.delete(id), 'deleted')
  t.equal(pool.release(lease.id), 'lease-lost')
  clock.advance(LEASE_MS)
  t.equal(pool.sweep(10), false)
  t.equal(pool.acquire(), 'no-free-key')
  t.equal(pool.counts().total, 0)
  clock.advance(KEEP_ALIVE_MS)
  t.equal(pool.sweep(10), false)
  t.equal(pool.counts().retired, 0, 'nor is it retired at the end of the life that it no longer had')
})

t.test('a key deleted and imported again has nothing of its former life', async t => {
  const { pool, clock } = createPool()
  const { id, key } = generateOne(pool)
  const lease = granted(pool.acquire())
  clock.advance(LEASE_MS - 1)
  pool.delete(id)
  granted(pool.importKeys([{ key }]))
  t.equal(pool.release(lease.id), 'lease-lost')
  const next = granted(pool.acquire())
  t.equal(next.keyId, id)
  t.ok(next.fence > lease.fence)
  clock.advance(1)
  t.match(pool.lease(next.id), { expiresInMs: LEASE_MS - 1 }, 'the former lease deadline passes')
  t.equal(pool.release(lease.id), 'lease-lost')
  clock.advance(KEEP_ALIVE_MS - LEASE_MS)
  t.match(pool.get(id), { keepAliveInMs: LEASE_MS - 1 }, 'the former keep-alive deadline passes')
})

t.test('the last key of a nearly full key space is generated at once', async t => {
  // A loop that draws until a key is new would draw some four thousand times.
  const { below, bytes } = seededRandom(1)
  let draws = 0
  const random = { below: (limit: number) => (draws++, below(limit)), bytes }
  const { pool } = createPool({ policy: { alphabet: 'ab', length: 12 }, random })
  granted(pool.generate(4095))
  draws = 0
  granted(pool.generate(1))
  t.equal(draws, 1)
  t.equal(pool.generate(1), 'keyspace-exhausted')
  t.equal(pool.counts().total, 4096)
})

t.test('an exception ends neither the sweep nor the pool', async t => {
  const { below, bytes } = seededRandom(1)
  let broken = false
  const random = {
    below(limit: number) {
      if (broken) throw new Error('no randomness')
      return below(limit)
    },
    bytes
  }
  const { pool, clock } = createPool({ random })
  const { id } = generateOne(pool)
  granted(pool.acquire())
  clock.advance(LEASE_MS)
  broken = true
  t.throws(() => pool.acquire(), /no randomness/)
  t.throws(() => pool.acquire({ leaseMs: 1 }), RangeError)
  t.throws(() => pool.generate(0), RangeError)
  broken = false
  t.equal(pool.counts().free, 1)
  t.match(pool.acquire(), { keyId: id })
  clock.advance(LEASE_MS)
  t.equal(pool.sweep(10), false)
  t.equal(pool.counts().free, 1)
  clock.advance(KEEP_ALIVE_MS)
  t.equal(pool.sweep(10), false)
  t.equal(pool.counts().retired, 1)
})

t.test('a key is held from the moment of the answer on: no two callers get the same', async t => {
  const { pool, clock } = createPool()
  granted(pool.generate(50))
  const held = new Set<string>()
  for (let i = 0; i < 50; i++) {
    const { keyId } = granted(pool.acquire())
    t.notOk(held.has(keyId))
    held.add(keyId)
    clock.advance(1)
  }
  t.equal(pool.acquire(), 'no-free-key')
})

t.test('each lease ends at its own deadline, not all at that of one', async t => {
  const { pool, clock } = createPool()
  granted(pool.generate(3))
  const leases = [0, 1, 2].map(() => {
    clock.advance(1000)
    return granted(pool.acquire())
  })
  clock.advance(LEASE_MS - 2000)
  for (let left = 2; left >= 0; left--) {
    t.equal(pool.counts().leased, left)
    t.equal(leases.filter(({ id }) => pool.lease(id) !== 'lease-lost').length, left)
    clock.advance(1000)
  }
})

t.test('leases end and lives end while there is traffic in every millisecond', async t => {
  const { pool, clock } = createPool({ policy: { leaseMs: 100, keepAliveMs: 300 } })
  const [first] = granted(pool.generate(2))
  const lease = granted(pool.acquire())
  for (let ms = 1; ms < 100; ms++) {
    clock.advance(1)
    pool.keepAlive(first?.id as string)
    pool.release(granted(pool.acquire()).id)
  }
  t.not(pool.lease(lease.id), 'lease-lost')
  clock.advance(1)
  t.equal(pool.counts().free, 2)
  for (let ms = 101; ms < 300; ms++) {
    clock.advance(1)
    pool.keepAlive(first?.id as string)
    pool.release(granted(pool.acquire()).id)
  }
  t.equal(pool.counts().total, 2)
  clock.advance(1)
  t.match(pool.counts(), { total: 1, retired: 1 })
})

t.test('looking at keys and leases leases none and keeps none alive', async t => {
  const { pool, clock } = createPool()
  const { id } = generateOne(pool)
  const lease = granted(pool.acquire())
  pool.release(lease.id)
  const before = granted(pool.get(id, true))
  clock.advance(10)
  pool.get(id)
  pool.list({ limit: 10 })
  pool.lease(lease.id)
  pool.counts()
  pool.keyspace()
  pool.nextFreeInMs()
  t.strictSame(pool.get(id, true), { ...before, keepAliveInMs: KEEP_ALIVE_MS - 10 })
  t.equal(pool.fence, lease.fence)
})

t.test('a holder whose lease ended can not disturb the next one', async t => {
  const { pool, clock } = createPool({ policy: { maxHoldMs: 2 * LEASE_MS } })
  const { id } = generateOne(pool)
  const former = granted(pool.acquire())
  clock.advance(LEASE_MS)
  const next = granted(pool.acquire())
  t.ok(next.fence > former.fence)
  t.equal(pool.release(former.id), 'lease-lost')
  t.equal(pool.release(former.id, { cooldownMs: 1000 }), 'lease-lost')
  t.equal(pool.renew(former.id, { keepAlive: true }), 'lease-lost')
  t.equal(pool.unblock(id, former.fence), 'lease-lost')
  t.match(pool.lease(next.id), { expiresAt: next.expiresAt, keepAliveBy: next.keepAliveBy })
})
