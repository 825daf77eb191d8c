import t from 'tap'
import { compare, type Seen } from './comparison.ts'
import type { KeySeen, LeaseSeen } from './entries.ts'
import { Ledger } from './ledger.ts'

const NOW = Date.UTC(2026, 2, 1, 12)
const GRACE_MS = 60_000
const POOL = 'default'

/** A history in which nothing is wrong yet: two keys, of which one is leased; and what a server tells that lost nothing. */
function createHistory() {
  let now = NOW
  const ledger = new Ledger(() => now)
  ledger.puttingPool(POOL)('put', 60_000)
  ledger.making(POOL, 2)([keyOf('a'), keyOf('b')])
  ledger.acquiring(POOL)(leaseOf('a', 5))
  const [a, b] = ['a', 'b'].map(id => ledger.keys.get(id))
  const lease = ledger.leases.get('a.5')
  if (!a || !b || !lease) throw new Error('the ledger has not taken them over')

  /** What the server tells after a restart, and, of that, what it tells otherwise. */
  function restart(keys: KeySeen[], leases: LeaseSeen[] = [leaseOf('a', 5)], pools = [POOL]): readonly string[] {
    const read = ledger.watched.map(
      ({ id }) => [id, { from: now, to: now, lease: leases.find(lease => lease.id === id) }] as const
    )
    const seen: Seen = {
      pools: new Map(pools.map(name => [name, { leaseMs: 60_000 }])),
      keys: new Map([[POOL, new Map(keys.map(key => [key.id, key]))]]),
      leases: new Map(read),
      to: now
    }
    compare(ledger, seen)
    return ledger.violations
  }

  return { ledger, a, b, lease, restart, wait: (ms: number) => void (now += ms) }
}

function keyOf(id: string, more: Partial<KeySeen> = {}): KeySeen {
  return { id, state: 'free', activatedAt: null, keepAliveBy: NOW + 300_000, lease: null, ...more }
}

function leaseOf(keyId: string, fence: number, acquiredAt = NOW): LeaseSeen {
  return { id: `${keyId}.${fence}`, keyId, fence, acquiredAt, expiresAt: acquiredAt + 60_000, keepAliveBy: null }
}

/** As the server shows a key that lives on, after one outage. */
const later = (id: string, more: Partial<KeySeen> = {}): KeySeen =>
  keyOf(id, { keepAliveBy: NOW + 300_000 + GRACE_MS, ...more })

t.test('a server that lost nothing is right', async t => {
  const { restart } = createHistory()
  t.strictSame(restart([later('a'), later('b')]), [])
})

t.test('a lost key is found', async t => {
  const { restart } = createHistory()
  t.match(restart([later('a')]), [/the key b is lost/])
})

t.test('a key that nobody has made is found, unless the answer was lost', async t => {
  const { ledger, restart } = createHistory()
  ledger.making(POOL, 1)
  t.strictSame(restart([later('a'), later('b'), later('c')]), [])
  t.match(restart([later('a'), later('b'), later('c'), later('d')]).slice(-1), [/nobody has made the key d/])
})

t.test('a deletion that is undone is found', async t => {
  const { ledger, b, restart } = createHistory()
  ledger.deleting(b)('deleted')
  t.match(restart([later('a'), later('b')]), [/the key b is back/])
})

t.test('a deletion whose answer was lost may have happened, but not be undone afterwards', async t => {
  const { ledger, b, restart } = createHistory()
  ledger.deleting(b)
  t.strictSame(restart([later('a')]), [])
  t.match(restart([later('a'), later('b')]).join(), /the key b is back/)
})

t.test('a deletion whose answer was lost and that did not happen does not come later', async t => {
  const { ledger, b, restart } = createHistory()
  ledger.deleting(b)
  t.strictSame(restart([later('a'), later('b')]), [])
  t.match(restart([later('a')]).join(), /the key b is lost/)
})

t.test('a key that is given out after its end is found', async t => {
  const { ledger, b } = createHistory()
  ledger.deleting(b)('deleted')
  ledger.acquiring(POOL)(leaseOf('b', 6))
  ledger.making(POOL, 1)([keyOf('b')])
  t.match(ledger.violations, [/b was leased after its end/, /b was given out after its end/])
})

t.test('a lease that is given twice is found', async t => {
  const { ledger } = createHistory()
  ledger.acquiring(POOL)(leaseOf('a', 6, NOW + 59_000))
  t.match(ledger.violations, [/a was leased as a.6 while a.5 was running/])
})

t.test('a key may be leased again after a release, an unblocking, or a deadline', async t => {
  const { ledger, a, lease } = createHistory()
  ledger.releasing(lease)('released')
  ledger.acquiring(POOL)(leaseOf('a', 6, NOW + 1))
  ledger.unblocking(a)('unblocked')
  ledger.acquiring(POOL)(leaseOf('a', 7, NOW + 2))
  ledger.acquiring(POOL)(leaseOf('a', 8, NOW + 60_002))
  t.strictSame(ledger.violations, [])
})

