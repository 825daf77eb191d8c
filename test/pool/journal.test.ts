import t from 'tap'
import type { KeyPoolOptions } from '../../src/pool/key-pool.ts'
import { createPool, generateOne, granted, KEEP_ALIVE_MS, LEASE_MS } from '../support/pool.ts'

/** A pool whose journal is read by `told`: what it was told since the last reading. */
function createJournaledPool(options: Omit<KeyPoolOptions, 'clock' | 'journal'> = {}) {
  let entries: string[] = []
  const journal = {
    changed: (id: string) => void entries.push(`changed ${id}`),
    aged: (id: string) => void entries.push(`aged ${id}`)
  }
  const told = (): string[] => {
    const read = entries
    entries = []
    return read
  }
  return { ...createPool({ ...options, journal }), told }
}

t.test('a journal is told of each key that enters', async t => {
  const { pool, told } = createJournaledPool()
  const views = [...granted(pool.generate(2)), ...granted(pool.importKeys([{ key: 'abc' }, { key: 'def' }]))]
  t.strictSame(
    told(),
    views.map(({ id }) => `changed ${id}`)
  )
})

t.test('a journal is told once of each verb that changes a key', async t => {
  const { pool, clock, told } = createJournaledPool({ policy: { maxHoldMs: 2 * LEASE_MS } })
  const { id } = generateOne(pool)
  const changed = [`changed ${id}`]
  t.strictSame(told(), changed)
  const lease = granted(pool.acquire())
  t.strictSame(told(), changed)
  clock.advance(1)
  granted(pool.renew(lease.id))
  t.strictSame(told(), changed)
  clock.advance(1)
  granted(pool.renew(lease.id, { keepAlive: true }))
  t.strictSame(told(), changed)
  granted(pool.renew(lease.id, { leaseMs: 100, keepAlive: false }))
  t.strictSame(told(), [], 'no deadline moved')
  clock.advance(1)
  granted(pool.renew(lease.id, { leaseMs: 100, keepAlive: true }))
  t.strictSame(told(), changed, 'the key was kept alive')
  pool.release(lease.id, { cooldownMs: 10 })
  t.strictSame(told(), changed)
  pool.unblock(id)
  t.strictSame(told(), changed)
  clock.advance(1)
  pool.keepAlive(id)
  t.strictSame(told(), changed)
  pool.activate(id)
  t.strictSame(told(), changed)
  pool.setMetadata(id, { colour: 'red' })
  t.strictSame(told(), changed)
  pool.setMetadata(id, null)
  t.strictSame(told(), changed)
  pool.delete(id)
  t.strictSame(told(), changed)
})

t.test('a journal is not told of verbs that change nothing', async t => {
  const { pool, told } = createJournaledPool()
  const { id, key } = generateOne(pool)
  const lease = granted(pool.acquire())
  granted(pool.activate(id))
  pool.release(lease.id)
  told()
  pool.release(lease.id)
  pool.unblock(id)
  pool.activate(id)
  pool.keepAlive(id)
  pool.setMetadata(id, null)
  pool.importKeys([{ key }])
  pool.renew(lease.id)
  pool.delete('nobody')
  pool.setPolicy({ maxKeys: 1 })
  pool.generate(1)
  pool.get(id)
  pool.list({ limit: 1 })
  pool.lease(lease.id)
  pool.sweep(1)
  pool.restore(id, pool.record(id))
  pool.restore(id, undefined)
  t.strictSame(told(), [])
})

t.test('a journal is told of a life that ends, by whatever meets it', async t => {
  for (const meets of ['sweep', 'get', 'acquire', 'counts', 'importKeys'] as const) {
    const { pool, clock, told } = createJournaledPool()
    const { id, key } = generateOne(pool)
    told()
    clock.advance(KEEP_ALIVE_MS - 1)
    const meet = {
      sweep: () => pool.sweep(1),
      get: () => pool.get(id),
      acquire: () => pool.acquire(),
      counts: () => pool.counts(),
      importKeys: () => pool.importKeys([{ key }])
    }[meets]
    if (meets !== 'acquire') meet()
    t.strictSame(told(), [], meets)
    clock.advance(1)
    meet()
    t.strictSame(told(), [`aged ${id}`], meets)
    meet()
    t.strictSame(told(), [], meets)
  }
})

t.test('a journal is not told of a lease or a cooling that ends at its deadline', async t => {
  const { pool, clock, told } = createJournaledPool()
  const { id } = generateOne(pool)
  granted(pool.acquire())
  told()
  clock.advance(LEASE_MS)
  t.equal(pool.counts().free, 1)
  t.match(pool.get(id), { state: 'free' })
  t.strictSame(told(), [])
  pool.release(granted(pool.acquire()).id, { cooldownMs: 10 })
  told()
  clock.advance(10)
  t.equal(pool.counts().free, 1)
  t.strictSame(told(), [])
})

t.test('a journal is told when the change is complete', async t => {
  const records: unknown[] = []
  const { pool, clock } = createPool({
    policy: { reuseDeleted: false },
    journal: {
      changed: id => void records.push(pool.record(id)),
      aged: id => void records.push(pool.record(id))
    }
  })
  const [first, second] = granted(pool.generate(2, { colour: 'red' }))
  t.match(records.splice(0), [
    { key: first?.key, metadata: { colour: 'red' }, keepAliveBy: clock.now() + KEEP_ALIVE_MS },
    { key: second?.key, metadata: { colour: 'red' }, keepAliveBy: clock.now() + KEEP_ALIVE_MS }
  ])
  const lease = granted(pool.acquire({ holder: 'somebody', owner: 'one' }))
  t.match(records.splice(0), [{ state: 'leased', fence: lease.fence, holder: 'somebody', owner: 'one' }])
  pool.delete(lease.keyId)
  t.strictSame(records.splice(0), [{ place: 0 }])
  clock.advance(KEEP_ALIVE_MS)
  pool.sweep(1)
  t.strictSame(records.splice(0), [{ place: 0 }])
})
