import { connect } from 'node:net'
import t from 'tap'
import { turns, until } from '../support/create-engine.ts'
import { createService, exchange, POOL, send, type Answer } from '../support/create-service.ts'
import { invalid, refused } from '../support/problems.ts'

const JSON_TYPE = 'Content-Type: application/json'

/** A request as it goes over the wire. */
const http = (line: string, headers: string[] = [], body = ''): string =>
  `${[`${line} HTTP/1.1`, 'Host: localhost', ...headers].join('\r\n')}\r\n\r\n${body}`

const only = (answers: Answer[]): Answer => {
  if (answers.length !== 1) throw new Error(`${answers.length} answers`)
  return answers[0] as Answer
}

t.test('what is no route is not found', async t => {
  const { call } = await createService(t)
  for (const path of [
    '/nothing',
    '/v1',
    '/v2/pools',
    '/v1/pools/a/b/c/d',
    '/v1/pools/default/keys/a/b',
    '//v1/pools',
    '/V1/pools'
  ]) {
    for (const method of ['GET', 'POST', 'DELETE', 'OPTIONS']) {
      refused(t, await call(method, path, method === 'POST' ? 'no json' : undefined), 'not-found')
    }
  }
  refused(t, await call('GET', '/v1/pools/default/keys/'), 'unknown-key')
  refused(t, await call('GET', '/nothing?key=secret'), 'not-found')
})

t.test('another method is refused with those that the path has', async t => {
  const { call } = await createService(t)
  const paths: Record<string, string[]> = {
    '/v1/pools': ['GET', 'HEAD'],
    '/v1/p%6Fols': ['GET', 'HEAD'],
    '/v1/pools/': ['DELETE', 'GET', 'HEAD', 'PUT'],
    '/v1/pools/default': ['DELETE', 'GET', 'HEAD', 'PUT'],
    '/v1/pools/nowhere': ['DELETE', 'GET', 'HEAD', 'PUT'],
    '/v1/pools/default/keys': ['GET', 'HEAD', 'POST'],
    '/v1/pools/default/keys/lookup': ['DELETE', 'GET', 'HEAD', 'POST'],
    '/v1/pools/default/keys/x': ['DELETE', 'GET', 'HEAD'],
    '/v1/pools/default/keys/x/keep-alive': ['PUT'],
    '/v1/pools/default/keys/x/activation': ['PUT'],
    '/v1/pools/default/keys/x/metadata': ['PUT'],
    '/v1/pools/default/keys/x/lease': ['DELETE'],
    '/v1/pools/default/leases': ['POST'],
    '/v1/pools/default/leases/x': ['DELETE', 'GET', 'HEAD'],
    '/v1/pools/default/leases/x/renewal': ['PUT'],
    '/v1/pools/default/batch': ['POST'],
    '/livez': ['GET', 'HEAD'],
    '/readyz': ['GET', 'HEAD'],
    '/problems/internal': ['GET', 'HEAD'],
    '/docs/json': ['GET', 'HEAD']
  }
  for (const [path, allowed] of Object.entries(paths)) {
    for (const method of ['GET', 'POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS', 'TRACE', 'PROPFIND']) {
      if (allowed.includes(method)) continue
      // Also with a body that could not be read, and before the pool is looked for.
      const answer = await call(method, `${path}?x=1`, '{"no json', { 'content-type': 'application/json' })
      if (!path.startsWith('/docs')) refused(t, answer, 'method-not-allowed')
      t.equal(answer.status, 405)
      t.strictSame((answer.headers['allow'] ?? '').split(', ').sort(), allowed, path)
    }
  }
})

t.test('a request is named by its caller, where that is harmless', async t => {
  const { call } = await createService(t)
  const named = async (id: string | string[]) =>
    (await call('GET', '/v1/pools', undefined, { 'x-request-id': id })).headers['x-request-id']
  for (const id of ['a', 'A.b_c~d-9', 'x'.repeat(128)]) t.equal(await named(id), id)
  const replaced = new Set<string | undefined>()
  for (const id of ['', 'x'.repeat(129), 'a b', 'a/b', 'ä', '"', 'a,b']) {
    const given = await named(id)
    t.not(given, id)
    t.match(given, /^[A-Za-z0-9._~-]{1,128}$/)
    replaced.add(given)
  }
  t.equal(replaced.size, 7, 'each has a name of its own')
  const refusedCall = await call('GET', '/nowhere', undefined, { 'x-request-id': 'mine' })
  refused(t, refusedCall, 'not-found')
  t.equal(refusedCall.body.instance, 'mine')
})

