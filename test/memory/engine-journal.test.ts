import t, { type Test } from 'tap'
import { KEPT_MS, type Operation, type Retry } from '../../src/engine.ts'
import type { KeyRecord } from '../../src/pool/key-pool.ts'
import { byNow, createEngine, generate, granted, refusalOf, turns } from '../support/create-engine.ts'
import { ManualClock } from '../support/manual-clock.ts'
import { Mirror } from '../support/mirror.ts'
import { KEEP_ALIVE_MS, LEASE_MS } from '../support/pool.ts'

const POOL = 'default'

const retry = (scope: string, fingerprint = 'the same'): Retry => ({ scope, fingerprint })

function createMirrored(t: Test) {
  const mirror = new Mirror()
  const { engine, clock } = createEngine(t, { journal: mirror })
  return { engine, clock, mirror, since: () => mirror.told.splice(0) }
}

/** The engine of a process that is started when the former one has ended. */
function restart(t: Test, mirror: Mirror, clock: ManualClock) {
  mirror.flush()
  const { engine } = createEngine(t, { clock, journal: mirror, saved: mirror.saved })
  mirror.restoreInto(engine)
  return engine
}

t.test('a journal learns of pools that are made, changed and deleted', async t => {
  const { engine, mirror, since } = createMirrored(t)
  t.strictSame(since(), ['pool default'])
  await granted(engine.putPool('a', { leaseMs: 1000 }))
  await granted(engine.putPool('a', { leaseMs: 2000 }))
  t.strictSame(since(), ['pool a', 'pool a'])
  t.strictSame(engine.putPool('a', { maxHoldMs: 1999 }), { refusal: 'max-hold-too-short' })
  t.strictSame(engine.putPool('b', { maxHoldMs: 1999 }), { refusal: 'max-hold-too-short' })
  t.strictSame(since(), [])
  mirror.flush()
  t.match(
    mirror.saved.pools.map(({ name, policy: { leaseMs } }) => ({ name, leaseMs })),
    [
      { name: 'default', leaseMs: LEASE_MS },
      { name: 'a', leaseMs: 2000 }
    ]
  )
  await granted(engine.deletePool('a'))
  t.strictSame(since(), ['end a'])
})

t.test('a journal learns of keys that change, and of lives that end', async t => {
  const { engine, clock, since } = createMirrored(t)
  since()
  const [key] = await generate(engine, 1)
  const id = key?.id ?? ''
  const lease = await granted(engine.acquire(POOL, {}))
  t.strictSame(since(), [`key ${id}`, `key ${id}`])
  await granted(engine.release(POOL, lease.id))
  await granted(engine.activate(POOL, id))
  t.strictSame(since(), [`key ${id}`, `key ${id}`])
  await granted(engine.key(POOL, id))
  t.equal(await refusalOf(engine.release(POOL, `${id}.1`)), 'lease-lost')
  t.strictSame(since(), [])
  clock.advance(KEEP_ALIVE_MS)
  t.strictSame(since(), [`aged ${id}`])
})

t.test('a journal learns of results that are kept and dropped, but not of those that go with their pool', async t => {
  const { engine, clock, since } = createMirrored(t)
  await granted(engine.putPool('a', { keepAliveMs: null }))
  since()
  const results = () => since().filter(told => !told.startsWith('key '))
  await granted(engine.generate('a', { count: 1, metadata: null }, retry('r')))
  await granted(engine.batch('a', [{ op: 'keepAlive', id: 'unknown' }], { retry: retry('r') }))
  const first = await granted(engine.acquire('a', {}, { retry: retry('r') }))
  t.strictSame(results(), ['kept keys r', 'kept batch r', 'kept acquire r'])
  await granted(engine.release('a', first.id))
  await granted(engine.acquire('a', {}, { retry: retry('r') }))
  t.strictSame(results(), ['dropped acquire r', 'kept acquire r'])
  clock.advance(KEPT_MS)
  t.strictSame(results(), ['dropped keys r', 'dropped batch r'], 'by the sweep')
  await granted(engine.generate('a', { count: 1, metadata: null }, retry('r')))
  since()
  await granted(engine.deletePool('a'))
  clock.advance(KEPT_MS)
  t.strictSame(since(), ['end a'])
})

t.test('the same timer serves keys and results', async t => {
  const { engine, clock } = createEngine(t)
  await granted(engine.putPool(POOL, { keepAliveMs: null }))
  t.equal(clock.timers, 0)
  await granted(engine.generate(POOL, { count: 1, metadata: null }, retry('r')))
  t.equal(clock.timers, 1)
  await granted(engine.acquire(POOL, {}))
  clock.advance(LEASE_MS)
  t.equal(clock.timers, 1)
  clock.advance(KEPT_MS - LEASE_MS)
  t.equal(clock.timers, 0)
})

