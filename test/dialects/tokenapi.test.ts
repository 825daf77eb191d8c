import t from 'tap'
import { DEFAULT_TOKENS } from '../../src/dialects/tokenapi.ts'
import { ManualClock } from '../support/manual-clock.ts'
import { type Answer, createEngine, type Exchange, openService, replay } from '../support/old-client.ts'

const ISSUE = 'POST /api/get_token'
const COUNT = 'GET /api/get_number_token'

const NONE_LEFT = { 'keystatus:': 'Ключи кончились' }
const UNKNOWN = { 'keystatus:': 'Ключ не выдан' }
const ACTIVATED_BEFORE = { 'keystatus:': 'Ключ уже активирован' }
const NOT_ACTIVATED = { 'keystatus:': 'Ключ выдан, но не активирован' }
const ACTIVATED = { 'keystatus:': 'Ключ выдан и активирован' }

const TOKEN = /^[A-Za-z]{4}$/
/** A space of two tokens. */
const TINY = { alphabet: 'ab', length: 1 }

const SESSION: Exchange[] = [
  { ask: COUNT, status: 200, body: { 'leftkeys:': 7311616 } },
  { ask: ISSUE, status: 200, body: { 'key:': TOKEN, 'leftkeys:': 7311615 }, as: { T: 'key:' } },
  { ask: ISSUE, status: 200, body: { 'key:': TOKEN, 'leftkeys:': 7311614 }, as: { U: 'key:' } },
  { ask: ISSUE, status: 200, body: { 'key:': TOKEN, 'leftkeys:': 7311613 }, as: { V: 'key:' } },
  { ask: COUNT, status: 200, body: { 'leftkeys:': 7311613 } },
  { ask: 'GET /api/get_token_status/{T}', status: 200, body: NOT_ACTIVATED },
  { ask: 'PUT /api/activate_token/{T}', status: 200, body: { 'keystatus:': 'Вы активировали ключ {T}' } },
  { ask: 'PUT /api/activate_token/{T}', status: 200, body: ACTIVATED_BEFORE },
  { ask: 'PUT /api/activate_token/{T}', status: 200, body: ACTIVATED_BEFORE },
  { ask: 'GET /api/get_token_status/{T}', status: 200, body: ACTIVATED },
  { ask: 'GET /api/get_token_status/{U}', status: 200, body: NOT_ACTIVATED },
  { ask: 'DELETE /api/del_token/{T}', status: 200, body: { 'keystatus:': 'Вы удалили ключ {T}' } },
  { ask: 'DELETE /api/del_token/{T}', status: 200, body: UNKNOWN },
  { ask: 'GET /api/get_token_status/{T}', status: 200, body: UNKNOWN },
  { ask: 'PUT /api/activate_token/{T}', status: 200, body: UNKNOWN },
  { ask: COUNT, status: 200, body: { 'leftkeys:': 7311614 } },
  { ask: 'DELETE /api/del_token/{U}', status: 200, body: { 'keystatus:': 'Вы удалили ключ {U}' } },
  { ask: 'GET /api/get_token_status/{V}', status: 200, body: NOT_ACTIVATED, after: 31_536_000_000 },
  { ask: 'PUT /api/activate_token/{V}', status: 200, body: { 'keystatus:': 'Вы активировали ключ {V}' } },
  { ask: COUNT, status: 200, body: { 'leftkeys:': 7311615 } }
]

t.test('the old client gets what it got, and its tokens do not age', async t => {
  await replay(t, await openService(t), SESSION)
})

t.test('a token that was never issued is unknown', async t => {
  const unknown = ['abcd', 'x', '0000', 'a%20b', '%D0%9A', 'x'.repeat(8000)]
  await replay(
    t,
    await openService(t),
    unknown.flatMap(token => [
      { ask: `PUT /api/activate_token/${token}`, status: 200, body: UNKNOWN },
      { ask: `GET /api/get_token_status/${token}`, status: 200, body: UNKNOWN },
      { ask: `DELETE /api/del_token/${token}`, status: 200, body: UNKNOWN }
    ])
  )
})