t.test('nothing under /v1 is stored by caches', async t => {
  const { call, generate } = await createService(t)
  const [key] = await generate()
  for (const [method, path] of [
    ['GET', '/v1/pools'],
    ['HEAD', '/v1/pools'],
    ['POST', 'leases'],
    ['DELETE', `keys/${key?.id}`],
    ['GET', '/v1/nowhere'],
    ['PATCH', '/v1/pools'],
    ['GET', '/v1/%zz']
  ] as const) {
    t.equal((await call(method, path)).headers['cache-control'], 'no-store')
  }
})

t.test('a path that can not be decoded is malformed', async t => {
  const { call } = await createService(t)
  for (const path of ['/v1/pools/%', '/v1/pools/%zz', '/v1/pools/%E0%A4%A']) {
    const answer = await call('GET', path)
    invalid(t, answer, 'path', '')
    t.match(answer.headers['x-request-id'], /./)
  }
  invalid(t, await call('GET', '/%ff'), 'path', '')
})

t.test('an address of more than 8,192 characters is too long', async t => {
  const { call } = await createService(t)
  const address = (length: number): string => '/v1/pools?x='.padEnd(length, 'x')
  t.equal((await call('GET', address(8192))).status, 200)
  refused(t, await call('GET', address(8193)), 'uri-too-long')
  refused(t, await call('PATCH', address(8193)), 'uri-too-long')
  refused(t, await call('GET', `/v1/pools/${'x'.repeat(8000)}`), 'unknown-pool')
  refused(t, await call('GET', `/v1/pools/${'x'.repeat(9000)}`), 'uri-too-long')
  refused(t, await call('GET', `/v1/pools/${'x'.repeat(12_000)}`), 'uri-too-long')
  const tooLong = await call('GET', `/v1/pools/secret${'x'.repeat(12_000)}`, undefined, { 'x-request-id': 'mine' })
  t.notMatch(tooLong.text, 'secret')
  t.equal(tooLong.body.instance, 'mine')
})

