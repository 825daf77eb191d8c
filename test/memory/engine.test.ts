import t from 'tap'
import { type Answer, DEFAULT_POOL, MAX_POOLS } from '../../src/engine.ts'
import { createEngine, generate, granted, refusalOf, turns } from '../support/create-engine.ts'
import { ManualClock } from '../support/manual-clock.ts'
import { KEEP_ALIVE_MS, LEASE_MS } from '../support/pool.ts'

const ID = 'aaaaaaaaaaaaaaaaaaaaaa'
const NOTHING = { total: 0, free: 0, leased: 0, cooling: 0, retired: 0, waiting: 0 }

t.test('the pool `default` is there from the start, with the policy of the contract', async t => {
  const { engine } = createEngine(t)
  t.equal(DEFAULT_POOL, 'default')
  t.strictSame(await engine.pools(), [
    {
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
      counts: NOTHING,
      keyspace: { size: String(62n ** 20n), remaining: String(62n ** 20n) }
    }
  ])
})

t.test('a pool is made, changed and deleted', async t => {
  const { engine } = createEngine(t)
  t.match(await engine.putPool('a', { leaseMs: 1000 }), { made: true, pool: { name: 'a', policy: { leaseMs: 1000 } } })
  t.match(await engine.putPool('a', { keepAliveMs: null }), {
    made: false,
    pool: { policy: { leaseMs: 1000, keepAliveMs: null } }
  })
  t.match(await engine.putPool('a', {}), { made: false, pool: { policy: { leaseMs: 1000, keepAliveMs: null } } })
  t.match(await engine.pool('a'), { name: 'a' })
  t.equal(await engine.deletePool('a'), 'deleted')
  t.strictSame(await engine.pool('a'), { refusal: 'unknown-pool' })
  t.strictSame(await engine.deletePool('a'), { refusal: 'unknown-pool' })
})

t.test('a policy that contradicts itself or the keys makes and changes nothing', async t => {
  const { engine } = createEngine(t)
  t.strictSame(engine.putPool('a', { maxHoldMs: 59_999 }), { refusal: 'max-hold-too-short' })
  t.equal(await refusalOf(engine.pool('a')), 'unknown-pool')
  await granted(engine.putPool('a', { maxHoldMs: LEASE_MS }))
  t.strictSame(engine.putPool('a', { leaseMs: LEASE_MS + 1 }), { refusal: 'max-hold-too-short' })
  await generate(engine, 1, 'a')
  t.strictSame(engine.putPool('a', { length: 5 }), { refusal: 'policy-locked' })
  t.match(await engine.pool('a'), { policy: { leaseMs: LEASE_MS, maxHoldMs: LEASE_MS, length: 20 } })
})

t.test('every verb refuses an unknown pool', async t => {
  const { engine } = createEngine(t)
  const verbs: Record<string, () => Answer<unknown>> = {
    pool: () => engine.pool('a'),
    deletePool: () => engine.deletePool('a'),
    generate: () => engine.generate('a', { count: 1, metadata: null }),
    importKeys: () => engine.importKeys('a', [{ key: 'a' }]),
    list: () => engine.list('a', { limit: 1 }),
    key: () => engine.key('a', ID),
    delete: () => engine.delete('a', ID),
    keepAlive: () => engine.keepAlive('a', ID),
    activate: () => engine.activate('a', ID),
    setMetadata: () => engine.setMetadata('a', ID, null),
    unblock: () => engine.unblock('a', ID),
    acquire: () => engine.acquire('a', { waitMs: 1000 }),
    lease: () => engine.lease('a', `${ID}.1`),
    renew: () => engine.renew('a', `${ID}.1`, {}),
    release: () => engine.release('a', `${ID}.1`),
    batch: () => engine.batch('a', [{ op: 'acquire' }])
  }
  for (const [verb, call] of Object.entries(verbs)) t.strictSame(await call(), { refusal: 'unknown-pool' }, verb)
})

