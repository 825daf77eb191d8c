import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { AuditTrail } from '../../src/access/audit-trail.ts'
import type { Bearer } from '../../src/access/bearer.ts'
import { TokenList } from '../../src/access/token-list.ts'
import { keyId } from '../../src/pool/key-id.ts'
import { createService } from '../support/create-service.ts'
import { ManualClock } from '../support/manual-clock.ts'
import { entryOf } from '../support/tokens.ts'

const V1 = '/v1/pools/default'
const ADMIN = { authorization: 'Bearer t-ops' }
const USER = { authorization: 'Bearer t-ci' }

async function createAudited(t: Test, withTokens = true, options: { rateLimit?: number } = {}) {
  const path = join(t.testdir(), 'audit.log')
  const trail = await AuditTrail.open({ destination: path, clock: new ManualClock(), onFault: fault => t.error(fault) })
  const entry = (name: string, role: Bearer['role'], pools: Bearer['pools']) => ({
    bearer: { name, role, pools },
    sha256: entryOf(`t-${name}`, name).sha256
  })
  const bearers = new TokenList([entry('ops', 'admin', '*'), entry('ci', 'user', new Set(['default', 'later']))])
  const service = await createService(t, {
    dialects: ['random_api_key', 'tokenapi'],
    trail,
    ...(withTokens ? { bearers } : {}),
    ...options
  })
  /** All lines so far. Nothing is written after. */
  const lines = async () => {
    await trail.close()
    const text = readFileSync(path, 'utf8')
    return {
      text,
      told: text
        .split('\n')
        .filter(Boolean)
        .map(line => JSON.parse(line))
    }
  }
  return { ...service, lines }
}

const told = (verb: string, outcome: string, more: object = {}) => ({ verb, outcome, ...more })

t.test('each change has a line: who, what, on which key and lease, and what it came to', async t => {
  const { call, lines } = await createAudited(t)
  const go = (method: string, path: string, body?: object, headers: object = ADMIN) =>
    call(method, path.startsWith('/') ? path : `${V1}/${path}`, body, { ...headers, 'x-request-id': 'r-1' })
  const { keys } = (await go('POST', 'keys', { count: 2 })).body
  const [first] = keys as [{ id: string }]
  const lease = (await go('POST', 'leases', {}, USER)).body
  await go('PUT', `leases/${lease.id}/renewal`, {}, USER)
  await go('DELETE', `leases/${lease.id}`, undefined, USER)
  await go('PUT', `keys/${first.id}/keep-alive`, undefined, USER)
  await go('PUT', `keys/${first.id}/metadata`, { a: 'b' })
  await go('DELETE', `keys/${first.id}/lease`)
  await go('DELETE', `keys/${first.id}`)
  await go('PUT', '/v1/pools/later')
  await go('DELETE', '/v1/pools/later')
  await go('GET', V1)
  const { told: found, text } = await lines()
  const [ops, ci] = [
    { token: 'ops', pool: 'default' },
    { token: 'ci', pool: 'default' }
  ]
  const held = { id: lease.keyId, fence: lease.fence }
  t.match(found, [
    ...keys.map(({ id }: { id: string }) => told('generateOrImportKeys', 'ok', { ...ops, id, fence: null })),
    told('acquireLease', 'ok', { ...ci, ...held }),
    told('renewLease', 'max-hold-reached', { ...ci, ...held }),
    told('releaseLease', 'ok', { ...ci, ...held }),
    told('keepKeyAlive', 'ok', { ...ci, id: first.id }),
    told('setKeyMetadata', 'ok', { ...ops, id: first.id }),
    told('unblockKey', 'key-not-leased', { ...ops, id: first.id }),
    told('deleteKey', 'ok', { ...ops, id: first.id }),
    told('putPool', 'ok', { token: 'ops', pool: 'later', id: null }),
    told('deletePool', 'ok', { token: 'ops', pool: 'later', id: null })
  ])
  t.equal(found.length, 11)
  for (const line of found) t.match(line, { requestId: 'r-1', remote: '127.0.0.1', time: /^2026-03-01T/ })
  for (const { key } of keys) t.notMatch(text, key)
})

