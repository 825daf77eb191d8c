import t from 'tap'
import { keyId } from '../../src/pool/key-id.ts'
import { Keyring } from '../../src/pool/keyring.ts'
import { ACQUIRED_AT, FENCE, HOLD_MS, KEEP_ALIVE_BY, UNTIL } from '../../src/pool/records.ts'
import { viewKeyAt, viewLeaseAt } from '../../src/pool/slot-views.ts'
import { seededRandom } from '../support/seeded-random.ts'

const NOW = 1_000_000
const ID = keyId('abcd')

function createRing() {
  const ring = new Keyring({ alphabet: 'abcd', length: 4, prefix: '' }, seededRandom(1))
  const slot = ring.insert('abcd', NOW)
  ring.records.set(slot, KEEP_ALIVE_BY, Infinity)
  return { ring, slot, records: ring.records }
}

t.test('what does not apply to a key is null', async t => {
  const { ring, slot } = createRing()
  t.strictSame(viewKeyAt(ring, slot, NOW + 5, false), {
    id: ID,
    state: 'free',
    createdAt: NOW,
    activatedAt: null,
    keepAliveBy: null,
    keepAliveInMs: null,
    coolingUntil: null,
    coolingInMs: null,
    lease: null,
    metadata: null,
    serial: 1,
    servedAt: null,
    changedAt: NOW
  })
})

t.test('a leased key shows its lease, both deadlines and what is known of it', async t => {
  const { ring, slot, records } = createRing()
  ring.move(slot, 'leased')
  ring.metadata.set(slot, { colour: 'red' })
  ring.holders.set(slot, 'somebody')
  ring.activatedAt.set(slot, NOW + 1)
  records.set(slot, KEEP_ALIVE_BY, NOW + 300)
  records.set(slot, ACQUIRED_AT, NOW + 2)
  records.set(slot, UNTIL, NOW + 60)
  records.set(slot, FENCE, 7)
  t.strictSame(viewKeyAt(ring, slot, NOW + 10, true), {
    id: ID,
    state: 'leased',
    createdAt: NOW,
    activatedAt: NOW + 1,
    keepAliveBy: NOW + 300,
    keepAliveInMs: 290,
    coolingUntil: null,
    coolingInMs: null,
    lease: { id: `${ID}.7`, fence: 7, holder: 'somebody', expiresAt: NOW + 60, expiresInMs: 50 },
    metadata: { colour: 'red' },
    serial: 1,
    servedAt: NOW + 2,
    changedAt: NOW + 2,
    key: 'abcd'
  })
  ring.forgetHolder(slot)
  t.equal(viewKeyAt(ring, slot, NOW + 10, false).lease?.holder, null)
})

t.test('a cooling key shows until when, and no lease', async t => {
  const { ring, slot, records } = createRing()
  ring.move(slot, 'cooling')
  records.set(slot, UNTIL, NOW + 60)
  records.setInteger(slot, HOLD_MS, 55)
  const view = viewKeyAt(ring, slot, NOW + 10, false)
  t.equal(view.state, 'cooling')
  t.equal(view.changedAt, NOW + 5, 'when it began to cool')
  t.equal(view.coolingUntil, NOW + 60)
  t.equal(view.coolingInMs, 50)
  t.equal(view.lease, null)
})

t.test('a free key changed when its last lease ended', async t => {
  const { ring, slot, records } = createRing()
  records.set(slot, ACQUIRED_AT, NOW + 2)
  records.set(slot, UNTIL, NOW + 60)
  t.equal(viewKeyAt(ring, slot, NOW + 70, false).changedAt, NOW + 60)
  ring.activatedAt.set(slot, NOW + 65)
  t.equal(viewKeyAt(ring, slot, NOW + 70, false).changedAt, NOW + 65)
})

t.test('a lease shows its key only where the call may', async t => {
  const { ring, slot, records } = createRing()
  ring.move(slot, 'leased')
  records.set(slot, ACQUIRED_AT, NOW)
  records.set(slot, UNTIL, NOW + 61)
  records.set(slot, FENCE, 7)
  const lease = {
    id: `${ID}.7`,
    fence: 7,
    keyId: ID,
    holder: null,
    acquiredAt: NOW,
    expiresAt: NOW + 61,
    expiresInMs: 51,
    renewAfterMs: 17,
    keepAliveBy: null,
    keepAliveInMs: null,
    metadata: null
  }
  t.strictSame(viewLeaseAt(ring, slot, NOW + 10, 100, false), lease)
  t.strictSame(viewLeaseAt(ring, slot, NOW + 10, 100, true), { ...lease, key: 'abcd' })

  ring.holders.set(slot, 'somebody')
  ring.metadata.set(slot, { colour: 'red' })
  records.set(slot, KEEP_ALIVE_BY, NOW + 300)
  t.strictSame(viewLeaseAt(ring, slot, NOW + 10, 100, false), {
    ...lease,
    holder: 'somebody',
    metadata: { colour: 'red' },
    keepAliveBy: NOW + 300,
    keepAliveInMs: 290
  })
})

t.test(
  'the moment to renew is a third of what is left, rounded down, while a renewal can move the deadline',
  async t => {
    const { ring, slot, records } = createRing()
    ring.move(slot, 'leased')
    records.set(slot, ACQUIRED_AT, NOW)
    records.set(slot, UNTIL, NOW + 100)
    t.equal(viewLeaseAt(ring, slot, NOW, 101, false).renewAfterMs, 33)
    t.equal(viewLeaseAt(ring, slot, NOW + 99, 101, false).renewAfterMs, 0)
    t.equal(viewLeaseAt(ring, slot, NOW, 100, false).renewAfterMs, null)
    t.equal(viewLeaseAt(ring, slot, NOW, 99, false).renewAfterMs, null, 'the policy was shortened meanwhile')
  }
)
