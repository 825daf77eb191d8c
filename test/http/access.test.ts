import t, { type Test } from 'tap'
import { type Bearer, ROLES, type Role } from '../../src/access/bearer.ts'
import { TokenList } from '../../src/access/token-list.ts'
import type { Operation } from '../../src/engine.ts'
import { NEEDS, needOf, OPERATIONS } from '../../src/http/roles.ts'
import { createService, type ServiceOfTest } from '../support/create-service.ts'
import { refused } from '../support/problems.ts'
import { entryOf } from '../support/tokens.ts'

const V1 = '/v1/pools/default'
const BOTH = { dialects: ['random_api_key', 'tokenapi'] as const }
const NAMES = [...ROLES, 'other', 'limited', 'poolless', 'limited-admin'] as const
type Name = (typeof NAMES)[number]

/** Each token is its own name with a prefix. */
const bearer = (name: Name) => ({ authorization: `Bearer t-${name}` })
const BEARERS: [Name, Role, Bearer['pools']][] = [
  ...ROLES.map((role): [Name, Role, '*'] => [role, role, '*']),
  ['other', 'user', '*'],
  ['limited', 'user', new Set(['mine', 'later'])],
  ['poolless', 'viewer', new Set()],
  ['limited-admin', 'admin', new Set(['mine', 'later'])]
]

async function createGuarded(t: Test, options: object = {}) {
  const bearers = new TokenList(
    BEARERS.map(([name, role, pools]) => ({ bearer: { name, role, pools }, sha256: entryOf(`t-${name}`, name).sha256 }))
  )
  const service = await createService(t, { ...BOTH, bearers, ...options })
  /** The pool `default` has keys, and `mine` too. */
  const admin = (method: string, path: string, body?: object) => service.call(method, path, body, bearer('admin'))
  await admin('PUT', '/v1/pools/mine')
  for (const pool of ['default', 'mine']) await admin('POST', `/v1/pools/${pool}/keys`, { count: 5 })
  return { ...service, admin }
}

const as = ({ call }: ServiceOfTest, name: Name) => ({
  call: (method: string, path: string, body?: object, headers = {}) =>
    call(method, path, body, { ...bearer(name), ...headers })
})

interface Documented {
  method: string
  path: string
  operationId: string
  description: string
  security: Record<string, []>[]
}

/** Each operation of the document, with a path that can be called. */
async function operationsOf({ call }: ServiceOfTest): Promise<Documented[]> {
  const { paths } = (await call('GET', '/docs/json')).body as { paths: Record<string, Record<string, Documented>> }
  return Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({
      ...operation,
      method: method.toUpperCase(),
      path: path.replace('{pool}', 'default').replace(/\{\w+\}/g, 'x')
    }))
  )
}

t.test('the document and the table of roles have the same operations, and say the same', async t => {
  const operations = await operationsOf(await createService(t, BOTH))
  t.strictSame(operations.map(({ operationId }) => operationId).sort(), Object.keys(NEEDS).sort())
  for (const { operationId, description, security } of operations) {
    const { role } = NEEDS[operationId] as { role: string }
    if (role === 'open') t.strictSame(security, [], operationId)
    else {
      t.match(description, `Needs the role \`${role}\`.`, operationId)
      const isOld = /^random_api_key|token/.test(operationId)
      t.strictSame(security, isOld ? [{ bearer: [] }, { token: [] }] : [{ bearer: [] }], operationId)
    }
  }
})

t.test('each role may call what it covers, and nothing else', async t => {
  const service = await createGuarded(t)
  for (const { method, path, operationId } of await operationsOf(service)) {
    const { role: needed } = NEEDS[operationId] as { role: Role | 'open' }
    // Wrong JSON where a body counts: whoever is let in learns that it is, and changes nothing.
    const call = (headers = {}) =>
      service.call(method, path, method === 'GET' ? undefined : '{', { 'content-type': 'application/json', ...headers })
    const stranger = await call()
    if (needed === 'open') t.ok([200, 404].includes(stranger.status), operationId)
    else refused(t, stranger, 'unauthorized')
    for (const role of ROLES) {
      const { status } = await call(bearer(role))
      const isLetIn = needed === 'open' || ROLES.indexOf(role) >= ROLES.indexOf(needed)
      t.equal(status === 403, !isLetIn, `${role} calls ${operationId}: ${status}`)
      t.not(status, 401, operationId)
    }
  }
})

