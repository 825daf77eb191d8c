import { once } from 'node:events'
import { connect, type AddressInfo, type Socket } from 'node:net'
import t from 'tap'
import type { LeaseView } from '../../src/engine.ts'
import { MemoryEngine } from '../../src/memory/engine.ts'
import { ManualClock } from '../support/manual-clock.ts'
import { type Answer, createEngine, type Exchange, openService, replay } from '../support/old-client.ts'

const KEYS = '/api/v1/random_api_key/'
const KEEP_ALIVE = '/api/v1/keep_alive/'
const SCHEDULER = '/api/v1/start_scheduler/'

const NO_KEY = { message: 'No available key found' }
const UNKNOWN_TO_UPDATE = { message: 'Kindly send key to be updated, given key does not exist' }
const UNKNOWN_TO_DELETE = { message: 'Kindly send key to be deleted, given key does not exist' }
const DELETED = { message: 'Given key has been deleted' }
const SCHEDULED = {
  message: 'Scheduler has been started to unblock keys at given condition, Kindly do not hit again '
}

const KEY = /^[A-Za-z0-9]{20}$/
/** ISO 8601, in microseconds, without a zone. */
const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}$/
const NEW_ROW = { id: 1, api_key: KEY, alive: null, is_blocked: false, created_at: TIME, updated_at: TIME }
const ROW = { ...NEW_ROW, api_key: '{K}', alive: TIME }

interface Row {
  id: number
  api_key: string
  alive: string | null
  is_blocked: boolean
  created_at: string
  updated_at: string
}

/** The two ways to write each path: the old server's own, and without the slash. */
const WRITINGS = [
  { name: 'with a trailing slash', written: (ask: string) => ask },
  { name: 'without a trailing slash', written: (ask: string) => ask.replace(/\/(?=\?|$)/, '') }
]

const SESSION: Exchange[] = [
  { ask: `GET ${KEYS}`, status: 404, body: NO_KEY },
  { ask: `GET ${SCHEDULER}`, status: 200, body: SCHEDULED },
  { ask: `POST ${KEYS}`, status: 201, body: NEW_ROW, as: { K: 'api_key', made: 'created_at' } },
  { ask: `PUT ${KEYS}?api_key={K}`, status: 200, body: { ...ROW, alive: null, created_at: '{made}' } },
  { ask: `GET ${KEYS}`, status: 200, body: { ...ROW, is_blocked: true, created_at: '{made}' }, after: 1000 },
  { ask: `GET ${KEYS}`, status: 404, body: NO_KEY },
  { ask: `PUT ${KEYS}?api_key={K}`, status: 200, body: ROW },
  { ask: `PUT ${KEYS}?api_key={K}`, status: 200, body: ROW },
  { ask: `GET ${KEYS}`, status: 200, body: { ...ROW, is_blocked: true } },
  { ask: `PUT ${KEEP_ALIVE}?api_key={K}`, status: 200, body: { ...ROW, is_blocked: true } },
  { ask: `GET ${KEYS}`, status: 404, body: NO_KEY, after: 59_999 },
  { ask: `GET ${KEYS}`, status: 200, body: { ...ROW, is_blocked: true }, after: 1 },
  { ask: `POST ${KEYS}`, status: 201, body: { ...NEW_ROW, id: 2 }, as: { L: 'api_key' } },
  { ask: `GET ${KEYS}`, status: 200, body: { ...ROW, id: 2, api_key: '{L}', is_blocked: true } },
  { ask: `DELETE ${KEYS}?api_key={K}`, status: 200, body: DELETED },
  { ask: `DELETE ${KEYS}?api_key={K}`, status: 400, body: UNKNOWN_TO_DELETE },
  { ask: `PUT ${KEYS}?api_key={K}`, status: 400, body: UNKNOWN_TO_UPDATE },
  { ask: `PUT ${KEEP_ALIVE}?api_key={K}`, status: 400, body: UNKNOWN_TO_UPDATE },
  { ask: `DELETE ${KEYS}?api_key={L}`, status: 200, body: DELETED },
  { ask: `GET ${KEYS}`, status: 404, body: NO_KEY },
  { ask: `GET ${SCHEDULER}`, status: 200, body: SCHEDULED }
]

