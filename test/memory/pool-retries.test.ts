import t from 'tap'
import { KEPT_MS, type Retry } from '../../src/engine.ts'
import { byNow, createEngine, generate, granted, refusalOf, turns } from '../support/create-engine.ts'
import { KEEP_ALIVE_MS, LEASE_MS } from '../support/pool.ts'

const POOL = 'default'
/** Far more than one verb applies deadlines. */
const MANY = 5000

const retry = (scope: string, fingerprint = 'the same'): Retry => ({ scope, fingerprint })

t.test('a retry of an acquire gets the same lease for as long as it lives', async t => {
  const { engine, clock } = createEngine(t)
  await generate(engine, 2)
  const first = await granted(engine.acquire(POOL, { holder: 'a' }, { retry: retry('r') }))
  clock.advance(20_000)
  const again = await granted(engine.acquire(POOL, { holder: 'a' }, { retry: retry('r') }))
  t.strictSame(again, {
    ...first,
    expiresInMs: first.expiresInMs - 20_000,
    keepAliveInMs: (first.keepAliveInMs ?? 0) - 20_000
  })
  t.ok(again.key)
  t.match(await engine.pool(POOL), { counts: { leased: 1 } })
  clock.advance(LEASE_MS - 20_001)
  t.equal((await granted(engine.acquire(POOL, {}, { retry: retry('r') }))).id, first.id)
  clock.advance(1)
  t.not((await granted(engine.acquire(POOL, {}, { retry: retry('r') }))).id, first.id)
})

t.test('a retry after the release or the end of the key is a new call', async t => {
  const { engine } = createEngine(t)
  await generate(engine, 1)
  const first = await granted(engine.acquire(POOL, {}, { retry: retry('r') }))
  await granted(engine.release(POOL, first.id))
  const second = await granted(engine.acquire(POOL, {}, { retry: retry('r', 'another') }))
  t.not(second.id, first.id)
  await granted(engine.delete(POOL, second.keyId))
  t.equal(await refusalOf(engine.acquire(POOL, {}, { retry: retry('r') })), 'no-free-key')
})

t.test('a retry with another request is refused while the lease lives', async t => {
  const { engine } = createEngine(t)
  await generate(engine, 2)
  await granted(engine.acquire(POOL, {}, { retry: retry('r', 'one') }))
  t.strictSame(engine.acquire(POOL, {}, { retry: retry('r', 'two') }), { refusal: 'idempotency-key-reused' })
  t.match(await engine.pool(POOL), { counts: { leased: 1 } })
})

t.test('a retry while the first call waits joins it', async t => {
  const { engine } = createEngine(t)
  const first = new AbortController()
  const second = new AbortController()
  const request = { waitMs: 10_000 }
  const waiting = engine.acquire(POOL, request, { retry: retry('r'), signal: first.signal })
  const joined = engine.acquire(POOL, request, { retry: retry('r'), signal: second.signal })
  t.match(await engine.pool(POOL), { counts: { waiting: 1 } })
  t.strictSame(engine.acquire(POOL, request, { retry: retry('r', 'other') }), { refusal: 'idempotency-key-reused' })

  first.abort()
  t.equal(await byNow(joined), 'pending', 'one of the two is still there')
  await generate(engine, 2)
  t.strictSame(await waiting, await joined)
  t.match(await engine.pool(POOL), { counts: { leased: 1, free: 1 } })
})

t.test('the wait of several for one call ends when all have left', async t => {
  const { engine } = createEngine(t)
  const controllers = [new AbortController(), new AbortController()]
  const answers = controllers.map(({ signal }) =>
    engine.acquire(POOL, { waitMs: 10_000 }, { retry: retry('r'), signal })
  )
  for (const controller of controllers) controller.abort()
  for (const answer of answers) t.equal(await refusalOf(answer), 'no-free-key')
  await generate(engine, 1)
  t.match(await engine.pool(POOL), { counts: { free: 1, waiting: 0 } })
})

t.test('a refused acquire is not kept', async t => {
  const { engine } = createEngine(t)
  t.equal(await refusalOf(engine.acquire(POOL, {}, { retry: retry('r') })), 'no-free-key')
  await generate(engine, 1)
  await granted(engine.acquire(POOL, {}, { retry: retry('r') }))
})

