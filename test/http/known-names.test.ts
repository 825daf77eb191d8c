import t from 'tap'
import { KnownNames } from '../../src/http/known-names.ts'

const schema = {
  properties: { keys: { items: { properties: { key: {}, metadata: {} } } }, leaseMs: { type: 'integer' } }
}

t.test('the names of members are known at any depth, and mistyped', async t => {
  const names = new KnownNames(schema)
  for (const name of ['keys', 'key', 'metadata', 'leaseMs', 'lease_ms', 'LEASE-MS', 'lease ms']) t.ok(names.has(name))
  for (const name of ['items', 'type', 'leaseM', '', 'keys2']) t.notOk(names.has(name), name)
})

t.test('an index is no secret, a longer number may be one', async t => {
  const names = new KnownNames(schema)
  for (const name of ['0', '7', '999']) t.ok(names.has(name))
  for (const name of ['1000', '-1', '1.5', '1e2']) t.notOk(names.has(name), name)
})

t.test('a pointer ends before the first name that may be a secret', async t => {
  const names = new KnownNames(schema)
  t.equal(names.withoutSecrets('/keys/3/key'), '/keys/3/key')
  t.equal(names.withoutSecrets('/keys/3/metadata/sk-live-1'), '/keys/3/metadata')
  t.equal(names.withoutSecrets('/sk-live-1/key'), '')
  t.equal(names.withoutSecrets(''), '')
})