t.test('what a former engine left goes on in a later one', async t => {
  const { engine: former, clock, mirror } = createMirrored(t)
  await granted(former.putPool('a', { leaseMs: 30_000, reuseDeleted: false }))
  const [dead, held, cold] = await generate(former, 3, 'a')
  await granted(former.delete('a', dead?.id ?? ''))
  const leases = [await granted(former.acquire('a', { holder: 'h' })), await granted(former.acquire('a', {}))]
  const [kept, cooled] = leases[0]?.keyId === held?.id ? leases : leases.toReversed()
  await granted(former.release('a', cooled?.id ?? '', { cooldownMs: 20_000 }))
  const [, before] = await granted(former.pools())
  clock.advance(10_000)

  mirror.told.length = 0
  const later = restart(t, mirror, clock)
  t.strictSame(mirror.told, [], 'nothing is told while it is restored')
  t.strictSame((await granted(later.pools()))[1], before)
  t.match(await later.key('a', cold?.id ?? ''), { state: 'cooling', coolingInMs: 10_000 })
  t.match(await later.lease('a', kept?.id ?? ''), { fence: kept?.fence, holder: kept?.holder, expiresInMs: 20_000 })
  t.strictSame(later.importKeys('a', [{ key: dead?.key ?? '' }]), { refusal: 'key-retired', indexes: [0] })
  clock.advance(10_000)
  const lease = await granted(later.acquire('a', {}))
  t.equal(lease.fence, Math.max(...leases.map(({ fence }) => fence)) + 1, 'fences go on')
})

t.test('a retry in a later engine gets what the former one gave', async t => {
  const { engine: former, clock, mirror } = createMirrored(t)
  const operations: Operation[] = [{ op: 'acquire' }, { op: 'acquire' }, { op: 'delete', id: 'unknown' }]
  const keys = await granted(former.generate(POOL, { count: 2, metadata: null }, retry('r')))
  const lease = await granted(former.acquire(POOL, {}, { retry: retry('r') }))
  const outcomes = await granted(former.batch(POOL, operations, { retry: retry('r') }))

  const later = restart(t, mirror, clock)
  t.strictSame(await later.acquire(POOL, {}, { retry: retry('r') }), lease)
  t.strictSame(await later.batch(POOL, operations, { retry: retry('r') }), outcomes)
  t.equal(await refusalOf(later.acquire(POOL, {}, { retry: retry('r', 'other') })), 'idempotency-key-reused')
  const again = await granted(later.generate(POOL, { count: 2, metadata: null }, retry('r')))
  t.strictSame(
    again.map(({ key }) => key),
    keys.map(({ key }) => key)
  )
  clock.advance(KEPT_MS)
  t.strictSame(mirror.pools.get(1)?.results.size, 1, 'the sweep of the later engine drops them')
  t.not((await granted(later.generate(POOL, { count: 1, metadata: null }, retry('r', 'new'))))[0]?.id, keys[0]?.id)
})

t.test('fences go on under the name of a pool that was deleted, across a restart', async t => {
  const { engine: former, clock, mirror } = createMirrored(t)
  await granted(former.putPool('a', {}))
  await generate(former, 1, 'a')
  let last = 0
  for (let i = 0; i < 3000; i++) {
    const { id, fence } = await granted(former.acquire('a', {}))
    await granted(former.release('a', id))
    last = fence
  }
  await granted(former.deletePool('a'))
  t.equal(former.fence, last)
  const later = restart(t, mirror, clock)
  t.equal(later.fence, last)
  await granted(later.putPool('a', {}))
  await generate(later, 1, 'a')
  t.equal((await granted(later.acquire('a', {}))).fence, last + 1)
})

t.test('no incarnation comes twice', async t => {
  const { engine: former, clock, mirror } = createMirrored(t)
  await granted(former.putPool('a', {}))
  t.equal(former.incarnation, 2)
  const later = restart(t, mirror, clock)
  t.strictSame(
    [...later.handles()].map(({ name, incarnation }) => [name, incarnation]),
    [
      ['default', 1],
      ['a', 2]
    ]
  )
  await granted(later.deletePool('a'))
  await granted(later.putPool('a', {}))
  t.equal(later.find('a')?.incarnation, 3)
  const { engine: third } = createEngine(t, { clock, saved: { pools: [], fence: 0, incarnation: 7 } })
  t.equal(third.find(POOL)?.incarnation, 8, 'also where no pool was left')
})

t.test('a pool is not swept before all of it is restored', async t => {
  const { engine: former, clock, mirror } = createMirrored(t)
  await granted(former.putPool('a', {}))
  for (const pool of [POOL, 'a']) await generate(former, 5, pool)
  former.close()
  mirror.flush()
  clock.advance(KEEP_ALIVE_MS + 10_000)
  const { engine: later } = createEngine(t, { clock, journal: mirror, saved: mirror.saved })
  mirror.told.length = 0
  const [first, second] = later.handles()
  for (const handle of [first, second]) {
    for (const [id, record] of mirror.pools.get(handle?.incarnation ?? 0)?.keys ?? []) handle?.restore(id, record)
  }
  t.strictSame(later.readiness(), [], 'nothing counts as late')
  first?.resume()
  clock.advance(0)
  await turns(2)
  t.equal(mirror.told.length, 5)
  t.match(first?.view(), { counts: { total: 0, retired: 5 } })
  second?.resume()
  clock.advance(0)
  t.equal(mirror.told.length, 10)
})