t.test('a small space of tokens', async t => {
  t.test('is issued to the last, and then again what was deleted', async t => {
    await replay(t, await openService(t, { tokens: TINY }), [
      { ask: COUNT, status: 200, body: { 'leftkeys:': 2 } },
      { ask: ISSUE, status: 200, body: { 'key:': /^[ab]$/, 'leftkeys:': 1 }, as: { T: 'key:' } },
      { ask: ISSUE, status: 200, body: { 'key:': /^[ab]$/, 'leftkeys:': 0 }, as: { U: 'key:' } },
      { ask: ISSUE, status: 200, body: NONE_LEFT },
      { ask: ISSUE, status: 200, body: NONE_LEFT },
      { ask: COUNT, status: 200, body: { 'leftkeys:': 0 } },
      { ask: 'PUT /api/activate_token/{T}', status: 200, body: { 'keystatus:': 'Вы активировали ключ {T}' } },
      { ask: 'DELETE /api/del_token/{T}', status: 200, body: { 'keystatus:': 'Вы удалили ключ {T}' } },
      { ask: COUNT, status: 200, body: { 'leftkeys:': 1 } },
      { ask: ISSUE, status: 200, body: { 'key:': '{T}', 'leftkeys:': 0 } },
      { ask: 'GET /api/get_token_status/{T}', status: 200, body: NOT_ACTIVATED },
      { ask: 'DELETE /api/del_token/{U}', status: 200, body: { 'keystatus:': 'Вы удалили ключ {U}' } },
      { ask: ISSUE, status: 200, body: { 'key:': '{U}', 'leftkeys:': 0 } },
      { ask: ISSUE, status: 200, body: NONE_LEFT }
    ])
  })

  t.test('has an end also where the pool has: at its maxKeys', async t => {
    const service = await openService(t)
    await service.ask('PUT /v1/pools/tokens', {}, { maxKeys: 1 })
    await replay(t, service, [
      { ask: ISSUE, status: 200, body: { 'key:': TOKEN, 'leftkeys:': 7311615 } },
      { ask: ISSUE, status: 200, body: NONE_LEFT }
    ])
  })
})

t.test('callers at the same time', async t => {
  t.test('never get the same token, down to the last', async t => {
    const { ask } = await openService(t, { tokens: { alphabet: 'ab', length: 6 } })
    const answers = await Promise.all(Array.from({ length: 80 }, () => ask(ISSUE)))
    const bodies = answers.map(answer => answer.json<{ 'key:'?: string }>())
    const issued = bodies.flatMap(body => body['key:'] ?? [])
    t.equal(issued.length, 64)
    t.equal(new Set(issued).size, 64)
    t.strictSame(
      bodies.filter(body => body['key:'] === undefined),
      Array.from({ length: 16 }, () => NONE_LEFT)
    )
  })

  t.test('activate and delete a token once', async t => {
    const service = await openService(t)
    const token = await issue(service)
    const all = (request: string): Promise<Answer[]> =>
      Promise.all(Array.from({ length: 8 }, () => service.ask(`${request}/${token}`)))
    const count = (answers: Answer[], status: string): number =>
      answers.filter(answer => answer.json<object & { 'keystatus:': string }>()['keystatus:'] === status).length
    const activations = await all('PUT /api/activate_token')
    t.equal(count(activations, `Вы активировали ключ ${token}`), 1)
    t.equal(count(activations, ACTIVATED_BEFORE['keystatus:']), 7)
    const deletions = await all('DELETE /api/del_token')
    t.equal(count(deletions, `Вы удалили ключ ${token}`), 1)
    t.equal(count(deletions, UNKNOWN['keystatus:']), 7)
  })
})

t.test('a token may be of any visible characters, encoded in the path', async t => {
  const service = await openService(t, { tokens: { alphabet: '/%?#&+;:=.', length: 5 } })
  for (let i = 0; i < 20; i++) {
    const token = await issue(service)
    // A path of dots only means another one: clients take the dots for directories.
    if (/^\.+$/.test(token)) continue
    const path = encodeURIComponent(token)
    t.strictSame((await service.ask(`PUT /api/activate_token/${path}`)).json(), {
      'keystatus:': `Вы активировали ключ ${token}`
    })
    t.strictSame((await service.ask(`GET /api/get_token_status/${path}`)).json(), ACTIVATED)
    t.strictSame((await service.ask(`DELETE /api/del_token/${path}`)).json(), {
      'keystatus:': `Вы удалили ключ ${token}`
    })
  }
})

t.test('a space of more than 2^53 tokens is counted in decimal digits', async t => {
  const { ask } = await openService(t, { tokens: { ...DEFAULT_TOKENS, length: 20 } })
  t.match((await ask(ISSUE)).json(), { 'key:': /^[A-Za-z]{20}$/, 'leftkeys:': String(52n ** 20n - 1n) })
  t.strictSame((await ask(COUNT)).json(), { 'leftkeys:': String(52n ** 20n - 1n) })
})

