import t from 'tap'
import { keyId } from '../../src/pool/key-id.ts'
import { createLease, createPool, generateOne, granted, KEEP_ALIVE_MS, LEASE_MS } from '../support/pool.ts'

const UNKNOWN = keyId('unknown')

t.test('acquire', async t => {
  t.test('a lease ends at its deadline, not before', async t => {
    const { pool, clock } = createPool()
    granted(pool.generate(1))
    granted(pool.acquire())

    clock.advance(LEASE_MS - 1)
    t.equal(pool.acquire(), 'no-free-key')
    clock.advance(1)
    t.not(pool.acquire(), 'no-free-key')
  })

  t.test('a lease has the key, its holder, both deadlines and the next fence', async t => {
    const { pool, clock } = createPool({ fence: 41 })
    const key = generateOne(pool, { colour: 'red' })
    clock.advance(10)
    t.strictSame(pool.acquire({ leaseMs: 100, holder: 'somebody' }), {
      id: `${key.id}.42`,
      fence: 42,
      keyId: key.id,
      key: key.key,
      holder: 'somebody',
      acquiredAt: clock.now(),
      expiresAt: clock.now() + 100,
      expiresInMs: 100,
      renewAfterMs: 33,
      keepAliveBy: clock.now() + KEEP_ALIVE_MS - 10,
      keepAliveInMs: KEEP_ALIVE_MS - 10,
      metadata: { colour: 'red' }
    })
    t.equal(pool.fence, 42)
    t.match(pool.get(key.id), { state: 'leased', servedAt: clock.now(), lease: { holder: 'somebody', fence: 42 } })
  })

  t.test('a lease may be shorter than the policy says, never longer', async t => {
    const { pool, clock } = createPool()
    granted(pool.generate(2))
    t.equal(pool.acquire({ leaseMs: LEASE_MS + 1 }), 'lease-too-long')
    t.match(pool.acquire({ leaseMs: LEASE_MS }), { expiresInMs: LEASE_MS, renewAfterMs: null })
    t.match(pool.acquire({ leaseMs: 100 }), { expiresInMs: 100 })
    t.equal(pool.acquire({ leaseMs: LEASE_MS + 1 }), 'lease-too-long', 'also where no key is free')
    clock.advance(99)
    t.equal(pool.counts().leased, 2)
    clock.advance(1)
    t.equal(pool.counts().leased, 1)
  })

  t.test('takes nonsense for a mistake of the caller', async t => {
    const { pool } = createPool()
    for (const leaseMs of [0, 99, 100.5, NaN, Infinity, -100])
      t.throws(() => pool.acquire({ leaseMs }), { message: 'leaseMs must be an integer of at least 100' }, `${leaseMs}`)
  })

  t.test('every key is lent once before any is lent twice, and none is left', async t => {
    const { pool } = createPool()
    const ids = new Set(granted(pool.generate(20)).map(({ id }) => id))
    t.strictSame(new Set(Array.from({ length: 20 }, () => granted(pool.acquire()).keyId)), ids)
    t.equal(pool.acquire(), 'no-free-key')
  })

  t.test('a cooling key is not lent', async t => {
    const { pool, clock, lease } = createLease()
    pool.release(lease.id, { cooldownMs: 500 })
    clock.advance(499)
    t.equal(pool.acquire(), 'no-free-key')
    clock.advance(1)
    t.match(pool.acquire(), { keyId: lease.keyId })
  })
})

t.test('lease', async t => {
  t.test('shows a running lease, with its key only where asked to', async t => {
    const { pool, clock, key, lease } = createLease()
    clock.advance(10)
    const { key: secret, ...shown } = { ...lease, expiresInMs: LEASE_MS - 10, keepAliveInMs: KEEP_ALIVE_MS - 10 }
    t.strictSame(pool.lease(lease.id), shown)
    t.strictSame(pool.lease(lease.id, { reveal: true }), { ...shown, key: secret })
    t.equal(secret, key.key)
  })

  t.test('is lost once it ended, was superseded, or never was', async t => {
    const { pool, clock, key, lease } = createLease()
    for (const id of ['', key.id, `${key.id}.0`, `${key.id}.2`, `${UNKNOWN}.1`, `${lease.id}0`])
      t.equal(pool.lease(id), 'lease-lost', id)
    clock.advance(LEASE_MS - 1)
    t.not(pool.lease(lease.id), 'lease-lost')
    clock.advance(1)
    t.equal(pool.lease(lease.id), 'lease-lost')
    granted(pool.acquire())
    t.equal(pool.lease(lease.id), 'lease-lost')
  })

  t.test('is lost when its key is released, unblocked, deleted or retired', async t => {
    for (const end of ['release', 'unblock', 'delete', 'retire']) {
      const { pool, clock, key, lease } = createLease({ leaseMs: 2 * KEEP_ALIVE_MS })
      if (end === 'release') pool.release(lease.id, { cooldownMs: 100 })
      else if (end === 'unblock') pool.unblock(key.id)
      else if (end === 'delete') pool.delete(key.id)
      else clock.advance(KEEP_ALIVE_MS)
      t.equal(pool.lease(lease.id), 'lease-lost', end)
      t.equal(pool.renew(lease.id), 'lease-lost', end)
    }
  })
})

