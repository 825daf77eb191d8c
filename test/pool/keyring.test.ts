import t from 'tap'
import { keyId } from '../../src/pool/key-id.ts'
import { KEY_STATES, type KeyState } from '../../src/pool/key-record.ts'
import { Keyring } from '../../src/pool/keyring.ts'
import { CREATED_AT, FENCE, SERIAL } from '../../src/pool/records.ts'
import { seededRandom } from '../support/seeded-random.ts'

const NOW = 1_000_000

/** A ring that expects keys of so many characters. */
function createRing(length: number): Keyring {
  return new Keyring({ alphabet: 'abcdefghijklmnopqrstuvwxyz', length, prefix: '' }, seededRandom(1))
}

function members(ring: Keyring, state: KeyState): string[] {
  return Array.from({ length: ring.count(state) }, (_, position) => ring.keyOf(ring.at(state, position))).sort()
}

t.test('an empty ring has no key', async t => {
  const ring = createRing(4)
  t.equal(ring.living, 0)
  t.equal(ring.retired, 0)
  for (const state of KEY_STATES) t.equal(ring.count(state), 0)
  t.equal(ring.find(keyId('abcd')), undefined)
  t.equal(ring.isUsed('abcd'), false)
  t.equal(ring.isRetired(keyId('abcd')), false)
})

t.test('a key enters free, with its id, its instant and its number', async t => {
  const ring = createRing(4)
  const slots = ['abcd', 'longer'].map(key => ring.insert(key, NOW))
  for (const [i, key] of ['abcd', 'longer'].entries()) {
    const slot = slots[i] as number
    t.equal(ring.find(keyId(key)), slot)
    t.equal(ring.idOf(slot), keyId(key))
    t.equal(ring.keyOf(slot), key)
    t.equal(ring.stateOf(slot), 'free')
    t.equal(ring.records.get(slot, CREATED_AT), NOW)
    t.equal(ring.records.get(slot, SERIAL), i + 1)
    t.ok(ring.isUsed(key))
    t.notOk(ring.isRetired(keyId(key)))
  }
  t.equal(ring.living, 2)
})

t.test('a key stands in the set of its state, whatever moves beside it', async t => {
  const ring = createRing(1)
  const slotOf = new Map([...'abcdef'].map(key => [key, ring.insert(key, NOW)]))
  const move = (key: string, state: KeyState): void => ring.move(slotOf.get(key) as number, state)
  move('a', 'leased')
  move('c', 'leased')
  move('f', 'cooling')
  t.strictSame(members(ring, 'free'), ['b', 'd', 'e'])
  t.strictSame(members(ring, 'leased'), ['a', 'c'])
  t.strictSame(members(ring, 'cooling'), ['f'])
  move('a', 'free')
  move('f', 'free')
  move('e', 'leased')
  t.strictSame(members(ring, 'free'), ['a', 'b', 'd', 'f'])
  t.strictSame(members(ring, 'leased'), ['c', 'e'])
  for (const [key, slot] of slotOf) t.equal(ring.stateOf(slot), 'ce'.includes(key) ? 'leased' : 'free')
  t.equal(ring.living, 6)
})

t.test('nothing of a removed key remains, and the next one in its slot finds a clean one', async t => {
  const ring = createRing(4)
  const slot = ring.insert('abcd', NOW)
  ring.metadata.set(slot, { colour: 'red' })
  ring.holders.set(slot, 'somebody')
  ring.activatedAt.set(slot, NOW)
  ring.records.set(slot, FENCE, 7)
  ring.remove(slot, false)
  t.equal(ring.living, 0)
  t.equal(ring.retired, 0)
  t.equal(ring.find(keyId('abcd')), undefined)
  t.notOk(ring.isUsed('abcd'))

  t.equal(ring.insert('efgh', NOW + 1), slot)
  t.equal(ring.keyOf(slot), 'efgh')
  t.equal(ring.metadata.get(slot), undefined)
  t.equal(ring.holders.get(slot), undefined)
  t.equal(ring.activatedAt.get(slot), 0)
  t.equal(ring.records.get(slot, FENCE), 0)
  t.equal(ring.records.get(slot, SERIAL), 2)
})

t.test('a key removed from the middle leaves the others in their places', async t => {
  const ring = createRing(1)
  const slots = [...'abc'].map(key => ring.insert(key, NOW))
  ring.remove(slots[0] as number, false)
  t.strictSame(members(ring, 'free'), ['b', 'c'])
  ring.remove(slots[2] as number, false)
  t.strictSame(members(ring, 'free'), ['b'])
})

t.test('of a retired key its id remains, and it counts as used', async t => {
  const ring = createRing(4)
  ring.remove(ring.insert('abcd', NOW), true)
  t.equal(ring.living, 0)
  t.equal(ring.retired, 1)
  t.equal(ring.find(keyId('abcd')), undefined)
  t.ok(ring.isRetired(keyId('abcd')))
  t.ok(ring.isUsed('abcd'))
  t.notOk(ring.isUsed('efgh'))
})

t.test('a holder is forgotten, also where there was none', async t => {
  const ring = createRing(4)
  const slot = ring.insert('abcd', NOW)
  ring.forgetHolder(slot)
  ring.holders.set(slot, 'somebody')
  ring.forgetHolder(slot)
  t.equal(ring.holders.get(slot), undefined)
})

t.test('keys of another length can be expected', async t => {
  const ring = createRing(4)
  ring.remove(ring.insert('abcd', NOW), false)
  ring.reshape({ alphabet: 'xy', length: 2, prefix: '' })
  t.equal(ring.keyOf(ring.insert('xy', NOW)), 'xy')
  t.equal(ring.keyOf(ring.insert('abcd', NOW)), 'abcd')
})

t.test('a key has its own id, whichever was asked about before', async t => {
  const ring = createRing(4)
  t.notOk(ring.isUsed('abcd'))
  t.equal(ring.idOf(ring.insert('efgh', NOW)), keyId('efgh'))
  t.equal(ring.idOf(ring.insert('abcd', NOW)), keyId('abcd'))
  t.notOk(ring.isUsed('ijkl'))
  t.equal(ring.idOf(ring.insert('ijkl', NOW)), keyId('ijkl'))
})