t.test('a route without a role does not start', async t => {
  t.throws(() => needOf('/v1/new', 'newCall'), /nobody may call \/v1\/new.*newCall.*roles\.ts/)
  t.throws(() => needOf('/v1/new', undefined), /nobody may call/)
  t.throws(() => needOf('/v1/new', 'toString'), /nobody may call/)
  t.throws(() => needOf('/docsx', undefined), /nobody may call/)
  const { app } = await createService(t)
  t.throws(() => app.get('/new', { schema: { operationId: 'newCall' } }, async () => ''), /nobody may call/)
  t.throws(() => app.get('/new', async () => ''), /nobody may call/)
})

t.test('health, documentation and problems are open', async t => {
  const { call } = await createGuarded(t)
  for (const path of ['/livez', '/readyz', '/problems/forbidden', '/docs', '/docs/', '/docs/json']) {
    t.equal((await call('GET', path)).status, 200, path)
    t.equal((await call('GET', path, undefined, { authorization: 'Bearer no' })).status, 200, path)
  }
  t.equal((await call('GET', '/docs/static/swagger-ui.css')).status, 200)
})

t.test('who has no token, or an unknown one, is told how to authenticate', async t => {
  const { call } = await createGuarded(t)
  const without = await call('GET', V1)
  refused(t, without, 'unauthorized')
  t.equal(without.headers['www-authenticate'], 'Bearer')
  for (const authorization of [
    'Bearer no',
    'Bearer',
    'Bearer  ',
    'Basic dXNlcjp4',
    't-admin',
    'Bearer t-admin x',
    'xBearer t-admin',
    ''
  ]) {
    const answer = await call('GET', V1, undefined, { authorization })
    refused(t, answer, 'unauthorized')
    t.equal(answer.headers['www-authenticate'], 'Bearer error="invalid_token"', authorization)
  }
  for (const authorization of ['bearer t-viewer', 'BEARER t-viewer', 'Bearer   t-viewer ']) {
    t.equal((await call('GET', V1, undefined, { authorization })).status, 200, authorization)
  }
  refused(t, await call('GET', `${V1}?token=t-admin`), 'unauthorized')
})

t.test('route and method come before access, access before the body', async t => {
  const { call } = await createGuarded(t)
  refused(t, await call('GET', '/v1/nothing'), 'not-found')
  refused(t, await call('PATCH', V1), 'method-not-allowed')
  const wrong = [V1 + '/leases', '{', { 'content-type': 'text/plain' }] as const
  refused(t, await call('POST', ...wrong), 'unauthorized')
  refused(t, await call('POST', wrong[0], wrong[1], { ...wrong[2], ...bearer('viewer') }), 'forbidden')
  refused(t, await call('POST', wrong[0], wrong[1], { ...wrong[2], ...bearer('user') }), 'unsupported-media-type')
})

t.test('a pool that is not granted is forbidden, whether or not it exists', async t => {
  const service = await createGuarded(t)
  const limited = as(service, 'limited')
  for (const pool of ['default', 'nothing', 'No_Name', '%20']) {
    refused(t, await limited.call('GET', `/v1/pools/${pool}`), 'forbidden')
    refused(t, await limited.call('POST', `/v1/pools/${pool}/leases`), 'forbidden')
  }
  t.equal((await limited.call('GET', '/v1/pools/mine')).status, 200)
  refused(t, await limited.call('GET', '/v1/pools/later'), 'unknown-pool')
  refused(t, await as(service, 'limited-admin').call('PUT', '/v1/pools/another'), 'forbidden')
  t.equal((await as(service, 'limited-admin').call('PUT', '/v1/pools/later')).status, 201)
})

t.test('the list of pools has those that are granted', async t => {
  const service = await createGuarded(t)
  const listed = async (name: Name) => {
    const { pools } = (await as(service, name).call('GET', '/v1/pools')).body as { pools: { name: string }[] }
    return pools.map(({ name }) => name).sort()
  }
  t.strictSame(await listed('viewer'), ['default', 'mine', 'tokens'])
  t.strictSame(await listed('limited'), ['mine'])
  t.strictSame(await listed('poolless'), [])
})

