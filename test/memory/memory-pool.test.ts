import t from 'tap'
import { byNow, createEngine, generate, granted, refusalOf, turns } from '../support/create-engine.ts'
import { KEEP_ALIVE_MS, LEASE_MS } from '../support/pool.ts'

const POOL = 'default'
/** Far more than one verb applies deadlines. */
const MANY = 5000

type Engine = ReturnType<typeof createEngine>['engine']

async function acquireAll(engine: Engine, count: number): Promise<void> {
  for (let i = 0; i < count; i++) await granted(engine.acquire(POOL, {}))
}

t.test('what is due is applied without a call from outside', async t => {
  const { engine, clock } = createEngine(t)
  await generate(engine, MANY)
  await acquireAll(engine, MANY)
  clock.advance(LEASE_MS - 1)
  t.match(await engine.pool(POOL), { counts: { leased: MANY, free: 0 } })
  clock.advance(1)
  await turns(20)
  t.match(await engine.pool(POOL), { counts: { leased: 0, free: MANY } })
  clock.advance(KEEP_ALIVE_MS)
  await turns(20)
  t.match(await engine.pool(POOL), { counts: { total: 0, free: 0, retired: MANY } })
  t.equal(clock.timers, 0)
})

t.test('after a stall a free key is granted at once', async t => {
  const { engine, clock } = createEngine(t)
  await generate(engine, MANY)
  await acquireAll(engine, MANY)
  clock.stall(LEASE_MS)
  const answer = engine.acquire(POOL, {})
  t.notOk(answer instanceof Promise, 'no need to wait for the sweep')
  await granted(answer)
})

t.test('an acquire that might be refused wrongly waits for the sweep, and gets the key', async t => {
  const { engine, clock } = createEngine(t)
  await granted(engine.putPool(POOL, { leaseMs: KEEP_ALIVE_MS }))
  await generate(engine, MANY)
  await acquireAll(engine, MANY - 1)
  // When all leases have ended, so have the keys' lives, but for the one whose lease is the last to end.
  clock.advance(1)
  const { keyId } = await granted(engine.acquire(POOL, {}))
  clock.advance(1)
  await granted(engine.keepAlive(POOL, keyId))
  clock.stall(KEEP_ALIVE_MS - 1)

  const answers = Array.from({ length: 3 }, () => engine.acquire(POOL, {}))
  t.ok(answers[0] instanceof Promise, 'it waits')
  clock.advance(0)
  const outcomes = await Promise.all(answers)
  t.match(outcomes[0], { keyId })
  t.match(outcomes[1], { refusal: 'no-free-key', reason: 'all-held', counts: { total: 1, leased: 1 } })
  t.match(outcomes[2], { refusal: 'no-free-key', reason: 'all-held', counts: { total: 1, retired: MANY - 1 } })
})

t.test('an acquire waits for the sweep, and is refused rightly', async t => {
  const { engine, clock } = createEngine(t)
  await generate(engine, MANY)
  clock.stall(KEEP_ALIVE_MS)
  const answer = engine.acquire(POOL, {})
  const patient = engine.acquire(POOL, { waitMs: 1000 })
  t.equal(await byNow(answer), 'pending')
  clock.advance(0)
  t.match(await answer, {
    refusal: 'no-free-key',
    reason: 'pool-empty',
    retryAfterMs: null,
    counts: { total: 0, free: 0, leased: 0, cooling: 0, retired: MANY }
  })
  t.equal(await byNow(patient), 'pending', 'who said that it would wait goes on')
  clock.advance(1000)
  t.equal(await refusalOf(patient), 'no-free-key')
})

t.test('a wait that ends while the sweep is behind ends with the sweep', async t => {
  const { engine, clock } = createEngine(t)
  await granted(engine.putPool(POOL, { leaseMs: 2 * KEEP_ALIVE_MS }))
  await generate(engine, MANY)
  await acquireAll(engine, MANY)
  clock.advance(KEEP_ALIVE_MS - 5)
  const answer = engine.acquire(POOL, { waitMs: 10 })
  clock.stall(10)
  clock.advance(0)
  t.match(await answer, { reason: 'pool-empty', counts: { total: 0, retired: MANY } }, 'all had to be looked at')
})

t.test('a dead key is never handed out, however late the sweep is', async t => {
  const { engine, clock } = createEngine(t)
  const keys = await generate(engine, 1000)
  clock.advance(1000)
  const kept = new Set<string>()
  for (const [i, { id }] of keys.entries()) {
    if (i % 10 !== 0) continue
    await granted(engine.keepAlive(POOL, id))
    kept.add(id)
  }
  clock.stall(KEEP_ALIVE_MS - 1000)
  const answers = Array.from({ length: 150 }, () => engine.acquire(POOL, {}))
  clock.advance(0)
  const leases = (await Promise.all(answers)).flatMap(answer => ('keyId' in answer ? [answer.keyId] : []))
  t.strictSame(new Set(leases), kept)
  t.equal(leases.length, kept.size)
})

t.test('generating at the limit of keys waits for the sweep', async t => {
  const { engine, clock } = createEngine(t)
  await granted(engine.putPool(POOL, { maxKeys: MANY }))
  await generate(engine, MANY)
  t.strictSame(engine.generate(POOL, { count: 1, metadata: null }), { refusal: 'pool-full' })
  clock.stall(KEEP_ALIVE_MS)
  const answer = engine.generate(POOL, { count: MANY, metadata: null })
  t.equal(await byNow(answer), 'pending')
  clock.advance(0)
  t.equal((await granted(answer)).length, MANY)
})