t.test('over a socket', async t => {
  const { listen } = await createService(t)
  const port = await listen()

  t.test('a request names its host once, but in HTTP/1.0, which knows of none', async t => {
    const withHosts = (...hosts: string[]) =>
      exchange(t, port, `GET /livez HTTP/1.1\r\n${hosts.map(host => `${host}\r\n`).join('')}Connection: close\r\n\r\n`)
    for (const hosts of [['Host: a'], ['HOST:'], ['host: [::1]:80', 'Hosts: b']]) {
      t.match(only(await withHosts(...hosts)), { status: 200, body: { status: 'ok' } })
    }
    for (const hosts of [[], ['Host: a', 'Host: b'], ['Host: a', 'X: y', 'hOST: a'], ['Hosts: a']]) {
      invalid(t, only(await withHosts(...hosts)), 'header', '/host')
    }
    t.match(only(await exchange(t, port, 'GET /livez HTTP/1.0\r\n\r\n')), { status: 200 })
    const twice = 'GET /livez HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n'
    invalid(t, only(await exchange(t, port, twice)), 'header', '/host')
  })

  t.test('what is no HTTP is malformed', async t => {
    const malformed = [
      'nonsense\r\n\r\n',
      'GET /livez HTTP/1.1\r\nno header\r\n\r\n',
      'FOO /livez HTTP/1.1\r\n\r\n',
      http('GET /livez', ['Content-Length: x']),
      http('POST /v1/pools/default/leases', ['Content-Length: 2', 'Transfer-Encoding: chunked'], '{}'),
      http('GET /li\u0000vez'),
      http('GET /livez', ['X: a\u0000b']),
      http('POST /v1/pools/default/leases', [JSON_TYPE, 'Transfer-Encoding: chunked'], 'zz\r\n')
    ]
    for (const text of malformed) {
      const answer = only(await exchange(t, port, text))
      invalid(t, answer, 'body')
      t.equal(answer.headers['connection'], 'close')
    }
  })

  t.test('headers of more than 16 KiB are too large', async t => {
    const answer = only(await exchange(t, port, http('GET /livez', [`X: ${'x'.repeat(17_000)}`])))
    refused(t, answer, 'headers-too-large')
    t.equal(answer.headers['connection'], 'close')
    t.match(only(await exchange(t, port, http('GET /livez', [`X: ${'x'.repeat(15_000)}`, 'Connection: close']))), {
      status: 200
    })
  })

  t.test('an unknown expectation can not be met', async t => {
    const request = http(
      'POST /v1/pools/default/leases',
      ['Expect: a-miracle', 'X-Request-Id: mine', 'Content-Length: 2'],
      '{}'
    )
    const answer = only(await exchange(t, port, request))
    refused(t, answer, 'expectation-failed')
    t.equal(answer.body.instance, 'mine')
  })

  t.test('a proxy is what this is not', async t => {
    const answer = only(await exchange(t, port, 'CONNECT example.org:443 HTTP/1.1\r\nX-Request-Id: mine\r\n\r\n'))
    refused(t, answer, 'not-found')
    t.equal(answer.body.instance, 'mine')
  })

  t.test('the known expectation is met', async t => {
    const headers = ['Expect: 100-continue', JSON_TYPE, 'Content-Length: 2', 'Connection: close']
    const [goOn, answer] = await exchange(t, port, http('POST /v1/pools/default/keys', headers, '{}'))
    t.equal(goOn?.status, 100)
    t.equal(answer?.status, 201)
  })

  t.test('two requests at once on one connection are answered in order', async t => {
    const answers = await exchange(
      t,
      port,
      http('GET /livez', ['X-Request-Id: one']) + http('GET /v1/nowhere', ['X-Request-Id: two', 'Connection: close'])
    )
    t.strictSame(
      answers.map(({ status, headers }) => [status, headers['x-request-id']]),
      [
        [200, 'one'],
        [404, 'two']
      ]
    )
  })

  t.test('what follows garbage is not served', async t => {
    const answers = await exchange(t, port, http('GET /livez') + 'garbage\r\n\r\n' + http('GET /livez'))
    t.equal(answers.at(-1)?.status, 400)
    t.ok(answers.length <= 2)
  })

  t.test('a chunked body is read, and refused beyond 4 MiB', async t => {
    const headers = [JSON_TYPE, 'Transfer-Encoding: chunked', 'Connection: close']
    const small = '2\r\n{}\r\n0\r\n\r\n'
    t.match(only(await exchange(t, port, http(`POST ${POOL}/keys`, headers, small))), { status: 201 })
    const mebibyte = `100000\r\n${' '.repeat(2 ** 20)}\r\n`
    const large = http(`POST ${POOL}/keys`, headers, mebibyte.repeat(4) + '1\r\n \r\n')
    refused(t, only(await exchange(t, port, large)), 'payload-too-large')
  })

  t.test('a body that is announced as too large is refused before it is sent', async t => {
    const headers = [JSON_TYPE, `Content-Length: ${4 * 2 ** 20 + 1}`]
    const answer = only(await exchange(t, port, http(`POST ${POOL}/keys`, headers)))
    refused(t, answer, 'payload-too-large')
    t.equal(answer.headers['connection'], 'close')
  })

  t.test('a method that the path does not have is refused before its body is sent', async t => {
    const socket = connect(port, '127.0.0.1')
    t.teardown(() => socket.destroy())
    let text = ''
    socket.on('data', chunk => (text += chunk.toString()))
    socket.write(http('PATCH /v1/pools', [JSON_TYPE, 'Content-Length: 1000']))
    await until(() => text.includes('\r\n\r\n'))
    t.match(text, /^HTTP\/1\.1 405 /)
  })

  t.test('a connection that breaks off leaves the server unharmed', async t => {
    for (const text of ['GET /li', http('POST /v1/pools/default/leases', [JSON_TYPE, 'Content-Length: 10'], '{')]) {
      const socket = connect(port, '127.0.0.1')
      t.teardown(() => socket.destroy())
      await new Promise<void>(resolve => socket.write(text, () => resolve()))
      socket.resetAndDestroy()
    }
    await turns(10)
    t.match(await send(port, 'GET', '/livez').answer, { status: 200 })
  })

  t.test('a connection is used again', async t => {
    const socket = connect(port, '127.0.0.1')
    t.teardown(() => socket.destroy())
    let text = ''
    socket.on('data', chunk => (text += chunk.toString()))
    for (const [i, line] of ['GET /livez', 'GET /v1/nowhere', 'PATCH /livez', 'GET /livez'].entries()) {
      socket.write(http(line, ['X-Request-Id: n' + i]))
      await until(() => text.includes(`n${i}`))
    }
    t.match(text, /200 OK[\s\S]*404 Not Found[\s\S]*405 Method Not Allowed[\s\S]*200 OK/)
  })
})

t.test('a request that arrives too slowly is refused', async t => {
  const { listen } = await createService(t, { requestTimeoutMs: 100 })
  const port = await listen()
  const slow = [
    exchange(t, port, 'GET /livez HTTP/1.1\r\nHost: x\r\n'),
    exchange(t, port, http(`POST ${POOL}/keys`, [JSON_TYPE, 'Content-Length: 10'], '{'))
  ]
  for (const answers of await Promise.all(slow)) {
    const answer = only(answers)
    refused(t, answer, 'request-timeout')
    t.equal(answer.headers['connection'], 'close')
  }
})
