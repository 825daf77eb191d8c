import t from 'tap'
import {
  assertPolicy,
  DEFAULT_POLICY,
  isKey,
  longestHold,
  MAX_GENERATED_LENGTH,
  MAX_KEYS,
  MAX_LEASE_MS,
  MAX_LENGTH_MS,
  MIN_KEEP_ALIVE_MS,
  MIN_LEASE_MS,
  type Policy
} from '../../src/pool/policy.ts'

const wrong = (changes: Partial<Policy>) => () => assertPolicy({ ...DEFAULT_POLICY, ...changes })

t.test('the default policy is that of the contract, and nobody can change it', async t => {
  t.strictSame(DEFAULT_POLICY, {
    leaseMs: 60_000,
    maxHoldMs: null,
    keepAliveMs: 300_000,
    alphabet: 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789',
    length: 20,
    prefix: '',
    reuseDeleted: true,
    maxKeys: 10_000_000
  })
  t.ok(Object.isFrozen(DEFAULT_POLICY))
  t.doesNotThrow(wrong({}))
})

t.test('each number has a smallest and a largest value', async t => {
  const ranges = {
    leaseMs: [MIN_LEASE_MS, MAX_LEASE_MS],
    maxHoldMs: [MIN_LEASE_MS, MAX_LENGTH_MS],
    keepAliveMs: [MIN_KEEP_ALIVE_MS, MAX_LENGTH_MS],
    length: [1, MAX_GENERATED_LENGTH],
    maxKeys: [1, MAX_KEYS]
  } as const
  t.strictSame(
    Object.values(ranges).flat(),
    [100, 86_400_000, 100, 31_536_000_000, 100, 31_536_000_000, 1, 128, 1, 16_000_000]
  )
  for (const [name, [min, max]] of Object.entries(ranges)) {
    for (const value of [min, max]) t.doesNotThrow(wrong({ [name]: value }), `${name} ${value}`)
    for (const value of [min - 1, max + 1, min + 0.5, NaN, Infinity, -min])
      t.throws(wrong({ [name]: value }), RangeError, `${name} ${value}`)
  }
})

t.test('a longest hold and an end of life may be absent, a lease may not', async t => {
  t.doesNotThrow(wrong({ maxHoldMs: null, keepAliveMs: null }))
  // Deliberately of the wrong type: what comes from a file is not checked by the compiler.
  t.throws(wrong({ leaseMs: null as unknown as number }), RangeError)
})

t.test('an alphabet is 2 … 94 distinct visible ASCII characters', async t => {
  const visible = String.fromCharCode(...Array.from({ length: 94 }, (_, i) => 33 + i))
  for (const alphabet of ['ab', visible]) t.doesNotThrow(wrong({ alphabet }), alphabet)
  for (const alphabet of ['', 'a', 'aa', 'abca', 'a b', 'aé', 'a\u007f', 'a\n', `${visible}!`])
    t.throws(wrong({ alphabet }), RangeError, JSON.stringify(alphabet))
})

t.test('a prefix is 0 … 64 visible ASCII characters', async t => {
  for (const prefix of ['', 'sk_', 'x'.repeat(64)]) t.doesNotThrow(wrong({ prefix }), prefix)
  for (const prefix of ['x'.repeat(65), 'a b', 'é', 'a\n'])
    t.throws(wrong({ prefix }), RangeError, JSON.stringify(prefix))
})

t.test('every wrong member is named at once', async t => {
  t.throws(wrong({ leaseMs: 0, length: 0, alphabet: 'a', prefix: ' ' }), {
    message: /leaseMs .*; length .*; alphabet .*; prefix /
  })
})

t.test('a key is held for leaseMs at most where no longest hold is set', async t => {
  t.equal(longestHold({ ...DEFAULT_POLICY, leaseMs: 500 }), 500)
  t.equal(longestHold({ ...DEFAULT_POLICY, leaseMs: 500, maxHoldMs: 900 }), 900)
})

t.test('a key to import is 1 … 512 visible ASCII characters', async t => {
  for (const key of ['!', '~', 'x'.repeat(512)]) t.ok(isKey(key), key)
  for (const key of ['', 'x'.repeat(513), 'a b', 'é', 'a\n', '\u007f']) t.notOk(isKey(key), JSON.stringify(key))
})
