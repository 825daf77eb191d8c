import t from 'tap'
import type { Clock } from '../../src/clock.ts'
import { isRefusal, type Operation, type Outcome } from '../../src/engine.ts'
import { keepOutcome, operate } from '../../src/memory/batch.ts'
import { MemoryEngine } from '../../src/memory/engine.ts'
import { byNow, createEngine, generate, granted } from '../support/create-engine.ts'
import { ManualClock } from '../support/manual-clock.ts'
import { LEASE_MS } from '../support/pool.ts'

const POOL = 'default'
const ID = 'aaaaaaaaaaaaaaaaaaaaaa'

/** A clock in whose view each look takes a millisecond. */
function restless(clock: ManualClock): Clock {
  return {
    now: () => {
      clock.stall(1)
      return clock.now()
    },
    after: (delayMs, callback) => clock.after(delayMs, callback),
    soon: callback => clock.soon(callback)
  }
}

t.test('each operation is the verb of its name', async t => {
  const asked: unknown[] = []
  const note =
    (verb: string) =>
    (...args: unknown[]) => {
      asked.push([verb, ...args])
      return { refusal: 'unknown-key' } as const
    }
  const pool = {
    tryAcquire: note('tryAcquire'),
    renew: note('renew'),
    release: note('release'),
    keepAlive: note('keepAlive'),
    activate: note('activate'),
    delete: note('delete'),
    unblock: note('unblock')
  }
  const operations: Operation[] = [
    { op: 'acquire', leaseMs: 100, holder: 'a' },
    { op: 'renew', lease: 'l', leaseMs: 200, keepAlive: true },
    { op: 'release', lease: 'l', cooldownMs: 3 },
    { op: 'keepAlive', id: ID },
    { op: 'activate', id: ID },
    { op: 'delete', id: ID },
    { op: 'unblock', id: ID, fence: 5 }
  ]
  for (const operation of operations) {
    t.match(operate(pool, operation, 'me'), { op: operation.op, value: { refusal: 'unknown-key' } })
  }
  t.match(asked, [
    ['tryAcquire', { leaseMs: 100, holder: 'a', owner: 'me' }],
    ['renew', 'l', { leaseMs: 200, keepAlive: true, owner: 'me' }],
    ['release', 'l', { cooldownMs: 3, owner: 'me' }],
    ['keepAlive', ID],
    ['activate', ID],
    ['delete', ID],
    ['unblock', ID, 5]
  ])
})

t.test('operations are applied in order, each with the outcome of its own verb', async t => {
  const { engine, clock } = createEngine(t)
  const [a, b] = await generate(engine, 2)
  const first = await granted(engine.acquire(POOL, { leaseMs: 1000 }))
  const freeId = first.keyId === a?.id ? b?.id : a?.id
  clock.advance(10)
  const outcomes = await granted(
    engine.batch(POOL, [
      { op: 'acquire', leaseMs: 500, holder: 'b' },
      { op: 'acquire' },
      { op: 'renew', lease: first.id, leaseMs: 60_000 },
      { op: 'release', lease: first.id, cooldownMs: 700 },
      { op: 'release', lease: first.id },
      { op: 'renew', lease: first.id },
      { op: 'keepAlive', id: first.keyId },
      { op: 'activate', id: first.keyId },
      { op: 'activate', id: first.keyId },
      { op: 'unblock', id: first.keyId },
      { op: 'unblock', id: first.keyId },
      { op: 'delete', id: first.keyId },
      { op: 'delete', id: first.keyId },
      { op: 'keepAlive', id: first.keyId },
      { op: 'activate', id: first.keyId },
      { op: 'acquire', leaseMs: LEASE_MS + 1 }
    ])
  )
  t.match(outcomes, [
    { op: 'acquire', value: { keyId: freeId, holder: 'b', expiresInMs: 500, key: String } },
    { op: 'acquire', value: { refusal: 'no-free-key', counts: { total: 2, leased: 2 } } },
    { op: 'renew', value: { id: first.id, expiresInMs: 60_000 - 10 } },
    { op: 'release', value: 'done' },
    { op: 'release', value: 'done' },
    { op: 'renew', value: { refusal: 'lease-lost' } },
    { op: 'keepAlive', value: { id: first.keyId, state: 'cooling', coolingInMs: 700 } },
    { op: 'activate', first: true, value: { activatedAt: clock.now() } },
    { op: 'activate', first: false, value: { activatedAt: clock.now() } },
    { op: 'unblock', value: 'done' },
    { op: 'unblock', value: { refusal: 'key-not-leased' } },
    { op: 'delete', value: 'done' },
    { op: 'delete', value: { refusal: 'unknown-key' } },
    { op: 'keepAlive', value: { refusal: 'unknown-key' } },
    { op: 'activate', value: { refusal: 'unknown-key' } },
    { op: 'acquire', value: { refusal: 'lease-too-long' } }
  ])
  for (const { op, value } of outcomes) {
    if (op !== 'acquire' && typeof value === 'object') t.notOk(value && 'key' in value, `${op} shows no secret`)
  }
})