t.test('only an admin is shown a key', async t => {
  const service = await createGuarded(t)
  const { keys } = (await service.admin('GET', `${V1}/keys?limit=1`)).body
  const path = `${V1}/keys/${keys[0].id}`
  for (const name of ['viewer', 'user'] as const) {
    refused(t, await as(service, name).call('GET', `${path}?reveal=true`), 'forbidden')
    t.notOk('key' in (await as(service, name).call('GET', `${path}?reveal=false`)).body)
    refused(t, await as(service, name).call('GET', `${path}?reveal=yes`), 'invalid-request', { errors: Array })
    refused(t, await as(service, name).call('GET', `${path}?reveal=true&reveal=true`), 'invalid-request', {
      errors: Array
    })
    refused(t, await as(service, name).call('POST', `${V1}/keys/lookup`, { key: 'x' }), 'forbidden')
    t.match(await as(service, name).call('HEAD', `${path}?reveal=true`), { status: 403 })
    t.match(await as(service, name).call('GET', `${V1}?reveal=true`), { status: 200 }, 'an unknown parameter there')
  }
  t.type((await service.admin('GET', `${path}?reveal=true`)).body.key, 'string')
})

t.test('a lease belongs to the token that took it', async t => {
  const service = await createGuarded(t)
  const [user, other] = [as(service, 'user'), as(service, 'other')]
  const { id } = (await user.call('POST', `${V1}/leases`)).body
  const path = `${V1}/leases/${id}`
  refused(t, await other.call('GET', path), 'forbidden')
  refused(t, await other.call('PUT', `${path}/renewal`), 'forbidden')
  refused(t, await other.call('DELETE', path), 'forbidden')
  refused(t, await other.call('DELETE', `${path}?owner=user`), 'forbidden')
  refused(t, await as(service, 'viewer').call('GET', path), 'forbidden')
  t.equal((await user.call('GET', path)).status, 200)
  t.equal((await user.call('PUT', `${path}/renewal`)).status, 409, 'the policy lets nobody renew, but it was asked')
  t.equal((await user.call('DELETE', path)).status, 204)
  refused(t, await user.call('GET', path), 'lease-lost')
})

t.test("an admin reads, renews and releases anybody's lease", async t => {
  const service = await createGuarded(t)
  await service.admin('PUT', V1, { maxHoldMs: 600_000 })
  const { id } = (await as(service, 'user').call('POST', `${V1}/leases`)).body
  t.equal((await service.admin('GET', `${V1}/leases/${id}`)).status, 200)
  t.equal((await service.admin('PUT', `${V1}/leases/${id}/renewal`)).status, 200)
  t.equal((await service.admin('DELETE', `${V1}/leases/${id}`)).status, 204)
})

t.test("an admin's lease is no user's", async t => {
  const service = await createGuarded(t)
  const user = as(service, 'user')
  const single = (await service.admin('POST', `${V1}/leases`)).body.id
  const { results } = (await service.admin('POST', `${V1}/batch`, { operations: [{ op: 'acquire' }] })).body
  const old = (await service.call('GET', '/api/v1/random_api_key/?token=t-admin')).body
  t.equal(old.is_blocked, true)
  const all = (await user.call('GET', `${V1}/keys?state=leased`)).body.keys as { lease: { id: string } }[]
  t.equal(all.length, 3)
  t.ok(all.some(({ lease }) => lease.id === single) && all.some(({ lease }) => lease.id === results[0].body.id))
  for (const { lease } of all) refused(t, await user.call('DELETE', `${V1}/leases/${lease.id}`), 'forbidden')
})

t.test('each operation of a batch needs its role, or nothing is applied', async t => {
  const service = await createGuarded(t)
  const user = as(service, 'user')
  const { keys } = (await user.call('GET', `${V1}/keys?limit=1`)).body
  const { id } = keys[0]
  const operations: Operation[] = [
    { op: 'release', lease: 'x.1' },
    { op: 'renew', lease: 'x.1' },
    { op: 'keepAlive', id },
    { op: 'activate', id },
    { op: 'unblock', id },
    { op: 'delete', id },
    { op: 'acquire' }
  ]
  for (const operation of operations) {
    const before = await service.call('GET', V1, undefined, bearer('admin'))
    const answer = await user.call('POST', `${V1}/batch`, { operations: [{ op: 'acquire' }, operation] })
    if (OPERATIONS[operation.op] === 'user') t.equal(answer.status, 200, operation.op)
    else {
      refused(t, answer, 'forbidden')
      t.match((await service.call('GET', V1, undefined, bearer('admin'))).body.counts, before.body.counts)
    }
    t.equal((await service.admin('POST', `${V1}/batch`, { operations: [operation] })).status, 200, operation.op)
    await service.admin('POST', `${V1}/keys`, { count: 2 })
  }
  refused(t, await as(service, 'viewer').call('POST', `${V1}/batch`, { operations }), 'forbidden')
})

