import t from 'tap'
import { until } from '../support/create-engine.ts'
import { createService, POOL } from '../support/create-service.ts'
import { http, othersAreServed, RudeClient, untilConnections } from '../support/abuse.ts'
import { refused } from '../support/problems.ts'

t.setTimeout(600_000)

const JSON_TYPE = 'Content-Type: application/json'
const MEBIBYTE = 2 ** 20

t.test('a body of 1 GiB is refused when it is announced, and whoever sends on sees the answer', async t => {
  const { listen, generate } = await createService(t)
  const port = await listen()
  await generate()
  const client = new RudeClient(t, port).read()
  client.write(http(`POST ${POOL}/keys`, [JSON_TYPE, `Content-Length: ${1024 * MEBIBYTE}`]))
  for (let i = 0; i < 16; i++) client.write('x'.repeat(MEBIBYTE))
  await othersAreServed(t, port)
  await client.ended()
  t.equal(client.answers.length, 1)
  for (const answer of client.answers) {
    refused(t, answer, 'payload-too-large')
    t.equal(answer.headers['connection'], 'close')
  }
})

t.test('a chunked body without end is refused when it is too long, and whoever sends on sees the answer', async t => {
  const { listen, generate } = await createService(t)
  const port = await listen()
  await generate()
  const client = new RudeClient(t, port).read()
  client.write(http(`POST ${POOL}/keys`, [JSON_TYPE, 'Transfer-Encoding: chunked']))
  for (let i = 0; i < 16; i++) client.write(`100000\r\n${' '.repeat(MEBIBYTE)}\r\n`)
  await othersAreServed(t, port)
  await client.ended()
  t.equal(client.answers.length, 1)
  for (const answer of client.answers) refused(t, answer, 'payload-too-large')
})

t.test('whoever goes on sending after the last answer is cut off', async t => {
  const { app, listen, generate } = await createService(t)
  const port = await listen()
  await generate()
  const client = new RudeClient(t, port).read()
  client.write(http(`POST ${POOL}/keys`, [JSON_TYPE, `Content-Length: ${1024 * MEBIBYTE}`]))
  await client.ended()
  await othersAreServed(t, port)
  app.server.closeIdleConnections()
  await untilConnections(app, 0)
  t.equal(client.answers.length, 1)
})

t.test('headers and bodies that come a byte at a time are given up, and others are served', async t => {
  const { app, listen, generate, counts } = await createService(t, { requestTimeoutMs: 2000 })
  const port = await listen()
  await generate()
  const begins = ['GET /livez HTTP/1.1\r\nX: ', http(`POST ${POOL}/keys`, [JSON_TYPE, 'Content-Length: 1000'])]
  const clients = Array.from({ length: 100 }, (_, i) => new RudeClient(t, port).read().write(begins[i % 2] as string))
  let dripped = 0
  const drip = setInterval(() => {
    dripped++
    for (const { socket } of clients) if (socket.writable) socket.write(' ')
  }, 20)
  t.teardown(() => clearInterval(drip))
  await othersAreServed(t, port)
  await Promise.all(clients.map(client => client.ended()))
  t.ok(dripped > 0)
  for (const { answers } of clients) {
    t.equal(answers.length, 1)
    for (const answer of answers) refused(t, answer, 'request-timeout')
  }
  await othersAreServed(t, port)
  app.server.closeIdleConnections()
  clearInterval(drip)
  for (const { socket } of clients) socket.end()
  await untilConnections(app, 0)
  t.match(await counts(), { total: 1 })
})

t.test('a last answer is seen by whoever sends too much else', async t => {
  const { listen, service } = await createService(t)
  const port = await listen()
  const tooLarge = new RudeClient(t, port).read().write(`GET /livez HTTP/1.1\r\nX: ${'x'.repeat(8 * MEBIBYTE)}`)
  await tooLarge.ended()
  refused(t, tooLarge.answers[0] as never, 'headers-too-large')

  const open = new RudeClient(t, port).read().write(http('GET /livez'))
  await until(() => open.text.includes('"ok"'))
  service.drain()
  open.write(http(`POST ${POOL}/keys`, [JSON_TYPE, `Content-Length: ${4 * MEBIBYTE}`]))
  for (let i = 0; i < 3; i++) open.write('x'.repeat(MEBIBYTE))
  await open.ended()
  refused(t, open.answers[1] as never, 'draining')
})