t.test('the old client', async t => {
  for (const { name, written } of WRITINGS) {
    t.test(`gets what it got, ${name}`, async t => {
      const service = await openService(t)
      await replay(
        t,
        service,
        SESSION.map(exchange => ({ ...exchange, ask: written(exchange.ask) }))
      )
    })

    t.test(`is refused as it was, ${name}`, async t => {
      const service = await openService(t)
      const refused = ['', '?', '?api_key', '?api_key=', '?api_key=unknown', '?key=unknown', '?api_key=%E0%A4%A']
      await replay(
        t,
        service,
        refused.flatMap(query => [
          { ask: written(`PUT ${KEYS}${query}`), status: 400, body: UNKNOWN_TO_UPDATE },
          { ask: written(`DELETE ${KEYS}${query}`), status: 400, body: UNKNOWN_TO_DELETE },
          { ask: written(`PUT ${KEEP_ALIVE}${query}`), status: 400, body: UNKNOWN_TO_UPDATE }
        ])
      )
    })
  }
})

t.test('a method that a path has not', async t => {
  const PATHS = [
    { path: KEYS, allow: ['DELETE', 'GET', 'POST', 'PUT'], refused: ['HEAD', 'OPTIONS', 'PATCH', 'TRACE'] },
    { path: KEEP_ALIVE, allow: ['PUT'], refused: ['HEAD', 'OPTIONS', 'PATCH', 'GET', 'POST', 'DELETE'] },
    { path: SCHEDULER, allow: ['GET'], refused: ['HEAD', 'OPTIONS', 'PATCH', 'POST', 'PUT', 'DELETE'] }
  ]

  for (const { name, written } of WRITINGS) {
    t.test(`is refused in the old server's words, ${name}`, async t => {
      const { ask } = await openService(t)
      for (const { path, allow, refused } of PATHS) {
        for (const method of refused) {
          const answer = await ask(written(`${method} ${path}?api_key=K`))
          t.match(answer.headers['content-type'], /^application\/json/)
          t.strictSame(
            {
              status: answer.statusCode,
              allow: String(answer.headers['allow']).split(', ').sort(),
              cache: answer.headers['cache-control'],
              body: answer.body
            },
            {
              status: 405,
              allow,
              cache: 'no-store',
              body: method === 'HEAD' ? '' : `{"detail":"Method \\"${method}\\" not allowed."}`
            },
            `${method} ${path}`
          )
        }
      }
    })
  }

  t.test('is refused before its body is read', async t => {
    const { ask } = await openService(t)
    const answer = await ask(`PATCH ${KEYS}`, { 'content-type': 'application/json' }, '{ no JSON')
    t.equal(answer.statusCode, 405)
    t.strictSame(answer.json(), { detail: 'Method "PATCH" not allowed.' })
  })

  t.test('leases no key, although it be HEAD', async t => {
    const { ask } = await openService(t)
    await ask(`POST ${KEYS}`)
    t.equal((await ask(`HEAD ${KEYS}`)).statusCode, 405)
    t.equal((await ask(`GET ${KEYS}`)).statusCode, 200)
  })
})

