import t from 'tap'
import { fingerprintOf } from '../../src/http/fingerprint.ts'

t.test('the order of members means nothing, at any depth', async t => {
  t.equal(
    fingerprintOf({ a: 1, b: { c: [{ d: 1, e: 2 }], f: null } }),
    fingerprintOf({ b: { f: null, c: [{ e: 2, d: 1 }] }, a: 1 })
  )
})

t.test('all else means something', async t => {
  const bodies = [
    {},
    { a: 1 },
    { a: '1' },
    { a: null },
    { a: [] },
    { a: {} },
    { b: 1 },
    { a: [1, 2] },
    { a: [2, 1] },
    { a: { b: 1 } },
    { 'a":1,"b': 1 },
    { a: 1, b: 1 },
    [],
    null,
    'a'
  ]
  t.equal(new Set(bodies.map(fingerprintOf)).size, bodies.length - 1, 'but null, which is as good as no body')
})

t.test('no body is an empty one', async t => {
  t.equal(fingerprintOf(undefined), fingerprintOf({}))
})

t.test('it shows nothing of the body', async t => {
  t.match(fingerprintOf({ keys: [{ key: 'sk-secret' }] }), /^[A-Za-z0-9_-]{43}$/)
})