t.test('a batch has a line for each operation', async t => {
  const { call, lines } = await createAudited(t)
  const { keys } = (await call('POST', 'keys', { count: 2 }, ADMIN)).body
  const id = keys[0].id as string
  const operations = [
    { op: 'acquire' },
    { op: 'keepAlive', id },
    { op: 'unblock', id: keyId('no key') },
    { op: 'delete', id },
    { op: 'release', lease: `${keyId('no key')}.1` }
  ]
  const again = { ...ADMIN, 'idempotency-key': 'k' }
  const { results } = (await call('POST', 'batch', { operations }, again)).body
  await call('POST', 'batch', { operations }, again)
  await call('POST', 'batch', { operations }, USER)
  const lost = { id: null, fence: null }
  const first = [
    told('acquire', 'ok', { id: results[0].body.keyId, fence: results[0].body.fence }),
    told('keepAlive', 'ok', { id }),
    told('unblock', 'unknown-key', lost),
    told('delete', 'ok', { id }),
    told('release', 'lease-lost', lost)
  ]
  const { told: found } = await lines()
  t.match(found.slice(2, 7), first)
  t.match(
    found.slice(7, 12),
    first.map(({ verb, outcome }) => ({ verb, outcome }))
  )
  t.match(found.slice(12), [told('batch', 'forbidden', { token: 'ci', pool: 'default' })])
  t.equal(found.length, 13)
})

t.test('a pool is not named where nobody has looked for it', async t => {
  const { call, lines, engine } = await createAudited(t)
  const secret = 'sk-secret'
  Object.assign(engine, { acquire: () => ({ refusal: 'storage-unavailable' }) })
  await call('POST', `/v1/pools/${secret}/leases`, undefined, ADMIN)
  await call('POST', `/v1/pools/${secret.padEnd(9000, 'x')}/leases`, undefined, ADMIN)
  const { told: found, text } = await lines()
  t.match(found, [told('acquireLease', 'storage-unavailable', { pool: null })])
  t.notMatch(text, secret)
})

t.test('a refused change has a line, without what its caller may have put into the path', async t => {
  const { call, lines } = await createAudited(t)
  const secret = 'sk-secret'
  const secretId = 'AsSecretAsAnIdIsLong22'
  await call('POST', 'leases')
  await call('POST', 'leases', undefined, { authorization: `Bearer ${secret}` })
  await call('POST', `/v1/pools/${secret}/leases`, undefined, ADMIN)
  await call('POST', `/v1/pools/${secret}/leases`, undefined, USER)
  await call('POST', '/v1/pools/later/leases', undefined, USER)
  await call('DELETE', `keys/${secretId}`, undefined, USER)
  await call('DELETE', `keys/${secretId}`, undefined, ADMIN)
  await call('DELETE', `leases/${secretId}.1`, undefined, ADMIN)
  await call('POST', 'keys', `{"key":"${secret}`, { ...ADMIN, 'content-type': 'application/json' })
  await call('POST', 'leases', {}, ADMIN)
  await call('PATCH', V1, {}, ADMIN)
  await call('POST', '/v1/nothing', {}, ADMIN)
  const { told: found, text } = await lines()
  t.match(found, [
    told('acquireLease', 'unauthorized', { token: null, pool: null }),
    told('acquireLease', 'unknown-pool', { token: 'ops', pool: null }),
    told('acquireLease', 'forbidden', { token: 'ci', pool: null }),
    told('acquireLease', 'unknown-pool', { token: 'ci', pool: 'later' }),
    told('deleteKey', 'forbidden', { token: 'ci', pool: 'default', id: null }),
    told('deleteKey', 'unknown-key', { token: 'ops', pool: 'default', id: null }),
    told('releaseLease', 'lease-lost', { token: 'ops', pool: 'default', id: null }),
    told('generateOrImportKeys', 'invalid-request', { token: 'ops', pool: null }),
    told('acquireLease', 'no-free-key', { token: 'ops', pool: 'default' }),
    { token: null, remote: '127.0.0.1', verb: null, outcome: 'unauthorized', times: 1 }
  ])
  t.equal(found.length, 10)
  t.notMatch(text, secret)
  t.notMatch(text, secretId)
})