t.test('the query', async t => {
  t.test('may repeat api_key: the last counts', async t => {
    const { ask } = await openService(t)
    const { api_key: first } = row(await ask(`POST ${KEYS}`))
    const { api_key: last } = row(await ask(`POST ${KEYS}`))
    t.equal(row(await ask(`PUT ${KEYS}?api_key=${first}&api_key=${last}`)).api_key, last)
    t.equal(row(await ask(`PUT ${KEEP_ALIVE}?api_key=x&api_key=${last}&api_key=${first}`)).api_key, first)
    t.strictSame((await ask(`DELETE ${KEYS}?api_key=${first}&api_key=unknown`)).json(), UNKNOWN_TO_DELETE)
    t.strictSame((await ask(`DELETE ${KEYS}?api_key=${first}&api_key=`)).json(), UNKNOWN_TO_DELETE)
    t.strictSame((await ask(`DELETE ${KEYS}?api_key=unknown&api_key=${last}`)).json(), DELETED)
    t.equal((await ask(`PUT ${KEYS}?api_key=${first}`)).statusCode, 200)
  })

  t.test('may have other parameters, which do not count', async t => {
    const { ask } = await openService(t)
    const { api_key: key } = row(await ask(`POST ${KEYS}?api_key=x&format=json`))
    t.equal(row(await ask(`GET ${KEYS}?api_key=x`)).api_key, key)
    t.equal(row(await ask(`PUT ${KEYS}?format=json&api_key=${key}&page=1`)).api_key, key)
  })

  t.test('may have a key of any characters, encoded', async t => {
    const { ask } = await openService(t)
    const key = 'a+b/c&d=e%f?g#h'
    await ask('POST /v1/pools/default/keys', {}, { keys: [{ key }] })
    t.equal(row(await ask(`PUT ${KEYS}?api_key=${encodeURIComponent(key)}`)).api_key, key)
  })
})

t.test('a body is ignored, whatever its type', async t => {
  const BODIES = [
    ['application/json', '{ no JSON'],
    ['application/json', ''],
    ['application/json', '{"api_key":"x"}'],
    ['application/x-www-form-urlencoded', 'api_key=x'],
    ['multipart/form-data; boundary=x', '--x--'],
    ['text/plain', 'x'],
    ['application/octet-stream', '\u0000\u00ff'],
    ['no type at all', 'x']
  ] as const
  const { ask } = await openService(t)
  for (const [type, body] of BODIES) {
    const headers = { 'content-type': type }
    const made = await ask(`POST ${KEYS}`, headers, body)
    t.equal(made.statusCode, 201, type)
    const { api_key: key } = row(made)
    t.equal((await ask(`GET ${KEYS}`, headers, body)).statusCode, 200, type)
    t.equal((await ask(`PUT ${KEYS}?api_key=${key}`, headers, body)).statusCode, 200, type)
    t.equal((await ask(`PUT ${KEEP_ALIVE}?api_key=${key}`, headers, body)).statusCode, 200, type)
    t.equal((await ask(`DELETE ${KEYS}?api_key=${key}`, headers, body)).statusCode, 200, type)
    t.equal((await ask(`GET ${SCHEDULER}`, headers, body)).statusCode, 200, type)
  }
})