t.test('renew', async t => {
  t.test('moves the deadline to now and the length asked for, or the own one, within the longest hold', async t => {
    const { pool, clock } = createPool({ policy: { leaseMs: 1000, maxHoldMs: 2500 } })
    granted(pool.generate(1))
    const { id } = granted(pool.acquire({ leaseMs: 400 }))
    clock.advance(399)
    t.match(pool.renew(id), { id, expiresInMs: 400, renewAfterMs: 133 })
    t.match(pool.renew(id, { leaseMs: 1000 }), { expiresInMs: 1000 })
    clock.advance(999)
    t.match(pool.renew(id), { expiresInMs: 400 }, 'the length of the grant, not of the last renewal')
    t.match(pool.renew(id, { leaseMs: 1000 }), { expiresInMs: 1000 })
    clock.advance(999)
    t.match(pool.renew(id, { leaseMs: 1000 }), { expiresInMs: 2500 - 2397, renewAfterMs: null })
    t.equal(pool.renew(id), 'max-hold-reached')
    clock.advance(2500 - 2397 - 1)
    t.match(pool.lease(id), { expiresInMs: 1 })
    clock.advance(1)
    t.equal(pool.renew(id), 'lease-lost')
    t.match(pool.acquire(), { keyId: id.slice(0, 22) })
  })

  t.test('never shortens a lease', async t => {
    const { pool, clock } = createPool({ policy: { maxHoldMs: 2 * LEASE_MS } })
    granted(pool.generate(1))
    const lease = granted(pool.acquire())
    clock.advance(10)
    t.match(pool.renew(lease.id, { leaseMs: 100 }), { expiresAt: lease.expiresAt })
  })

  t.test('of the whole length is refused by default, and leaves the lease as it is', async t => {
    const { pool, clock, lease } = createLease()
    clock.advance(10)
    t.equal(pool.renew(lease.id, { keepAlive: true }), 'max-hold-reached')
    t.match(pool.lease(lease.id), { expiresAt: lease.expiresAt, keepAliveBy: lease.keepAliveBy })
  })

  t.test('keeps the key alive only where asked to', async t => {
    const { pool, clock, lease } = createLease({ maxHoldMs: 2 * LEASE_MS })
    clock.advance(10)
    t.match(pool.renew(lease.id), { keepAliveBy: lease.keepAliveBy })
    t.match(pool.renew(lease.id, { keepAlive: true }), { keepAliveInMs: KEEP_ALIVE_MS })
  })

  t.test('is not for longer than the policy says, and takes nonsense for a mistake of the caller', async t => {
    const { pool, lease } = createLease({ maxHoldMs: 2 * LEASE_MS })
    t.equal(pool.renew(lease.id, { leaseMs: LEASE_MS + 1 }), 'lease-too-long')
    t.not(pool.renew(lease.id, { leaseMs: LEASE_MS }), 'lease-too-long')
    for (const leaseMs of [0, 99, 100.5, NaN]) t.throws(() => pool.renew(lease.id, { leaseMs }), RangeError)
  })

  t.test('shows no secret', async t => {
    const { pool, lease } = createLease({ maxHoldMs: 2 * LEASE_MS })
    t.notOk('key' in granted(pool.renew(lease.id)))
  })
})