t.test('a body is ignored, whatever its type', async t => {
  const service = await openService(t)
  for (const [type, body] of [
    ['application/json', '{ no JSON'],
    ['application/json', ''],
    ['application/x-www-form-urlencoded', 'token=x'],
    ['text/plain', 'x'],
    ['no type at all', 'x']
  ] as const) {
    const headers = { 'content-type': type }
    const answer = await service.ask(ISSUE, headers, body)
    t.equal(answer.statusCode, 200, type)
    const token = answer.json<{ 'key:': string }>()['key:']
    t.match(token, TOKEN, type)
    const path = `/${token}`
    t.strictSame((await service.ask(`GET /api/get_token_status${path}`, headers, body)).json(), NOT_ACTIVATED, type)
    const activated = { 'keystatus:': `Вы активировали ключ ${token}` }
    t.strictSame((await service.ask(`PUT /api/activate_token${path}`, headers, body)).json(), activated, type)
    t.strictSame((await service.ask(`GET /api/get_token_status${path}`, headers, body)).json(), ACTIVATED, type)
    t.equal((await service.ask(`DELETE /api/del_token${path}`, headers, body)).statusCode, 200, type)
    t.strictSame((await service.ask(COUNT, headers, body)).json(), { 'leftkeys:': 7311616 }, type)
  }
})

t.test('what the old server did not list is a problem', async t => {
  const isProblem = (answer: Answer, status: number, code: string, message: string): void => {
    t.equal(answer.statusCode, status, message)
    t.match(answer.headers['content-type'], /^application\/problem\+json/, message)
    t.equal(answer.headers['cache-control'], 'no-store', message)
    if (answer.body !== '') t.match(answer.json(), { type: `/problems/${code}`, status, code }, message)
  }

  t.test('a method that a path has not', async t => {
    const { ask } = await openService(t)
    const PATHS = [
      { path: '/api/get_token', allow: 'POST' },
      { path: '/api/activate_token/abcd', allow: 'PUT' },
      { path: '/api/get_token_status/abcd', allow: 'GET' },
      { path: '/api/del_token/abcd', allow: 'DELETE' },
      { path: '/api/get_number_token', allow: 'GET' }
    ]
    for (const { path, allow } of PATHS) {
      for (const method of ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']) {
        if (method === allow) continue
        const answer = await ask(`${method} ${path}`, { 'content-type': 'application/json' }, '{ no JSON')
        isProblem(answer, 405, 'method-not-allowed', `${method} ${path}`)
        t.equal(answer.headers['allow'], allow)
      }
    }
  })

  t.test('a path that there is not', async t => {
    const { ask } = await openService(t)
    for (const path of ['/api/', '/api/get_token/', '/api/get_number_token/', '/api/del_token', '/api/del_token/a/b'])
      isProblem(await ask(`GET ${path}`), 404, 'not-found', path)
    isProblem(await ask('DELETE /api/del_token'), 404, 'not-found', 'no token')
    isProblem(await ask('DELETE /api/del_token/%E0%A4%A'), 400, 'invalid-request', 'a path that can not be decoded')
    isProblem(await ask(`DELETE /api/del_token/${'x'.repeat(9000)}`), 414, 'uri-too-long', 'a path that is too long')
  })

  t.test('a server that drains', async t => {
    const { service, ask } = await openService(t)
    service.drain()
    isProblem(await ask(ISSUE), 503, 'draining', 'draining')
  })
})

t.test('the pool of tokens', async t => {
  t.test('is made where it is missing, and can not be deleted', async t => {
    const { ask } = await openService(t)
    const pool = await ask('GET /v1/pools/tokens')
    t.match(pool.json(), {
      name: 'tokens',
      policy: {
        alphabet: 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz',
        length: 4,
        prefix: '',
        keepAliveMs: null,
        reuseDeleted: true
      },
      keyspace: { size: 7311616, remaining: 7311616 }
    })
    const answer = await ask('DELETE /v1/pools/tokens')
    t.equal(answer.statusCode, 409)
    t.match(answer.json(), { code: 'pool-protected' })
  })

  t.test('is left as it is where there is one', async t => {
    const engine = createEngine(new ManualClock())
    engine.putPool('tokens', { alphabet: 'xy', length: 3, prefix: 't_' })
    const { ask } = await openService(t, { engine, tokens: TINY })
    t.match((await ask(ISSUE)).json(), { 'key:': /^t_[xy]{3}$/, 'leftkeys:': 7 })
  })

  t.test('is neither made nor protected where the dialect is off, and none of its paths is served', async t => {
    const { ask } = await openService(t, { dialects: ['random_api_key'] })
    t.match((await ask('GET /v1/pools/tokens')).json(), { code: 'unknown-pool' })
    t.equal((await ask('PUT /v1/pools/tokens')).statusCode, 201)
    t.equal((await ask('DELETE /v1/pools/tokens')).statusCode, 204)
    for (const request of [ISSUE, COUNT, 'PUT /api/activate_token/a', 'GET /api/get_token_status/a']) {
      t.match((await ask(request)).json(), { code: 'not-found' }, request)
    }
  })

  t.test('stops the start where its keys can not be made', async t => {
    const start = (tokens: { alphabet: string; length: number }) => openService(t, { tokens })
    await t.rejects(start({ alphabet: 'a', length: 4 }), /alphabet/)
    await t.rejects(start({ alphabet: 'aa', length: 4 }), /alphabet/)
    await t.rejects(start({ alphabet: 'ключ', length: 4 }), /alphabet/)
    await t.rejects(start({ alphabet: 'ab', length: 0 }), /length/)
    await t.rejects(start({ alphabet: 'ab', length: 129 }), /length/)
  })

  t.test('stops the start where there is no room for another pool', async t => {
    const engine = createEngine(new ManualClock())
    for (let i = 1; i < 1000; i++) engine.putPool(`pool-${i}`, {})
    await t.rejects(openService(t, { engine }), /the pool tokens was not made: too-many-pools/)
  })

  t.test('that was deleted behind the back of the dialect has no tokens', async t => {
    const service = await openService(t)
    const token = await issue(service)
    service.engine.deletePool('tokens')
    await replay(t, service, [
      { ask: ISSUE, status: 200, body: NONE_LEFT },
      { ask: COUNT, status: 200, body: { 'leftkeys:': 0 } },
      { ask: `PUT /api/activate_token/${token}`, status: 200, body: UNKNOWN },
      { ask: `GET /api/get_token_status/${token}`, status: 200, body: UNKNOWN },
      { ask: `DELETE /api/del_token/${token}`, status: 200, body: UNKNOWN }
    ])
  })
})