t.test('all of a batch happens at one instant', async t => {
  const engine = new MemoryEngine({ clock: restless(new ManualClock()), onFault: error => t.error(error) })
  t.teardown(() => engine.close())
  await generate(engine, 100)
  const outcomes = await granted(
    engine.batch(
      POOL,
      Array.from({ length: 100 }, () => ({ op: 'acquire', leaseMs: 100 }) as const)
    )
  )
  const begun = outcomes.map(({ value }) =>
    value && typeof value === 'object' && 'acquiredAt' in value ? value.acquiredAt : -1
  )
  t.equal(new Set(begun).size, 1)
})

t.test('those who wait are served after a batch, not inside it', async t => {
  const { engine } = createEngine(t)
  await generate(engine, 1)
  const lease = await granted(engine.acquire(POOL, {}))
  const waiting = engine.acquire(POOL, { holder: 'waits', waitMs: 10_000 })

  const [, inside] = await granted(
    engine.batch(POOL, [
      { op: 'release', lease: lease.id },
      { op: 'acquire', holder: 'inside' }
    ])
  )
  t.match(inside, { op: 'acquire', value: { holder: 'inside' } })
  t.equal(await byNow(waiting), 'pending')

  await granted(engine.batch(POOL, [{ op: 'unblock', id: lease.keyId }]))
  t.equal((await granted(waiting)).holder, 'waits')
})

t.test('keys that are free go to those who wait before a batch', async t => {
  const { engine, clock } = createEngine(t)
  await generate(engine, 1)
  await granted(engine.acquire(POOL, {}))
  const waiting = engine.acquire(POOL, { holder: 'waits', waitMs: 2 * LEASE_MS })
  clock.stall(LEASE_MS)
  t.match(await engine.batch(POOL, [{ op: 'acquire' }]), [{ value: { refusal: 'no-free-key' } }])
  t.equal((await granted(waiting)).holder, 'waits')
})

t.test('a retry gets the recorded outcomes, and what they name as it is now', async t => {
  const { engine, clock } = createEngine(t)
  const [a, b] = await generate(engine, 2)
  const retry = { scope: 'r', fingerprint: 'the same' }
  const operations: Operation[] = [
    { op: 'acquire', holder: 'one' },
    { op: 'acquire', holder: 'two' },
    { op: 'acquire' },
    { op: 'activate', id: a?.id ?? '' },
    { op: 'keepAlive', id: b?.id ?? '' },
    { op: 'release', lease: `${ID}.1` },
    { op: 'unblock', id: ID }
  ]
  const first = await granted(engine.batch(POOL, operations, { retry }))
  const [one, two] = first.map(({ value }) => value)
  if (!one || typeof one !== 'object' || !('keyId' in one)) throw new Error('leased')
  if (!two || typeof two !== 'object' || !('keyId' in two)) throw new Error('leased')
  t.strictSame(await engine.batch(POOL, operations, { retry }), first, 'also refusals of operations are recorded')

  clock.advance(1000)
  await granted(engine.release(POOL, one.id))
  const again = await granted(engine.batch(POOL, operations, { retry }))
  t.equal(again[0]?.value, null, 'the lease has ended')
  t.match(again[1], { op: 'acquire', value: { id: two.id, expiresInMs: LEASE_MS - 1000, key: two.key } })
  t.strictSame(again[2], first[2])
  t.match(again[3], { op: 'activate', first: true, value: { id: a?.id, activatedAt: clock.now() - 1000 } })
  t.match(again[4], { op: 'keepAlive', value: { id: b?.id } })
  t.match(await engine.pool(POOL), { counts: { leased: 1, free: 1 } }, 'nothing was done again')

  for (const { id } of [a, b] as { id: string }[]) await granted(engine.delete(POOL, id))
  const last = await granted(engine.batch(POOL, operations, { retry }))
  t.strictSame(
    last.slice(0, 5).map(({ value }) => (isRefusal(value) ? 'refused' : value)),
    [null, null, 'refused', null, null]
  )
})

t.test('a retry of a renewal gets the lease without its secret', async t => {
  const { engine } = createEngine(t)
  await granted(engine.putPool(POOL, { maxHoldMs: 2 * LEASE_MS }))
  await generate(engine, 1)
  const lease = await granted(engine.acquire(POOL, {}))
  const retry = { scope: 'r', fingerprint: 'the same' }
  const operations: Operation[] = [{ op: 'renew', lease: lease.id, leaseMs: 30_000 }]
  const [first] = await granted(engine.batch(POOL, operations, { retry }))
  const [again] = await granted(engine.batch(POOL, operations, { retry }))
  t.strictSame(again, first)
  t.notOk('key' in (again?.value as object))
})

t.test('what is kept of an outcome holds no secret', async t => {
  const { engine } = createEngine(t)
  const [key] = await generate(engine, 1)
  const outcomes: Outcome[] = await granted(
    engine.batch(POOL, [{ op: 'acquire' }, { op: 'activate', id: key?.id ?? '' }, { op: 'acquire' }])
  )
  t.match(JSON.stringify(outcomes), key?.key)
  t.notMatch(JSON.stringify(outcomes.map(keepOutcome)), key?.key)
})

t.test('a batch in a pool that is unknown is refused as a whole', async t => {
  const { engine } = createEngine(t)
  t.strictSame(engine.batch('nowhere', [{ op: 'acquire' }]), { refusal: 'unknown-pool' })
})