t.test('release', async t => {
  t.test('frees the key at once', async t => {
    const { pool, key, lease } = createLease()
    t.equal(pool.release(lease.id), 'released')
    t.match(pool.get(key.id), { state: 'free', lease: null })
    t.match(pool.acquire(), { keyId: key.id, fence: 2, holder: null })
  })

  t.test('twice is released twice while nobody else has leased the key, and changes nothing', async t => {
    const { pool, clock, key, lease } = createLease()
    t.equal(pool.release(lease.id, { cooldownMs: 1000 }), 'released')
    const cooling = granted(pool.get(key.id))
    t.equal(cooling.state, 'cooling')
    t.equal(pool.release(lease.id), 'released')
    t.equal(pool.release(lease.id, { cooldownMs: 5000 }), 'released')
    t.strictSame(pool.get(key.id), cooling)
    clock.advance(1000)
    t.equal(pool.release(lease.id, { cooldownMs: 5000 }), 'released')
    t.match(pool.get(key.id), { state: 'free' })
    granted(pool.acquire())
    t.equal(pool.release(lease.id), 'lease-lost')
    t.match(pool.get(key.id), { state: 'leased' })
  })

  t.test('after the deadline, an unblock, or of a key that is gone is refused', async t => {
    for (const end of ['deadline', 'unblock', 'delete', 'retire']) {
      const { pool, clock, key, lease } = createLease()
      if (end === 'deadline') clock.advance(LEASE_MS)
      else if (end === 'unblock') pool.unblock(key.id)
      else if (end === 'delete') pool.delete(key.id)
      else clock.advance(KEEP_ALIVE_MS)
      t.equal(pool.release(lease.id), 'lease-lost', end)
    }
    const { pool, clock, lease } = createLease()
    clock.advance(LEASE_MS - 1)
    t.equal(pool.release(lease.id), 'released', 'one millisecond before the deadline')
  })

  t.test('of what never was is refused', async t => {
    const { pool, key } = createLease()
    for (const id of ['', key.id, `${key.id}.0`, `${key.id}.2`, `${UNKNOWN}.1`])
      t.equal(pool.release(id), 'lease-lost', id)
  })

  t.test('lets the key cool for as long as asked, not shorter and not longer', async t => {
    const { pool, clock, key, lease } = createLease()
    pool.release(lease.id, { cooldownMs: 500 })
    t.match(pool.get(key.id), { state: 'cooling', coolingUntil: clock.now() + 500, coolingInMs: 500, lease: null })
    clock.advance(499)
    t.match(pool.get(key.id), { state: 'cooling', coolingInMs: 1 })
    clock.advance(1)
    t.match(pool.get(key.id), { state: 'free', coolingUntil: null })
    t.strictSame(pool.counts(), { total: 1, free: 1, leased: 0, cooling: 0, retired: 0 })
  })

  t.test('takes nonsense for a mistake of the caller', async t => {
    const { pool, lease } = createLease()
    for (const cooldownMs of [-1, 0.5, NaN, 86_400_001])
      t.throws(
        () => pool.release(lease.id, { cooldownMs }),
        /cooldownMs must be an integer of at least 0 and at most 86400000/
      )
    t.equal(pool.release(lease.id, { cooldownMs: 86_400_000 }), 'released')
  })
})

t.test('unblock', async t => {
  t.test('frees a key, whoever holds it', async t => {
    const { pool, clock, key } = createLease()
    clock.advance(10)
    t.equal(pool.unblock(key.id), 'unblocked')
    t.match(pool.get(key.id), { state: 'free', lease: null, changedAt: clock.now() })
    t.equal(pool.unblock(key.id), 'key-not-leased')
  })

  t.test('with a fence ends that lease only', async t => {
    const { pool, key, lease } = createLease()
    t.equal(pool.unblock(key.id, lease.fence + 1), 'lease-lost')
    t.equal(pool.unblock(key.id, lease.fence - 1), 'lease-lost')
    t.match(pool.get(key.id), { state: 'leased' })
    t.equal(pool.unblock(key.id, lease.fence), 'unblocked')
  })

  t.test('ends a cooling', async t => {
    const { pool, key, lease } = createLease()
    pool.release(lease.id, { cooldownMs: 500 })
    t.equal(pool.unblock(key.id), 'unblocked')
    t.match(pool.acquire(), { keyId: key.id })
  })

  t.test('is refused at the deadline, not before', async t => {
    const { pool, clock, key } = createLease()
    clock.advance(LEASE_MS)
    t.equal(pool.unblock(key.id), 'key-not-leased')
    granted(pool.acquire())
    clock.advance(LEASE_MS - 1)
    t.equal(pool.unblock(key.id), 'unblocked')
  })

  t.test('knows no key that is gone or never was', async t => {
    const { pool, clock, key } = createLease()
    t.equal(pool.unblock(UNKNOWN), 'unknown-key')
    clock.advance(KEEP_ALIVE_MS)
    t.equal(pool.unblock(key.id), 'unknown-key')
  })
})