t.test("in a batch, another's lease is forbidden to a user and not to an admin", async t => {
  const service = await createGuarded(t)
  const { id } = (await as(service, 'user').call('POST', `${V1}/leases`)).body
  const operations = [{ op: 'acquire' }, { op: 'renew', lease: id }, { op: 'release', lease: id }]
  const statuses = async (name: Name) => {
    const { results } = (await as(service, name).call('POST', `${V1}/batch`, { operations })).body
    return results.map(({ status }: { status: number }) => status)
  }
  t.strictSame(await statuses('other'), [201, 403, 403])
  t.strictSame(await statuses('admin'), [201, 409, 204])
})

t.test('a retry is one only for the same caller', async t => {
  const service = await createGuarded(t)
  const again = { 'idempotency-key': 'k-1' }
  const lease = async (name: Name) => (await as(service, name).call('POST', `${V1}/leases`, {}, again)).body.id
  const [user, other] = [await lease('user'), await lease('other')]
  t.not(user, other)
  t.equal(await lease('user'), user)
  t.equal(await lease('other'), other)
})

t.test('old clients send the token as a header or in the query, and keep their own refusals', async t => {
  const service = await createGuarded(t)
  const { call } = service
  for (const [method, path] of [
    ['POST', '/api/v1/random_api_key/'],
    ['GET', '/api/v1/random_api_key'],
    ['GET', '/api/v1/start_scheduler/'],
    ['POST', '/api/get_token'],
    ['GET', '/api/get_token_status/x']
  ] as const) {
    refused(t, await call(method, path), 'unauthorized')
    refused(t, await call(method, `${path}?token=no`), 'unauthorized')
    refused(t, await call(method, `${path}?token=t-admin&token=t-admin`), 'unauthorized')
    refused(t, await call(method, `${path}?token=t-admin`, undefined, { authorization: 'Bearer no' }), 'unauthorized')
    refused(t, await call(method, `${path}?token=t-user`), 'forbidden')
    refused(t, await as(service, 'limited-admin').call(method, path), 'forbidden')
    t.ok((await call(method, `${path}?token=t-admin`)).status < 300, path)
    t.ok((await as(service, 'admin').call(method, path)).status < 300, path)
  }
  t.match(await call('PATCH', '/api/v1/random_api_key/'), {
    status: 405,
    body: { detail: 'Method "PATCH" not allowed.' }
  })
})

t.test('no log line and no answer shows a token, wherever it was written', async t => {
  const lines: string[] = []
  const stream = { write: (line: string) => void lines.push(line) }
  const service = await createGuarded(t, { logger: { level: 'trace', stream } })
  const answers: string[] = []
  const paths = [
    '/api/v1/random_api_key/',
    '/api/get_token',
    '/api/get_token_status/x',
    V1,
    '/v1/nothing',
    '/docs',
    '/livez'
  ]
  for (const token of ['t-admin', 't-user', 't-unknown']) {
    for (const path of paths) {
      for (const method of ['GET', 'POST', 'PATCH']) {
        for (const headers of [{}, { authorization: `Bearer ${token}` }, { authorization: token }]) {
          const { text, headers: answered } = await service.call(method, `${path}?token=${token}`, undefined, headers)
          answers.push(text, JSON.stringify(answered))
        }
      }
    }
  }
  t.ok(lines.length > 180, 'each call is logged at this level')
  for (const token of ['t-admin', 't-user', 't-unknown', 'token=', entryOf('t-admin', 'x').sha256]) {
    t.notMatch(lines.join('\n'), token)
    t.notMatch(answers.join('\n'), token)
  }
})
