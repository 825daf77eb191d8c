import t from 'tap'
import { TokenList } from '../../src/access/token-list.ts'
import { createService, exchange } from '../support/create-service.ts'
import { refused } from '../support/problems.ts'

const V1 = '/v1/pools/default'
const OLD = '/api/v1/random_api_key/'
const ONLY = { onlyThisMachine: true }

t.test('a server for its own machine answers only to names of it', async t => {
  const { call, listen } = await createService(t, ONLY)
  const own = ['localhost', 'LocalHost:80', '127.0.0.1', '127.0.0.1:8080', '127.255.255.254:1', '[::1]', '[::1]:65535']
  for (const host of own) t.equal((await call('GET', V1, undefined, { host })).status, 200, host)
  const foreign = [
    'example.org',
    'localhost.example.org',
    '127.0.0.1.example.org',
    'xlocalhost',
    'localhost:80:80',
    'localhost:x',
    '128.0.0.1',
    '127.0.0',
    '[::2]',
    '::1',
    'localhost.'
  ]
  for (const host of foreign) {
    refused(t, await call('GET', V1, undefined, { host }), 'forbidden')
    refused(t, await call('POST', 'leases', '{', { host }), 'forbidden')
  }
  refused(t, await call('GET', '/v1/nothing', undefined, { host: 'example.org' }), 'not-found')
  const [answer] = await exchange(t, await listen(), 'GET /livez HTTP/1.0\r\n\r\n')
  t.match(answer, { status: 200 }, 'no browser leaves Host out')
})

t.test('another server answers to any name', async t => {
  const { call } = await createService(t)
  t.equal((await call('GET', V1, undefined, { host: 'example.org' })).status, 200)
})

t.test('a page of another site changes nothing', async t => {
  const { call, generate } = await createService(t, { dialects: ['random_api_key'] })
  await generate(9)
  const host = 'localhost:8080'
  const foreign = [
    { 'sec-fetch-site': 'cross-site' },
    { 'sec-fetch-site': 'same-site', origin: `http://${host}` },
    { 'sec-fetch-site': '' },
    { origin: 'http://example.org' },
    { origin: 'http://localhost:8081' },
    { origin: 'null' }
  ]
  for (const headers of foreign) {
    refused(t, await call('POST', 'leases', undefined, { host, ...headers }), 'forbidden')
    refused(t, await call('GET', OLD, undefined, { host, ...headers }), 'forbidden')
    for (const path of [V1, '/docs', '/livez']) {
      t.equal((await call('GET', path, undefined, { host, ...headers })).status, 200, 'it can not read the answer')
    }
  }
  const own = [
    { 'sec-fetch-site': 'same-origin', origin: `http://${host}` },
    { 'sec-fetch-site': 'none' },
    { origin: `http://${host}` },
    { origin: `https://${host}` }
  ]
  for (const headers of own) t.equal((await call('POST', 'leases', undefined, { host, ...headers })).status, 201)
})

t.test('where browsers mark no GET, they say from which page it comes', async t => {
  const { call, generate } = await createService(t, { dialects: ['random_api_key', 'tokenapi'] })
  await generate(9)
  const host = '192.0.2.1:8080'
  const get = (headers: object) => call('GET', OLD, undefined, { host, ...headers })
  for (const referer of [
    'http://example.org/',
    'http://192.0.2.1/',
    'http://x/http://192.0.2.1:8080/',
    'about:client',
    ''
  ]) {
    refused(t, await get({ referer }), 'forbidden')
    t.equal((await call('GET', '/api/get_number_token', undefined, { host, referer })).status, 200, 'it only reads')
  }
  for (const referer of [`http://${host}/docs/`, `https://${host}/`, `http://${host}`]) {
    t.equal((await get({ referer })).status, 200, referer)
  }
  t.equal((await get({ referer: 'http://example.org/', 'sec-fetch-site': 'none' })).status, 200)
  t.equal((await get({})).status, 200, 'no browser')
})

t.test('every call of the dialects that changes something is refused to a page of another site', async t => {
  const { call } = await createService(t, { dialects: ['random_api_key', 'tokenapi'] })
  for (const [method, path] of [
    ['GET', OLD],
    ['GET', OLD.slice(0, -1)],
    ['POST', OLD],
    ['PUT', `${OLD}?api_key=x`],
    ['DELETE', `${OLD}?api_key=x`],
    ['PUT', '/api/v1/keep_alive/?api_key=x'],
    ['POST', '/api/get_token'],
    ['PUT', '/api/activate_token/x'],
    ['DELETE', '/api/del_token/x']
  ] as const) {
    for (const headers of [{ 'sec-fetch-site': 'cross-site' }, { origin: 'http://example.org' }]) {
      refused(t, await call(method, path, undefined, { host: 'localhost:8080', ...headers }), 'forbidden')
    }
  }
})

t.test('with tokens it does not matter who asks in whose name', async t => {
  const { call } = await createService(t, { ...ONLY, bearers: new TokenList([]) })
  const headers = { host: 'example.org', origin: 'http://example.com' }
  refused(t, await call('POST', 'leases', undefined, headers), 'unauthorized')
})

t.test('no answer lets another origin read it', async t => {
  const { call } = await createService(t)
  const headers = { origin: 'http://example.org', 'access-control-request-method': 'POST' }
  for (const method of ['GET', 'OPTIONS']) {
    const answer = await call(method, V1, undefined, headers)
    t.strictSame(
      Object.keys(answer.headers).filter(name => name.startsWith('access-control')),
      []
    )
  }
})