t.test('nextFreeInMs', async t => {
  t.test('is the time to the earliest end of a lease or a cooling', async t => {
    const { pool, clock } = createPool()
    granted(pool.generate(3))
    t.equal(pool.nextFreeInMs(), null)
    granted(pool.acquire({ leaseMs: 5000 }))
    t.equal(pool.nextFreeInMs(), 5000)
    pool.release(granted(pool.acquire()).id, { cooldownMs: 3000 })
    t.equal(pool.nextFreeInMs(), 3000)
    clock.advance(2999)
    t.equal(pool.nextFreeInMs(), 1)
    clock.advance(1)
    t.equal(pool.counts().cooling, 0)
    t.equal(pool.nextFreeInMs(), 2000)
  })

  t.test('is 0 where one has passed and nobody has looked yet', async t => {
    const { pool, clock } = createLease()
    clock.advance(LEASE_MS + 5)
    t.equal(pool.nextFreeInMs(), 0)
  })

  t.test('is not misled by leases that were renewed, released or deleted', async t => {
    const { pool, clock } = createPool({ policy: { maxHoldMs: 2 * LEASE_MS } })
    granted(pool.generate(4))
    const [renewed, released, deleted] = [1, 2, 3].map(ms => granted(pool.acquire({ leaseMs: 1000 * ms })))
    granted(pool.acquire({ leaseMs: 4000 }))
    pool.renew(renewed?.id as string, { leaseMs: 9000 })
    t.equal(pool.nextFreeInMs(), 2000)
    pool.release(released?.id as string)
    t.equal(pool.nextFreeInMs(), 3000)
    pool.delete(deleted?.keyId as string)
    t.equal(pool.nextFreeInMs(), 4000)
    clock.advance(4000)
    t.equal(pool.counts().leased, 1)
    t.equal(pool.nextFreeInMs(), 5000)
  })

  t.test('is null where no lease runs, however many ended early', async t => {
    for (const count of [1, 15, 16, 17, 18, 100]) {
      const { pool } = createPool()
      granted(pool.generate(count))
      const leases = Array.from({ length: count }, () => granted(pool.acquire()))
      for (const { id } of leases) pool.release(id)
      t.equal(pool.nextFreeInMs(), null, `${count}`)
      t.equal(pool.nextFreeInMs(), null, `${count}, again`)
    }
  })

  t.test('is null where the last lease was renewed and has ended since', async t => {
    const { pool, clock } = createPool({ policy: { maxHoldMs: 2 * LEASE_MS } })
    granted(pool.generate(16))
    const leases = Array.from({ length: 16 }, () => granted(pool.acquire()))
    for (const { id } of leases.slice(1)) pool.release(id)
    clock.advance(10)
    pool.renew(leases[0]?.id as string)
    clock.advance(LEASE_MS)
    t.equal(pool.nextFreeInMs(), null)
  })
})

t.test("nobody acts on another owner's lease, and everybody on one without an owner", async t => {
  const { pool } = createPool()
  pool.generate(2)
  const hers = granted(pool.acquire({ owner: 'a' }))
  const anyones = granted(pool.acquire())

  t.equal(pool.lease(hers.id, { owner: 'b' }), 'forbidden')
  t.equal(pool.renew(hers.id, { owner: 'b' }), 'forbidden')
  t.equal(pool.release(hers.id, { owner: 'b' }), 'forbidden')
  for (const owner of ['a', undefined]) t.match(pool.lease(hers.id, { owner }), { id: hers.id })
  t.match(pool.lease(anyones.id, { owner: 'b' }), { id: anyones.id })

  t.equal(pool.release(hers.id, { owner: 'a' }), 'released')
  t.equal(pool.release(hers.id, { owner: 'b' }), 'forbidden', 'also once it is released')
  t.equal(pool.release(hers.id, { owner: 'a' }), 'released')
})

t.test('the next lease of a key is its own owner’s', async t => {
  const { pool, clock } = createPool()
  pool.generate(1)
  const first = granted(pool.acquire({ owner: 'a' }))
  clock.advance(LEASE_MS)
  t.equal(pool.release(first.id, { owner: 'b' }), 'lease-lost')
  const second = granted(pool.acquire())
  t.equal(pool.release(second.id, { owner: 'b' }), 'released')
})
