import { isRefusal, type LeaseView, type Operation, type Outcome } from '../../src/engine.ts'
import { generate, granted } from '../support/create-engine.ts'
import { type Facts, LEASE_MS, NO_ID, POOL, queueUp } from './provided.ts'

function leaseOf(outcome: Outcome | undefined): LeaseView {
  const value = outcome?.value
  if (typeof value !== 'object' || value === null || !('keyId' in value)) throw new Error('no lease')
  return value
}

export const batch: Facts = {
  'operations are applied in order, each with the outcome of its own verb': async (t, { engine, now, advance }) => {
    const [a, b] = await generate(engine, 2)
    const first = await granted(engine.acquire(POOL, { leaseMs: 1000 }))
    const freeId = first.keyId === a?.id ? b?.id : a?.id
    await advance(10)
    const outcomes = await granted(
      engine.batch(POOL, [
        { op: 'acquire', leaseMs: 500, holder: 'b' },
        { op: 'acquire' },
        { op: 'renew', lease: first.id, leaseMs: LEASE_MS },
        { op: 'renew', lease: first.id },
        { op: 'renew', lease: first.id, leaseMs: LEASE_MS + 1 },
        { op: 'unblock', id: first.keyId, fence: first.fence + 10_000 },
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
      { op: 'acquire', value: { refusal: 'no-free-key', reason: 'all-held', counts: { total: 2, leased: 2 } } },
      { op: 'renew', value: { id: first.id, expiresInMs: LEASE_MS - 10 } },
      { op: 'renew', value: { refusal: 'max-hold-reached' } },
      { op: 'renew', value: { refusal: 'lease-too-long' } },
      { op: 'unblock', value: { refusal: 'lease-lost' } },
      { op: 'release', value: 'done' },
      { op: 'release', value: 'done' },
      { op: 'renew', value: { refusal: 'lease-lost' } },
      { op: 'keepAlive', value: { id: first.keyId, state: 'cooling', coolingInMs: 700 } },
      { op: 'activate', first: true, value: { activatedAt: now() } },
      { op: 'activate', first: false, value: { activatedAt: now() } },
      { op: 'unblock', value: 'done' },
      { op: 'unblock', value: { refusal: 'key-not-leased' } },
      { op: 'delete', value: 'done' },
      { op: 'delete', value: { refusal: 'unknown-key' } },
      { op: 'keepAlive', value: { refusal: 'unknown-key' } },
      { op: 'activate', value: { refusal: 'unknown-key' } },
      { op: 'acquire', value: { refusal: 'lease-too-long' } }
    ])
    t.equal(outcomes.length, 19)
    for (const { op, value } of outcomes) {
      if (op !== 'acquire' && typeof value === 'object') t.notOk(value && 'key' in value, `${op} shows no secret`)
    }
  },

  'a thousand operations are as good as one': async (t, { engine }) => {
    await generate(engine, 1000)
    const acquired = await granted(
      engine.batch(
        POOL,
        Array.from({ length: 1000 }, () => ({ op: 'acquire' }))
      )
    )
    const leases = acquired.map(leaseOf)
    t.equal(new Set(leases.map(({ keyId }) => keyId)).size, 1000)
    t.ok(
      leases.every(({ fence }, i) => i === 0 || fence > Number(leases[i - 1]?.fence)),
      'fences grow in order'
    )
    const released = await granted(
      engine.batch(
        POOL,
        leases.map(({ id }) => ({ op: 'release', lease: id }))
      )
    )
    t.ok(released.every(({ value }) => value === 'done'))
    t.match(await engine.pool(POOL), { counts: { free: 1000, leased: 0 } })
  },

  'a batch of nothing does nothing': async (t, { engine }) => {
    t.strictSame(await engine.batch(POOL, []), [])
  },

  'those who wait are served after a batch, not inside it': async (t, { engine }) => {
    await generate(engine, 1)
    const lease = await granted(engine.acquire(POOL, {}))
    const [answer] = await queueUp(engine, ['waits'], 10_000)
    const outcomes = await engine.batch(POOL, [
      { op: 'release', lease: lease.id },
      { op: 'acquire', holder: 'inside' }
    ])
    t.match(outcomes, [{ value: 'done' }, { value: { holder: 'inside' } }])
    t.match(await engine.pool(POOL), { counts: { waiting: 1 } })
    t.match(await engine.batch(POOL, [{ op: 'unblock', id: lease.keyId }]), [{ value: 'done' }])
    t.match(await answer, { holder: 'waits' })
  },

  'a retry gets the recorded outcomes, and what they name as it is now': async (t, { engine, now, advance }) => {
    const [a, b] = await generate(engine, 2)
    const retry = { scope: 'r', fingerprint: 'the same' }
    const operations: Operation[] = [
      { op: 'acquire', holder: 'one' },
      { op: 'acquire', holder: 'two' },
      { op: 'acquire' },
      { op: 'activate', id: a?.id ?? '' },
      { op: 'keepAlive', id: b?.id ?? '' },
      { op: 'release', lease: `${NO_ID}.1` },
      { op: 'unblock', id: NO_ID }
    ]
    const first = await granted(engine.batch(POOL, operations, { retry }))
    const [one, two] = first.slice(0, 2).map(leaseOf)
    t.strictSame(await engine.batch(POOL, operations, { retry }), first, 'refusals of operations are recorded, too')
    t.strictSame(await engine.batch(POOL, [{ op: 'acquire' }], { retry: { ...retry, fingerprint: 'other' } }), {
      refusal: 'idempotency-key-reused'
    })

    await advance(1000)
    await granted(engine.release(POOL, one?.id ?? ''))
    const again = await granted(engine.batch(POOL, operations, { retry }))
    t.equal(again[0]?.value, null, 'the lease has ended')
    t.match(again[1], { op: 'acquire', value: { id: two?.id, expiresInMs: LEASE_MS - 1000, key: two?.key } })
    t.strictSame(again[2], first[2])
    t.match(again[3], { op: 'activate', first: true, value: { id: a?.id, activatedAt: now() - 1000 } })
    t.match(again[4], { op: 'keepAlive', value: { id: b?.id } })
    t.match(await engine.pool(POOL), { counts: { leased: 1, free: 1 } }, 'nothing was done again')

    for (const key of [a, b]) await granted(engine.delete(POOL, key?.id ?? ''))
    const last = await granted(engine.batch(POOL, operations, { retry }))
    t.strictSame(
      last.map(({ value }) => (isRefusal(value) ? value.refusal : value)),
      [null, null, 'no-free-key', null, null, 'lease-lost', 'unknown-key']
    )
  },

  'a retry of a renewal gets the lease without its secret': async (t, { engine }) => {
    await granted(engine.putPool(POOL, { maxHoldMs: 2 * LEASE_MS }))
    await generate(engine, 1)
    const lease = await granted(engine.acquire(POOL, {}))
    const retry = { scope: 'r', fingerprint: 'the same' }
    const operations: Operation[] = [{ op: 'renew', lease: lease.id, leaseMs: 30_000 }]
    const first = await granted(engine.batch(POOL, operations, { retry }))
    t.strictSame(await engine.batch(POOL, operations, { retry }), first)
    t.notOk(JSON.stringify(first).includes(String(lease.key)))
  }
}
