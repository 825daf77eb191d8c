import { once } from 'node:events'
import { type AddressInfo, connect } from 'node:net'
import t from 'tap'
import { keyId } from '../src/pool/key-id.ts'
import { type Answer, createEngine, type Method, openService } from './support/old-client.ts'
import { ManualClock } from './support/manual-clock.ts'

/** Keys that live in both pools: an ordinary one, one like a member's name, an odd one; and what never was a key. */
const KEY = 'Q9xKeyThatLives0001Z'
const WORDY_KEY = 'keyLikeOrdinaryWord'
const ODD_KEY = 'sk+odd/key=with%signs&"quotes"<0002>'
const STRAY = 'Q9xStraySecret0003ZZ'
const SECRETS = [KEY, WORDY_KEY, ODD_KEY, STRAY]

const METHODS: Method[] = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'TRACE']
const JSON_TYPE = { 'content-type': 'application/json' }

interface Ask {
  method: Method
  url: string
  headers?: Record<string, string>
  payload?: string | object
}

interface Told extends Ask {
  answer: Answer
}

/** The service with a log of everything, and a record of all that it answers. */
async function openRecorded(t: Parameters<typeof openService>[0]) {
  const lines: string[] = []
  const told: Told[] = []
  const service = await openService(t, {
    engine: createEngine(new ManualClock()),
    logger: { level: 'trace', stream: { write: (line: string) => void lines.push(line) } },
    tokens: { alphabet: 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz', length: 24 },
    requestTimeoutMs: 100
  })
  const ask = async ({ method, url, headers = {}, payload }: Ask): Promise<Answer> => {
    const answer = await service.app.inject({ method, url, headers, ...(payload === undefined ? {} : { payload }) })
    told.push({ method, url, headers, ...(payload === undefined ? {} : { payload }), answer })
    return answer
  }
  for (const pool of ['default', 'tokens']) {
    const keys = [KEY, WORDY_KEY, ODD_KEY].map(key => ({ key }))
    await ask({ method: 'POST', url: `/v1/pools/${pool}/keys`, payload: { keys } })
  }
  return { ...service, ask, lines, told }
}

/** How a secret may be written. */
function writings(secret: string): string[] {
  return [...new Set([secret, encodeURIComponent(secret), JSON.stringify(secret).slice(1, -1), encodeURI(secret)])]
}

function holds(text: string, secrets: Iterable<string>): string | undefined {
  for (const secret of secrets) if (text.includes(secret)) return secret
  return undefined
}

/** Whether the body of the answer may show a key: it generated, imported, leased or revealed it, or an old client wants it. */
function mayShowKeys({ method, url, answer: { statusCode } }: Told): boolean {
  if (statusCode !== 200 && statusCode !== 201) return false
  if (url.startsWith('/api/')) return true
  const [path = '', query = ''] = url.split('?')
  return (
    (method === 'POST' && /\/(keys|leases|batch)$/.test(path)) ||
    (method === 'GET' && /\/keys\/[^/]+$/.test(path) && query.includes('reveal=true'))
  )
}

/** The keys in an answer, wherever they stand. */
function keysIn(value: unknown): string[] {
  if (typeof value !== 'object' || value === null) return []
  return Object.entries(value).flatMap(([name, member]) =>
    ['key', 'api_key', 'key:'].includes(name) && typeof member === 'string' ? [member] : keysIn(member)
  )
}

const LINE_MEMBERS = ['level', 'time', 'pid', 'hostname', 'msg', 'requestId', 'method', 'route', 'status', 'ms']

/** What a line says without its own secrets, checked for members that nobody has looked at yet. */
function assertLines(t: Parameters<typeof openService>[0] & Tap, lines: readonly string[], secrets: string[]): void {
  const wrong = lines.flatMap(line => {
    const logged = JSON.parse(line) as Record<string, unknown>
    const unknown = Object.keys(logged).filter(name => ![...LINE_MEMBERS, 'call', 'outcome', 'code'].includes(name))
    const secret = holds(line, secrets)
    const address = /[?%]|:\/\//.exec(line) ?? /\/(default|tokens)\b/.exec(line)
    return unknown.length > 0 || secret !== undefined || address !== null ? [line] : []
  })
  t.strictSame(wrong, [], 'lines with a secret, an address or an unknown member')
}

interface Tap {
  strictSame(found: unknown, wanted: unknown, message: string): boolean
}

function assertAnswers(t: Tap, told: readonly Told[], secrets: string[]): void {
  const wrong = told.flatMap(one => {
    const { method, url, answer } = one
    const headers = holds(JSON.stringify(answer.headers), secrets)
    const body = mayShowKeys(one) ? undefined : holds(answer.body, secrets)
    return (headers ?? body) ? [`${method} ${url} ${answer.statusCode} ${headers} ${answer.body}`] : []
  })
  t.strictSame(wrong, [], 'answers with a secret')
}

/** What an ordinary client asks in a day, with the answers that it expects. */
async function ordinaryDay({ ask }: Awaited<ReturnType<typeof openRecorded>>): Promise<number[]> {
  const v1 = '/v1/pools/default'
  const statuses: number[] = []
  const go = async (method: Method, url: string, payload?: object, headers?: Record<string, string>) => {
    const answer = await ask({ method, url, ...(payload ? { payload } : {}), ...(headers ? { headers } : {}) })
    statuses.push(answer.statusCode)
    return answer
  }
  const retry = { 'idempotency-key': STRAY }
  await go('PUT', '/v1/pools/scratch', { maxHoldMs: 600_000 })
  await go('GET', '/v1/pools')
  await go('GET', v1)
  await go('POST', `${v1}/keys`, { count: 2, metadata: { vendor: 'x' } }, retry)
  await go('POST', `${v1}/keys`, { count: 2, metadata: { vendor: 'x' } }, retry)
  await go('POST', `${v1}/keys`, { count: 3 }, retry)
  const made = (await go('POST', `${v1}/keys`)).json<{ keys: [{ id: string }] }>().keys[0].id
  await go('POST', `${v1}/keys`, { keys: [{ key: KEY }] })
  await go('GET', `${v1}/keys?limit=2`)
  await go('POST', `${v1}/keys/lookup`, { key: ODD_KEY })
  await go('POST', `${v1}/keys/lookup`, { key: STRAY })
  await go('GET', `${v1}/keys/${made}`)
  await go('GET', `${v1}/keys/${made}?reveal=true`)
  await go('PUT', `${v1}/keys/${made}/keep-alive`)
  await go('PUT', `${v1}/keys/${made}/activation`)
  await go('PUT', `${v1}/keys/${made}/metadata`, { vendor: 'y' })
  const { id } = (await go('POST', `${v1}/leases`, { holder: 'worker' }, retry)).json<{ id: string }>()
  await go('POST', `${v1}/leases`, { holder: 'worker' }, retry)
  await go('GET', `${v1}/leases/${id}`)
  await go('PUT', `${v1}/leases/${id}/renewal`)
  await go('DELETE', `${v1}/leases/${id}?cooldownMs=10`)
  await go('DELETE', `${v1}/keys/${id.slice(0, 22)}/lease`)
  await go('GET', `${v1}/leases/${id}`)
  const operations = [{ op: 'acquire' }, { op: 'keepAlive', id: made }, { op: 'activate', id: made }]
  await go('POST', `${v1}/batch`, { operations: [...operations, { op: 'delete', id: made }] }, retry)
  await go('DELETE', `${v1}/keys/${made}`)
  for (let i = 0; i < 9; i++) await go('POST', `${v1}/leases`)
  await go('DELETE', v1)
  await go('DELETE', '/v1/pools/scratch')
  for (const path of ['/livez', '/readyz', '/docs', '/docs/json', '/problems/no-free-key']) await go('GET', path)

  const old = '/api/v1/random_api_key/'
  const key = (await go('POST', old)).json<{ api_key: string }>().api_key
  await go('GET', old)
  for (const given of [key, encodeURIComponent(ODD_KEY), STRAY]) {
    await go('PUT', `${old}?api_key=${given}`)
    await go('PUT', `/api/v1/keep_alive/?api_key=${given}`)
  }
  await go('DELETE', `${old}?api_key=${key}`)
  await go('DELETE', `${old}?api_key=${key}`)
  await go('GET', old)
  const token = (await go('POST', '/api/get_token')).json<{ 'key:': string }>()['key:']
  for (const given of [token, encodeURIComponent(ODD_KEY), STRAY]) {
    await go('GET', `/api/get_token_status/${given}`)
    await go('PUT', `/api/activate_token/${given}`)
    await go('PUT', `/api/activate_token/${given}`)
    await go('GET', `/api/get_token_status/${given}`)
  }
  await go('DELETE', `/api/del_token/${token}`)
  await go('GET', '/api/get_number_token')
  return statuses
}

/** Each path that is documented, with secrets for its parameters and more, with every method. */
function* careless(paths: Iterable<string>): Generator<Ask> {
  const many = (text: string): string => text.repeat(Math.ceil(300 / text.length))
  for (const path of paths) {
    const withPool = path.replace('{pool}', 'default')
    for (const secret of SECRETS) {
      const written = encodeURIComponent(secret)
      const fill = (template: string, value: string): string => template.replace(/\{\w+\}/g, value)
      const query = ['api_key', 'state', 'limit', 'cursor', 'fence', 'reveal', 'cooldownMs', 'token', written]
        .map(name => `${name}=${written}`)
        .join('&')
      for (const method of METHODS) {
        yield { method, url: `${fill(withPool, written)}?${query}` }
        yield { method, url: fill(path, written), headers: JSON_TYPE, payload: `{"key":"${secret}` }
      }
      for (const url of [
        fill(path, `${written}.1`),
        fill(path, `${written}%zz`),
        fill(path, many(written)),
        fill(path, written.repeat(400)),
        `${fill(withPool, keyId(secret))}?${query}&${query}`,
        `${fill(withPool, keyId(secret))}/${written}`
      ]) {
        for (const method of ['GET', 'POST', 'PUT', 'DELETE'] as const) yield { method, url }
      }
    }
  }
}

/** Secrets in bodies and headers of each call that has a body. */
function* carelessBodies(): Generator<Ask> {
  const lease = `${keyId(KEY)}.1`
  const calls: [Method, string][] = [
    ['PUT', '/v1/pools/scratch'],
    ['POST', '/v1/pools/default/keys'],
    ['POST', '/v1/pools/default/keys/lookup'],
    ['POST', '/v1/pools/default/leases'],
    ['POST', '/v1/pools/default/batch'],
    ['PUT', `/v1/pools/default/leases/${lease}/renewal`],
    ['DELETE', `/v1/pools/default/leases/${lease}`],
    ['PUT', `/v1/pools/default/keys/${keyId(KEY)}/metadata`],
    ['PUT', `/v1/pools/default/keys/${keyId(KEY)}/activation`],
    ['DELETE', `/v1/pools/default/keys/${keyId(KEY)}/lease`]
  ]
  for (const [method, url] of calls) {
    for (const secret of SECRETS) {
      const bodies: unknown[] = [
        secret,
        [secret],
        { [secret]: 1 },
        { [secret]: { [secret]: [secret] } },
        { key: secret, [secret]: secret },
        { key: [secret] },
        { count: secret, metadata: { [secret]: 1 } },
        { metadata: { vendor: secret.repeat(100) } },
        { metadata: secret, count: 1 },
        { keys: [{ key: `${secret} ` }, { [secret]: secret }, secret, { key: secret, metadata: { [secret]: 1 } }] },
        { keys: [{ key: secret }, { key: secret }] },
        { keys: [{ key: secret }], count: secret },
        {
          operations: [secret, { op: secret }, { op: 'release', lease: { [secret]: 1 } }, { op: 'delete', [secret]: 1 }]
        },
        { operations: { [secret]: secret } },
        {
          operations: [
            { op: 'release', lease: secret },
            { op: 'delete', id: secret },
            { op: 'unblock', id: secret }
          ]
        },
        { leaseMs: secret, holder: secret.repeat(100), waitMs: secret },
        { alphabet: `${secret}${secret}`, prefix: secret.repeat(10), length: secret, maxHoldMs: secret },
        { vendor: { [secret]: secret } }
      ]
      for (const body of bodies) yield { method, url, headers: JSON_TYPE, payload: JSON.stringify(body) }
      const texts = [`{"key":"${secret}`, secret, `{"__proto__":"${secret}"}`, `{"a":"\\u00zz${secret}"}`]
      for (const payload of texts) {
        yield { method, url, headers: JSON_TYPE, payload }
        yield { method, url, headers: { 'content-type': 'text/plain' }, payload }
        yield { method, url, headers: { 'content-type': `text/${encodeURIComponent(secret)}` }, payload }
        yield { method, url, headers: { 'content-type': secret }, payload }
      }
      for (const name of ['idempotency-key', 'authorization', 'cookie', 'accept', 'referer', 'user-agent', secret]) {
        const headers = { [/^[a-zA-Z0-9]+$/.test(name) || name.includes('-') ? name : 'x-key']: secret }
        yield { method, url, headers: { ...JSON_TYPE, ...headers }, payload: '[]' }
        yield { method, url: `/${encodeURIComponent(secret)}`, headers }
      }
      yield { method, url, headers: { 'x-request-id': `${secret}!`, 'idempotency-key': `${secret} ${secret}` } }
      yield { method, url, headers: { ...JSON_TYPE, 'content-length': '7' }, payload: `"${secret}"` }
    }
    const large = JSON.stringify({ key: KEY.repeat(220_000) })
    yield { method, url, headers: JSON_TYPE, payload: large }
  }
}

t.test('no log line, no error and no header shows a key or an address', async t => {
  t.test('on an ordinary day', async t => {
    const recorded = await openRecorded(t)
    const statuses = await ordinaryDay(recorded)
    t.strictSame([...new Set(statuses)].sort(), [200, 201, 204, 400, 404, 409, 410, 422], 'what such a day has')
    const keys = [...new Set([STRAY, ...recorded.told.flatMap(one => (mayShowKeys(one) ? shown(one.answer) : []))])]
    t.ok(keys.length >= 9, `${keys.length} secrets`)
    assertAnswers(t, recorded.told, keys.flatMap(writings))
    assertLines(t, recorded.lines, keys.flatMap(writings))
    t.ok(recorded.lines.length > statuses.length, 'each call is logged at this level')
  })

  t.test('on a day of secrets in wrong places', async t => {
    const recorded = await openRecorded(t)
    const { app, ask, told, lines } = recorded
    const documented = Object.keys((await ask({ method: 'GET', url: '/docs/json' })).json<{ paths: object }>().paths)
    const others = [
      '/',
      '/{x}',
      '//{x}',
      '/docs/{x}',
      '/docs/static/{x}',
      '/docs/static/..%2f{x}',
      '/docs/static/%00{x}'
    ]
    t.ok(documented.length > 20)
    for (const request of careless([...documented, ...others])) await ask(request)
    for (const request of carelessBodies()) await ask(request)
    const seen = new Set(told.map(({ answer }) => answer.statusCode))
    for (const status of [200, 204, 400, 404, 405, 409, 410, 413, 414, 415]) t.ok(seen.has(status), `${status}`)
    t.notOk(seen.has(500), 'nothing broke')
    const secrets = SECRETS.flatMap(writings)
    assertAnswers(t, told, secrets)
    assertLines(t, lines, secrets)
    await app.close()
  })

  t.test('on connections that are not, or not quite, HTTP', async t => {
    const { app, lines } = await openRecorded(t)
    await app.listen({ host: '127.0.0.1', port: 0 })
    const { port } = app.server.address() as AddressInfo
    lines.length = 0
    const secret = KEY
    const texts = [
      `${secret}\r\n\r\n`,
      `GET /${secret} HTTP/9.9\r\n\r\n`,
      `${secret} /${secret} HTTP/1.1\r\nHost: ${secret}\r\n\r\n`,
      `GET /${secret} ${secret}\r\n\r\n`,
      `GET ${secret} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`,
      `GET http://${secret}/${secret} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`,
      `GET /${secret} HTTP/1.1\r\nConnection: close\r\n\r\n`,
      `GET /${secret} HTTP/1.1\r\n${secret}\r\n\r\n`,
      `GET /${secret} HTTP/1.1\r\nHost: x\r\n${secret}: ${secret.repeat(1000)}\r\n\r\n`,
      `GET /${secret} HTTP/1.1\r\nHost: x\r\nExpect: ${secret}\r\n\r\n`,
      `POST /${secret} HTTP/1.1\r\nHost: x\r\nContent-Length: ${secret}\r\n\r\n`,
      `POST /${secret} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: ${secret}\r\n\r\n`,
      `POST /v1/pools/default/keys HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n${secret}\r\n`,
      `POST /v1/pools/default/keys HTTP/1.1\r\nHost: x\r\nContent-Length: 99\r\n\r\n${secret}`,
      `CONNECT ${secret}:1 HTTP/1.1\r\nHost: x\r\n\r\n`,
      `GET /${secret} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: ${secret}\r\n\r\n`
    ]
    const answers = await Promise.all(
      texts.map(async text => {
        const client = connect(port, '127.0.0.1')
        t.teardown(() => client.destroy())
        let received = ''
        client.setEncoding('latin1').on('data', (part: string) => {
          received += part
          // Only the last answer of a connection that stays open is not followed by its end.
          if (!/^connection: close/im.test(received)) client.end()
        })
        client.write(text)
        await once(client, 'close')
        return received
      })
    )
    const statuses = new Set(answers.map(answer => answer.split(' ')[1]))
    for (const status of ['400', '404', '408', '417', '431']) t.ok(statuses.has(status), status)
    t.strictSame(
      answers.filter(answer => answer.includes(secret)),
      []
    )
    assertLines(t, lines, [secret])
    t.ok(lines.length >= 10, `${lines.length} lines`)
  })
})

t.test(
  'an X-Request-Id is taken over as the contract says: a key in its place is only where the id belongs',
  async t => {
    const { ask, lines } = await openRecorded(t)
    lines.length = 0
    const answer = await ask({ method: 'GET', url: '/v1/pools/none', headers: { 'x-request-id': KEY } })
    t.equal(answer.headers['x-request-id'], KEY)
    t.strictSame(
      { ...answer.json<object>(), instance: '' },
      {
        type: '/problems/unknown-pool',
        title: 'There is no such pool',
        status: 404,
        detail: 'No pool has this name.',
        code: 'unknown-pool',
        instance: ''
      }
    )
    const members = lines.flatMap(line => Object.entries(JSON.parse(line) as Record<string, unknown>))
    t.strictSame(
      members.filter(([, value]) => String(value).includes(KEY)).map(([name]) => name),
      ['requestId']
    )
  }
)

t.test('a fault is logged without the address, and answered without its cause', async t => {
  const lines: string[] = []
  const engine = createEngine(new ManualClock())
  engine.pools = () => {
    throw new Error('the disk is gone')
  }
  const { ask } = await openService(t, {
    engine,
    logger: { level: 'trace', stream: { write: line => void lines.push(line) } }
  })
  lines.length = 0
  const answer = await ask(`GET /v1/pools?api_key=${KEY}`)
  t.equal(answer.statusCode, 500)
  t.notMatch(answer.body, /disk|Error|\.ts/)
  const fault = lines.map(line => JSON.parse(line) as Record<string, unknown>).find(({ level }) => level === 50)
  t.match(fault, {
    route: '/v1/pools',
    requestId: answer.headers['x-request-id'],
    err: { message: 'the disk is gone' }
  })
  t.notOk(lines.some(line => line.includes(KEY)))
})

t.test('at the level info no call of /v1 is logged', async t => {
  const lines: string[] = []
  const { ask } = await openService(t, { logger: { level: 'info', stream: { write: line => void lines.push(line) } } })
  for (const request of ['GET /v1/pools', 'POST /v1/pools/default/keys', `GET /${KEY}`, 'PATCH /v1/pools', 'GET /%zz'])
    await ask(request)
  t.strictSame(lines, [])
})

/** The keys that an answer shows. */
function shown(answer: Answer): string[] {
  return String(answer.headers['content-type']).includes('json') ? keysIn(answer.json()) : []
}
