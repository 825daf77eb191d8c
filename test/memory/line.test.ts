import t from 'tap'
import type { LeaseView } from '../../src/engine.ts'
import { byNow, createEngine, generate, granted, refusalOf, turns } from '../support/create-engine.ts'
import { LEASE_MS } from '../support/pool.ts'

const POOL = 'default'
const WAIT_MS = 30_000

type Tools = ReturnType<typeof createEngine> & { id: string; leaseId: string }

// Each way in which a key becomes free, from a pool with one key that somebody holds, or with none.
const ways: { way: string; keys: number; free: (tools: Tools) => unknown }[] = [
  { way: 'a generated key', keys: 0, free: ({ engine }) => engine.generate(POOL, { count: 1, metadata: null }) },
  { way: 'an imported key', keys: 0, free: ({ engine }) => engine.importKeys(POOL, [{ key: 'from-elsewhere' }]) },
  { way: 'a released key', keys: 1, free: ({ engine, leaseId }) => engine.release(POOL, leaseId) },
  { way: 'a key whose lease ends', keys: 1, free: ({ clock }) => clock.advance(LEASE_MS) },
  {
    way: 'a key whose cooling ends',
    keys: 1,
    free: ({ engine, clock, leaseId }) => {
      void engine.release(POOL, leaseId, { cooldownMs: 5000 })
      clock.advance(5000)
    }
  },
  { way: 'a key whose lease is ended by others', keys: 1, free: ({ engine, id }) => engine.unblock(POOL, id) },
  {
    way: 'a key whose cooling is ended',
    keys: 1,
    free: ({ engine, id, leaseId }) => {
      void engine.release(POOL, leaseId, { cooldownMs: LEASE_MS })
      void engine.unblock(POOL, id)
    }
  },
  {
    way: 'a key that a batch releases',
    keys: 1,
    free: ({ engine, leaseId }) => engine.batch(POOL, [{ op: 'release', lease: leaseId }])
  }
]

for (const { way, keys, free } of ways) {
  t.test(`${way} goes to who has waited longest, and then in turn`, async t => {
    const { engine, clock, faults } = createEngine(t)
    await generate(engine, keys)
    const held = keys === 0 ? undefined : await granted(engine.acquire(POOL, {}))
    const waiting = ['first', 'second', 'third'].map(holder => engine.acquire(POOL, { holder, waitMs: 2 * LEASE_MS }))
    await turns()
    t.equal((await granted(engine.pool(POOL))).counts.waiting, 3)

    free({ engine, clock, faults, id: held?.keyId ?? '', leaseId: held?.id ?? '' })
    let fence = held?.fence ?? 0
    for (const [i, holder] of ['first', 'second', 'third'].entries()) {
      const lease = await granted(waiting[i] as (typeof waiting)[0])
      t.equal(lease.holder, holder)
      t.ok(lease.fence > fence)
      t.ok(lease.key, 'with its secret')
      fence = lease.fence
      for (const later of waiting.slice(i + 1)) t.equal(await byNow(later), 'pending')
      t.equal(await granted(engine.release(POOL, lease.id)), 'released')
    }
    t.equal((await granted(engine.pool(POOL))).counts.waiting, 0)
    t.equal((await granted(engine.pool(POOL))).counts.free, 1)
  })
}

t.test('several new keys serve as many as wait, in order', async t => {
  const { engine } = createEngine(t)
  const waiting = Array.from({ length: 5 }, () => engine.acquire(POOL, { waitMs: WAIT_MS }))
  const made = await granted(engine.generate(POOL, { count: 3, metadata: null }))
  t.strictSame(
    made.map(({ state }) => state),
    ['free', 'free', 'free'],
    'a key that waiters take at once is answered as free'
  )
  const leases = await Promise.all(waiting.slice(0, 3).map(granted))
  t.equal(new Set(leases.map(({ keyId }) => keyId)).size, 3)
  t.ok(leases.every(({ fence }, i) => i === 0 || fence > (leases[i - 1] as LeaseView).fence))
  t.equal(await byNow(waiting[3]), 'pending')
  t.equal(await byNow(waiting[4]), 'pending')
})

t.test('a newcomer does not overtake', async t => {
  const { engine, clock } = createEngine(t)
  await generate(engine, 1)
  await granted(engine.acquire(POOL, {}))
  const waiting = engine.acquire(POOL, { holder: 'patient', waitMs: WAIT_MS + LEASE_MS })

  // The lease has ended, but no timer has been called: the newcomer is the first to look.
  clock.stall(LEASE_MS)
  t.equal(await refusalOf(engine.acquire(POOL, { holder: 'newcomer' })), 'no-free-key')
  t.equal((await granted(waiting)).holder, 'patient')

  const queue = ['second', 'third'].map(holder => engine.acquire(POOL, { holder, waitMs: 2 * LEASE_MS }))
  clock.stall(LEASE_MS)
  t.equal(await refusalOf(engine.acquire(POOL, {})), 'no-free-key')
  t.equal((await granted(queue[0] as (typeof queue)[0])).holder, 'second')
  t.equal(await byNow(queue[1]), 'pending')
})

for (const renewals of [20, 40]) {
  for (const newcomer of ['call', 'batch']) {
    t.test(`no ${newcomer} overtakes while ${renewals} deadlines stand before the one that frees a key`, async t => {
      const { engine, clock } = createEngine(t)
      await granted(engine.putPool(POOL, { maxHoldMs: 10 * LEASE_MS }))
      // Renewed leases surface at their first deadline, and more of them than a verb applies before it answers.
      await generate(engine, renewals + 1)
      for (let i = 0; i < renewals; i++) await granted(engine.acquire(POOL, { holder: 'renewed' }))
      clock.advance(1)
      await granted(engine.acquire(POOL, { holder: 'ends' }))
      clock.advance(LEASE_MS / 2)
      const { keys } = await granted(engine.list(POOL, { limit: 100 }))
      for (const { lease } of keys) if (lease?.holder === 'renewed') await granted(engine.renew(POOL, lease.id, {}))
      const waiting = engine.acquire(POOL, { holder: 'patient', waitMs: LEASE_MS })

      clock.stall(LEASE_MS / 2)
      const answer =
        newcomer === 'call'
          ? engine.acquire(POOL, {})
          : granted(engine.batch(POOL, [{ op: 'acquire' }])).then(([outcome]) => outcome?.value)
      clock.advance(0)
      t.equal(await refusalOf(answer), 'no-free-key')
      t.equal((await granted(waiting)).holder, 'patient')
    })
  }
}

t.test('a newcomer gets what those who wait leave', async t => {
  const { engine, clock } = createEngine(t)
  await generate(engine, 2)
  for (let i = 0; i < 2; i++) await granted(engine.acquire(POOL, {}))
  const waiting = engine.acquire(POOL, { holder: 'patient', waitMs: 2 * LEASE_MS })
  clock.stall(LEASE_MS)
  const lease = await granted(engine.acquire(POOL, { holder: 'newcomer' }))
  t.equal((await granted(waiting)).holder, 'patient')
  t.ok(lease.fence > (await granted(waiting)).fence)
})
