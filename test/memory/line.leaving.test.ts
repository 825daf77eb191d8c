import t from 'tap'
import { isRefusal } from '../../src/engine.ts'
import { byNow, createEngine, generate, granted, refusalOf } from '../support/create-engine.ts'
import { KEEP_ALIVE_MS, LEASE_MS } from '../support/pool.ts'

const POOL = 'default'
const WAIT_MS = 30_000

t.test('whoever leaves before the grant leaves the key to others', async t => {
  const { engine, clock } = createEngine(t)
  const controller = new AbortController()
  const gone = engine.acquire(POOL, { waitMs: WAIT_MS }, { signal: controller.signal })
  t.equal(await byNow(gone), 'pending')
  controller.abort()
  t.equal(await refusalOf(gone), 'no-free-key')
  t.equal((await granted(engine.pool(POOL))).counts.waiting, 0)

  await generate(engine, 1)
  t.equal((await granted(engine.pool(POOL))).counts.free, 1)
  t.equal(clock.timers, 1, 'only that of the sweep is left')
})

t.test('whoever left before coming gets nothing', async t => {
  const { engine } = createEngine(t)
  const signal = AbortSignal.abort()
  t.equal(await refusalOf(engine.acquire(POOL, { waitMs: WAIT_MS }, { signal })), 'no-free-key')
  const retry = { scope: 'a', fingerprint: 'b' }
  t.equal(await refusalOf(engine.acquire(POOL, { waitMs: WAIT_MS }, { signal, retry })), 'no-free-key')
  await generate(engine, 1)
  t.equal((await granted(engine.pool(POOL))).counts.free, 1)
})

t.test('leaving after the grant changes nothing', async t => {
  const { engine } = createEngine(t)
  const controller = new AbortController()
  const waiting = engine.acquire(POOL, { waitMs: WAIT_MS }, { signal: controller.signal })
  await generate(engine, 1)
  const lease = await granted(waiting)
  controller.abort()
  t.equal((await granted(engine.lease(POOL, lease.id))).id, lease.id)
})

t.test('who leaves at a deadline does not take the next one along', async t => {
  const { engine, clock } = createEngine(t)
  await generate(engine, 1)
  await granted(engine.acquire(POOL, {}))
  const controller = new AbortController()
  const leaving = engine.acquire(POOL, { waitMs: 2 * LEASE_MS }, { signal: controller.signal })
  const staying = engine.acquire(POOL, { holder: 'stays', waitMs: 2 * LEASE_MS })

  // The lease has ended when the first leaves, and the sweep has not come by yet.
  clock.stall(LEASE_MS)
  controller.abort()
  t.equal(await refusalOf(leaving), 'no-free-key')
  const lease = await byNow(staying)
  t.ok(typeof lease === 'object' && !isRefusal(lease) && lease.holder === 'stays')
})

t.test('whose time is up counts no longer among those who wait', async t => {
  const { engine, clock } = createEngine(t)
  const short = engine.acquire(POOL, { waitMs: 1000 })
  const long = engine.acquire(POOL, { waitMs: 2000 })
  clock.advance(1000)
  t.match(await short, { refusal: 'no-free-key', counts: { waiting: 1 } })
  clock.advance(1000)
  t.match(await long, { refusal: 'no-free-key', counts: { waiting: 0 } })
})

t.test('waiting ends after waitMs, not before', async t => {
  const { engine, clock } = createEngine(t)
  for (const waitMs of [1, 1000, 60_000]) {
    const waiting = engine.acquire(POOL, { waitMs })
    clock.advance(waitMs - 1)
    t.equal(await byNow(waiting), 'pending')
    clock.advance(1)
    t.match(await byNow(waiting), {
      refusal: 'no-free-key',
      reason: 'pool-empty',
      retryAfterMs: null,
      counts: { total: 0, free: 0, leased: 0, cooling: 0, retired: 0 }
    })
    t.equal((await granted(engine.pool(POOL))).counts.waiting, 0)
  }
  t.equal(clock.timers, 0)
})

t.test('a wait of nothing is none', async t => {
  const { engine, clock } = createEngine(t)
  t.ok(isRefusal(engine.acquire(POOL, { waitMs: 0 })), 'the answer is there at once')
  t.ok(isRefusal(engine.acquire(POOL, {})))
  t.equal(clock.timers, 0)
})

t.test('a key that is free when the wait ends is granted', async t => {
  const { engine, clock } = createEngine(t)
  await generate(engine, 1)
  await granted(engine.acquire(POOL, {}))
  const waiting = engine.acquire(POOL, { waitMs: LEASE_MS })
  clock.stall(LEASE_MS)
  clock.advance(0)
  await granted(waiting)
  t.pass('granted')
})

t.test('whose time is up first leaves the line first', async t => {
  const { engine, clock } = createEngine(t)
  const long = engine.acquire(POOL, { waitMs: 2000 })
  const short = engine.acquire(POOL, { waitMs: 1000 })
  clock.advance(1000)
  t.equal(await refusalOf(short), 'no-free-key')
  t.equal(await byNow(long), 'pending')
  await generate(engine, 1)
  await granted(long)
})

