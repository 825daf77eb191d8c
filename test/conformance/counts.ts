import { generate, granted } from '../support/create-engine.ts'
import { acquireAll, type Facts, KEEP_ALIVE_MS, LEASE_MS, POOL, queueUp } from './provided.ts'

const NONE = { total: 0, free: 0, leased: 0, cooling: 0, retired: 0, waiting: 0 }

export const counts: Facts = {
  'the counts follow each step of a key': async (t, { engine, advance }) => {
    const shows = async (expected: Partial<typeof NONE>, step: string) =>
      t.strictSame((await granted(engine.pool(POOL))).counts, { ...NONE, ...expected }, step)

    await shows({}, 'an empty pool')
    await generate(engine, 3)
    await shows({ total: 3, free: 3 }, 'generated')
    await granted(engine.importKeys(POOL, [{ key: 'a' }]))
    await shows({ total: 4, free: 4 }, 'imported')
    const [a, b, c, d] = await acquireAll(engine, 4)
    await shows({ total: 4, leased: 4 }, 'acquired')
    const [answer] = await queueUp(engine, ['w'], 100)
    await shows({ total: 4, leased: 4, waiting: 1 }, 'somebody waits')
    await advance(100)
    await answer
    await shows({ total: 4, leased: 4 }, 'nobody waits')
    await granted(engine.release(POOL, a?.id ?? ''))
    await granted(engine.release(POOL, b?.id ?? '', { cooldownMs: 1000 }))
    await shows({ total: 4, free: 1, leased: 2, cooling: 1 }, 'released')
    await granted(engine.keepAlive(POOL, c?.keyId ?? ''))
    await engine.renew(POOL, c?.id ?? '', {})
    await shows({ total: 4, free: 1, leased: 2, cooling: 1 }, 'kept alive and renewed')
    await granted(engine.unblock(POOL, d?.keyId ?? ''))
    await shows({ total: 4, free: 2, leased: 1, cooling: 1 }, 'unblocked')
    await granted(engine.delete(POOL, d?.keyId ?? ''))
    await shows({ total: 3, free: 1, leased: 1, cooling: 1 }, 'deleted')
    await advance(1000)
    await shows({ total: 3, free: 2, leased: 1 }, 'cooled')
    await advance(LEASE_MS - 1100)
    await shows({ total: 3, free: 3 }, 'its lease ended')
    await advance(KEEP_ALIVE_MS - LEASE_MS)
    await shows({ total: 1, free: 1, retired: 2 }, 'retired')
    await advance(100)
    await shows({ retired: 3 }, 'all retired')
  },

  'refused calls change no count': async (t, { engine }) => {
    await granted(engine.putPool(POOL, { alphabet: 'ab', length: 1, maxKeys: 10 }))
    await generate(engine, 2)
    await acquireAll(engine, 2)
    const before = await engine.pool(POOL)
    await engine.generate(POOL, { count: 1, metadata: null })
    await engine.importKeys(POOL, [{ key: 'new' }, { key: 'a' }])
    await engine.importKeys(
      POOL,
      Array.from({ length: 9 }, (_, i) => ({ key: `new-${i}` }))
    )
    await engine.acquire(POOL, {})
    await engine.release(POOL, 'nonsense')
    await engine.delete(POOL, 'nonsense')
    await engine.putPool(POOL, { length: 2 })
    t.strictSame(await engine.pool(POOL), before)
  },

  'the counts of one pool are none of another’s': async (t, { engine }) => {
    await granted(engine.putPool('other', {}))
    await generate(engine, 3)
    await generate(engine, 2, 'other')
    await acquireAll(engine, 1, 'other')
    t.match(await engine.pool(POOL), { counts: { total: 3, free: 3 } })
    t.match(await engine.pool('other'), { counts: { total: 2, free: 1, leased: 1 } })
  }
}
