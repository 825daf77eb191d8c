// What callers whose language checks no types may hand over: each is refused by an error that names it, and changes nothing.

import t from 'tap'
import { keyId } from '../../src/pool/key-id.ts'
import { KeyPool } from '../../src/pool/key-pool.ts'
import { createLease, createPool } from '../support/pool.ts'

/** Whatever a caller without types may take for a value of this type. */
const as = <T>(value: unknown): T => value as T

/** The name of an argument, the error that names it, what is none, and a call that is handed it. */
type Wrong = [name: string, type: ErrorConstructor, wrong: readonly unknown[], call: (value: never) => unknown]

/** Numbers, and what is none, that are no integer of at least 1. */
const NO_COUNTS = [0, -1, 1.5, NaN, Infinity, '1', null, true, 1n, {}]
const NO_STRINGS = [0, 1, null, true, {}, ['x'], Symbol('x')]
const NO_METADATA = ['red', 1, true, [], ['red'], { colour: 1 }, { colour: null }, { colour: { red: 'yes' } }]

t.test('a wrong argument is named, and nothing is changed', async t => {
  const { pool, key, lease } = createLease({ maxHoldMs: 120_000 })
  const { id } = key
  const calls: Wrong[] = [
    ['count', RangeError, NO_COUNTS, value => pool.generate(value)],
    ['metadata', TypeError, NO_METADATA, value => pool.generate(1, value)],
    ['metadata', TypeError, NO_METADATA, value => pool.setMetadata(id, value)],
    [
      'metadata of key 1',
      TypeError,
      NO_METADATA,
      value => pool.importKeys([{ key: 'a' }, { key: 'b', metadata: value }])
    ],
    ['key 0', RangeError, [...NO_STRINGS, undefined, '', ' '], value => pool.importKeys([{ key: value }])],
    ['imports', TypeError, ['a', null, undefined, { key: 'a' }], value => pool.importKeys(value)],
    ['leaseMs', RangeError, [...NO_COUNTS, 99], value => pool.acquire({ leaseMs: value })],
    ['leaseMs', RangeError, [...NO_COUNTS, 99], value => pool.renew(lease.id, { leaseMs: value })],
    ['leaseMs', RangeError, [...NO_COUNTS, 99, undefined], value => pool.allowsLease(value)],
    ['holder', TypeError, NO_STRINGS, value => pool.acquire({ holder: value })],
    ['owner', TypeError, NO_STRINGS, value => pool.acquire({ owner: value })],
    ['owner', TypeError, NO_STRINGS, value => pool.lease(lease.id, { owner: value })],
    ['owner', TypeError, NO_STRINGS, value => pool.renew(lease.id, { owner: value })],
    ['owner', TypeError, NO_STRINGS, value => pool.release(lease.id, { owner: value })],
    ['reveal', TypeError, [1, 'true', null], value => pool.lease(lease.id, { reveal: value })],
    ['reveal', TypeError, [1, 'true', null], value => pool.get(id, value)],
    ['keepAlive', TypeError, [1, 'true', null], value => pool.renew(lease.id, { keepAlive: value })],
    [
      'cooldownMs',
      RangeError,
      [-1, 0.5, '0', null, 86_400_001],
      value => pool.release(lease.id, { cooldownMs: value })
    ],
    ['fence', RangeError, [-1, 0.5, '1', null, NaN], value => pool.unblock(id, value)],
    ['limit', RangeError, NO_COUNTS, value => pool.list({ limit: value })],
    ['limit', RangeError, NO_COUNTS.filter(value => value !== 0), value => pool.sweep(value)],
    ['state', RangeError, ['retired', '', 1, null], value => pool.list({ limit: 1, state: value })],
    ['cursor', TypeError, NO_STRINGS, value => pool.list({ limit: 1, cursor: value })],
    ['id', TypeError, NO_STRINGS, value => pool.setMetadata(value, null)]
  ]
  for (const verb of ['get', 'delete', 'keepAlive', 'activate', 'unblock'] as const)
    calls.push(['id', TypeError, [...NO_STRINGS, undefined], value => pool[verb](value)])
  for (const verb of ['lease', 'renew', 'release'] as const)
    calls.push(['leaseId', TypeError, [...NO_STRINGS, undefined], value => pool[verb](value)])

  const before = pool.record(id)
  for (const [name, type, wrong, call] of calls) {
    for (const value of wrong) {
      t.throws(
        () => call(as(value)),
        { name: type.name, message: new RegExp(`^${name} must be`) },
        `${name}: ${String(value)}`
      )
    }
  }
  t.strictSame(pool.record(id), before)
  t.equal(pool.counts().total, 1)
})

t.test('what is wrong in a policy is named, and so is what is none of it', async t => {
  const { pool } = createPool()
  const { policy } = pool
  for (const [wrong, message] of [
    [{ leaseMs: '60000' }, /^leaseMs must be/],
    [{ leaseMs: undefined }, /^leaseMs must be/],
    [{ maxHoldMs: undefined }, /^maxHoldMs must be/],
    [{ keepAliveMs: '300000' }, /^keepAliveMs must be/],
    [{ alphabet: ['a', 'b'] }, /^alphabet must be/],
    [{ alphabet: 12 }, /^alphabet must be/],
    [{ length: 20n }, /^length must be/],
    [{ prefix: null }, /^prefix must be/],
    [{ prefix: 1 }, /^prefix must be/],
    [{ reuseDeleted: 'false' }, /^reuseDeleted must be true or false$/],
    [{ reuseDeleted: null }, /^reuseDeleted must be true or false$/],
    [{ maxKeys: Infinity }, /^maxKeys must be/],
    [{ leaseMS: 60_000 }, /^"leaseMS" is no member of a policy$/],
    ['ab', /^"0" is no member of a policy; "1" is no member of a policy$/]
  ] as [unknown, RegExp][]) {
    t.throws(() => pool.setPolicy(as(wrong)), { name: 'RangeError', message }, message.source)
    t.throws(() => createPool({ policy: as(wrong) }), { name: 'RangeError', message }, message.source)
  }
  t.equal(pool.policy, policy)
})

t.test('fences and serials begin with an integer', async t => {
  for (const value of [-1, 0.5, NaN, '1', null]) {
    for (const name of ['fence', 'serial'])
      t.throws(() => new KeyPool({ clock: () => 1, [name]: as(value) }), {
        name: 'RangeError',
        message: new RegExp(`^${name} must be`)
      })
  }
})

t.test('no error shows what was handed over, which may be a secret', async t => {
  const { pool } = createPool()
  const secret = 'a secret'
  for (const call of [
    () => pool.importKeys([{ key: secret }]),
    () => pool.generate(as(secret)),
    () => pool.generate(1, as(secret)),
    () => pool.list({ limit: 1, state: as(secret) }),
    () => pool.get(as([secret])),
    () => pool.acquire({ holder: as([secret]) })
  ]) {
    t.throws(call)
    try {
      call()
    } catch (error) {
      t.notMatch(String(error), secret)
    }
  }
  t.equal(pool.get(keyId(secret)), 'unknown-key')
})
