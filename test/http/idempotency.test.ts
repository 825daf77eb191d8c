import t from 'tap'
import { fingerprintOf } from '../../src/http/idempotency.ts'
import { createService } from '../support/create-service.ts'
import { invalid } from '../support/problems.ts'

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

t.test('an absent body and an empty object are the same request', async t => {
  const { call, generate } = await createService(t)
  await generate(3)
  const headers = { 'idempotency-key': 'job-1' }
  const first = await call('POST', 'leases', undefined, headers)
  for (const body of ['', '{}', {}]) t.equal((await call('POST', 'leases', body, headers)).body.id, first.body.id)
})

t.test('an Idempotency-Key is 1 … 128 visible ASCII characters', async t => {
  const { call, generate } = await createService(t)
  await generate(5)
  for (const [path, body] of [
    ['leases', {}],
    ['keys', {}],
    ['batch', { operations: [{ op: 'delete', id: 'x' }] }]
  ] as const) {
    for (const key of ['', 'x'.repeat(129), 'a b', 'ä', 'a\tb']) {
      invalid(t, await call('POST', path, body, { 'idempotency-key': key }), 'header', '/idempotency-key')
    }
    for (const key of ['x', '~'.repeat(128), '!"#']) {
      t.ok((await call('POST', path, body, { 'idempotency-key': key })).status < 300)
    }
  }
})
