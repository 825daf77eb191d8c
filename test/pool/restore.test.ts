import t from 'tap'
import { keyId } from '../../src/pool/key-id.ts'
import type { KeyPool, KeyRecord } from '../../src/pool/key-pool.ts'
import { createPool, generateOne, granted, KEEP_ALIVE_MS, LEASE_MS } from '../support/pool.ts'

/** A living key's record. */
function recordOf(pool: KeyPool, id: string): KeyRecord {
  const record = pool.record(id)
  if (record === undefined || 'place' in record) throw new Error(`${id} is no living key's`)
  return record
}

t.test('a record says all that lasts about a living key', async t => {
  const { pool, clock } = createPool()
  const { id, key } = generateOne(pool, { colour: 'red' })
  const createdAt = clock.now()
  clock.advance(1)
  pool.activate(id)
  clock.advance(1)
  const lease = granted(pool.acquire({ leaseMs: 1000, holder: 'somebody', owner: 'one' }))
  const leased: KeyRecord = {
    key,
    serial: 1,
    createdAt,
    activatedAt: createdAt + 1,
    keepAliveBy: createdAt + KEEP_ALIVE_MS,
    state: 'leased',
    until: createdAt + 1002,
    acquiredAt: createdAt + 2,
    fence: 1,
    holdMs: 1000,
    holder: 'somebody',
    owner: 'one',
    metadata: { colour: 'red' }
  }
  t.strictSame(pool.record(id), leased)
  pool.release(lease.id, { cooldownMs: 50 })
  t.strictSame(pool.record(id), {
    ...leased,
    state: 'cooling',
    until: createdAt + 52,
    holdMs: 50,
    holder: undefined
  })
})

t.test('a record is as the last verb left it, whatever has passed since', async t => {
  const { pool, clock } = createPool()
  const { id } = generateOne(pool)
  granted(pool.acquire())
  clock.advance(KEEP_ALIVE_MS)
  t.match(pool.record(id), { state: 'leased' })
  t.equal(pool.get(id), 'unknown-key')
  t.strictSame(pool.record(id), { place: 0 })
  t.equal(pool.record(keyId('never')), undefined)
})

t.test('a restored key shows and does what it did', async t => {
  const { pool, clock } = createPool()
  const { id } = generateOne(pool, { colour: 'red' })
  pool.activate(id)
  const lease = granted(pool.acquire({ holder: 'somebody', owner: 'one' }))
  const { pool: other } = createPool()
  other.restore(id, pool.record(id))
  t.strictSame(other.get(id, true), pool.get(id, true))
  t.strictSame(other.lease(lease.id, { reveal: true }), pool.lease(lease.id, { reveal: true }))
  t.strictSame(other.counts(), pool.counts())
  t.strictSame(other.keyspace(), pool.keyspace())
  t.strictSame(other.list({ limit: 2 }), pool.list({ limit: 2 }))
  t.equal(other.nextFreeInMs(), LEASE_MS)
  t.equal(other.nextSweepAt, clock.now() + LEASE_MS)
  t.equal(other.release(lease.id, { owner: 'other' }), 'forbidden')
  t.equal(other.release(lease.id, { owner: 'one' }), 'released')
  t.equal(other.release(lease.id), 'released')
})

t.test('a restored lease that was released may be released again', async t => {
  const { pool } = createPool()
  const { id } = generateOne(pool)
  const lease = granted(pool.acquire({ owner: 'one' }))
  pool.release(lease.id)
  const { pool: other } = createPool()
  other.restore(id, pool.record(id))
  t.equal(other.release(lease.id, { owner: 'one' }), 'released')
  t.equal(other.release(lease.id, { owner: 'other' }), 'forbidden')
  t.match(other.acquire(), { fence: lease.fence + 1 })
  t.equal(other.release(lease.id), 'lease-lost')
})

t.test('the deadlines of a restored key are applied where they have passed', async t => {
  const { pool, clock } = createPool()
  const { id } = generateOne(pool)
  const record = recordOf(pool, id)
  const now = clock.now()
  const passed: [KeyRecord, object][] = [
    [
      { ...record, state: 'leased', until: now },
      { free: 1, retired: 0 }
    ],
    [
      { ...record, state: 'leased', until: now + 1 },
      { leased: 1, retired: 0 }
    ],
    [
      { ...record, state: 'cooling', until: now - 1 },
      { free: 1, retired: 0 }
    ],
    [
      { ...record, keepAliveBy: now },
      { total: 0, retired: 1 }
    ],
    [
      { ...record, keepAliveBy: now + 1 },
      { free: 1, retired: 0 }
    ],
    [
      { ...record, keepAliveBy: Infinity },
      { free: 1, retired: 0 }
    ]
  ]
  for (const [record, counts] of passed) {
    pool.restore(id, record)
    t.equal(pool.nextSweepAt <= now, record.until === now || record.until === now - 1 || record.keepAliveBy === now)
    t.match(pool.counts(), counts)
  }
  clock.advance(KEEP_ALIVE_MS)
  t.match(pool.counts(), { free: 1 }, 'it does not age')
})