t.test('a refusal says why, and when to try again', async t => {
  const { engine, clock } = createEngine(t)
  t.match(await engine.acquire(POOL, {}), { reason: 'pool-empty', retryAfterMs: null })
  await generate(engine, 3)
  const lease = await granted(engine.acquire(POOL, {}))
  clock.advance(1000)
  await granted(engine.acquire(POOL, {}))
  await granted(engine.acquire(POOL, {}))
  t.strictSame(await engine.acquire(POOL, {}), {
    refusal: 'no-free-key',
    reason: 'all-held',
    retryAfterMs: LEASE_MS - 1000,
    counts: { total: 3, free: 0, leased: 3, cooling: 0, retired: 0, waiting: 0 }
  })
  await granted(engine.release(POOL, lease.id, { cooldownMs: 500 }))
  t.match(await engine.acquire(POOL, {}), { reason: 'all-held', retryAfterMs: 500, counts: { leased: 2, cooling: 1 } })
})

t.test('a wait that outlives all keys ends as on an empty pool', async t => {
  const { engine, clock } = createEngine(t)
  await granted(engine.putPool(POOL, { leaseMs: 2 * KEEP_ALIVE_MS }))
  await generate(engine, 1)
  await granted(engine.acquire(POOL, {}))
  clock.advance(KEEP_ALIVE_MS - 1)
  const waiting = engine.acquire(POOL, { waitMs: 10 })
  clock.advance(10)
  t.match(await waiting, { reason: 'pool-empty', retryAfterMs: null, counts: { retired: 1, leased: 0 } })
})

t.test('the policy may have changed while a caller waited', async t => {
  const { engine } = createEngine(t)
  const long = engine.acquire(POOL, { leaseMs: LEASE_MS, waitMs: WAIT_MS })
  const usual = engine.acquire(POOL, { waitMs: WAIT_MS })
  await granted(engine.putPool(POOL, { leaseMs: 1000 }))
  await generate(engine, 1)
  t.equal(await refusalOf(long), 'lease-too-long')
  t.equal((await granted(usual)).expiresInMs, 1000)
})

t.test('a lease that is too long is refused before any wait', async t => {
  const { engine } = createEngine(t)
  t.strictSame(engine.acquire(POOL, { leaseMs: LEASE_MS + 1, waitMs: WAIT_MS }), { refusal: 'lease-too-long' })
  t.equal((await granted(engine.pool(POOL))).counts.waiting, 0)
})

t.test('ten thousand callers wait for a pool, and no more', async t => {
  const { engine } = createEngine(t)
  await granted(engine.putPool('other', {}))
  const controller = new AbortController()
  const waiting = [engine.acquire(POOL, { waitMs: WAIT_MS }, { signal: controller.signal })]
  for (let i = 1; i < 10_000; i++) waiting.push(engine.acquire(POOL, { waitMs: WAIT_MS }))
  t.equal((await granted(engine.pool(POOL))).counts.waiting, 10_000)

  t.strictSame(engine.acquire(POOL, { waitMs: 1 }), { refusal: 'overloaded' })
  t.equal(await refusalOf(engine.acquire(POOL, {})), 'no-free-key', 'whoever does not wait is told as ever')
  t.equal(await byNow(engine.acquire('other', { waitMs: 1 })), 'pending', 'another pool has a line of its own')
  controller.abort()
  t.equal(await refusalOf(waiting[0] as (typeof waiting)[0]), 'no-free-key')
  t.equal(await byNow(engine.acquire(POOL, { waitMs: 1 })), 'pending')
})

t.test('the end of a pool is the end of waiting for it', async t => {
  const { engine, clock } = createEngine(t)
  await granted(engine.putPool('scratch', {}))
  const waiting = [1, 2].map(() => engine.acquire('scratch', { waitMs: WAIT_MS }))
  const elsewhere = engine.acquire(POOL, { waitMs: WAIT_MS })
  t.equal(await granted(engine.deletePool('scratch')), 'deleted')
  for (const answer of waiting) t.strictSame(await answer, { refusal: 'unknown-pool' })
  t.equal(await byNow(elsewhere), 'pending')
  t.equal(clock.timers, 1)
})

t.test('draining ends all waiting, and lets nobody wait', async t => {
  const { engine, clock } = createEngine(t)
  await granted(engine.putPool('other', {}))
  const waiting = [POOL, 'other'].map(pool => engine.acquire(pool, { waitMs: WAIT_MS }))
  engine.drain()
  for (const answer of waiting) t.strictSame(await answer, { refusal: 'draining' })
  t.equal(clock.timers, 0)

  t.strictSame(engine.acquire(POOL, { waitMs: WAIT_MS }), { refusal: 'draining' })
  await granted(engine.putPool('newer', {}))
  t.strictSame(engine.acquire('newer', { waitMs: WAIT_MS }), { refusal: 'draining' })
  t.equal(await refusalOf(engine.acquire(POOL, {})), 'no-free-key')
  await generate(engine, 1)
  await granted(engine.acquire(POOL, { waitMs: WAIT_MS }))
})

t.test('a pool without keys or callers sets no timer', async t => {
  const { clock } = createEngine(t)
  t.equal(clock.timers, 0)
})

t.test('nonsense does not join those who wait', async t => {
  const { engine } = createEngine(t)
  const waiting = engine.acquire(POOL, { waitMs: WAIT_MS })
  t.throws(() => engine.acquire(POOL, { leaseMs: 5, waitMs: WAIT_MS }), RangeError)
  await generate(engine, 1)
  t.ok((await granted(waiting)).key)
})
