import { generate, granted, refusalOf } from '../support/create-engine.ts'
import { acquireAll, type Facts, generateOne, KEEP_ALIVE_MS, LEASE_MS, POOL } from './provided.ts'

/** Many more than a verb applies before its own work. */
const MANY = 2000

export const deadlines: Facts = {
  'a lease ends at its deadline, not before': async (t, { engine, now, advance }) => {
    const { id } = await generateOne(engine)
    const lease = await granted(engine.acquire(POOL, {}))
    await advance(LEASE_MS - 1)
    t.match(await engine.lease(POOL, lease.id), { expiresInMs: 1 })
    t.match(await engine.key(POOL, id), { state: 'leased', lease: { expiresInMs: 1 } })
    t.match(await engine.acquire(POOL, {}), { refusal: 'no-free-key', retryAfterMs: 1 })
    await advance(1)
    t.strictSame(await engine.lease(POOL, lease.id), { refusal: 'lease-lost' })
    t.match(await engine.key(POOL, id), { state: 'free', lease: null, changedAt: now() })
    t.strictSame(await engine.renew(POOL, lease.id, {}), { refusal: 'lease-lost' })
    t.strictSame(await engine.release(POOL, lease.id), { refusal: 'lease-lost' })
    t.match(await engine.acquire(POOL, {}), { keyId: id })
  },

  'a shorter lease ends at its own deadline': async (t, { engine, advance }) => {
    await generate(engine, 2)
    const long = await granted(engine.acquire(POOL, {}))
    const short = await granted(engine.acquire(POOL, { leaseMs: 100 }))
    await advance(99)
    t.match(await engine.lease(POOL, short.id), { expiresInMs: 1 })
    await advance(1)
    t.strictSame(await engine.lease(POOL, short.id), { refusal: 'lease-lost' })
    t.match(await engine.lease(POOL, long.id), { expiresInMs: LEASE_MS - 100 })
  },

  'a renewed lease ends at its new deadline, not at the old one': async (t, { engine, advance }) => {
    await granted(engine.putPool(POOL, { maxHoldMs: 2 * LEASE_MS }))
    await generate(engine, 1)
    const lease = await granted(engine.acquire(POOL, {}))
    await advance(LEASE_MS - 1)
    t.match(await engine.renew(POOL, lease.id, {}), { expiresInMs: LEASE_MS })
    await advance(1)
    t.match(await engine.lease(POOL, lease.id), { expiresInMs: LEASE_MS - 1 })
    await advance(LEASE_MS - 2)
    t.match(await engine.lease(POOL, lease.id), { expiresInMs: 1 })
    await advance(1)
    t.strictSame(await engine.lease(POOL, lease.id), { refusal: 'lease-lost' })
  },

  'the deadline of a lease that was released does not touch the next one of its key': async (
    t,
    { engine, advance }
  ) => {
    await generate(engine, 1)
    const first = await granted(engine.acquire(POOL, {}))
    await advance(LEASE_MS - 1)
    await granted(engine.release(POOL, first.id))
    const second = await granted(engine.acquire(POOL, {}))
    await advance(1)
    t.match(await engine.lease(POOL, second.id), { expiresInMs: LEASE_MS - 1 })
    t.equal(await refusalOf(engine.acquire(POOL, {})), 'no-free-key')
  },

  'a life ends at its deadline, not before, and for ever': async (t, { engine, advance }) => {
    const { id, key } = await generateOne(engine)
    await advance(KEEP_ALIVE_MS - 1)
    t.match(await engine.key(POOL, id), { keepAliveInMs: 1 })
    t.match(await engine.pool(POOL), { counts: { total: 1, free: 1, retired: 0 } })
    await advance(1)
    t.match(await engine.pool(POOL), { counts: { total: 0, free: 0, retired: 1 } })
    t.strictSame(await engine.key(POOL, id), { refusal: 'unknown-key' })
    t.strictSame(await engine.keepAlive(POOL, id), { refusal: 'unknown-key' }, 'it is not revived')
    t.strictSame(await engine.delete(POOL, id), { refusal: 'unknown-key' })
    t.match(await engine.acquire(POOL, {}), { refusal: 'no-free-key', reason: 'pool-empty', retryAfterMs: null })
    await advance(10 * KEEP_ALIVE_MS)
    t.strictSame(await engine.importKeys(POOL, [{ key }]), { refusal: 'key-retired', indexes: [0] })
  },

  'a keep-alive moves the end of a life, and not that of a lease': async (t, { engine, now, advance }) => {
    const { id } = await generateOne(engine)
    await advance(KEEP_ALIVE_MS - 1)
    const lease = await granted(engine.acquire(POOL, {}))
    t.match(await engine.keepAlive(POOL, id), {
      id,
      state: 'leased',
      keepAliveBy: now() + KEEP_ALIVE_MS,
      keepAliveInMs: KEEP_ALIVE_MS,
      lease: { expiresInMs: LEASE_MS }
    })
    await advance(LEASE_MS)
    t.strictSame(await engine.lease(POOL, lease.id), { refusal: 'lease-lost' })
    t.match(await engine.key(POOL, id), { state: 'free', keepAliveInMs: KEEP_ALIVE_MS - LEASE_MS })
    await advance(KEEP_ALIVE_MS - LEASE_MS - 1)
    t.match(await engine.key(POOL, id), { keepAliveInMs: 1 })
    await advance(1)
    t.strictSame(await engine.key(POOL, id), { refusal: 'unknown-key' })
  },

  'a life ends while its key cools, too': async (t, { engine, advance }) => {
    const { id } = await generateOne(engine)
    const lease = await granted(engine.acquire(POOL, {}))
    await granted(engine.release(POOL, lease.id, { cooldownMs: 2 * KEEP_ALIVE_MS }))
    await advance(KEEP_ALIVE_MS - 1)
    t.match(await engine.key(POOL, id), { state: 'cooling' })
    await advance(1)
    t.match(await engine.pool(POOL), { counts: { total: 0, cooling: 0, free: 0, retired: 1 } })
    await advance(KEEP_ALIVE_MS)
    t.match(await engine.pool(POOL), { counts: { total: 0, cooling: 0, free: 0, retired: 1 } })
  },

  'keys that do not age live on': async (t, { engine, advance }) => {
    await granted(engine.putPool(POOL, { keepAliveMs: null }))
    const { id } = await generateOne(engine)
    const lease = await granted(engine.acquire(POOL, {}))
    t.match(lease, { keepAliveBy: null, keepAliveInMs: null })
    await advance(31_536_000_000)
    t.match(await engine.key(POOL, id), { state: 'free', keepAliveBy: null, keepAliveInMs: null })
    t.match(await engine.keepAlive(POOL, id), { keepAliveBy: null })
  },

  'a mass of leases ends at once': async (t, { engine, advance }) => {
    await generate(engine, MANY / 2)
    await generate(engine, MANY / 2)
    const leases = await acquireAll(engine, MANY)
    await advance(LEASE_MS - 1)
    t.match(await engine.pool(POOL), { counts: { leased: MANY, free: 0 } })
    t.match(await engine.acquire(POOL, {}), { refusal: 'no-free-key', retryAfterMs: 1 })
    await advance(1)
    t.strictSame(await engine.lease(POOL, leases[MANY - 1]?.id ?? ''), { refusal: 'lease-lost' })
    t.equal(new Set((await acquireAll(engine, MANY)).map(({ keyId }) => keyId)).size, MANY)
    t.match(await engine.pool(POOL), { counts: { leased: MANY, free: 0 } })
  },

  'a mass of lives ends at once, but for those that were kept alive': async (t, { engine, advance }) => {
    const made = [...(await generate(engine, MANY / 2)), ...(await generate(engine, MANY / 2))]
    await advance(1000)
    const kept = made.filter((_, i) => i % 100 === 0)
    for (const { id } of kept) await granted(engine.keepAlive(POOL, id))
    await advance(KEEP_ALIVE_MS - 1000)
    const leases = await acquireAll(engine, kept.length)
    t.strictSame(new Set(leases.map(({ keyId }) => keyId)), new Set(kept.map(({ id }) => id)))
    t.match(await engine.acquire(POOL, {}), {
      refusal: 'no-free-key',
      counts: { total: kept.length, leased: kept.length, retired: MANY - kept.length }
    })
  }
}
