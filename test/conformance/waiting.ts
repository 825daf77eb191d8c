import type { Engine } from '../../src/engine.ts'
import { generate, granted, refusalOf } from '../support/create-engine.ts'
import {
  type Facts,
  KEEP_ALIVE_MS,
  LEASE_MS,
  POOL,
  type Provided,
  queueUp,
  waiting as untilWaiting
} from './provided.ts'

const WAIT_MS = 30_000

type Tools = Provided & { id: string; leaseId: string }

/** Each way in which a key becomes free, from a pool with one key that somebody holds, or with none. */
const WAYS: Record<string, { keys: 0 | 1; free: (tools: Tools) => Promise<unknown> }> = {
  'a generated key': { keys: 0, free: async ({ engine }) => engine.generate(POOL, { count: 1, metadata: null }) },
  'an imported key': { keys: 0, free: async ({ engine }) => engine.importKeys(POOL, [{ key: 'from-elsewhere' }]) },
  'a released key': { keys: 1, free: async ({ engine, leaseId }) => engine.release(POOL, leaseId) },
  'a key whose lease ends': { keys: 1, free: ({ advance }) => advance(LEASE_MS) },
  'a key whose cooling ends': {
    keys: 1,
    free: async ({ engine, advance, leaseId }) => {
      await engine.release(POOL, leaseId, { cooldownMs: 5000 })
      await advance(5000)
    }
  },
  'a key whose lease is ended by others': { keys: 1, free: async ({ engine, id }) => engine.unblock(POOL, id) },
  'a key whose cooling is ended by others': {
    keys: 1,
    free: async ({ engine, id, leaseId }) => {
      await engine.release(POOL, leaseId, { cooldownMs: LEASE_MS })
      await engine.unblock(POOL, id)
    }
  },
  'a key that a batch releases': {
    keys: 1,
    free: async ({ engine, leaseId }) => engine.batch(POOL, [{ op: 'release', lease: leaseId }])
  }
}

const served: Facts = Object.fromEntries(
  Object.entries(WAYS).map(([way, { keys, free }]) => [
    `${way} goes to who has waited longest, and then in turn`,
    async (t, provided) => {
      const { engine } = provided
      await generate(engine, keys)
      const held = keys === 0 ? undefined : await granted(engine.acquire(POOL, {}))
      const holders = ['first', 'second', 'third']
      const answers = await queueUp(engine, holders, 2 * LEASE_MS)

      await free({ ...provided, id: held?.keyId ?? '', leaseId: held?.id ?? '' })
      let fence = held?.fence ?? 0
      for (const [i, holder] of holders.entries()) {
        const lease = await granted(answers[i] as (typeof answers)[0])
        t.equal(lease.holder, holder)
        t.ok(lease.fence > fence)
        t.ok(lease.key, 'with its secret')
        fence = lease.fence
        t.match(await engine.pool(POOL), { counts: { waiting: 2 - i, leased: 1, free: 0 } })
        t.equal(await engine.release(POOL, lease.id), 'released')
      }
      t.match(await engine.pool(POOL), { counts: { waiting: 0, free: 1 } })
    }
  ])
)