t.test('a row', async t => {
  t.test('has an id that grows and stays with its key', async t => {
    const { ask } = await openService(t)
    const rows = [row(await ask(`POST ${KEYS}`)), row(await ask(`POST ${KEYS}`)), row(await ask(`POST ${KEYS}`))]
    t.strictSame(
      rows.map(({ id }) => id),
      [1, 2, 3]
    )
    await ask(`DELETE ${KEYS}?api_key=${rows[2]?.api_key}`)
    t.equal(row(await ask(`POST ${KEYS}`)).id, 4, 'also where the last was deleted')
    for (const { id, api_key } of rows.slice(0, 2)) t.equal(row(await ask(`PUT ${KEYS}?api_key=${api_key}`)).id, id)
    const { id, api_key } = row(await ask(`GET ${KEYS}`))
    t.equal(row(await ask(`PUT ${KEEP_ALIVE}?api_key=${api_key}`)).id, id)
  })

  t.test('tells in microseconds of UTC when the key was made, last served and last changed', async t => {
    const { ask, clock } = await openService(t)
    const made = row(await ask(`POST ${KEYS}`))
    const key = made.api_key
    t.strictSame(made, {
      id: 1,
      api_key: key,
      alive: null,
      is_blocked: false,
      created_at: '2026-03-01T12:00:00.000000',
      updated_at: '2026-03-01T12:00:00.000000'
    })
    clock.advance(1234)
    const served = { ...made, alive: '2026-03-01T12:00:01.234000', updated_at: '2026-03-01T12:00:01.234000' }
    t.strictSame(row(await ask(`GET ${KEYS}`)), { ...served, is_blocked: true })
    clock.advance(1000)
    const freed = { ...served, updated_at: '2026-03-01T12:00:02.234000' }
    t.strictSame(row(await ask(`PUT ${KEYS}?api_key=${key}`)), freed, 'changed by the unblock')
    clock.advance(1000)
    t.strictSame(row(await ask(`PUT ${KEYS}?api_key=${key}`)), freed, 'there was nothing to unblock')
    await ask(`GET ${KEYS}`)
    clock.advance(100_000)
    t.strictSame(
      row(await ask(`PUT ${KEEP_ALIVE}?api_key=${key}`)),
      { ...served, alive: '2026-03-01T12:00:03.234000', updated_at: '2026-03-01T12:01:03.234000' },
      'changed by the end of its lease'
    )
  })

  t.test('says blocked also while the key cools, and PUT ends that', async t => {
    const { ask, clock } = await openService(t)
    await ask(`POST ${KEYS}`)
    const { api_key: key } = row(await ask(`GET ${KEYS}`))
    const { lease } = (await ask('POST /v1/pools/default/keys/lookup', {}, { key })).json<{ lease: LeaseView }>()
    await ask(`DELETE /v1/pools/default/leases/${lease.id}?cooldownMs=5000`)
    clock.advance(4999)
    t.equal(row(await ask(`PUT ${KEEP_ALIVE}?api_key=${key}`)).is_blocked, true)
    t.equal((await ask(`GET ${KEYS}`)).statusCode, 404)
    t.equal(row(await ask(`PUT ${KEYS}?api_key=${key}`)).is_blocked, false)
    t.equal(row(await ask(`GET ${KEYS}`)).api_key, key)
  })

  t.test('says free once the cooling has passed', async t => {
    const { ask, clock } = await openService(t)
    await ask(`POST ${KEYS}`)
    const { api_key: key } = row(await ask(`GET ${KEYS}`))
    const { lease } = (await ask('POST /v1/pools/default/keys/lookup', {}, { key })).json<{ lease: LeaseView }>()
    await ask(`DELETE /v1/pools/default/leases/${lease.id}?cooldownMs=5000`)
    clock.advance(5000)
    t.equal(row(await ask(`PUT ${KEEP_ALIVE}?api_key=${key}`)).is_blocked, false)
  })
})

t.test("a key's life", async t => {
  t.test('ends after five minutes, not before', async t => {
    const { ask, clock } = await openService(t)
    const { api_key: key } = row(await ask(`POST ${KEYS}`))
    clock.advance(299_999)
    t.equal((await ask(`PUT ${KEYS}?api_key=${key}`)).statusCode, 200)
    clock.advance(1)
    t.strictSame((await ask(`PUT ${KEYS}?api_key=${key}`)).json(), UNKNOWN_TO_UPDATE)
    t.strictSame((await ask(`PUT ${KEEP_ALIVE}?api_key=${key}`)).json(), UNKNOWN_TO_UPDATE)
    t.strictSame((await ask(`DELETE ${KEYS}?api_key=${key}`)).json(), UNKNOWN_TO_DELETE)
    t.strictSame((await ask(`GET ${KEYS}`)).json(), NO_KEY)
  })

  t.test('goes on for five minutes from each keep_alive, from nothing else', async t => {
    const { ask, clock } = await openService(t)
    const { api_key: key } = row(await ask(`POST ${KEYS}`))
    clock.advance(200_000)
    t.equal((await ask(`PUT ${KEEP_ALIVE}?api_key=${key}`)).statusCode, 200)
    clock.advance(200_000)
    t.equal((await ask(`GET ${KEYS}`)).statusCode, 200)
    t.equal((await ask(`PUT ${KEYS}?api_key=${key}`)).statusCode, 200)
    clock.advance(99_999)
    t.equal((await ask(`PUT ${KEYS}?api_key=${key}`)).statusCode, 200)
    clock.advance(1)
    t.equal((await ask(`PUT ${KEYS}?api_key=${key}`)).statusCode, 400)
  })

  t.test('has no end where the policy says so', async t => {
    const { ask, clock } = await openService(t)
    await ask('PUT /v1/pools/default', {}, { keepAliveMs: null })
    const { api_key: key } = row(await ask(`POST ${KEYS}`))
    clock.advance(31_536_000_000)
    t.equal(row(await ask(`GET ${KEYS}`)).api_key, key)
  })
})

