import fc from 'fast-check'
import t from 'tap'
import { GrowingMap } from '../../src/pool/growing-map.ts'

const TWO_30 = 2 ** 30
const scatter = (key: number): number => Math.imul(key, 0x9e3779b1) >>> 2

t.test('an empty map has nothing', async t => {
  const map = new GrowingMap<number, string>(scatter)
  t.equal(map.size, 0)
  t.equal(map.get(1), undefined)
  t.equal(map.delete(1), false)
  t.equal(map.size, 0)
})

t.test('setting a key again replaces its value', async t => {
  const map = new GrowingMap<number, string>(scatter)
  map.set(1, 'a')
  map.set(1, 'b')
  t.equal(map.get(1), 'b')
  t.equal(map.size, 1)
  t.equal(map.delete(1), true)
  t.equal(map.delete(1), false)
  t.equal(map.size, 0)
})

t.test('every entry is found at every number of shards', async t => {
  const map = new GrowingMap<number, number>(scatter)
  const entries = 70_000
  for (let key = 0; key < entries; key++) {
    map.set(key, key * 2)
    // An old, a middle and a new one after each insert: a split may just have moved any.
    if (map.get(0) !== 0 || map.get(key >>> 1) !== (key >>> 1) * 2 || map.get(key) !== key * 2)
      throw new Error(`lost at ${key}`)
  }
  t.equal(map.size, entries)
  for (let key = 0; key < entries; key++) if (map.get(key) !== key * 2) throw new Error(`${key} is lost`)
  for (let key = 0; key < entries; key += 2) if (!map.delete(key)) throw new Error(`${key} was not deleted`)
  for (let key = 0; key < entries; key++)
    if (map.get(key) !== (key % 2 === 0 ? undefined : key * 2)) throw new Error(`${key} is wrong`)
  t.equal(map.size, entries / 2)
})

t.test('keys of one hash live side by side', async t => {
  for (const hash of [0, 1, TWO_30 - 1]) {
    const map = new GrowingMap<number, number>(() => hash)
    for (let key = 0; key < 9000; key++) map.set(key, key)
    t.equal(map.size, 9000)
    t.equal(map.get(0), 0)
    t.equal(map.get(8999), 8999)
  }
})

t.test('a map holds what a plain Map holds', async () => {
  const key = fc.nat(40)
  const step = fc.oneof(
    fc.record({ set: key, to: fc.nat() }),
    fc.record({ delete: key }),
    fc.record({ fill: fc.nat(3) })
  )
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), steps => {
      const map = new GrowingMap<number, number>(scatter)
      const twin = new Map<number, number>()
      let filled = 1000
      for (const step of steps) {
        if ('set' in step) {
          map.set(step.set, step.to)
          twin.set(step.set, step.to)
        } else if ('delete' in step) {
          if (map.delete(step.delete) !== twin.delete(step.delete)) throw new Error('delete disagrees')
        } else {
          // Enough at once to make a shard split now and then.
          for (const end = filled + step.fill * 800; filled < end; filled++) {
            map.set(filled, filled)
            twin.set(filled, filled)
          }
        }
        if (map.size !== twin.size) throw new Error(`size ${map.size}, not ${twin.size}`)
        for (let key = 0; key <= 40; key++) if (map.get(key) !== twin.get(key)) throw new Error(`${key} is wrong`)
      }
      for (const [key, value] of twin) if (map.get(key) !== value) throw new Error(`${key} is wrong`)
    })
  )
})
