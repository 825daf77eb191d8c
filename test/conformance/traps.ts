import { generate, granted, refusalOf } from '../support/create-engine.ts'
import { acquireAll, type Facts, generateOne, idOf, KEEP_ALIVE_MS, LEASE_MS, POOL } from './provided.ts'

/** What ten public servers written for the same exercise got wrong, as far as it concerns an engine. */
export const traps: Facts = {
  'an expired key returned by acquire': async (t, { engine, advance }) => {
    const { id } = await generateOne(engine)
    await advance(KEEP_ALIVE_MS - 1)
    const lease = await granted(engine.acquire(POOL, {}))
    t.equal(lease.keyId, id)
    await granted(engine.release(POOL, lease.id))
    await advance(1)
    t.equal(await refusalOf(engine.acquire(POOL, {})), 'no-free-key')
  },

  'a keep-alive refused while the key is leased': async (t, { engine, advance }) => {
    const { id } = await generateOne(engine)
    await advance(1000)
    const lease = await granted(engine.acquire(POOL, {}))
    t.match(await engine.keepAlive(POOL, id), { state: 'leased', keepAliveInMs: KEEP_ALIVE_MS })
    t.match(await engine.lease(POOL, lease.id), { expiresAt: lease.expiresAt })
  },

  'a leased key whose life ends released instead of retired': async (t, { engine, advance }) => {
    await granted(engine.putPool(POOL, { leaseMs: 2 * KEEP_ALIVE_MS }))
    const { id, key } = await generateOne(engine)
    const lease = await granted(engine.acquire(POOL, {}))
    await advance(KEEP_ALIVE_MS - 1)
    t.match(await engine.key(POOL, id), { state: 'leased' })
    await advance(1)
    t.match(await engine.pool(POOL), { counts: { total: 0, free: 0, leased: 0, retired: 1 } })
    t.strictSame(await engine.lease(POOL, lease.id), { refusal: 'lease-lost' })
    t.strictSame(await engine.release(POOL, lease.id), { refusal: 'lease-lost' })
    t.strictSame(await engine.unblock(POOL, id), { refusal: 'unknown-key' })
    await advance(KEEP_ALIVE_MS)
    t.equal(await refusalOf(engine.acquire(POOL, {})), 'no-free-key', 'nor when its lease would have ended')
    t.strictSame(await engine.importKeys(POOL, [{ key }]), { refusal: 'key-retired', indexes: [0] })
  },

  'a release that extends life': async (t, { engine, advance }) => {
    await granted(engine.putPool(POOL, { maxHoldMs: KEEP_ALIVE_MS }))
    const { id, keepAliveBy } = await generateOne(engine)
    await advance(10)
    const lease = await granted(engine.acquire(POOL, {}))
    await advance(10)
    t.match(await engine.renew(POOL, lease.id, {}), { keepAliveBy })
    await granted(engine.release(POOL, lease.id))
    t.match(await engine.key(POOL, id), { keepAliveBy })
    const cooled = await granted(engine.acquire(POOL, {}))
    await granted(engine.release(POOL, cooled.id, { cooldownMs: 1000 }))
    await granted(engine.unblock(POOL, id))
    await granted(engine.activate(POOL, id))
    await granted(engine.setMetadata(POOL, id, { a: 'b' }))
    t.match(await engine.key(POOL, id), { keepAliveBy })
    await advance(KEEP_ALIVE_MS - 20)
    t.strictSame(await engine.key(POOL, id), { refusal: 'unknown-key' })
  },

  'an unblock that puts a never-issued string into the pool': async (t, { engine }) => {
    t.strictSame(await engine.unblock(POOL, idOf('never')), { refusal: 'unknown-key' })
    t.strictSame(await engine.release(POOL, `${idOf('never')}.1`), { refusal: 'lease-lost' })
    t.strictSame(await engine.keepAlive(POOL, idOf('never')), { refusal: 'unknown-key' })
    t.match(await engine.pool(POOL), { counts: { total: 0 } })
    t.equal(await refusalOf(engine.acquire(POOL, {})), 'no-free-key')
  },

  'an unblock of a free key': async (t, { engine }) => {
    const { id } = await generateOne(engine)
    t.strictSame(await engine.unblock(POOL, id), { refusal: 'key-not-leased' })
    const lease = await granted(engine.acquire(POOL, {}))
    for (let i = 0; i < 2; i++) await granted(engine.release(POOL, lease.id))
    t.strictSame(await engine.unblock(POOL, id), { refusal: 'key-not-leased' })
    t.match(await engine.pool(POOL), { counts: { free: 1 } })
    await granted(engine.acquire(POOL, {}))
    t.equal(await refusalOf(engine.acquire(POOL, {})), 'no-free-key', 'it stands among the free ones once')
  },

  'delete of a leased key, then its lease deadline': async (t, { engine, advance }) => {
    const { id } = await generateOne(engine)
    const lease = await granted(engine.acquire(POOL, {}))
    t.equal(await engine.delete(POOL, id), 'deleted')
    t.strictSame(await engine.lease(POOL, lease.id), { refusal: 'lease-lost' })
    t.strictSame(await engine.release(POOL, lease.id), { refusal: 'lease-lost' })
    await advance(LEASE_MS)
    t.equal(await refusalOf(engine.acquire(POOL, {})), 'no-free-key')
    await advance(KEEP_ALIVE_MS)
    t.match(await engine.pool(POOL), { counts: { total: 0, retired: 0 } })
  },

  'delete, then import of the same string': async (t, { engine, advance }) => {
    const { id, key } = await generateOne(engine)
    await granted(engine.activate(POOL, id))
    await granted(engine.setMetadata(POOL, id, { a: 'b' }))
    const lease = await granted(engine.acquire(POOL, { holder: 'old' }))
    await advance(LEASE_MS - 1)
    await granted(engine.delete(POOL, id))
    t.match(await granted(engine.importKeys(POOL, [{ key }])), [
      { id, state: 'free', activatedAt: null, metadata: null, lease: null, keepAliveInMs: KEEP_ALIVE_MS }
    ])
    t.strictSame(await engine.release(POOL, lease.id), { refusal: 'lease-lost' })
    const next = await granted(engine.acquire(POOL, {}))
    t.ok(next.keyId === id && next.fence > lease.fence && next.holder === null)
    await advance(1)
    t.match(await engine.lease(POOL, next.id), { expiresInMs: LEASE_MS - 1 }, 'the old deadline is not the new one’s')
    await granted(engine.release(POOL, next.id))
    await advance(KEEP_ALIVE_MS - 2)
    t.match(await engine.key(POOL, id), { keepAliveInMs: 1 })
  },

  'generation when the key space is nearly full': async (t, { engine }) => {
    await granted(engine.putPool('small', { alphabet: '01', length: 10 }))
    const made = await generate(engine, 1000, 'small')
    for (let i = 0; i < 24; i++) made.push(await generateOne(engine, 'small'))
    t.equal(new Set(made.map(({ key }) => key)).size, 1024)
    t.match(await engine.generate('small', { count: 1, metadata: null }), {
      refusal: 'keyspace-exhausted',
      remaining: 0
    })
  },

  'everybody released at once': async (t, { engine, advance }) => {
    await generate(engine, 3)
    const first = await granted(engine.acquire(POOL, {}))
    await advance(20_000)
    const [second, third] = await acquireAll(engine, 2)
    await granted(engine.release(POOL, second?.id ?? ''))
    t.match(await engine.pool(POOL), { counts: { free: 1, leased: 2 } })
    await advance(LEASE_MS - 20_000)
    t.strictSame(await engine.lease(POOL, first.id), { refusal: 'lease-lost' })
    t.match(await engine.lease(POOL, third?.id ?? ''), { expiresInMs: 20_000 })
    t.match(await engine.pool(POOL), { counts: { free: 2, leased: 1 } })
  },

  'nobody released while there is traffic': async (t, { engine, advance }) => {
    const [busy] = await generate(engine, 2)
    await granted(engine.keepAlive(POOL, busy?.id ?? ''))
    const [a, b] = await acquireAll(engine, 2)
    for (let passed = 1000; passed < LEASE_MS; passed += 1000) {
      await advance(1000)
      await granted(engine.keepAlive(POOL, busy?.id ?? ''))
      t.equal(await refusalOf(engine.acquire(POOL, {})), 'no-free-key')
    }
    await advance(1000)
    for (const lease of [a, b]) t.strictSame(await engine.lease(POOL, lease?.id ?? ''), { refusal: 'lease-lost' })
    await acquireAll(engine, 2)
    for (let passed = LEASE_MS; passed < KEEP_ALIVE_MS; passed += 1000) {
      await advance(1000)
      await granted(engine.keepAlive(POOL, busy?.id ?? ''))
    }
    t.match(await engine.pool(POOL), { counts: { total: 1, retired: 1 } })
  },

  'an old holder’s release hits the new holder': async (t, { engine, advance }) => {
    const { id } = await generateOne(engine)
    const old = await granted(engine.acquire(POOL, {}))
    await advance(LEASE_MS)
    const next = await granted(engine.acquire(POOL, {}))
    t.equal(next.keyId, id)
    t.strictSame(await engine.release(POOL, old.id, { cooldownMs: 1000 }), { refusal: 'lease-lost' })
    t.strictSame(await engine.renew(POOL, old.id, { keepAlive: true }), { refusal: 'lease-lost' })
    t.strictSame(await engine.unblock(POOL, id, old.fence), { refusal: 'lease-lost' })
    t.match(await engine.lease(POOL, next.id), {
      expiresInMs: LEASE_MS,
      keepAliveInMs: KEEP_ALIVE_MS - LEASE_MS
    })
  }
}