t.test('a retry of a generation gets the keys that still live, as they are', async t => {
  const { engine, clock } = createEngine(t)
  const first = await granted(engine.generate(POOL, { count: 3, metadata: { a: 'b' } }, retry('r')))
  const ids = first.map(({ id }) => id)
  t.strictSame(await engine.generate(POOL, { count: 3, metadata: { a: 'b' } }, retry('r')), first)
  await granted(engine.delete(POOL, ids[0] ?? ''))
  await granted(engine.activate(POOL, ids[1] ?? ''))
  clock.advance(1000)
  const again = await granted(engine.generate(POOL, { count: 3, metadata: { a: 'b' } }, retry('r')))
  t.match(again, [
    { id: ids[1], key: first[1]?.key, activatedAt: clock.now() - 1000 },
    { id: ids[2], key: first[2]?.key, keepAliveInMs: KEEP_ALIVE_MS - 1000 }
  ])
  t.match(await engine.pool(POOL), { counts: { total: 2 } })
  for (const id of ids.slice(1)) await granted(engine.delete(POOL, id))
  t.strictSame(await engine.generate(POOL, { count: 3, metadata: { a: 'b' } }, retry('r')), [])
})

t.test('results are kept ten minutes, not longer', async t => {
  const { engine, clock } = createEngine(t)
  t.equal(KEPT_MS, 10 * 60_000)
  await granted(engine.putPool(POOL, { keepAliveMs: null }))
  const generated = await granted(engine.generate(POOL, { count: 1, metadata: null }, retry('r')))
  const batched = await granted(engine.batch(POOL, [{ op: 'delete', id: 'unknown' }], { retry: retry('r') }))
  clock.advance(KEPT_MS - 1)
  t.strictSame(await engine.generate(POOL, { count: 1, metadata: null }, retry('r')), generated)
  t.strictSame(await engine.batch(POOL, [{ op: 'delete', id: 'unknown' }], { retry: retry('r') }), batched)
  t.equal(
    await refusalOf(engine.batch(POOL, [{ op: 'acquire' }], { retry: retry('r', 'new') })),
    'idempotency-key-reused'
  )
  clock.advance(1)
  t.not((await granted(engine.generate(POOL, { count: 1, metadata: null }, retry('r'))))[0]?.id, generated[0]?.id)
  t.match(await engine.batch(POOL, [{ op: 'acquire' }], { retry: retry('r', 'new') }), [
    { op: 'acquire', value: { fence: Number } }
  ])
})

t.test('one Idempotency-Key serves one way for keys to come in', async t => {
  const { engine } = createEngine(t)
  await granted(engine.generate(POOL, { count: 1, metadata: null }, retry('r', 'generate')))
  t.strictSame(engine.importKeys(POOL, [{ key: 'a' }], retry('r', 'import')), { refusal: 'idempotency-key-reused' })
  await granted(engine.importKeys(POOL, [{ key: 'a' }], retry('s', 'import')))
  t.match(await engine.importKeys(POOL, [{ key: 'a' }], retry('s', 'import')), [{ key: 'a' }])
  t.strictSame(engine.generate(POOL, { count: 1, metadata: null }, retry('s', 'generate')), {
    refusal: 'idempotency-key-reused'
  })
})

t.test('the same Idempotency-Key is another one for another pool or call', async t => {
  const { engine } = createEngine(t)
  await granted(engine.putPool('other', {}))
  await granted(engine.generate(POOL, { count: 1, metadata: null }, retry('r', 'a')))
  await granted(engine.generate('other', { count: 1, metadata: null }, retry('r', 'b')))
  await granted(engine.acquire(POOL, {}, { retry: retry('r', 'c') }))
  await granted(engine.acquire('other', {}, { retry: retry('r', 'd') }))
  await granted(engine.batch(POOL, [{ op: 'acquire' }], { retry: retry('r', 'e') }))
  await granted(engine.batch('other', [{ op: 'acquire' }], { retry: retry('r', 'f') }))
  t.match(await engine.pools(), [{ counts: { total: 1, leased: 1 } }, { counts: { total: 1, leased: 1 } }])
})

t.test('a pool that is made again knows nothing of retries', async t => {
  const { engine } = createEngine(t)
  await granted(engine.putPool('scratch', {}))
  await granted(engine.generate('scratch', { count: 2, metadata: null }, retry('r')))
  await granted(engine.deletePool('scratch'))
  await granted(engine.putPool('scratch', {}))
  t.equal((await granted(engine.generate('scratch', { count: 2, metadata: null }, retry('r')))).length, 2)
  t.match(await engine.pool('scratch'), { counts: { total: 2 } })
})

t.test('a retry while the first call waits for the sweep joins it', async t => {
  const { engine, clock } = createEngine(t)
  await granted(engine.putPool(POOL, { maxKeys: MANY }))
  await generate(engine, MANY)
  clock.stall(KEEP_ALIVE_MS)
  const answers = [1, 2, 3].map(() => engine.generate(POOL, { count: 1000, metadata: null }, retry('r')))
  t.strictSame(engine.generate(POOL, { count: 1, metadata: null }, retry('r', 'other')), {
    refusal: 'idempotency-key-reused'
  })
  clock.advance(0)
  const [first, ...others] = await Promise.all(answers)
  for (const other of others) t.strictSame(other, first)
  await turns(20)
  t.match(await engine.pool(POOL), { counts: { total: 1000 } })
})