t.test('importing at the limit of keys waits for the sweep', async t => {
  const { engine, clock } = createEngine(t)
  await granted(engine.putPool(POOL, { maxKeys: MANY }))
  const keys = await generate(engine, MANY)
  t.strictSame(engine.importKeys(POOL, [{ key: 'one-more' }]), { refusal: 'pool-full' })
  clock.stall(KEEP_ALIVE_MS)
  const imports = Array.from({ length: 100 }, (_, i) => ({ key: `import-${i}` }))
  const answer = engine.importKeys(POOL, imports)
  t.equal(await byNow(answer), 'pending')
  clock.advance(0)
  t.match(await granted(answer), imports)
  t.strictSame(engine.importKeys(POOL, [{ key: 'another' }, { key: keys[MANY - 1]?.key ?? '' }]), {
    refusal: 'key-retired',
    indexes: [1]
  })
})

t.test('a pool that turns out to be full refuses after the wait', async t => {
  const { engine, clock } = createEngine(t)
  await granted(engine.putPool(POOL, { maxKeys: MANY }))
  await generate(engine, MANY)
  await acquireAll(engine, MANY)
  clock.stall(LEASE_MS)
  const answer = engine.generate(POOL, { count: 1, metadata: null })
  t.equal(await byNow(answer), 'pending')
  clock.advance(0)
  t.strictSame(await answer, { refusal: 'pool-full' })
})

t.test('a list waits for the sweep, and shows no dead key', async t => {
  const { engine, clock } = createEngine(t)
  const [kept] = await generate(engine, MANY)
  clock.advance(1)
  await granted(engine.keepAlive(POOL, kept?.id ?? ''))
  clock.stall(KEEP_ALIVE_MS - 1)
  const answer = engine.list(POOL, { limit: 1000 })
  t.equal(await byNow(answer), 'pending')
  clock.advance(0)
  t.match(await granted(answer), { keys: [{ id: kept?.id, keepAliveInMs: 1 }], nextCursor: null })
  t.equal((await granted(answer)).keys.length, 1)
})

t.test('a batch waits for the sweep', async t => {
  const { engine, clock } = createEngine(t)
  const [kept] = await generate(engine, MANY)
  clock.advance(1)
  await granted(engine.keepAlive(POOL, kept?.id ?? ''))
  clock.stall(KEEP_ALIVE_MS - 1)
  const answer = engine.batch(POOL, [{ op: 'acquire' }, { op: 'acquire' }])
  t.equal(await byNow(answer), 'pending')
  clock.advance(0)
  t.match(await granted(answer), [
    { op: 'acquire', value: { keyId: kept?.id } },
    { op: 'acquire', value: { refusal: 'no-free-key', counts: { total: 1, retired: MANY - 1 } } }
  ])
})

t.test('a verb that waits goes on where other verbs apply the last of what is due', async t => {
  const { engine, clock } = createEngine(t)
  await granted(engine.putPool(POOL, { maxKeys: 100 }))
  await generate(engine, 100)
  clock.stall(KEEP_ALIVE_MS)
  const answer = engine.generate(POOL, { count: 100, metadata: null })
  // No timer is called: it is the neighbours' calls that work the deadlines off.
  for (let i = 0; i < 10; i++) void engine.pool(POOL)
  t.equal((await granted(answer)).length, 100)
})

t.test('calls that wait are answered when the pool ends', async t => {
  const { engine, clock } = createEngine(t)
  await granted(engine.putPool('scratch', { maxKeys: MANY }))
  await generate(engine, MANY, 'scratch')
  clock.stall(KEEP_ALIVE_MS)
  const answers = [
    engine.generate('scratch', { count: 1000, metadata: null }),
    engine.list('scratch', { limit: 1 }),
    engine.batch('scratch', [{ op: 'acquire' }]),
    engine.acquire('scratch', {})
  ]
  await granted(engine.deletePool('scratch'))
  for (const answer of answers) t.strictSame(await byNow<unknown>(answer), { refusal: 'unknown-pool' })
})

t.test('draining does not cut short what only waits for the sweep', async t => {
  const { engine, clock } = createEngine(t)
  await granted(engine.putPool(POOL, { maxKeys: MANY }))
  await generate(engine, MANY)
  clock.stall(KEEP_ALIVE_MS)
  const answer = engine.generate(POOL, { count: 1000, metadata: null })
  engine.drain()
  t.equal(await byNow(answer), 'pending')
  clock.advance(0)
  t.equal((await granted(answer)).length, 1000)
})

t.test('calls that wait for the sweep are refused when the engine closes', async t => {
  const { engine, clock } = createEngine(t)
  await generate(engine, MANY)
  clock.stall(KEEP_ALIVE_MS)
  const page = engine.list(POOL, { limit: 1 })
  t.equal(await byNow(page), 'pending')
  engine.close()
  t.equal(await refusalOf(page), 'draining')
})

t.test('at most 10,000 calls wait for the sweep', async t => {
  const { engine, clock } = createEngine(t)
  // Each call applies a few deadlines itself: so many are left when the last one comes.
  for (let i = 0; i < 170; i++) await generate(engine, 1000)
  clock.stall(KEEP_ALIVE_MS)
  const waiting = Array.from({ length: 10_000 }, () => engine.list(POOL, { limit: 1 }))
  t.equal(await refusalOf(engine.list(POOL, { limit: 1 })), 'overloaded')
  clock.advance(0)
  t.match(await Promise.all(waiting.slice(-3)), [{ keys: [] }, { keys: [] }, { keys: [] }])
})
