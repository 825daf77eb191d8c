import { cpSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { RowCursor } from '../../src/durable/entries.ts'
import type { Engine } from '../../src/engine.ts'
import { createDirectory, createDurable, FaultyStore } from '../support/create-durable.ts'
import { generate, granted, refusalOf } from '../support/create-engine.ts'
import { ManualClock } from '../support/manual-clock.ts'

const POOL = 'default'
const LEASE_MS = 60_000
const KEEP_ALIVE_MS = 300_000
const GRACE_MS = 60_000
const retry = (scope: string) => ({ scope, fingerprint: 'f' })

t.test('what is acknowledged is there after a crash', async t => {
  const { engine, crash } = await createDurable(t)
  await generate(engine, 1)
  const lease = await granted(engine.acquire(POOL, { holder: 'worker', owner: 'token' }))
  const [alive, deleted, activated, described] = await generate(engine, 4)
  await granted(engine.keepAlive(POOL, String(alive?.id)))
  await granted(engine.delete(POOL, String(deleted?.id)))
  await granted(engine.activate(POOL, String(activated?.id)))
  await granted(engine.setMetadata(POOL, String(described?.id), { who: 'ünï' }))
  await granted(engine.importKeys(POOL, [{ key: 'from-elsewhere', metadata: { a: 'b' } }]))
  const before = await keysOf(engine)

  const { engine: later } = await crash()
  t.strictSame(await keysOf(later, GRACE_MS), before)
  t.match(await later.lease(POOL, lease.id), { holder: 'worker', acquiredAt: lease.acquiredAt })
  t.strictSame(await later.lease(POOL, lease.id, 'another'), { refusal: 'forbidden' })
  t.equal(await later.release(POOL, lease.id, { owner: 'token' }), 'released')
})

t.test('a key from before a crash has its secret', async t => {
  const { engine, crash } = await createDurable(t)
  const [key] = await generate(engine, 1)
  const { engine: later } = await crash()
  t.match(await later.acquire(POOL, {}), { key: key?.key, keyId: key?.id })
})

t.test('a lease keeps its end: the downtime counts', async t => {
  const { engine, crash } = await createDurable(t)
  await generate(engine, 1)
  const lease = await granted(engine.acquire(POOL, {}))
  const { engine: soon, clock } = await crash(LEASE_MS - 1)
  t.match(await soon.lease(POOL, lease.id), { expiresInMs: 1, expiresAt: lease.expiresAt })
  clock.advance(1)
  t.strictSame(await soon.lease(POOL, lease.id), { refusal: 'lease-lost' })

  const { engine: late } = await crash(LEASE_MS)
  t.strictSame(await late.lease(POOL, lease.id), { refusal: 'lease-lost' })
  t.match(await late.acquire(POOL, {}), { keyId: lease.keyId })
})

t.test('a life is credited the downtime and a grace', async t => {
  for (const downMs of [0, 1000, KEEP_ALIVE_MS, 30 * KEEP_ALIVE_MS]) {
    const { engine, clock, crash } = await createDurable(t)
    const [key] = await generate(engine, 1)
    clock.advance(100_000)
    const { engine: later } = await crash(downMs)
    t.match(await later.key(POOL, String(key?.id)), { keepAliveInMs: KEEP_ALIVE_MS - 100_000 + GRACE_MS }, `${downMs}`)
  }
})

t.test('the grace is not longer than the life itself', async t => {
  const { engine, crash } = await createDurable(t)
  await granted(engine.putPool(POOL, { keepAliveMs: 1000 }))
  const [key] = await generate(engine, 1)
  const { engine: later, clock } = await crash(5000)
  t.match(await later.key(POOL, String(key?.id)), { keepAliveInMs: 2000 })
  clock.advance(1999)
  t.match(await later.key(POOL, String(key?.id)), { keepAliveInMs: 1 })
  clock.advance(1)
  t.strictSame(await later.key(POOL, String(key?.id)), { refusal: 'unknown-key' })
})

t.test('keys that do not age do not after a crash', async t => {
  const { engine, crash } = await createDurable(t)
  await granted(engine.putPool(POOL, { keepAliveMs: null }))
  const [key] = await generate(engine, 1)
  const { engine: later } = await crash(5000)
  t.match(await later.key(POOL, String(key?.id)), { keepAliveBy: null })
})

t.test('credits of several outages add up', async t => {
  const first = await createDurable(t)
  const [key] = await generate(first.engine, 1)
  const second = await first.crash(10_000)
  second.clock.advance(1000)
  const third = await second.crash(20_000)
  t.match(await third.engine.key(POOL, String(key?.id)), { keepAliveInMs: KEEP_ALIVE_MS - 1000 + 2 * GRACE_MS })
  // What is written since has had its credit.
  const kept = await granted(third.engine.keepAlive(POOL, String(key?.id)))
  t.equal(kept.keepAliveInMs, KEEP_ALIVE_MS)
  const fourth = await third.crash(5000)
  t.match(await fourth.engine.key(POOL, String(key?.id)), { keepAliveInMs: KEEP_ALIVE_MS + GRACE_MS })
})

t.test('a life that had ended before the crash stays ended, crash after crash', async t => {
  const { engine, clock, crash } = await createDurable(t)
  await generate(engine, 1)
  clock.advance(KEEP_ALIVE_MS - 1)
  const [other] = await generate(engine, 1)
  clock.advance(1)
  let later = await crash(1000)
  for (let i = 0; i < 3; i++) {
    t.match(await later.engine.pool(POOL), { counts: { total: 1, retired: 1 } })
    t.match(await later.engine.key(POOL, String(other?.id)), { state: 'free' })
    later = await later.crash(0)
  }
})

t.test("that the machine's clock is behind the engine's time is told at the start", async t => {
  const { crash } = await createDurable(t)
  const told = async (downMs: number) => (await crash(downMs)).told.filter(({ level }) => level === 'warn')
  t.strictSame(await told(0), [])
  t.strictSame(await told(-1000), [], 'clocks are set back by a little now and then')
  t.match(await told(-1001), [{ message: /^time goes on at 2026-03-01T12:00:00.000Z, ahead of the machine's clock/ }])
})

t.test('the clock may be set back or forward across a restart', async t => {
  const { engine, clock, crash } = await createDurable(t)
  const [key] = await generate(engine, 1)
  const lease = await granted(engine.acquire(POOL, {}))
  clock.advance(1000)
  const { engine: back, clock: backClock } = await crash(-3_600_000)
  t.match(await back.lease(POOL, lease.id), { expiresAt: lease.expiresAt, expiresInMs: LEASE_MS - 1000 })
  t.match(await back.key(POOL, String(key?.id)), { keepAliveInMs: KEEP_ALIVE_MS - 1000 + GRACE_MS })
  backClock.advance(LEASE_MS - 1000)
  t.strictSame(await back.lease(POOL, lease.id), { refusal: 'lease-lost' })

  const { engine: forward } = await crash(3_600_000)
  t.strictSame(await forward.lease(POOL, lease.id), { refusal: 'lease-lost' })
  t.match(await forward.key(POOL, String(key?.id)), { keepAliveInMs: KEEP_ALIVE_MS - 1000 + GRACE_MS })
})

t.test('fences grow over crashes, also under the name of a pool that was deleted', async t => {
  const first = await createDurable(t)
  await granted(first.engine.putPool('scratch', {}))
  await generate(first.engine, 1, 'scratch')
  const one = await granted(first.engine.acquire('scratch', {}))
  t.equal(await first.engine.deletePool('scratch'), 'deleted')
  const second = await first.crash(-3_600_000)
  await granted(second.engine.putPool('scratch', {}))
  await generate(second.engine, 1, 'scratch')
  const two = await granted(second.engine.acquire('scratch', {}))
  t.ok(two.fence > one.fence)
  const third = await second.crash(-3_600_000)
  await granted(third.engine.release('scratch', two.id))
  const three = await granted(third.engine.acquire('scratch', {}))
  t.ok(three.fence > two.fence)
})

t.test('the time that recovery takes is a part of the outage', async t => {
  const first = await createDurable(t)
  await granted(first.engine.putPool(POOL, { keepAliveMs: 1000 }))
  const [key] = await generate(first.engine, 1)
  const slow = (clock: ManualClock): FaultyStore => {
    const store = new FaultyStore(first.directory)
    const { open } = store
    store.open = async () => {
      clock.stall(60_000)
      return open.call(store)
    }
    return store
  }
  await first.engine.close()
  const clock = new ManualClock()
  const { engine } = await createDurable(t, { directory: first.directory, clock, store: slow(clock) })
  t.match(await engine.key(POOL, String(key?.id)), { keepAliveInMs: 2000 })
  // What was written of it is right, too.
  const later = await createDurable(t, { directory: first.directory, clock })
  t.match(await later.engine.key(POOL, String(key?.id)), { keepAliveInMs: 3000 })
})

t.test('while it recovers, others are served after each block', async t => {
  const { engine, directory } = await createDurable(t)
  await generate(engine, 100)
  await engine.close()
  const store = new FaultyStore(directory)
  const { scan } = store
  let turns = 0
  const seen: number[] = []
  const turn = (): void => void (turns++, (ticking = setImmediate(turn)))
  let ticking = setImmediate(turn)
  store.scan = async () => {
    const { head, pools, blocks } = await scan.call(store)
    const [whole] = blocks as Iterable<Uint8Array>
    const row = new RowCursor(whole as Uint8Array)
    // All at hand at once, a row in each.
    const parts = (function* () {
      for (let from = 0; row.next(); from = row.end) {
        seen.push(turns)
        yield row.bytes.subarray(from, row.end)
      }
    })()
    return { head, pools, blocks: parts }
  }
  const { engine: later } = await createDurable(t, { directory, store })
  clearImmediate(ticking)
  t.match(await later.pool(POOL), { counts: { total: 100 } })
  t.ok(seen.length > 100)
  t.ok(seen.every((turn, i) => i === 0 || turn > Number(seen[i - 1])))
})

t.test('a start that fails leaves no timer', async t => {
  const clock = new ManualClock()
  const directory = createDirectory(t)
  const store = new FaultyStore(directory)
  store.open = () => Promise.reject(new Error('no such luck'))
  await t.rejects(createDurable(t, { directory, clock, store }), /no such luck/)
  t.equal(clock.timers, 0)
})

t.test('a store that somebody wrote to while it was scanned is refused', async t => {
  const { engine, directory } = await createDurable(t)
  await engine.close()
  const store = new FaultyStore(directory)
  const { open } = store
  store.open = async () => ({ ...(await open.call(store)), transaction: 99 })
  await t.rejects(createDurable(t, { directory, store }), /is in use/)
})

t.test('a store that lacks what was acknowledged is refused', async t => {
  const { engine, directory } = await createDurable(t)
  const earlier = createDirectory(t)
  await generate(engine, 1)
  cpSync(directory, earlier, { recursive: true })
  await generate(engine, 1)
  await engine.close()
  cpSync(join(earlier, 'data.mdb'), join(directory, 'data.mdb'))
  await t.rejects(createDurable(t, { directory }), /data\.mdb is damaged: it ends with transaction/)
})

t.test('fences grow over a crash though the key with the largest is gone', async t => {
  let durable = await createDurable(t)
  let last = 0
  for (let i = 0; i < 3; i++) {
    await generate(durable.engine, 1)
    const lease = await granted(durable.engine.acquire(POOL, {}))
    t.ok(lease.fence > last)
    last = lease.fence
    await granted(durable.engine.delete(POOL, lease.keyId))
    durable = await durable.crash(-3_600_000)
  }
})

t.test('a lease writes no more rows than its key', async t => {
  const { engine, store } = await createDurable(t)
  await generate(engine, 3)
  await granted(engine.acquire(POOL, {}))
  const { rows } = store
  await granted(engine.acquire(POOL, {}))
  t.equal(store.rows - rows, 1)
})

t.test('retired keys never come back, and their places stay taken', async t => {
  const { engine, clock, crash } = await createDurable(t)
  await granted(engine.putPool('small', { alphabet: 'ab', length: 3, keepAliveMs: 1000 }))
  const keys = await generate(engine, 5, 'small')
  clock.advance(1000)
  const { engine: later } = await crash()
  t.match(await later.pool('small'), { counts: { total: 0, retired: 5 }, keyspace: { size: 8, remaining: 3 } })
  t.match(await later.importKeys('small', [{ key: String(keys[0]?.key) }]), { refusal: 'key-retired' })
  const rest = await generate(later, 3, 'small')
  t.equal(new Set([...keys, ...rest].map(({ key }) => key)).size, 8)
  t.match(await later.generate('small', { count: 1, metadata: null }), { refusal: 'keyspace-exhausted' })
})

t.test('a retry over a crash gets what the first call got', async t => {
  const { engine, crash } = await createDurable(t)
  const keys = await granted(engine.generate(POOL, { count: 2, metadata: null }, retry('keys')))
  const lease = await granted(engine.acquire(POOL, {}, { retry: retry('lease') }))
  const outcomes = await granted(engine.batch(POOL, [{ op: 'acquire' }], { retry: retry('batch') }))
  const { engine: later } = await crash()
  t.strictSame(
    (await granted(later.generate(POOL, { count: 2, metadata: null }, retry('keys')))).map(({ key }) => key),
    keys.map(({ key }) => key)
  )
  t.match(await later.acquire(POOL, {}, { retry: retry('lease') }), { id: lease.id, key: lease.key })
  t.match(await later.batch(POOL, [{ op: 'acquire' }], { retry: retry('batch') }), [
    { op: 'acquire', value: { id: (outcomes[0]?.value as { id: string }).id } }
  ])
  t.equal(
    await refusalOf(later.acquire(POOL, {}, { retry: { scope: 'lease', fingerprint: 'other' } })),
    'idempotency-key-reused'
  )
  t.match(await later.pool(POOL), { counts: { total: 2, leased: 2 } })
})

t.test('policies last, and pools, and their ends', async t => {
  const { engine, crash } = await createDurable(t)
  await granted(engine.putPool('a', { leaseMs: 1000, prefix: 'sk-' }))
  await granted(engine.putPool('b', {}))
  await generate(engine, 3, 'b')
  t.equal(await engine.deletePool('b'), 'deleted')
  const { engine: later } = await crash()
  const pools = await granted(later.pools())
  t.strictSame(pools.map(({ name }) => name).sort(), ['a', 'default'])
  t.match(await later.pool('a'), { policy: { leaseMs: 1000, prefix: 'sk-' } })
  await granted(later.putPool('b', {}))
  t.match(await later.pool('b'), { counts: { total: 0 } })
})

t.test('a pool stays deleted though its keys change at the same time', async t => {
  const { engine, crash } = await createDurable(t)
  await granted(engine.putPool('a', {}))
  const [key] = await generate(engine, 1, 'a')
  const outcomes = await Promise.all([
    engine.deletePool('a'),
    engine.keepAlive('a', String(key?.id)),
    engine.acquire('a', {}),
    engine.putPool('a', { leaseMs: 500 }),
    engine.deletePool('a')
  ])
  t.equal(outcomes[0], 'deleted')
  t.strictSame(outcomes[4], { refusal: 'unknown-pool' })
  t.strictSame(await engine.pool('a'), { refusal: 'unknown-pool' })
  const { engine: later } = await crash()
  t.strictSame(await later.pool('a'), { refusal: 'unknown-pool' })
})

t.test('an answer leaves when it is on disk, a read at once', async t => {
  const { engine, store } = await createDurable(t)
  const [key] = await generate(engine, 1)
  let write: () => void = () => undefined
  store.hold = new Promise(resolve => (write = resolve))
  const answers: unknown[] = []
  const acquired = Promise.resolve(engine.acquire(POOL, {})).then(answer => answers.push(answer))
  const read = engine.key(POOL, String(key?.id))
  t.notOk(read instanceof Promise)
  t.match(read, { state: 'leased' })
  await new Promise(resolve => setImmediate(resolve))
  t.equal(answers.length, 0)
  write()
  await acquired
  t.match(answers, [{ keyId: key?.id }])
})

t.test('callers of one turn share a commit', async t => {
  const { engine, store } = await createDurable(t)
  await generate(engine, 100)
  const before = store.commits
  await Promise.all(Array.from({ length: 100 }, () => engine.acquire(POOL, {})))
  t.ok(store.commits - before <= 2, `${store.commits - before} commits`)
})

t.test('before it has recovered, and after it was closed, nothing is served', async t => {
  const { engine } = await createDurable(t)
  const { DurableEngine } = await import('../../src/durable/engine.ts')
  const log = { info: () => undefined, warn: () => undefined, error: () => undefined }
  const early = new DurableEngine({ directory: createDirectory(t), clock: new ManualClock(), log, onFault: t.error })
  t.strictSame(early.pool(POOL), { refusal: 'not-ready' })
  t.strictSame(early.acquire(POOL, {}), { refusal: 'not-ready' })
  t.strictSame(early.deletePool(POOL), { refusal: 'not-ready' })
  t.match(early.readiness(), [/recover/])
  early.drain()
  await early.close()
  t.strictSame(engine.readiness(), [])
})

/** All keys of the pool, by id, without what an outage moves. */
async function keysOf(engine: Engine, movedMs = 0): Promise<unknown[]> {
  const page = await granted(engine.list(POOL, { limit: 1000 }))
  return page.keys
    .map(({ keepAliveBy, keepAliveInMs, ...key }) => ({
      ...key,
      keepAliveBy: Number(keepAliveBy) - movedMs,
      keepAliveInMs: Number(keepAliveInMs) - movedMs
    }))
    .sort((a, b) => (a.id < b.id ? -1 : 1))
}