t.test('who has no token can not fill the trail', async t => {
  const { call, lines } = await createAudited(t)
  const again = async (...args: Parameters<typeof call>) => {
    for (let i = 0; i < 100; i++) await call(...args)
  }
  await again('POST', 'leases')
  await again('POST', 'leases', '{', { authorization: 'Bearer t-unknown' })
  await again('POST', `/v1/pools/${'x'.repeat(9000)}/leases`)
  await again('GET', 'keys/x?reveal=true')
  await again('GET', 'keys/x', undefined, { authorization: 'Bearer t-guess' })
  const { told: found } = await lines()
  t.match(found, [
    told('acquireLease', 'unauthorized', { times: undefined }),
    told('acquireLease', 'uri-too-long', { times: undefined }),
    { outcome: 'unauthorized', verb: null, times: 399 },
    { outcome: 'uri-too-long', verb: null, times: 99 }
  ])
  t.equal(found.length, 4)
})

t.test('who has no token is told, though the call would only read', async t => {
  const { call, lines } = await createAudited(t)
  await call('GET', '/v1/pools', undefined, { authorization: 'Bearer t-guess' })
  await call('GET', '/v1/nothing')
  await call('GET', '/livez')
  const { told: found } = await lines()
  t.match(found, [told('listPools', 'unauthorized', { token: null, pool: null })])
  t.equal(found.length, 1)
})

t.test(
  'without tokens, the page of another site can not fill the trail, and whoever may call has a line for each',
  async t => {
    const { call, lines } = await createAudited(t, false)
    const page = { 'sec-fetch-site': 'cross-site' }
    for (let i = 0; i < 3; i++) await call('POST', 'leases', undefined, page)
    for (let i = 0; i < 3; i++) await call('POST', `/v1/pools/${'x'.repeat(9000)}/leases`, undefined, page)
    for (let i = 0; i < 3; i++) await call('POST', 'leases', '{', { 'content-type': 'application/json' })
    const { told: found } = await lines()
    const wrong = told('acquireLease', 'invalid-request')
    t.match(found, [
      told('acquireLease', 'forbidden'),
      told('acquireLease', 'uri-too-long'),
      wrong,
      wrong,
      wrong,
      { outcome: 'forbidden', times: 2 },
      { outcome: 'uri-too-long', times: 2 }
    ])
    t.equal(found.length, 7)
  }
)

t.test('what is beyond the rate is summed up', async t => {
  const { call, lines } = await createAudited(t, true, { rateLimit: 1 })
  let refusals = 0
  // However slow the machine is, at some time three come within a second.
  while (refusals < 10) if ((await call('POST', 'leases', {}, ADMIN)).status === 429) refusals++
  const { told: found } = await lines()
  const ofRate = found.filter(({ outcome }) => outcome === 'too-many-requests')
  t.match(ofRate, [told('acquireLease', 'too-many-requests', { token: 'ops' }), { token: 'ops', verb: null, times: 9 }])
})