t.test('a change that could not be written is taken back', async t => {
  const { engine, clock, mirror } = createMirrored(t)
  await granted(engine.putPool(POOL, { leaseMs: 30_000 }))
  const [key] = await generate(engine, 1)
  const id = key?.id ?? ''
  const pool = engine.find(POOL)
  const [saved, record] = [pool?.saved, structuredClone(pool?.record(id))]
  await granted(engine.acquire(POOL, {}, { retry: retry('r') }))
  const [newer] = await granted(engine.generate(POOL, { count: 1, metadata: null }, retry('s')))
  await granted(engine.putPool(POOL, { leaseMs: 1000 }))
  const waiting = engine.acquire(POOL, { holder: 'waits', waitMs: 1000 })
  t.equal((await granted(waiting)).keyId, newer?.id)
  const patient = engine.acquire(POOL, { holder: 'patient', waitMs: 1000 })

  mirror.told.length = 0
  pool?.restore(id, record)
  pool?.restore(newer?.id ?? '', undefined)
  pool?.setPolicy(saved?.policy ?? {})
  pool?.restoreResult('acquire', 'r', undefined)
  pool?.restoreResult('keys', 's', undefined)
  t.strictSame(mirror.told, [])
  t.equal(await byNow(patient), 'pending')
  pool?.resume()
  t.match(await byNow(patient), { keyId: id, holder: 'patient', expiresInMs: 30_000 })
  t.match(await engine.pool(POOL), { counts: { total: 1 }, policy: { leaseMs: 30_000 } })
  t.equal(await refusalOf(engine.acquire(POOL, {}, { retry: retry('r') })), 'no-free-key')
  t.not((await granted(engine.generate(POOL, { count: 1, metadata: null }, retry('s'))))[0]?.id, newer?.id)
  t.equal((record as KeyRecord).state, 'free')
  clock.advance(0)
})

t.test('a pool that could not be written is removed without a word', async t => {
  const { engine, since } = createMirrored(t)
  await granted(engine.putPool('a', {}))
  const waiting = engine.acquire('a', { waitMs: 1000 })
  since()
  engine.remove('a')
  engine.remove('a')
  t.strictSame(await byNow(waiting), { refusal: 'unknown-pool' })
  t.equal(engine.find('a'), undefined)
  t.strictSame(since(), [])
})

t.test('a call that ends after its pool is not kept', async t => {
  const { engine, clock, since } = createMirrored(t)
  await granted(engine.putPool('a', { maxKeys: 40 }))
  await generate(engine, 40, 'a')
  clock.stall(KEEP_ALIVE_MS)
  const answer = engine.generate('a', { count: 40, metadata: null }, retry('r'))
  t.equal(await byNow(answer), 'pending')
  // The last of what was due is applied, and the pool ends before the caller hears of it.
  for (let i = 0; i < 3; i++) void engine.pool('a')
  since()
  await granted(engine.deletePool('a'))
  await answer
  t.strictSame(
    since().filter(told => told.startsWith('kept')),
    []
  )
})

t.test('while storage is unavailable nobody waits; afterwards callers may', async t => {
  const { engine, clock } = createEngine(t)
  const unavailable = { refusal: 'storage-unavailable' } as const
  const waiting = engine.acquire(POOL, { waitMs: 1000 })
  engine.dismiss(unavailable)
  t.strictSame(await byNow(waiting), unavailable)
  t.strictSame(engine.acquire(POOL, { waitMs: 1000 }), unavailable)
  t.equal(await refusalOf(engine.acquire(POOL, {})), 'no-free-key')
  await granted(engine.putPool('later', {}))
  t.strictSame(engine.acquire('later', { waitMs: 1000 }), unavailable)
  t.equal(clock.timers, 0)

  engine.admit()
  const admitted = [POOL, 'later'].map(pool => engine.acquire(pool, { waitMs: 1000 }))
  for (const answer of admitted) t.equal(await byNow(answer), 'pending')
})

t.test('neither draining nor the end of a pool is taken back', async t => {
  const { engine } = createEngine(t)
  await granted(engine.putPool('a', {}))
  const ended = engine.find('a')
  await granted(engine.deletePool('a'))
  ended?.dismiss({ refusal: 'draining' })
  ended?.admit()
  t.strictSame(ended?.acquire({ waitMs: 1000 }), { refusal: 'unknown-pool' })

  engine.drain()
  engine.dismiss({ refusal: 'storage-unavailable' })
  t.strictSame(engine.acquire(POOL, { waitMs: 1000 }), { refusal: 'draining' })
  engine.admit()
  t.strictSame(engine.acquire(POOL, { waitMs: 1000 }), { refusal: 'draining' })
  await granted(engine.putPool('later', {}))
  t.strictSame(engine.acquire('later', { waitMs: 1000 }), { refusal: 'draining' })
})
