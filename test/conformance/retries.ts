import type { Retry } from '../../src/engine.ts'
import { generate, granted, refusalOf } from '../support/create-engine.ts'
import { type Facts, KEEP_ALIVE_MS, KEPT_MS, LEASE_MS, POOL, queueUp, waiting } from './provided.ts'

const retry = (scope: string, fingerprint = 'the same'): Retry => ({ scope, fingerprint })
const REUSED = { refusal: 'idempotency-key-reused' }
const ONE = { count: 1, metadata: null }

export const retries: Facts = {
  'a retry of an acquire gets the same lease for as long as it lives, as it is': async (t, { engine, advance }) => {
    await generate(engine, 2)
    const first = await granted(engine.acquire(POOL, { holder: 'a' }, { retry: retry('r') }))
    await advance(20_000)
    t.strictSame(await engine.acquire(POOL, { holder: 'a' }, { retry: retry('r') }), {
      ...first,
      expiresInMs: first.expiresInMs - 20_000,
      keepAliveInMs: Number(first.keepAliveInMs) - 20_000
    })
    t.match(await engine.pool(POOL), { counts: { leased: 1 } })
    await advance(LEASE_MS - 20_001)
    t.match(await engine.acquire(POOL, { holder: 'a' }, { retry: retry('r') }), { id: first.id, expiresInMs: 1 })
    await advance(1)
    t.not((await granted(engine.acquire(POOL, { holder: 'a' }, { retry: retry('r') }))).id, first.id)
  },

  'a retry after the release, the unblock or the end of the key is a new call': async (t, { engine }) => {
    await generate(engine, 1)
    const first = await granted(engine.acquire(POOL, {}, { retry: retry('r') }))
    await granted(engine.release(POOL, first.id))
    const second = await granted(engine.acquire(POOL, {}, { retry: retry('r', 'another') }))
    t.not(second.id, first.id)
    await granted(engine.unblock(POOL, second.keyId))
    const third = await granted(engine.acquire(POOL, {}, { retry: retry('r') }))
    t.not(third.id, second.id)
    await granted(engine.delete(POOL, third.keyId))
    t.equal(await refusalOf(engine.acquire(POOL, {}, { retry: retry('r') })), 'no-free-key')
  },

  'a retry with another request is refused while the lease lives': async (t, { engine }) => {
    await generate(engine, 2)
    await granted(engine.acquire(POOL, {}, { retry: retry('r', 'one') }))
    t.strictSame(await engine.acquire(POOL, {}, { retry: retry('r', 'two') }), REUSED)
    t.match(await engine.pool(POOL), { counts: { leased: 1 } })
  },

  'a retry while the first call waits joins it': async (t, { engine }) => {
    const first = engine.acquire(POOL, { waitMs: 10_000 }, { retry: retry('r') })
    await waiting(engine, 1)
    const joined = engine.acquire(POOL, { waitMs: 10_000 }, { retry: retry('r') })
    t.strictSame(await engine.acquire(POOL, { waitMs: 10_000 }, { retry: retry('r', 'other') }), REUSED)
    t.match(await engine.pool(POOL), { counts: { waiting: 1 } })
    await generate(engine, 2)
    t.strictSame(await first, await joined)
    t.match(await engine.pool(POOL), { counts: { leased: 1, free: 1, waiting: 0 } })
  },

  'a call that several joined goes on until all have left': async (t, { engine }) => {
    const controllers = [new AbortController(), new AbortController()]
    const [first, second] = controllers.map(({ signal }) =>
      engine.acquire(POOL, { waitMs: 10_000 }, { retry: retry('r'), signal })
    )
    await waiting(engine, 1)
    // When the second joins, nobody sees: it has, most likely, now that others have been answered.
    const [behind] = await queueUp(engine, ['behind'], 10_000)
    controllers[0]?.abort()
    await waiting(engine, 2)
    controllers[1]?.abort()
    for (const answer of [first, second]) t.equal(await refusalOf(answer), 'no-free-key')
    await generate(engine, 2)
    t.match(await behind, { holder: 'behind' })
    t.match(await engine.pool(POOL), { counts: { free: 1, leased: 1, waiting: 0 } })
  },

  'refusals are not kept': async (t, { engine }) => {
    t.equal(await refusalOf(engine.acquire(POOL, {}, { retry: retry('r') })), 'no-free-key')
    await granted(engine.putPool(POOL, { maxKeys: 1 }))
    t.equal(await refusalOf(engine.generate(POOL, { count: 2, metadata: null }, retry('r'))), 'pool-full')
    t.equal((await granted(engine.generate(POOL, ONE, retry('r', 'another')))).length, 1)
    t.match(await engine.acquire(POOL, {}, { retry: retry('r', 'another') }), { fence: Number })
  },

  'a retry of a generation gets the keys that still live, as they are': async (t, { engine, now, advance }) => {
    const request = { count: 3, metadata: { a: 'b' } }
    const first = await granted(engine.generate(POOL, request, retry('r')))
    const ids = first.map(({ id }) => id)
    t.strictSame(await engine.generate(POOL, request, retry('r')), first)
    t.strictSame(await engine.generate(POOL, ONE, retry('r', 'different')), REUSED)
    await granted(engine.delete(POOL, ids[0] ?? ''))
    await granted(engine.activate(POOL, ids[1] ?? ''))
    await advance(1000)
    t.match(await engine.generate(POOL, request, retry('r')), [
      { id: ids[1], key: first[1]?.key, activatedAt: now() - 1000 },
      { id: ids[2], key: first[2]?.key, keepAliveInMs: KEEP_ALIVE_MS - 1000 }
    ])
    t.match(await engine.pool(POOL), { counts: { total: 2 } })
    for (const id of ids.slice(1)) await granted(engine.delete(POOL, id))
    t.strictSame(await engine.generate(POOL, request, retry('r')), [], 'none of them lives')
    t.match(await engine.pool(POOL), { counts: { total: 0 } })
  },

  'a retry of an import is no import of living keys': async (t, { engine }) => {
    const first = await granted(engine.importKeys(POOL, [{ key: 'a' }, { key: 'b' }], retry('r')))
    t.strictSame(await engine.importKeys(POOL, [{ key: 'a' }, { key: 'b' }], retry('r')), first)
    t.equal(await refusalOf(engine.importKeys(POOL, [{ key: 'a' }, { key: 'b' }], retry('s'))), 'key-exists')
  },

  'results are kept ten minutes, not longer': async (t, { engine, advance }) => {
    await granted(engine.putPool(POOL, { keepAliveMs: null }))
    const generated = await granted(engine.generate(POOL, ONE, retry('r')))
    const operations = [{ op: 'delete', id: 'unknown' }] as const
    const batched = await granted(engine.batch(POOL, operations, { retry: retry('r') }))
    await advance(KEPT_MS - 1)
    t.strictSame(
      await engine.generate(POOL, ONE, retry('r')),
      generated.map(key => ({ ...key }))
    )
    t.strictSame(await engine.batch(POOL, operations, { retry: retry('r') }), batched)
    t.strictSame(await engine.batch(POOL, [{ op: 'acquire' }], { retry: retry('r', 'new') }), REUSED)
    await advance(1)
    t.not((await granted(engine.generate(POOL, ONE, retry('r'))))[0]?.id, generated[0]?.id)
    t.match(await engine.batch(POOL, [{ op: 'acquire' }], { retry: retry('r', 'new') }), [
      { op: 'acquire', value: { fence: Number } }
    ])
  },

  'one Idempotency-Key serves one way for keys to come in': async (t, { engine }) => {
    await granted(engine.generate(POOL, ONE, retry('r', 'generate')))
    t.strictSame(await engine.importKeys(POOL, [{ key: 'a' }], retry('r', 'import')), REUSED)
    await granted(engine.importKeys(POOL, [{ key: 'a' }], retry('s', 'import')))
    t.strictSame(await engine.generate(POOL, ONE, retry('s', 'generate')), REUSED)
  },

  'the same Idempotency-Key is another one for another pool or call': async (t, { engine }) => {
    await granted(engine.putPool('other', {}))
    await granted(engine.generate(POOL, { count: 2, metadata: null }, retry('r', 'a')))
    await granted(engine.generate('other', ONE, retry('r', 'b')))
    await granted(engine.acquire(POOL, {}, { retry: retry('r', 'c') }))
    await granted(engine.acquire('other', {}, { retry: retry('r', 'd') }))
    await granted(engine.batch(POOL, [{ op: 'acquire' }], { retry: retry('r', 'e') }))
    await granted(engine.batch('other', [{ op: 'acquire' }], { retry: retry('r', 'f') }))
    t.match(await engine.pool(POOL), { counts: { total: 2, leased: 2 } })
    t.match(await engine.pool('other'), { counts: { total: 1, leased: 1 } })
  },

  'a pool that is made again knows nothing of retries': async (t, { engine }) => {
    await granted(engine.putPool('scratch', {}))
    await granted(engine.generate('scratch', { count: 2, metadata: null }, retry('r')))
    await granted(engine.acquire('scratch', {}, { retry: retry('r') }))
    await granted(engine.deletePool('scratch'))
    await granted(engine.putPool('scratch', {}))
    t.equal((await granted(engine.generate('scratch', { count: 2, metadata: null }, retry('r')))).length, 2)
    t.match(await engine.pool('scratch'), { counts: { total: 2, leased: 0 } })
  },

  'of many concurrent calls with one Idempotency-Key one is made': async (t, { engine }) => {
    const many = Array.from({ length: 20 })
    const made = await Promise.all(many.map(() => granted(engine.generate(POOL, ONE, retry('r')))))
    t.equal(new Set(made.map(([key]) => key?.key)).size, 1)
    await generate(engine, 30)
    const leases = await Promise.all(many.map(() => granted(engine.acquire(POOL, {}, { retry: retry('r') }))))
    t.equal(new Set(leases.map(({ id }) => id)).size, 1)
    t.match(await engine.pool(POOL), { counts: { total: 31, leased: 1 } })
  }
}
