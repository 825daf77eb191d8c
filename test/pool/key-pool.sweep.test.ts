import t from 'tap'
import type { KeyPool, Policy } from '../../src/pool/key-pool.ts'
import { createLease, createPool, generateOne, granted, KEEP_ALIVE_MS, LEASE_MS } from '../support/pool.ts'
import { seededRandom } from '../support/seeded-random.ts'

t.test('sweep', async t => {
  t.test('frees and retires what nobody asks for, from the deadline on', async t => {
    const { pool, clock } = createPool()
    granted(pool.generate(1))
    granted(pool.acquire())
    t.equal(pool.nextSweepAt, clock.now() + LEASE_MS)
    clock.advance(LEASE_MS - 1)
    t.equal(pool.sweep(10), false)
    t.equal(pool.nextSweepAt, clock.now() + 1)
    clock.advance(1)
    t.equal(pool.sweep(10), false)
    t.equal(pool.nextSweepAt, clock.now() + KEEP_ALIVE_MS - LEASE_MS)
    clock.advance(KEEP_ALIVE_MS - LEASE_MS)
    t.equal(pool.sweep(10), false)
    t.equal(pool.nextSweepAt, Infinity)
    t.strictSame(pool.counts(), { total: 0, free: 0, leased: 0, cooling: 0, retired: 1 })
  })

  t.test('applies as many of each kind as it is allowed to, and tells whether more are left', async t => {
    const { pool, clock } = createPool()
    granted(pool.generate(100))
    for (let i = 0; i < 100; i++) granted(pool.acquire())
    clock.advance(LEASE_MS)
    for (let swept = 10; swept < 100; swept += 10) t.equal(pool.sweep(10), true, `${swept}`)
    t.equal(pool.sweep(10), false)
    t.equal(pool.counts().free, 100)
  })

  t.test('with nothing allowed only tells', async t => {
    const { pool, clock } = createLease()
    t.equal(pool.sweep(0), false)
    clock.advance(LEASE_MS)
    t.equal(pool.sweep(0), true)
  })
})

t.test('behind', async t => {
  /** 200 keys, all due at once; `held` of them leased. */
  const createBacklog = (policy: Partial<Policy>, held: number, ms: number) => {
    const { pool, clock } = createPool({ policy })
    const keys = granted(pool.generate(200))
    const leases = Array.from({ length: held }, () => granted(pool.acquire()))
    clock.advance(ms)
    return { pool, clock, keys, leases }
  }
  const sweepAll = (pool: KeyPool): void => {
    while (pool.sweep(7));
  }

  t.test('a verb that would refuse says so until all is swept', async t => {
    const { pool } = createBacklog({ maxKeys: 200 }, 0, KEEP_ALIVE_MS)
    t.equal(pool.acquire(), 'behind')
    t.equal(pool.generate(200), 'behind')
    t.equal(pool.importKeys(Array.from({ length: 200 }, (_, i) => ({ key: `key-${i}` }))), 'behind')
    t.equal(pool.list({ limit: 10 }), 'behind')
    sweepAll(pool)
    t.equal(pool.acquire(), 'no-free-key')
    t.strictSame(pool.list({ limit: 10 }), { keys: [], nextCursor: null })
    granted(pool.generate(200))
    t.equal(pool.generate(1), 'pool-full')
  })

  t.test('a bad cursor is bad at once', async t => {
    const { pool } = createBacklog({}, 0, KEEP_ALIVE_MS)
    t.equal(pool.list({ limit: 10, cursor: 'nonsense' }), 'bad-cursor')
  })

  t.test('a verb that has what it needs does not wait', async t => {
    const { pool } = createBacklog({}, 200, LEASE_MS)
    t.not(pool.acquire(), 'behind')
    t.ok(pool.sweep(0), 'although more are due')
    granted(pool.generate(1))
    granted(pool.importKeys([{ key: 'one' }]))
  })

  t.test('a key that is asked for by its id is as it should be, swept or not', async t => {
    const { pool, keys, leases } = createBacklog({}, 100, LEASE_MS)
    for (const { id } of leases) t.equal(pool.lease(id), 'lease-lost')
    t.ok(pool.sweep(0))
    for (const { id } of keys) if (granted(pool.get(id)).state !== 'free') t.fail(id)
    t.strictSame(pool.counts(), { total: 200, free: 200, leased: 0, cooling: 0, retired: 0 })

    const dead = createBacklog({}, 0, KEEP_ALIVE_MS)
    for (const { id } of dead.keys.slice(100)) if (dead.pool.get(id) !== 'unknown-key') t.fail(id)
    t.ok(dead.pool.sweep(0))
    const last = dead.keys.at(-1) as { id: string; key: string }
    t.strictSame(dead.pool.importKeys([last]), { refusal: 'key-retired', indexes: [0] })
  })

  t.test('an acquire that has met all the dead keys goes on to the living one', async t => {
    // The outdated deadline of the living one and 15 dead are applied first; then the last of the free ones is met, always.
    const { pool, clock } = createPool({ random: { ...seededRandom(1), below: limit => limit - 1 } })
    for (let dead = 14; dead <= 50; dead++) {
      const [living] = granted(pool.generate(1 + dead))
      clock.advance(KEEP_ALIVE_MS - 1)
      pool.keepAlive(living?.id as string)
      clock.advance(1)
      const answer = pool.acquire()
      if (dead <= 31) t.match(answer, { keyId: living?.id }, `${dead}`)
      else t.equal(answer, 'behind', `${dead}`)
      clock.advance(KEEP_ALIVE_MS)
      while (pool.sweep(100));
    }
  })

  t.test('an acquire knows that keys may be free whose deadlines stand behind outdated ones', async t => {
    const { pool, clock } = createPool({ policy: { maxHoldMs: 2 * LEASE_MS } })
    granted(pool.generate(40))
    const renewed = Array.from({ length: 20 }, () => granted(pool.acquire()))
    clock.advance(1)
    for (let i = 0; i < 20; i++) granted(pool.acquire())
    clock.advance(1)
    for (const { id } of renewed) granted(pool.renew(id))
    clock.advance(LEASE_MS - 1)
    t.equal(pool.acquire(), 'behind')
    while (pool.sweep(7));
    t.strictSame(pool.counts(), { total: 40, free: 20, leased: 20, cooling: 0, retired: 0 })
    granted(pool.acquire())
  })

  t.test('an acquire that meets only dead keys gives up after a few', async t => {
    const { pool, clock } = createPool()
    granted(pool.generate(1000))
    clock.advance(KEEP_ALIVE_MS - 1)
    const young = generateOne(pool).id
    clock.advance(1)
    // The young one is hidden among a thousand dead: sooner or later it is found, or the rest is swept.
    let answer = pool.acquire()
    let asked = 1
    for (; answer === 'behind'; asked++) answer = pool.acquire()
    t.equal(granted(answer).keyId, young)
    t.ok(asked > 1 && asked <= 1 + 1000 / 32)
  })
})