t.test('what an engine refuses for reasons of its own is a problem', async t => {
  const { ask, engine, service } = await openService(t)
  const asked = ['POST /api/get_token', 'PUT /api/activate_token/T', 'GET /api/get_token_status/T']
  asked.push('DELETE /api/del_token/T', 'GET /api/get_number_token')
  const unable = () => ({ refusal: 'storage-unavailable' as const })
  Object.assign(engine, { generate: unable, activate: unable, key: unable, delete: unable, pool: unable })
  for (const each of asked) {
    const answer = await ask(each)
    t.equal(answer.statusCode, 503, each)
    t.match(answer.json(), { code: 'storage-unavailable' }, each)
  }
  await t.rejects(service.prepare(), { message: /tokens.*storage-unavailable/ })
  Object.assign(engine, { pool: () => ({ refusal: 'unknown-pool' }), putPool: unable })
  await t.rejects(service.prepare(), { message: /tokens.*storage-unavailable/ })
  // The key was generated before the count failed.
  const { engine: another, ask: askAnother } = await openService(t)
  Object.assign(another, { pool: unable })
  t.equal((await askAnother('POST /api/get_token')).statusCode, 503)
})

t.test('each outcome is logged, without the token', async t => {
  const lines: string[] = []
  const logger = { level: 'info', stream: { write: (line: string) => void lines.push(line) } }
  const service = await openService(t, { logger, tokens: { alphabet: 'ab', length: 64 } })
  const token = await issue(service)
  const path = `/${token}`
  for (const request of [
    `GET /api/get_token_status${path}`,
    `PUT /api/activate_token${path}`,
    `PUT /api/activate_token${path}`,
    `GET /api/get_token_status${path}`,
    `DELETE /api/del_token${path}`,
    `GET /api/get_token_status${path}`,
    `PUT /api/activate_token${path}`,
    `DELETE /api/del_token${path}`,
    COUNT
  ]) {
    await service.ask(request)
  }
  await service.ask('PUT /v1/pools/tokens', {}, { alphabet: 'ab', length: 1, maxKeys: 1 })
  await issue(service)
  await service.ask(ISSUE)
  await service.ask('PUT /v1/pools/tokens', {}, { maxKeys: 2 })
  await issue(service)
  await service.ask(ISSUE)

  const logged = lines.map(line => JSON.parse(line) as { level: number; call: string; outcome: string; msg: string })
  t.ok(logged.every(({ level, msg }) => level === 30 && msg === 'tokenapi'))
  t.strictSame(
    logged.map(({ call, outcome }) => `${call} ${outcome}`),
    [
      '/api/get_token generated',
      '/api/get_token_status/:token not activated',
      '/api/activate_token/:token activated',
      '/api/activate_token/:token activated before',
      '/api/get_token_status/:token activated',
      '/api/del_token/:token deleted',
      '/api/get_token_status/:token unknown-key',
      '/api/activate_token/:token unknown-key',
      '/api/del_token/:token unknown-key',
      '/api/get_number_token counted',
      '/api/get_token generated',
      '/api/get_token pool-full',
      '/api/get_token generated',
      '/api/get_token keyspace-exhausted'
    ]
  )
  t.notOk(lines.join('').includes(token))
})

/** A new token of a space that has one left. */
async function issue({ ask }: Pick<Awaited<ReturnType<typeof openService>>, 'ask'>): Promise<string> {
  return (await ask(ISSUE)).json<{ 'key:': string }>()['key:']
}