t.test("the pool's policy applies", async t => {
  const { ask, clock } = await openService(t)
  const policy = { alphabet: 'xyz', length: 7, prefix: 'k_', leaseMs: 1000, keepAliveMs: 5000 }
  t.equal((await ask('PUT /v1/pools/default', {}, policy)).statusCode, 200)
  const { api_key: key } = row(await ask(`POST ${KEYS}`))
  t.match(key, /^k_[xyz]{7}$/)
  t.equal((await ask(`GET ${KEYS}`)).statusCode, 200)
  clock.advance(999)
  t.equal((await ask(`GET ${KEYS}`)).statusCode, 404)
  clock.advance(1)
  t.equal((await ask(`GET ${KEYS}`)).statusCode, 200)
  clock.advance(3999)
  t.equal((await ask(`PUT ${KEYS}?api_key=${key}`)).statusCode, 200)
  clock.advance(1)
  t.equal((await ask(`PUT ${KEYS}?api_key=${key}`)).statusCode, 400)
})

t.test('callers at the same time', async t => {
  t.test('never get the same key', async t => {
    const { ask } = await openService(t)
    const made = await Promise.all(Array.from({ length: 20 }, () => ask(`POST ${KEYS}`)))
    t.equal(new Set(made.map(answer => row(answer).api_key)).size, 20)
    t.equal(new Set(made.map(answer => row(answer).id)).size, 20)
    const answers = await Promise.all(Array.from({ length: 36 }, () => ask(`GET ${KEYS}`)))
    const served = answers.filter(({ statusCode }) => statusCode === 200).map(answer => row(answer).api_key)
    t.strictSame(served.sort(), made.map(answer => row(answer).api_key).sort(), '16 of 36 got none')
    t.ok(answers.every(({ statusCode }) => statusCode === 200 || statusCode === 404))
  })

  t.test('do not delete the same key twice', async t => {
    const { ask } = await openService(t)
    const { api_key: key } = row(await ask(`POST ${KEYS}`))
    const answers = await Promise.all(Array.from({ length: 8 }, () => ask(`DELETE ${KEYS}?api_key=${key}`)))
    t.equal(answers.filter(({ statusCode }) => statusCode === 200).length, 1)
  })
})

t.test('a key that is deleted between its lease and the answer is not served', async t => {
  class HastyEngine extends MemoryEngine {
    override acquire(...request: Parameters<MemoryEngine['acquire']>): ReturnType<MemoryEngine['acquire']> {
      const lease = super.acquire(...request)
      this.delete('default', (lease as LeaseView).keyId)
      return lease
    }
  }
  const { ask } = await openService(t, { engine: new HastyEngine({ clock: new ManualClock(), onFault: t.error }) })
  await ask(`POST ${KEYS}`)
  const answer = await ask(`GET ${KEYS}`)
  t.equal(answer.statusCode, 404)
  t.strictSame(answer.json(), NO_KEY)
})

t.test('a key whose caller has gone is free at once', async t => {
  let seeRequest: () => void = () => undefined
  const requested = new Promise<void>(resolve => (seeRequest = resolve))
  let goOn: () => void = () => undefined
  const mayGoOn = new Promise<void>(resolve => (goOn = resolve))
  class SlowEngine extends MemoryEngine {
    override async acquire(...request: Parameters<MemoryEngine['acquire']>) {
      seeRequest()
      await mayGoOn
      return super.acquire(...request)
    }
  }
  const { app, ask } = await openService(t, {
    engine: new SlowEngine({ clock: new ManualClock(), onFault: t.error })
  })
  await ask(`POST ${KEYS}`)
  await app.listen({ host: '127.0.0.1', port: 0 })
  const accepted = once(app.server, 'connection')
  const caller = connect((app.server.address() as AddressInfo).port, '127.0.0.1')
  t.teardown(() => caller.destroy())
  caller.write(`GET ${KEYS} HTTP/1.1\r\nHost: localhost\r\n\r\n`)
  const [connection] = (await accepted) as [Socket]
  await requested
  caller.destroy()
  if (!connection.closed) await once(connection, 'close')
  goOn()
  t.equal((await ask(`GET ${KEYS}`)).statusCode, 200)
})