t.test('the verbs of keys and leases', async t => {
  const { engine, clock } = createEngine(t)
  t.strictSame(engine.generate('default', { count: 1, metadata: { a: 'b' } }) instanceof Promise, false)
  const { keys } = await granted(engine.list('default', { limit: 10 }))
  const id = keys[0]?.id ?? ''
  t.strictSame(await engine.list('default', { limit: 10, cursor: 'nonsense' }), { refusal: 'bad-cursor' })
  t.match(await engine.key('default', id, true), { id, key: String, metadata: { a: 'b' } })
  t.match(await engine.setMetadata('default', id, { c: 'd' }), { id, metadata: { c: 'd' } })
  t.match(await engine.activate('default', id), { first: true, key: { activatedAt: clock.now() } })
  t.match(await engine.keepAlive('default', id), { id, keepAliveInMs: KEEP_ALIVE_MS })
  const lease = await granted(engine.acquire('default', { holder: 'h', leaseMs: 1000 }))
  t.match(await engine.lease('default', lease.id), { id: lease.id, holder: 'h' })
  t.notOk('key' in (await granted(engine.lease('default', lease.id))))
  t.strictSame(await engine.renew('default', lease.id, { leaseMs: LEASE_MS + 1 }), { refusal: 'lease-too-long' })
  t.match(await engine.renew('default', lease.id, { leaseMs: 2000 }), { expiresInMs: 2000 })
  t.strictSame(await engine.unblock('default', id, lease.fence + 1), { refusal: 'lease-lost' })
  t.equal(await engine.unblock('default', id, lease.fence), 'unblocked')
  t.strictSame(await engine.unblock('default', id), { refusal: 'key-not-leased' })
  t.strictSame(await engine.release('default', lease.id), { refusal: 'lease-lost' })
  t.strictSame(await engine.lease('default', lease.id), { refusal: 'lease-lost' })
  t.equal(await engine.delete('default', id), 'deleted')
  for (const gone of [
    engine.key('default', id),
    engine.delete('default', id),
    engine.keepAlive('default', id),
    engine.activate('default', id),
    engine.setMetadata('default', id, null),
    engine.unblock('default', id)
  ]) {
    t.strictSame(await gone, { refusal: 'unknown-key' })
  }
})

t.test('generation tells how many keys remain', async t => {
  const { engine } = createEngine(t)
  await granted(engine.putPool('small', { alphabet: 'ab', length: 2, maxKeys: 3 }))
  await generate(engine, 2, 'small')
  t.strictSame(engine.generate('small', { count: 3, metadata: null }), { refusal: 'keyspace-exhausted', remaining: 2 })
  t.strictSame(engine.generate('small', { count: 2, metadata: null }), { refusal: 'pool-full' })
  t.equal((await generate(engine, 1, 'small')).length, 1)
})

t.test('a thousand pools live side by side, and not one more', async t => {
  const { engine, clock } = createEngine(t)
  t.equal(MAX_POOLS, 1000)
  for (let i = 1; i < 1000; i++) await granted(engine.putPool(`pool-${i}`, {}))
  t.strictSame(engine.putPool('one-more', {}), { refusal: 'too-many-pools' })
  t.match(await engine.putPool('pool-5', { length: 30 }), { made: false })
  const fences = new Set<number>()
  for (let i = 1; i < 1000; i++) {
    await generate(engine, 2, `pool-${i}`)
    fences.add((await granted(engine.acquire(`pool-${i}`, {}))).fence)
  }
  t.equal((await granted(engine.pools())).length, 1000)
  t.equal(clock.timers, 1)

  const waiting = engine.acquire('default', { waitMs: 2 * LEASE_MS })
  clock.advance(LEASE_MS)
  while ((await granted(engine.pools())).some(({ counts }) => counts.leased > 0)) await turns()
  t.pass('all leases have ended')
  clock.advance(KEEP_ALIVE_MS - LEASE_MS)
  await turns(100)
  t.ok((await granted(engine.pools())).slice(1).every(({ counts }) => counts.total === 0 && counts.retired === 2))
  t.equal(await refusalOf(waiting), 'no-free-key')
  t.equal(await engine.deletePool('pool-1'), 'deleted')
  t.match(await engine.putPool('one-more', {}), { made: true })
})

t.test('fences grow with every lease of a pool', async t => {
  const { engine } = createEngine(t)
  await generate(engine, 3)
  let last = 0
  for (let i = 0; i < 30; i++) {
    const { fence, id, keyId } = await granted(engine.acquire('default', {}))
    t.ok(fence > last && Number.isSafeInteger(fence))
    t.equal(id, `${keyId}.${fence}`)
    last = fence
    await granted(engine.release('default', id))
  }
})

