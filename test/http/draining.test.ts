import { connect } from 'node:net'
import t from 'tap'
import { until } from '../support/create-engine.ts'
import { createService, POOL } from '../support/create-service.ts'
import { refused } from '../support/problems.ts'

t.test('while the service drains, new requests are refused on connections that are open', async t => {
  const { service, listen, generate } = await createService(t)
  await generate()
  const port = await listen()
  const socket = connect(port, '127.0.0.1')
  t.teardown(() => socket.destroy())
  let text = ''
  let ended = false
  socket.on('data', chunk => (text += chunk.toString()))
  socket.on('end', () => (ended = true))
  socket.write('GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n')
  await until(() => text.includes('"ok"'))
  service.drain()
  socket.write(`POST ${POOL}/leases HTTP/1.1\r\nHost: localhost\r\nX-Request-Id: late\r\nContent-Length: 0\r\n\r\n`)
  await until(() => ended)
  t.match(text, /HTTP\/1\.1 503 Service Unavailable\r\n/)
  t.match(text, /"code":"draining"/)
  t.match(text, /connection: close/i)
})

t.test('while the service drains only its state is told', async t => {
  const { call, service } = await createService(t)
  service.drain()
  for (const [method, path, body] of [
    ['GET', '/v1/pools'],
    ['POST', 'leases'],
    ['POST', 'keys', 'no json'],
    ['PUT', '/v1/pools/x', { nonsense: 1 }],
    ['GET', '/problems/internal']
  ] as const) {
    refused(t, await call(method, path, body), 'draining')
  }
  t.match(await call('GET', '/livez'), { status: 200 })
  refused(t, await call('GET', '/v1/nowhere'), 'not-found')
})