t.test('what the old server did not have is a problem', async t => {
  const isProblem = (answer: Answer, status: number, code: string): void => {
    t.equal(answer.statusCode, status, code)
    t.match(answer.headers['content-type'], /^application\/problem\+json/, code)
    t.match(answer.json(), { type: `/problems/${code}`, status, code })
    t.equal(answer.headers['cache-control'], 'no-store', code)
  }

  const { service, engine, ask, clock } = await openService(t)
  for (const path of ['/api/v1/', '/api/v1', '/api', `${KEYS}x`, `${KEYS}/`, '/api/v2/random_api_key/', '/keep_alive/'])
    isProblem(await ask(`GET ${path}`), 404, 'not-found')
  isProblem(await ask(`PUT ${KEYS}?api_key=${'x'.repeat(9000)}`), 414, 'uri-too-long')
  isProblem(await ask(`POST ${KEYS}`, {}, Buffer.alloc(4 * 1024 * 1024 + 1)), 413, 'payload-too-large')

  await ask('PUT /v1/pools/default', {}, { alphabet: 'ab', length: 1, maxKeys: 1 })
  t.equal((await ask(`POST ${KEYS}`)).statusCode, 201)
  isProblem(await ask(`POST ${KEYS}`), 409, 'pool-full')
  await ask('PUT /v1/pools/default', {}, { maxKeys: 10 })
  t.equal((await ask(`POST ${KEYS}`)).statusCode, 201)
  isProblem(await ask(`POST ${KEYS}`), 409, 'keyspace-exhausted')

  await ask(`GET ${KEYS}`)
  await ask(`GET ${KEYS}`)
  clock.stall(60_000)
  engine.drain()
  t.equal((await ask(`GET ${KEYS}`)).statusCode, 200, 'what is free is served')
  service.drain()
  isProblem(await ask(`GET ${KEYS}`), 503, 'draining')
})

t.test('an engine that is about to apply deadlines when it drains refuses as draining', async t => {
  const clock = new ManualClock()
  const engine = createEngine(clock)
  const { ask } = await openService(t, { engine })
  for (let i = 0; i < 100; i++) await ask(`POST ${KEYS}`)
  clock.stall(300_000)
  engine.drain()
  const answer = await ask(`GET ${KEYS}`)
  t.equal(answer.statusCode, 503)
  t.match(answer.json(), { code: 'draining' })
})

t.test('none of its paths is served where it is off', async t => {
  const { ask } = await openService(t, { dialects: ['tokenapi'] })
  for (const path of [KEYS, KEEP_ALIVE, SCHEDULER]) {
    for (const { written } of WRITINGS) {
      const answer = await ask(written(`GET ${path}`))
      t.equal(answer.statusCode, 404)
      t.match(answer.json(), { code: 'not-found' })
    }
  }
})

function row(answer: Answer): Row {
  return answer.json<Row>()
}

t.test('what an engine refuses for reasons of its own is a problem', async t => {
  const { ask, engine } = await openService(t)
  const { api_key: key } = JSON.parse((await ask(`POST ${KEYS}`)).payload)
  const unable = () => ({ refusal: 'storage-unavailable' as const })
  const refuses = async (asked: string[]): Promise<void> => {
    for (const each of asked) {
      const answer = await ask(each)
      t.equal(answer.statusCode, 503, each)
      t.match(answer.json(), { code: 'storage-unavailable' }, each)
    }
  }
  Object.assign(engine, { key: unable })
  await refuses([`GET ${KEYS}`, `PUT ${KEYS}?api_key=${key}`])
  Object.assign(engine, { generate: unable, acquire: unable, unblock: unable, delete: unable, keepAlive: unable })
  await refuses([`POST ${KEYS}`, `GET ${KEYS}`, `PUT ${KEYS}?api_key=K`, `DELETE ${KEYS}?api_key=K`])
  await refuses(['PUT /api/v1/keep_alive/?api_key=K'])
})
