import { generate, granted } from '../support/create-engine.ts'
import { type Facts, generateOne, LEASE_MS, NO_ID, POOL } from './provided.ts'

/** What ends a lease from outside, and what an owner keeps others from. */
export const unblocking: Facts = {
  'an unblock frees a key, whoever holds it': async (t, { engine, now }) => {
    const { id } = await generateOne(engine)
    const lease = await granted(engine.acquire(POOL, { owner: 'a' }))
    t.equal(await engine.unblock(POOL, id), 'unblocked')
    t.match(await engine.key(POOL, id), { state: 'free', lease: null, changedAt: now() })
    t.strictSame(await engine.lease(POOL, lease.id), { refusal: 'lease-lost' })
    t.strictSame(await engine.renew(POOL, lease.id, {}), { refusal: 'lease-lost' })
    t.strictSame(await engine.release(POOL, lease.id), { refusal: 'lease-lost' })
  },

  'an unblock with a fence ends that lease only': async (t, { engine }) => {
    const { id } = await generateOne(engine)
    const first = await granted(engine.acquire(POOL, {}))
    await granted(engine.release(POOL, first.id))
    const second = await granted(engine.acquire(POOL, {}))
    t.strictSame(await engine.unblock(POOL, id, first.fence), { refusal: 'lease-lost' })
    t.strictSame(await engine.unblock(POOL, id, second.fence + 1), { refusal: 'lease-lost' })
    t.match(await engine.lease(POOL, second.id), { id: second.id })
    t.equal(await engine.unblock(POOL, id, second.fence), 'unblocked')
  },

  'an unblock ends a cooling': async (t, { engine }) => {
    const { id } = await generateOne(engine)
    const lease = await granted(engine.acquire(POOL, {}))
    await granted(engine.release(POOL, lease.id, { cooldownMs: LEASE_MS }))
    t.equal(await engine.unblock(POOL, id), 'unblocked')
    t.match(await engine.acquire(POOL, {}), { keyId: id })
  },

  'an unblock of a free key is refused, of an unknown one too': async (t, { engine, advance }) => {
    const { id } = await generateOne(engine)
    t.strictSame(await engine.unblock(POOL, id), { refusal: 'key-not-leased' })
    t.strictSame(await engine.unblock(POOL, id, 1), { refusal: 'key-not-leased' })
    t.strictSame(await engine.unblock(POOL, NO_ID), { refusal: 'unknown-key' })
    await granted(engine.acquire(POOL, {}))
    await advance(LEASE_MS)
    t.strictSame(await engine.unblock(POOL, id), { refusal: 'key-not-leased' }, 'its lease has ended by itself')
  },

  'a lease that has an owner is no business of others': async (t, { engine }) => {
    await granted(engine.putPool(POOL, { maxHoldMs: 2 * LEASE_MS }))
    await generate(engine, 1)
    const lease = await granted(engine.acquire(POOL, { owner: 'a' }))
    const forbidden = { refusal: 'forbidden' }
    t.strictSame(await engine.lease(POOL, lease.id, 'b'), forbidden)
    t.strictSame(await engine.renew(POOL, lease.id, { owner: 'b', leaseMs: 30_000 }), forbidden)
    t.strictSame(await engine.release(POOL, lease.id, { owner: 'b' }), forbidden)
    t.match(
      await engine.batch(
        POOL,
        [
          { op: 'renew', lease: lease.id },
          { op: 'release', lease: lease.id }
        ],
        { owner: 'b' }
      ),
      [{ value: forbidden }, { value: forbidden }]
    )
    t.match(await engine.lease(POOL, lease.id, 'a'), { id: lease.id, expiresInMs: LEASE_MS })
    t.match(await engine.lease(POOL, lease.id), { id: lease.id }, 'who is given no name may see all')
    t.match(await engine.renew(POOL, lease.id, { owner: 'a' }), { id: lease.id })
    t.equal(await engine.release(POOL, lease.id, { owner: 'a' }), 'released')
    t.strictSame(await engine.release(POOL, lease.id, { owner: 'b' }), forbidden, 'nor is its second release')
  },

  'a lease of a batch has the owner of the batch': async (t, { engine }) => {
    await generate(engine, 1)
    const [outcome] = await granted(engine.batch(POOL, [{ op: 'acquire' }], { owner: 'a' }))
    const value = outcome?.value
    if (typeof value !== 'object' || value === null || !('fence' in value)) throw new Error('leased')
    t.strictSame(await engine.release(POOL, value.id, { owner: 'b' }), { refusal: 'forbidden' })
    t.equal(await engine.release(POOL, value.id, { owner: 'a' }), 'released')
  },

  'a lease without an owner is everybody\u2019s': async (t, { engine }) => {
    await generate(engine, 1)
    const lease = await granted(engine.acquire(POOL, {}))
    t.match(await engine.lease(POOL, lease.id, 'b'), { id: lease.id })
    t.equal(await engine.release(POOL, lease.id, { owner: 'b' }), 'released')
  }
}