t.test('who is shown a secret is told, and who tries one', async t => {
  const { call, lines } = await createAudited(t)
  const [key] = (await call('POST', 'keys', undefined, ADMIN)).body.keys
  const path = `keys/${key.id}`
  for (const query of ['', '?reveal=false', '?reveal=true', '?reveal=yes'])
    await call('GET', path + query, undefined, ADMIN)
  await call('HEAD', `${path}?reveal=true`, undefined, ADMIN)
  await call('GET', `${path}?reveal=true`, undefined, USER)
  await call('GET', `keys/${keyId('no key')}?reveal=true`, undefined, ADMIN)
  await call('GET', `${V1}?reveal=true`, undefined, ADMIN)
  await call('POST', 'keys/lookup', { key: key.key }, ADMIN)
  await call('POST', 'keys/lookup', { key: 'sk-secret' }, ADMIN)
  await call('POST', 'keys/lookup', { key: key.key }, USER)
  await call('GET', `/api/get_token_status/${key.key}`, undefined, ADMIN)
  const { told: found, text } = await lines()
  const ops = { token: 'ops', pool: 'default' }
  t.match(found.slice(1), [
    told('getKey', 'ok', { ...ops, id: key.id, fence: null }),
    told('getKey', 'ok', { ...ops, id: key.id }),
    told('getKey', 'forbidden', { token: 'ci', pool: 'default', id: null }),
    told('getKey', 'unknown-key', { ...ops, id: null }),
    told('lookupKey', 'ok', { ...ops, id: key.id }),
    told('lookupKey', 'unknown-key', { ...ops, id: null }),
    told('lookupKey', 'forbidden', { token: 'ci', id: null }),
    told('get_token_status', 'unknown-key', { token: 'ops', pool: 'tokens', id: null })
  ])
  t.equal(found.length, 9)
  t.notMatch(text, key.key)
  t.notMatch(text, 'sk-secret')
})

t.test("old clients' changes have lines too, with ids for their keys", async t => {
  const { call, lines } = await createAudited(t, false)
  const old = '/api/v1/random_api_key/'
  const key = (await call('POST', old)).body.api_key as string
  await call('GET', old)
  await call('GET', old)
  await call('PUT', `${old}?api_key=${key}`)
  await call('PUT', `/api/v1/keep_alive/?api_key=${key}`)
  await call('DELETE', `${old}?api_key=${key}`)
  await call('DELETE', `${old}?api_key=${key}`)
  await call('GET', '/api/v1/start_scheduler/')
  const token = (await call('POST', '/api/get_token')).body['key:'] as string
  await call('PUT', `/api/activate_token/${token}`)
  await call('PUT', `/api/activate_token/${token}`)
  await call('GET', `/api/get_token_status/${token}`)
  await call('DELETE', `/api/del_token/${token}`)
  await call('DELETE', `/api/del_token/${token}`)
  await call('PUT', '/v1/pools/default', { maxKeys: 1 })
  await call('POST', old)
  await call('POST', old)
  const { told: found, text } = await lines()
  const [one, two] = [
    { pool: 'default', id: keyId(key), token: null },
    { pool: 'tokens', id: keyId(token) }
  ]
  t.match(found, [
    told('random_api_key_post_random_api_key', 'ok', one),
    told('random_api_key_get_random_api_key', 'ok', { ...one, fence: Number }),
    told('random_api_key_get_random_api_key', 'no-free-key', { id: null }),
    told('random_api_key_put_random_api_key', 'ok', one),
    told('random_api_key_put_keep_alive', 'ok', one),
    told('random_api_key_delete_random_api_key', 'ok', one),
    told('random_api_key_delete_random_api_key', 'unknown-key', { id: null }),
    told('get_token', 'ok', two),
    told('activate_token', 'ok', two),
    told('activate_token', 'ok', two),
    told('get_token_status', 'ok', two),
    told('del_token', 'ok', two),
    told('del_token', 'unknown-key', { id: null }),
    told('putPool', 'ok'),
    told('random_api_key_post_random_api_key', 'ok'),
    told('random_api_key_post_random_api_key', 'pool-full', { pool: 'default', id: null })
  ])
  t.equal(found.length, 16)
  t.notMatch(text, key)
})

t.test('a trail that can not be written is a warning, and the service is ready', async t => {
  const nothing = () => undefined
  const trail = { fault: undefined as string | undefined, write: nothing, sumUp: nothing }
  const { call } = await createService(t, { trail })
  t.strictSame((await call('GET', '/readyz')).body, { status: 'ok' })
  trail.fault = 'ENOSPC: no space left on device, write'
  t.match(await call('GET', '/readyz'), {
    status: 200,
    body: { status: 'ok', warnings: [/^the audit trail can not be written: ENOSPC/] }
  })
})
