import { generate, granted } from '../support/create-engine.ts'
import { acquireAll, type Facts, generateOne, KEEP_ALIVE_MS, LEASE_MS, NO_ID, POOL } from './provided.ts'

export const leases: Facts = {
  'a lease names its key, its holder and its end, and shows the secret': async (t, { engine, now, advance }) => {
    const { id, key } = await generateOne(engine)
    await granted(engine.setMetadata(POOL, id, { a: 'b' }))
    await advance(1000)
    const lease = await granted(engine.acquire(POOL, { holder: 'worker-1' }))
    const shown = {
      id: `${id}.${lease.fence}`,
      fence: lease.fence,
      keyId: id,
      holder: 'worker-1',
      acquiredAt: now(),
      expiresAt: now() + LEASE_MS,
      expiresInMs: LEASE_MS,
      renewAfterMs: null,
      keepAliveBy: now() - 1000 + KEEP_ALIVE_MS,
      keepAliveInMs: KEEP_ALIVE_MS - 1000,
      metadata: { a: 'b' }
    }
    t.strictSame(lease, { ...shown, key })
    t.strictSame(await engine.lease(POOL, lease.id), shown)
    t.match(await engine.key(POOL, id), {
      state: 'leased',
      servedAt: now(),
      changedAt: now(),
      lease: {
        id: lease.id,
        fence: lease.fence,
        holder: 'worker-1',
        expiresAt: now() + LEASE_MS,
        expiresInMs: LEASE_MS
      }
    })
  },

  'a lease may be shorter than the policy says, never longer': async (t, { engine }) => {
    await generate(engine, 2)
    t.match(await engine.acquire(POOL, { leaseMs: 100 }), { expiresInMs: 100, holder: null })
    t.strictSame(await engine.acquire(POOL, { leaseMs: LEASE_MS + 1 }), { refusal: 'lease-too-long' })
    t.match(await engine.acquire(POOL, { leaseMs: LEASE_MS }), { expiresInMs: LEASE_MS })
  },

  'nobody gets a key of an empty pool, or of one whose keys are all held': async (t, { engine, advance }) => {
    t.strictSame(await engine.acquire(POOL, {}), {
      refusal: 'no-free-key',
      reason: 'pool-empty',
      retryAfterMs: null,
      counts: { total: 0, free: 0, leased: 0, cooling: 0, retired: 0, waiting: 0 }
    })
    await generate(engine, 3)
    const first = await granted(engine.acquire(POOL, {}))
    await advance(1000)
    await acquireAll(engine, 2)
    t.strictSame(await engine.acquire(POOL, {}), {
      refusal: 'no-free-key',
      reason: 'all-held',
      retryAfterMs: LEASE_MS - 1000,
      counts: { total: 3, free: 0, leased: 3, cooling: 0, retired: 0, waiting: 0 }
    })
    await granted(engine.release(POOL, first.id, { cooldownMs: 500 }))
    t.match(await engine.acquire(POOL, {}), {
      reason: 'all-held',
      retryAfterMs: 500,
      counts: { leased: 2, cooling: 1, free: 0 }
    })
  },

  'every free key is about equally likely, also the one just released': async (t, { engine }) => {
    await generate(engine, 10)
    const drawn = new Map<string, number>()
    let again = 0
    let last = ''
    for (let i = 0; i < 2000; i++) {
      const { id, keyId } = await granted(engine.acquire(POOL, {}))
      drawn.set(keyId, (drawn.get(keyId) ?? 0) + 1)
      if (keyId === last) again++
      last = keyId
      await granted(engine.release(POOL, id))
    }
    // 200 each are expected, with a deviation of 13.4: nine of these are never reached by luck.
    for (const [id, count] of drawn) t.ok(count > 80 && count < 320, `${id} ${count} times`)
    t.equal(drawn.size, 10)
    t.ok(again > 80 && again < 320, `${again} times the same again`)
  },

  'fences grow with every lease of a pool': async (t, { engine }) => {
    await generate(engine, 3)
    let last = 0
    for (let i = 0; i < 30; i++) {
      const { fence, id, keyId } = await granted(engine.acquire(POOL, {}))
      t.ok(fence > last && Number.isSafeInteger(fence))
      t.equal(id, `${keyId}.${fence}`)
      last = fence
      await granted(i % 2 === 0 ? engine.release(POOL, id) : engine.unblock(POOL, keyId))
    }
  },

  'a release frees the key at once': async (t, { engine, now, advance }) => {
    const { id } = await generateOne(engine)
    const lease = await granted(engine.acquire(POOL, { holder: 'a' }))
    await advance(10)
    t.equal(await engine.release(POOL, lease.id), 'released')
    t.match(await engine.key(POOL, id), { state: 'free', lease: null, changedAt: now(), servedAt: now() - 10 })
    t.strictSame(await engine.lease(POOL, lease.id), { refusal: 'lease-lost' })
    t.strictSame(await engine.renew(POOL, lease.id, {}), { refusal: 'lease-lost' })
    t.match(await engine.acquire(POOL, {}), { keyId: id, holder: null })
  },

  'releasing twice is the same as once until somebody else leases the key': async (t, { engine, now, advance }) => {
    const { id } = await generateOne(engine)
    const lease = await granted(engine.acquire(POOL, {}))
    t.equal(await engine.release(POOL, lease.id), 'released')
    const before = await engine.key(POOL, id)
    t.equal(await engine.release(POOL, lease.id), 'released')
    t.equal(await engine.release(POOL, lease.id, { cooldownMs: 1000 }), 'released')
    t.strictSame(await engine.key(POOL, id), before, 'the second changes nothing')
    await advance(LEASE_MS)
    t.equal(await engine.release(POOL, lease.id), 'released', 'however late')

    const next = await granted(engine.acquire(POOL, { holder: 'next' }))
    t.strictSame(await engine.release(POOL, lease.id), { refusal: 'lease-lost' })
    t.match(await engine.lease(POOL, next.id), { holder: 'next', expiresAt: now() + LEASE_MS })
  },

  'a cooling key is not served until its time is up': async (t, { engine, now, advance }) => {
    const { id } = await generateOne(engine)
    const lease = await granted(engine.acquire(POOL, {}))
    await advance(10)
    t.equal(await engine.release(POOL, lease.id, { cooldownMs: 500 }), 'released')
    t.match(await engine.key(POOL, id), {
      state: 'cooling',
      lease: null,
      coolingUntil: now() + 500,
      coolingInMs: 500,
      changedAt: now()
    })
    t.equal(await engine.release(POOL, lease.id, { cooldownMs: 9000 }), 'released', 'the second changes nothing')
    await advance(499)
    t.match(await engine.key(POOL, id), { state: 'cooling', coolingInMs: 1 })
    t.match(await engine.acquire(POOL, {}), { refusal: 'no-free-key', reason: 'all-held', retryAfterMs: 1 })
    await advance(1)
    t.match(await engine.key(POOL, id), { state: 'free', coolingUntil: null, coolingInMs: null, changedAt: now() })
    t.equal(await engine.release(POOL, lease.id), 'released', 'nobody has leased it in between')
    t.match(await engine.acquire(POOL, {}), { keyId: id })
  },

  'a renewal can not pass the longest hold, which is the length of a lease by default': async (
    t,
    { engine, advance }
  ) => {
    await generate(engine, 1)
    const lease = await granted(engine.acquire(POOL, { leaseMs: 1000 }))
    t.equal(lease.renewAfterMs, 333)
    await advance(400)
    t.match(await engine.renew(POOL, lease.id, { leaseMs: LEASE_MS }), {
      id: lease.id,
      acquiredAt: lease.acquiredAt,
      expiresInMs: LEASE_MS - 400,
      renewAfterMs: null
    })
    t.strictSame(await engine.renew(POOL, lease.id, {}), { refusal: 'max-hold-reached' })
    t.strictSame(await engine.renew(POOL, lease.id, { leaseMs: 100, keepAlive: true }), { refusal: 'max-hold-reached' })
    t.match(await engine.lease(POOL, lease.id), { keepAliveInMs: KEEP_ALIVE_MS - 400 }, 'nothing was changed')
    await advance(LEASE_MS - 401)
    t.match(await engine.lease(POOL, lease.id), { expiresInMs: 1 })
    await advance(1)
    t.strictSame(await engine.lease(POOL, lease.id), { refusal: 'lease-lost' })
  },

  'renewals go on up to the longest hold of the policy': async (t, { engine, advance }) => {
    await granted(engine.putPool(POOL, { leaseMs: 1000, maxHoldMs: 2500 }))
    await generate(engine, 1)
    const lease = await granted(engine.acquire(POOL, {}))
    t.equal(lease.renewAfterMs, 333)
    await advance(900)
    t.match(await engine.renew(POOL, lease.id, {}), { expiresInMs: 1000, renewAfterMs: 333 })
    await advance(900)
    t.match(await engine.renew(POOL, lease.id, {}), { expiresInMs: 700, renewAfterMs: null })
    t.strictSame(await engine.renew(POOL, lease.id, {}), { refusal: 'max-hold-reached' })
    t.strictSame(await engine.renew(POOL, lease.id, { leaseMs: 1001 }), { refusal: 'lease-too-long' })
    await advance(700)
    t.strictSame(await engine.renew(POOL, lease.id, {}), { refusal: 'lease-lost' })
  },

  'a renewal never shortens, and by default is for the length that the lease had': async (t, { engine, advance }) => {
    await granted(engine.putPool(POOL, { maxHoldMs: 10 * LEASE_MS }))
    await generate(engine, 1)
    const lease = await granted(engine.acquire(POOL, { leaseMs: 5000 }))
    await advance(1000)
    t.match(await engine.renew(POOL, lease.id, { leaseMs: 100 }), { expiresInMs: 4000 })
    t.match(await engine.renew(POOL, lease.id, {}), { expiresInMs: 5000 })
    t.match(await engine.renew(POOL, lease.id, { leaseMs: 30_000 }), { expiresInMs: 30_000, fence: lease.fence })
  },

  'a renewal keeps the key alive only where it says so': async (t, { engine, advance }) => {
    await granted(engine.putPool(POOL, { maxHoldMs: 10 * LEASE_MS }))
    await generate(engine, 1)
    const lease = await granted(engine.acquire(POOL, {}))
    await advance(1000)
    t.match(await engine.renew(POOL, lease.id, {}), { keepAliveInMs: KEEP_ALIVE_MS - 1000 })
    t.match(await engine.renew(POOL, lease.id, { keepAlive: false }), { keepAliveInMs: KEEP_ALIVE_MS - 1000 })
    t.match(await engine.renew(POOL, lease.id, { keepAlive: true }), { keepAliveInMs: KEEP_ALIVE_MS })
  },

  'what names no lease is a lost one': async (t, { engine }) => {
    const { id } = await generateOne(engine)
    const { fence } = await granted(engine.acquire(POOL, {}))
    const wrong = [
      `${NO_ID}.${fence}`,
      `${id}.${fence + 1}`,
      `${id}.0${fence}`,
      `${id}.`,
      id,
      `.${fence}`,
      '',
      `${id}.-1`
    ]
    for (const leaseId of [...wrong, `${id}.${fence}x`, `${id}.1e9`, '__proto__']) {
      t.strictSame(await engine.lease(POOL, leaseId), { refusal: 'lease-lost' }, leaseId)
      t.strictSame(await engine.renew(POOL, leaseId, {}), { refusal: 'lease-lost' }, leaseId)
      t.strictSame(await engine.release(POOL, leaseId), { refusal: 'lease-lost' }, leaseId)
    }
    t.match(await engine.lease(POOL, `${id}.${fence}`), { fence })
  }
}