export const waiting: Facts = {
  ...served,

  'several new keys serve as many as wait, in order, and are answered as free': async (t, { engine }) => {
    const answers = await queueUp(engine, ['a', 'b', 'c', 'd', 'e'], WAIT_MS)
    const made = await granted(engine.generate(POOL, { count: 3, metadata: null }))
    t.match(made, [{ state: 'free', lease: null }, { state: 'free' }, { state: 'free' }])
    const leases = await Promise.all(answers.slice(0, 3).map(granted))
    t.equal(new Set(leases.map(({ keyId }) => keyId)).size, 3)
    t.ok(leases.every(({ fence }, i) => i === 0 || fence > Number(leases[i - 1]?.fence)))
    t.match(await engine.pool(POOL), { counts: { waiting: 2, leased: 3 } })
  },

  'waiting ends after waitMs, not before': async (t, { engine, advance }) => {
    for (const waitMs of [1, 1000, 60_000]) {
      const [answer] = await queueUp(engine, ['a'], waitMs)
      await advance(waitMs - 1)
      t.match(await engine.pool(POOL), { counts: { waiting: 1 } })
      await advance(1)
      t.strictSame(await answer, {
        refusal: 'no-free-key',
        reason: 'pool-empty',
        retryAfterMs: null,
        counts: { total: 0, free: 0, leased: 0, cooling: 0, retired: 0, waiting: 0 }
      })
    }
  },

  'a wait of nothing is none': async (t, { engine }) => {
    t.equal(await refusalOf(engine.acquire(POOL, { waitMs: 0 })), 'no-free-key')
    await generate(engine, 1)
    t.match(await engine.acquire(POOL, { waitMs: 0 }), { fence: Number })
  },

  'who need not wait gets a key at once': async (t, { engine }) => {
    await generate(engine, 1)
    t.match(await engine.acquire(POOL, { waitMs: WAIT_MS, leaseMs: 1000, holder: 'a' }), {
      expiresInMs: 1000,
      holder: 'a'
    })
  },

  'whose time is up first leaves the line first, and the others wait on': async (t, { engine, advance }) => {
    const [long] = await queueUp(engine, ['long'], 2000)
    const [short] = await queueUp(engine, ['short'], 1000)
    await advance(1000)
    t.match(await short, { refusal: 'no-free-key', counts: { waiting: 1 } })
    await generate(engine, 1)
    t.match(await long, { holder: 'long' })
  },

  'a newcomer who would wait stands behind, one who would not is refused': async (t, { engine, advance }) => {
    await generate(engine, 1)
    await granted(engine.acquire(POOL, {}))
    const [first, second] = await queueUp(engine, ['first', 'second'], 2 * LEASE_MS)
    t.equal(await refusalOf(engine.acquire(POOL, {})), 'no-free-key')
    await advance(LEASE_MS)
    t.match(await first, { holder: 'first' })
    t.equal(await refusalOf(engine.acquire(POOL, {})), 'no-free-key')
    await advance(LEASE_MS)
    t.match(await second, { holder: 'second' })
  },

  'whoever leaves before the grant leaves the key to others': async (t, { engine }) => {
    const controller = new AbortController()
    const gone = engine.acquire(POOL, { waitMs: WAIT_MS }, { signal: controller.signal })
    await untilWaiting(engine, 1)
    const [staying] = await queueUp(engine, ['stays'], WAIT_MS)
    controller.abort()
    t.equal(await refusalOf(gone), 'no-free-key')
    await untilWaiting(engine, 1)
    await generate(engine, 1)
    t.match(await staying, { holder: 'stays' })
  },

  'whoever left before coming gets nothing': async (t, { engine }) => {
    const signal = AbortSignal.abort()
    t.equal(await refusalOf(engine.acquire(POOL, { waitMs: WAIT_MS }, { signal })), 'no-free-key')
    const retry = { scope: 'a', fingerprint: 'b' }
    t.equal(await refusalOf(engine.acquire(POOL, { waitMs: WAIT_MS }, { signal, retry })), 'no-free-key')
    await generate(engine, 1)
    t.match(await engine.pool(POOL), { counts: { free: 1, waiting: 0 } })
  },

  'leaving after the grant changes nothing': async (t, { engine }) => {
    const controller = new AbortController()
    const answer = engine.acquire(POOL, { waitMs: WAIT_MS }, { signal: controller.signal })
    await untilWaiting(engine, 1)
    await generate(engine, 1)
    const lease = await granted(answer)
    controller.abort()
    t.match(await engine.lease(POOL, lease.id), { id: lease.id })
  },

  'a wait that outlives all keys ends as on an empty pool': async (t, { engine, advance }) => {
    await granted(engine.putPool(POOL, { leaseMs: 2 * KEEP_ALIVE_MS }))
    await generate(engine, 1)
    await granted(engine.acquire(POOL, {}))
    await advance(KEEP_ALIVE_MS - 1)
    const [answer] = await queueUp(engine, ['a'], 10)
    await advance(10)
    t.match(await answer, { reason: 'pool-empty', retryAfterMs: null, counts: { retired: 1, leased: 0 } })
  },

  'the policy may have changed while a caller waited': async (t, { engine }) => {
    const long = engine.acquire(POOL, { leaseMs: LEASE_MS, waitMs: WAIT_MS })
    await untilWaiting(engine, 1)
    const [usual] = await queueUp(engine, ['usual'], WAIT_MS)
    await granted(engine.putPool(POOL, { leaseMs: 1000 }))
    await generate(engine, 1)
    t.equal(await refusalOf(long), 'lease-too-long')
    t.match(await usual, { expiresInMs: 1000 })
  },

  'a lease that is too long is refused before any wait': async (t, { engine }) => {
    t.strictSame(await engine.acquire(POOL, { leaseMs: LEASE_MS + 1, waitMs: WAIT_MS }), { refusal: 'lease-too-long' })
    t.match(await engine.pool(POOL), { counts: { waiting: 0 } })
  },

  'ten thousand callers wait for a pool, and no more': async (t, { engine }) => {
    await granted(engine.putPool('other', {}))
    const controller = new AbortController()
    const answers: ReturnType<Engine['acquire']>[] = []
    answers.push(engine.acquire(POOL, { waitMs: WAIT_MS }, { signal: controller.signal }))
    await untilWaiting(engine, 1)
    for (let i = 1; i < 10_000; i++) answers.push(engine.acquire(POOL, { waitMs: WAIT_MS }))
    await untilWaiting(engine, 10_000)

    t.strictSame(await engine.acquire(POOL, { waitMs: 1 }), { refusal: 'overloaded' })
    t.equal(await refusalOf(engine.acquire(POOL, {})), 'no-free-key', 'whoever does not wait is told as ever')
    await queueUp(engine, ['another pool has a line of its own'], WAIT_MS, 'other')
    controller.abort()
    t.equal(await refusalOf(answers[0] as (typeof answers)[0]), 'no-free-key')
    await untilWaiting(engine, 9999)
    await queueUp(engine, ['there is room for one more'], WAIT_MS)
    await generate(engine, 1000)
    await untilWaiting(engine, 9000)
    t.match(await engine.pool(POOL), { counts: { leased: 1000, free: 0 } })
  },

  'the end of a pool is the end of waiting for it, and for no other': async (t, { engine }) => {
    await granted(engine.putPool('scratch', {}))
    const answers = await queueUp(engine, ['a', 'b'], WAIT_MS, 'scratch')
    const [elsewhere] = await queueUp(engine, ['elsewhere'], WAIT_MS)
    t.equal(await engine.deletePool('scratch'), 'deleted')
    for (const answer of answers) t.strictSame(await answer, { refusal: 'unknown-pool' })
    t.match(await engine.pool(POOL), { counts: { waiting: 1 } })
    await generate(engine, 1)
    t.match(await elsewhere, { holder: 'elsewhere' })
  },

  'draining ends all waiting, and lets nobody wait': async (t, { engine }) => {
    await granted(engine.putPool('other', {}))
    const answers = [...(await queueUp(engine, ['a'], WAIT_MS)), ...(await queueUp(engine, ['b'], WAIT_MS, 'other'))]
    engine.drain()
    for (const answer of answers) t.strictSame(await answer, { refusal: 'draining' })
    t.strictSame(await engine.acquire(POOL, { waitMs: WAIT_MS }), { refusal: 'draining' })
    await granted(engine.putPool('newer', {}))
    t.strictSame(await engine.acquire('newer', { waitMs: WAIT_MS }), { refusal: 'draining' })
    t.equal(await refusalOf(engine.acquire(POOL, {})), 'no-free-key')
    await generate(engine, 1)
    t.match(await engine.acquire(POOL, { waitMs: WAIT_MS }), { fence: Number })
  }
}
