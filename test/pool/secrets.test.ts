import fc from 'fast-check'
import t from 'tap'
import { CHUNK } from '../../src/pool/column.ts'
import { Secrets } from '../../src/pool/secrets.ts'

t.test('a key comes back as it went in, of the expected length or not', async t => {
  const secrets = new Secrets(4)
  const keys = new Map([
    [0, 'abcd'],
    [1, 'x'],
    [2, '!~!~'],
    [CHUNK - 1, 'last'],
    [CHUNK, 'next'],
    [3 * CHUNK, 'skip'],
    [3 * CHUNK + 1, 'longer than that'],
    [5 * CHUNK, 'y'.repeat(512)]
  ])
  for (const [slot, key] of keys) secrets.set(slot, key)
  for (const [slot, key] of keys) t.equal(secrets.get(slot), key)
})

t.test('keys stay while the first chunk grows', async t => {
  const secrets = new Secrets(4)
  for (let slot = 0; slot < 2 * CHUNK; slot++) secrets.set(slot, `k${slot}`.padEnd(4, '-').slice(-4))
  for (let slot = 0; slot < 2 * CHUNK; slot++)
    if (secrets.get(slot) !== `k${slot}`.padEnd(4, '-').slice(-4)) t.fail(`the key of slot ${slot} changed`)
})

t.test('erasing a slot beyond the first chunk as it is changes nothing', async t => {
  const secrets = new Secrets(4)
  secrets.set(0, 'abcd')
  t.doesNotThrow(() => secrets.erase(CHUNK - 1))
  t.equal(secrets.get(0), 'abcd')
})

t.test('nothing of an erased key is left', async t => {
  const secrets = new Secrets(4)
  secrets.set(0, 'abcd')
  secrets.set(1, 'efgh')
  secrets.set(2, 'of another length')
  secrets.erase(0)
  t.equal(secrets.get(0), '\0\0\0\0')
  t.equal(secrets.get(1), 'efgh', 'its neighbour stays')
  secrets.erase(2)
  t.notMatch(secrets.get(2), /another/)
})

t.test('a slot takes keys of any length one after the other', async t => {
  const secrets = new Secrets(4)
  for (const key of ['abcd', 'longer', 'efgh', 'x', 'y']) {
    secrets.set(9, key)
    t.equal(secrets.get(9), key)
    secrets.erase(9)
  }
})

t.test('erasing a slot that never had a key changes nothing', async t => {
  const secrets = new Secrets(4)
  t.doesNotThrow(() => secrets.erase(7 * CHUNK))
  secrets.set(7 * CHUNK, 'abcd')
  t.equal(secrets.get(7 * CHUNK), 'abcd')
})

t.test('secrets keep what a plain list keeps', async () => {
  const key = fc.string({ unit: fc.constantFrom('a', '!', '~'), minLength: 1, maxLength: 5 })
  const steps = fc.array(fc.record({ slot: fc.nat(5), key: fc.option(key) }), { maxLength: 50 })
  fc.assert(
    fc.property(steps, steps => {
      const secrets = new Secrets(3)
      const twin: (string | undefined)[] = []
      for (const { slot, key } of steps) {
        if (twin[slot] !== undefined) secrets.erase(slot)
        if (key !== null) secrets.set(slot, key)
        twin[slot] = key ?? undefined
        for (const [other, expected] of twin.entries())
          if (expected !== undefined && secrets.get(other) !== expected) throw new Error(`slot ${other} changed`)
      }
    })
  )
})