t.test('fences go on growing when a pool is deleted and made again', async t => {
  const { engine, clock } = createEngine(t)
  let last = 0
  for (let round = 0; round < 4; round++) {
    await granted(engine.putPool('scratch', {}))
    await generate(engine, 1, 'scratch')
    // More leases than the clock would account for: no time passes.
    for (let i = 0; i < 3000; i++) {
      const { fence, id } = await granted(engine.acquire('scratch', {}))
      if (fence <= last) throw new Error(`${fence} after ${last}`)
      last = fence
      await granted(engine.release('scratch', id))
    }
    await granted(engine.deletePool('scratch'))
    if (round === 1) await granted(engine.putPool('between', {}))
    if (round === 2) clock.advance(1)
  }
  t.ok(last > 0)
})

t.test('fences of an engine that is started later are larger', async t => {
  const clock = new ManualClock()
  const earlier = createEngine(t, { clock }).engine
  t.equal((await granted(earlier.putPool('a', {}))).made, true)
  await generate(earlier, 1, 'a')
  let last = 0
  for (let i = 0; i < 900; i++) {
    const { fence, id } = await granted(earlier.acquire('a', {}))
    last = fence
    await granted(earlier.release('a', id))
  }
  t.equal(last, clock.now() * 1000 + 900, 'the start in milliseconds times 1000, and on')
  clock.advance(1)
  const later = createEngine(t, { clock }).engine
  await granted(later.putPool('a', {}))
  await generate(later, 1, 'a')
  t.ok((await granted(later.acquire('a', {}))).fence > last)
})

t.test('the engine is ready unless the sweep is two seconds behind', async t => {
  const { engine, clock } = createEngine(t)
  await generate(engine, 1)
  t.strictSame(engine.readiness(), [])
  clock.stall(KEEP_ALIVE_MS + 1999)
  t.strictSame(engine.readiness(), [])
  clock.stall(1)
  t.match(engine.readiness(), [/2000 ms/])
  t.equal(engine.readiness().length, 1)
  clock.advance(0)
  t.strictSame(engine.readiness(), [])
})

t.test('a deleted pool leaves nothing to sweep', async t => {
  const { engine, clock } = createEngine(t)
  await granted(engine.putPool('scratch', {}))
  await generate(engine, 10, 'scratch')
  await granted(engine.deletePool('scratch'))
  clock.stall(KEEP_ALIVE_MS + 5000)
  t.strictSame(engine.readiness(), [])
  clock.advance(0)
  t.equal(clock.timers, 0)
})

t.test('a deleted pool forgets what it retired', async t => {
  const { engine, clock } = createEngine(t)
  await granted(engine.putPool('scratch', {}))
  await granted(engine.importKeys('scratch', [{ key: 'mine' }]))
  clock.advance(KEEP_ALIVE_MS)
  t.strictSame(engine.importKeys('scratch', [{ key: 'mine' }]), { refusal: 'key-retired', indexes: [0] })
  await granted(engine.deletePool('scratch'))
  await granted(engine.putPool('scratch', {}))
  await granted(engine.importKeys('scratch', [{ key: 'mine' }]))
  t.match(await engine.pool('scratch'), { counts: { total: 1, retired: 0 } })
})

t.test('the same key in two pools is two keys', async t => {
  const { engine } = createEngine(t)
  await granted(engine.putPool('other', {}))
  const [one] = await granted(engine.importKeys('default', [{ key: 'mine' }]))
  const [two] = await granted(engine.importKeys('other', [{ key: 'mine' }]))
  t.equal(one?.id, two?.id)
  await granted(engine.delete('default', one?.id ?? ''))
  t.match(await engine.key('other', two?.id ?? ''), { state: 'free' })
})

t.test('who need not wait is not asked for a signal', async t => {
  const { engine } = createEngine(t)
  await generate(engine, 1)
  let asked = 0
  const caller = {
    get signal() {
      asked++
      return undefined
    }
  }
  await granted(engine.acquire('default', { waitMs: 1000 }, caller))
  t.equal(await refusalOf(engine.acquire('default', {}, caller)), 'no-free-key')
  t.equal(asked, 0)
  void engine.acquire('default', { waitMs: 1000 }, caller)
  t.equal(asked, 1)
})