t.test('a retired key keeps its place in the key space, and is refused at import', async t => {
  for (const length of [1, 60]) {
    const policy = { alphabet: 'ab', length, prefix: 'k' }
    const { pool, clock } = createPool({ policy })
    const { id, key } = generateOne(pool)
    clock.advance(KEEP_ALIVE_MS)
    t.equal(pool.counts().retired, 1)
    const { pool: other } = createPool({ policy })
    other.restore(id, pool.record(id))
    t.strictSame(other.counts(), { total: 0, free: 0, leased: 0, cooling: 0, retired: 1 })
    t.strictSame(other.keyspace(), pool.keyspace())
    t.strictSame(other.importKeys([{ key }]), { refusal: 'key-retired', indexes: [0] })
    t.equal(other.setPolicy({ length: 3 }), 'policy-locked')
    if (length === 1) {
      t.not(generateOne(other).key, key)
      t.equal(other.generate(1), 'keyspace-exhausted')
    }
    other.restore(id, undefined)
    t.equal(other.counts().retired, 0)
    if (length === 1) t.equal(generateOne(other).key, key)
    else granted(other.setPolicy({ length: 3 }))
  }
})

t.test('a retired key from outside the key space has no place in it', async t => {
  const policy = { alphabet: 'ab', length: 1, reuseDeleted: false }
  const { pool } = createPool({ policy })
  const [view] = granted(pool.importKeys([{ key: 'elsewhere' }]))
  const id = view?.id as string
  pool.delete(id)
  t.strictSame(pool.record(id), { place: -1 })
  const { pool: other } = createPool({ policy })
  other.restore(id, pool.record(id))
  t.strictSame(other.keyspace(), { size: 2, remaining: 2 })
  t.strictSame(other.record(id), { place: -1 })
  t.strictSame(other.importKeys([{ key: 'elsewhere' }]), { refusal: 'key-retired', indexes: [0] })
})

t.test('the last place of the largest space that is numbered comes back exactly', async t => {
  // Of all shapes that can be numbered, this one has the most keys but for a few: 6.1e15.
  const alphabet = Array.from({ length: 94 }, (_, i) => String.fromCharCode(33 + i)).join('')
  const policy = { alphabet, length: 8, reuseDeleted: false }
  const { pool } = createPool({ policy })
  const last = '~'.repeat(8)
  pool.importKeys([{ key: last }])
  pool.delete(keyId(last))
  t.strictSame(pool.record(keyId(last)), { place: 94 ** 8 - 1 })
  const { pool: other } = createPool({ policy, random: { below: limit => limit - 1, bytes: () => new Uint8Array() } })
  other.restore(keyId(last), pool.record(keyId(last)))
  t.strictSame(other.record(keyId(last)), { place: 94 ** 8 - 1 })
  t.equal(generateOne(other).key, '~'.repeat(7) + '}')
})

t.test('whatever was known of an id before, it is what its record says then', async t => {
  const { pool, clock } = createPool({ policy: { alphabet: 'ab', length: 2, reuseDeleted: false } })
  const { id } = generateOne(pool)
  const free = recordOf(pool, id)
  const lease = granted(pool.acquire())
  const leased = recordOf(pool, id)
  pool.delete(id)
  const retired = pool.record(id)
  const all = [free, leased, retired, undefined]
  for (const before of all) {
    for (const after of all) {
      pool.restore(id, before)
      pool.restore(id, after)
      t.strictSame(pool.record(id), after)
      t.strictSame(pool.keyspace(), { size: 4, remaining: after === undefined ? 4 : 3 })
      t.match(pool.counts(), {
        free: Number(after === free),
        leased: Number(after === leased),
        retired: Number(after === retired)
      })
      t.equal(pool.lease(lease.id) === 'lease-lost', after !== leased)
    }
  }
  clock.advance(KEEP_ALIVE_MS)
  while (pool.sweep(10));
  t.strictSame(pool.heapSizes, { holds: 0, lives: 0 })
})

t.test('fences and serials rise with what is restored, and never fall', async t => {
  const { pool } = createPool({ fence: 10, serial: 20 })
  t.equal(pool.fence, 10)
  t.equal(pool.serial, 20)
  const { id } = generateOne(pool)
  granted(pool.acquire())
  const record = recordOf(pool, id)
  t.match(record, { fence: 11, serial: 21 })
  pool.restore(id, { ...record, fence: 3, serial: 4 })
  t.match(pool, { fence: 11, serial: 21 })
  pool.restore(id, { ...record, fence: 50, serial: 60 })
  t.match(pool, { fence: 50, serial: 60 })
  pool.restore(id, undefined)
  t.match(pool, { fence: 50, serial: 60 })
  t.match(granted(pool.generate(1)), [{ serial: 61 }])
})

t.test('nobody can change the metadata of a restored key behind its back', async t => {
  const { pool } = createPool()
  const { id } = generateOne(pool)
  const metadata = { colour: 'red' }
  pool.restore(id, { ...recordOf(pool, id), metadata })
  metadata.colour = 'blue'
  t.match(pool.get(id), { metadata: { colour: 'red' } })
})

t.test('lives are postponed, holds are not', async t => {
  const { pool, clock } = createPool()
  const aging = generateOne(pool)
  const lease = granted(pool.acquire())
  const { id: kept } = generateOne(pool)
  clock.advance(10)
  pool.keepAlive(kept)
  pool.setPolicy({ keepAliveMs: null })
  const { id: eternal } = generateOne(pool)
  pool.postponeLives(1000)
  t.match(pool.get(aging.id), { keepAliveInMs: KEEP_ALIVE_MS - 10 + 1000 })
  t.match(pool.get(eternal), { keepAliveBy: null })
  clock.advance(LEASE_MS - 10)
  t.equal(pool.lease(lease.id), 'lease-lost')
  clock.advance(KEEP_ALIVE_MS - LEASE_MS + 999)
  pool.sweep(10)
  t.match(pool.get(aging.id), { keepAliveInMs: 1 })
  clock.advance(1)
  pool.sweep(10)
  t.match(pool.counts(), { total: 2, retired: 1 })
  clock.advance(10)
  pool.sweep(10)
  t.match(pool.counts(), { total: 1, retired: 2 })
})
