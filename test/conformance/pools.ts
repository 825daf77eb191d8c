import type { Answer } from '../../src/engine.ts'
import { generate, granted, refusalOf } from '../support/create-engine.ts'
import { type Facts, generateOne, KEEP_ALIVE_MS, LEASE_MS, NO_ID, POOL } from './provided.ts'

const SIZE = String(62n ** 20n)

export const pools: Facts = {
  'the pool `default` is there from the start, with the policy of the contract': async (t, { engine }) => {
    const expected = {
      name: 'default',
      policy: {
        leaseMs: 60_000,
        maxHoldMs: null,
        keepAliveMs: 300_000,
        alphabet: 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789',
        length: 20,
        prefix: '',
        reuseDeleted: true,
        maxKeys: 10_000_000
      },
      counts: { total: 0, free: 0, leased: 0, cooling: 0, retired: 0, waiting: 0 },
      keyspace: { size: SIZE, remaining: SIZE }
    }
    t.strictSame(await engine.pools(), [expected])
    t.strictSame(await engine.pool('default'), expected)
  },

  'a pool is made, changed and deleted; absent members keep their value': async (t, { engine }) => {
    t.match(await engine.putPool('a', { leaseMs: 1000 }), {
      made: true,
      pool: { name: 'a', policy: { leaseMs: 1000, keepAliveMs: KEEP_ALIVE_MS } }
    })
    t.match(await engine.putPool('a', { keepAliveMs: null }), {
      made: false,
      pool: { policy: { leaseMs: 1000, keepAliveMs: null } }
    })
    t.match(await engine.putPool('a', {}), { made: false, pool: { policy: { leaseMs: 1000, keepAliveMs: null } } })
    t.match(await engine.pool('a'), { name: 'a', policy: { leaseMs: 1000, keepAliveMs: null } })
    t.strictSame((await granted(engine.pools())).map(({ name }) => name).sort(), ['a', 'default'])
    t.equal(await engine.deletePool('a'), 'deleted')
    t.strictSame(await engine.pool('a'), { refusal: 'unknown-pool' })
    t.strictSame(await engine.deletePool('a'), { refusal: 'unknown-pool' })
  },

  'a pool that is made anew has the default policy, whatever the one before it had': async (t, { engine }) => {
    await granted(engine.putPool('a', { leaseMs: 1000, length: 5, maxKeys: 3 }))
    await granted(engine.deletePool('a'))
    t.match(await engine.putPool('a', {}), { made: true, pool: { policy: { leaseMs: LEASE_MS, length: 20 } } })
  },

  'every verb refuses an unknown pool': async (t, { engine }) => {
    const verbs: Record<string, () => Answer<unknown>> = {
      pool: () => engine.pool('a'),
      deletePool: () => engine.deletePool('a'),
      generate: () => engine.generate('a', { count: 1, metadata: null }),
      importKeys: () => engine.importKeys('a', [{ key: 'a' }]),
      list: () => engine.list('a', { limit: 1 }),
      key: () => engine.key('a', NO_ID),
      delete: () => engine.delete('a', NO_ID),
      keepAlive: () => engine.keepAlive('a', NO_ID),
      activate: () => engine.activate('a', NO_ID),
      setMetadata: () => engine.setMetadata('a', NO_ID, null),
      unblock: () => engine.unblock('a', NO_ID),
      acquire: () => engine.acquire('a', {}),
      'acquire, with a wait': () => engine.acquire('a', { waitMs: 1000 }),
      lease: () => engine.lease('a', `${NO_ID}.1`),
      renew: () => engine.renew('a', `${NO_ID}.1`, {}),
      release: () => engine.release('a', `${NO_ID}.1`),
      batch: () => engine.batch('a', [{ op: 'acquire' }])
    }
    for (const [verb, call] of Object.entries(verbs)) t.strictSame(await call(), { refusal: 'unknown-pool' }, verb)
  },

  'a longest hold below the length of a lease makes and changes nothing': async (t, { engine }) => {
    t.strictSame(await engine.putPool('a', { maxHoldMs: LEASE_MS - 1 }), { refusal: 'max-hold-too-short' })
    t.equal(await refusalOf(engine.pool('a')), 'unknown-pool')
    await granted(engine.putPool('a', { maxHoldMs: LEASE_MS }))
    t.strictSame(await engine.putPool('a', { leaseMs: LEASE_MS + 1 }), { refusal: 'max-hold-too-short' })
    t.match(await engine.pool('a'), { policy: { leaseMs: LEASE_MS, maxHoldMs: LEASE_MS } })
    t.match(await engine.putPool('a', { leaseMs: LEASE_MS + 1, maxHoldMs: null }), { made: false })
  },

  'the shape of keys is locked while one lives or is retired': async (t, { engine, advance }) => {
    const shapes = [{ length: 5 }, { alphabet: 'abc' }, { prefix: 'p-' }]
    for (const shape of shapes) t.match(await engine.putPool(POOL, shape), { made: false, pool: { policy: shape } })
    const { id, key } = await generateOne(engine)
    t.match(key, /^p-[abc]{5}$/)
    const others = [{ length: 6 }, { alphabet: 'abcd' }, { prefix: '' }]
    for (const shape of others) t.strictSame(await engine.putPool(POOL, shape), { refusal: 'policy-locked' })
    t.match(await engine.putPool(POOL, { ...shapes[0], leaseMs: 500 }), { made: false }, 'the same shape is none')

    await granted(engine.delete(POOL, id))
    t.match(await engine.putPool(POOL, { length: 6 }), { made: false }, 'no key is left')
    await generateOne(engine)
    await advance(KEEP_ALIVE_MS)
    t.match(await engine.pool(POOL), { counts: { total: 0, retired: 1 } })
    t.strictSame(await engine.putPool(POOL, { length: 7 }), { refusal: 'policy-locked' })
    t.match(await engine.pool(POOL), { policy: { length: 6, alphabet: 'abc', prefix: 'p-', leaseMs: 500 } })
  },

  'a change of policy ends, shortens and extends no running lease or life': async (t, { engine, now, advance }) => {
    const [a, b] = await generate(engine, 2)
    const lease = await granted(engine.acquire(POOL, {}))
    const other = lease.keyId === a?.id ? b?.id : a?.id
    await granted(engine.putPool(POOL, { leaseMs: 1000, keepAliveMs: 2000 }))
    await advance(5000)
    t.match(await engine.lease(POOL, lease.id), {
      expiresAt: lease.expiresAt,
      keepAliveBy: now() - 5000 + KEEP_ALIVE_MS
    })
    const next = await granted(engine.acquire(POOL, {}))
    t.equal(next.keyId, other, 'its life goes on, too')
    t.equal(next.expiresInMs, 1000, 'what happens next follows the new policy')
    t.match(await engine.keepAlive(POOL, next.keyId), { keepAliveInMs: 2000 })
    t.strictSame(await engine.acquire(POOL, { leaseMs: 1001 }), { refusal: 'lease-too-long' })

    await granted(engine.putPool(POOL, { leaseMs: 2 * LEASE_MS, keepAliveMs: null }))
    t.match(await engine.lease(POOL, lease.id), { expiresAt: lease.expiresAt, keepAliveInMs: KEEP_ALIVE_MS - 5000 })
    t.match(await engine.keepAlive(POOL, lease.keyId), { keepAliveBy: null, keepAliveInMs: null })
  },

  'a thousand pools live side by side, and not one more': async (t, { engine }) => {
    for (let i = 1; i < 1000; i++) await granted(engine.putPool(`pool-${i}`, {}))
    t.strictSame(await engine.putPool('one-more', {}), { refusal: 'too-many-pools' })
    t.match(await engine.putPool('pool-5', { length: 30 }), { made: false })
    t.equal((await granted(engine.pools())).length, 1000)
    t.equal(await engine.deletePool('pool-1'), 'deleted')
    t.match(await engine.putPool('one-more', {}), { made: true })
  },

  'the key space is told in numbers up to 2^53 - 1, in strings beyond': async (t, { engine }) => {
    t.match(await engine.putPool('large', { alphabet: 'ab', length: 52 }), { pool: { keyspace: { size: 2 ** 52 } } })
    await granted(engine.putPool('vast', { alphabet: 'ab', length: 53 }))
    for (const pool of ['large', 'vast']) await generate(engine, 1, pool)
    t.match(await engine.pool('large'), { keyspace: { size: 2 ** 52, remaining: 2 ** 52 - 1 } })
    t.match(await engine.pool('vast'), { keyspace: { size: '9007199254740992', remaining: '9007199254740991' } })
  },

  'an engine that has nothing to make up for is ready': async (t, { engine }) => {
    t.strictSame(engine.readiness(), [])
  },

  'a deleted pool takes its keys and its memory of retired keys with it': async (t, { engine, advance }) => {
    await granted(engine.putPool('scratch', {}))
    const [imported] = await granted(engine.importKeys('scratch', [{ key: 'mine' }]))
    const lease = await granted(engine.acquire('scratch', {}))
    await granted(engine.deletePool('scratch'))
    await granted(engine.putPool('scratch', {}))
    t.match(await engine.pool('scratch'), { counts: { total: 0, retired: 0 } })
    t.strictSame(await engine.key('scratch', imported?.id ?? ''), { refusal: 'unknown-key' })
    t.strictSame(await engine.lease('scratch', lease.id), { refusal: 'lease-lost' })

    await granted(engine.importKeys('scratch', [{ key: 'mine' }]))
    t.strictSame(await engine.release('scratch', lease.id), { refusal: 'lease-lost' })
    await advance(KEEP_ALIVE_MS)
    t.strictSame(await engine.importKeys('scratch', [{ key: 'mine' }]), { refusal: 'key-retired', indexes: [0] })
    await granted(engine.deletePool('scratch'))
    await granted(engine.putPool('scratch', {}))
    await granted(engine.importKeys('scratch', [{ key: 'mine' }]))
    t.match(await engine.pool('scratch'), { counts: { total: 1, retired: 0 } })
  },

  'the same key in two pools is two keys': async (t, { engine }) => {
    await granted(engine.putPool('other', {}))
    const [one] = await granted(engine.importKeys(POOL, [{ key: 'mine' }]))
    const [two] = await granted(engine.importKeys('other', [{ key: 'mine' }]))
    t.equal(one?.id, two?.id)
    const lease = await granted(engine.acquire(POOL, {}))
    t.strictSame(await engine.release('other', lease.id), { refusal: 'lease-lost' })
    await granted(engine.delete(POOL, one?.id ?? ''))
    t.match(await engine.key('other', two?.id ?? ''), { state: 'free' })
  },

  'fences go on growing when a pool is deleted and made again': async (t, { engine, advance }) => {
    let last = 0
    for (let round = 0; round < 4; round++) {
      await granted(engine.putPool('scratch', {}))
      await generate(engine, 1, 'scratch')
      for (let i = 0; i < 20; i++) {
        const { fence, id } = await granted(engine.acquire('scratch', {}))
        if (fence <= last) throw new Error(`${fence} after ${last}`)
        last = fence
        await granted(engine.release('scratch', id))
      }
      await granted(engine.deletePool('scratch'))
      if (round === 1) await granted(engine.putPool('between', {}))
      if (round === 2) await advance(1)
    }
    t.ok(Number.isSafeInteger(last))
  }
}