t.test('a key that is leased before the deadline that a renewal has moved is found', async t => {
  const { ledger, lease } = createHistory()
  ledger.renewing(lease)(NOW + 90_000)
  ledger.acquiring(POOL)(leaseOf('a', 6, NOW + 60_000))
  t.match(ledger.violations, [/a was leased as a.6/])
})

t.test('a key that is leased while it cools is found, unless it was unblocked', async t => {
  const { ledger, a, lease } = createHistory()
  ledger.releasing(lease, 10_000)('released')
  ledger.acquiring(POOL)(leaseOf('a', 6, NOW + 9000))
  t.match(ledger.violations, [/cooling/])
  ledger.unblocking(a)('unblocked')
  ledger.acquiring(POOL)(leaseOf('a', 7, NOW + 9001))
  t.equal(ledger.violations.length, 1)
})

t.test('a cooling that is undone is found', async t => {
  const { ledger, lease, restart } = createHistory()
  ledger.releasing(lease, 10_000)('released')
  t.match(restart([later('a'), later('b')], []), [/a is free while it should be cooling/])
})

t.test('a lost lease is found, but not one past its deadline', async t => {
  const { restart } = createHistory()
  t.match(restart([later('a'), later('b')], []), [/the lease a.5 is lost/])
  const { restart: restartLate, wait } = createHistory()
  wait(60_001)
  t.strictSame(restartLate([later('a'), later('b')], []), [])
})

t.test('a release that is undone is found', async t => {
  const { ledger, lease, restart } = createHistory()
  ledger.releasing(lease)('released')
  t.match(restart([later('a'), later('b')]), [/the lease a.5 is back/])
})

t.test('a renewal that is undone is found', async t => {
  const { ledger, lease, restart } = createHistory()
  ledger.renewing(lease)(NOW + 70_000)
  t.match(restart([later('a'), later('b')]), [/a renewal of the lease a.5 is undone/])
})

t.test('a fence that repeats is found, and one that does not grow', async t => {
  const { ledger } = createHistory()
  ledger.acquiring(POOL)(leaseOf('b', 4))
  t.match(ledger.violations, [/the fence 4 came after 5/])
  ledger.acquiring(POOL, { above: 4 })(leaseOf('b', 5))
  t.match(ledger.violations.join(), /the fence 5 was given twice/)
})

t.test('a keep-alive that is undone is found, unless its answer was lost', async t => {
  const { ledger, b, restart } = createHistory()
  ledger.keepingAlive(b)(NOW + 301_000)
  t.match(restart([later('a'), later('b')]), [/a keep-alive of b is undone: its life is 1000 ms off/])
  const { ledger: other, b: doubtful, restart: restartOther } = createHistory()
  other.keepingAlive(doubtful)
  t.strictSame(restartOther([later('a'), later('b')]), [])
})

t.test('lives without the credit of the outage are found', async t => {
  const { restart } = createHistory()
  t.match(restart([keyOf('a'), keyOf('b')]), [/lives are credited 0 ms/])
})

t.test('an activation that is undone is found, or one of another instant', async t => {
  const { ledger, b, restart } = createHistory()
  ledger.activating(b)(NOW)
  ledger.activating(b)(NOW)
  t.strictSame(ledger.violations, [])
  ledger.activating(b)(NOW + 1)
  t.match(ledger.violations, [/activated twice/])
  t.match(restart([later('a'), later('b')]).at(-1), /the activation of b is null/)
})

t.test('a pool that is lost, or back, is found, and a policy that is undone', async t => {
  const { ledger, restart } = createHistory()
  ledger.puttingPool('made')('put', 1000)
  ledger.puttingPool('gone')('put', 60_000)
  ledger.deletingPool('gone')('deleted')
  ledger.puttingPool('changed')('put', 1000)
  t.match(restart([later('a'), later('b')], undefined, [POOL, 'gone', 'changed']), [
    /made: the pool is lost/,
    /gone: the pool is back/,
    /changed: its policy is undone/
  ])
})

t.test('a key that has retired stays so', async t => {
  const { ledger, restart } = createHistory()
  ledger.pool('brief', true)
  ledger.making('brief', 1)([keyOf('c')])
  const key = ledger.keys.get('c')
  if (key === undefined) throw new Error('the ledger has not taken it over')
  ledger.unknown(key)
  ledger.keepingAlive(key)(NOW + 300_000)
  t.match(ledger.violations, [/c was kept alive after its end/])
  restart([later('a'), later('b')], undefined, [POOL, 'brief'])
  t.equal(ledger.dead.has('c'), true)
})

t.test('a key that is unknown though nobody deleted it is found', async t => {
  const { ledger, a, b } = createHistory()
  ledger.unknown(b)
  t.match(ledger.violations, [/the key b is unknown/])
  ledger.deleting(a)
  ledger.unknown(a)
  t.equal(ledger.violations.length, 1)
})

t.test('answers that overtake each other are no violation', async t => {
  const { ledger, b } = createHistory()
  const leased = ledger.acquiring(POOL)
  const made = ledger.making(POOL, 1)
  ledger.deleting(b)('deleted')
  leased(leaseOf('b', 6))
  ledger.acquiring(POOL)(leaseOf('c', 7))
  made([keyOf('c')])
  t.strictSame(ledger.violations, [])
})
