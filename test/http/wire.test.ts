import t from 'tap'
import type { KeyView, LeaseView } from '../../src/engine.ts'
import { wireKey, wireLease } from '../../src/http/wire.ts'

const AT = Date.UTC(2026, 1, 3, 4, 5, 6, 7)
const WRITTEN = '2026-02-03T04:05:06.007Z'

const key: KeyView = {
  id: 'id',
  state: 'free',
  createdAt: AT,
  activatedAt: null,
  keepAliveBy: null,
  keepAliveInMs: null,
  coolingUntil: null,
  coolingInMs: null,
  lease: null,
  metadata: null,
  serial: 7,
  servedAt: AT,
  changedAt: AT
}
const lease: LeaseView = {
  id: 'id.3',
  fence: 3,
  keyId: 'id',
  holder: null,
  acquiredAt: AT,
  expiresAt: AT,
  expiresInMs: 0,
  renewAfterMs: null,
  keepAliveBy: null,
  keepAliveInMs: null,
  metadata: null
}

t.test('a key on the wire has the members of the contract, what does not apply is null', async t => {
  t.strictSame(wireKey(key, 'mine'), {
    id: 'id',
    pool: 'mine',
    state: 'free',
    createdAt: WRITTEN,
    activatedAt: null,
    keepAliveBy: null,
    keepAliveInMs: null,
    coolingUntil: null,
    coolingInMs: null,
    lease: null,
    metadata: null
  })
  const held = { id: 'id.3', fence: 3, holder: 'h', expiresAt: AT, expiresInMs: 5 }
  const all = { activatedAt: AT, keepAliveBy: AT, keepAliveInMs: 1, coolingUntil: AT, coolingInMs: 2 }
  t.match(wireKey({ ...key, ...all, key: 'secret', metadata: { a: 'b' }, lease: held }, 'mine'), {
    key: 'secret',
    activatedAt: WRITTEN,
    keepAliveBy: WRITTEN,
    keepAliveInMs: 1,
    coolingUntil: WRITTEN,
    coolingInMs: 2,
    lease: { id: 'id.3', fence: 3, holder: 'h', expiresAt: WRITTEN, expiresInMs: 5 },
    metadata: { a: 'b' }
  })
})

t.test('a lease on the wire has the members of the contract', async t => {
  t.strictSame(wireLease(lease, 'mine'), {
    id: 'id.3',
    fence: 3,
    pool: 'mine',
    keyId: 'id',
    holder: null,
    acquiredAt: WRITTEN,
    expiresAt: WRITTEN,
    expiresInMs: 0,
    renewAfterMs: null,
    keepAliveBy: null,
    keepAliveInMs: null,
    metadata: null
  })
  t.match(wireLease({ ...lease, key: 'secret', keepAliveBy: AT }, 'mine'), { key: 'secret', keepAliveBy: WRITTEN })
})
