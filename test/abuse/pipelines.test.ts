import t from 'tap'
import { until } from '../support/create-engine.ts'
import { createService, POOL, send } from '../support/create-service.ts'
import { http, othersAreServed, RudeClient, untilConnections } from '../support/abuse.ts'

t.setTimeout(600_000)

const CLOSE = ['Connection: close']
/** Waits for a key for a minute. */
const WAIT = http(`POST ${POOL}/leases`, ['Content-Type: application/json', 'Content-Length: 16'], '{"waitMs":60000}')

t.test('each request of a pipeline is served when the one before it has its answer', async t => {
  const { listen, counts, generate } = await createService(t)
  const port = await listen()
  const client = new RudeClient(t, port).read().write(WAIT + WAIT + http(`DELETE ${POOL}`, CLOSE))
  await until(async () => (await counts()).waiting === 1)
  await othersAreServedWithoutKeys(port)
  t.match(await counts(), { waiting: 1 }, 'the second waits for its turn, not for a key')

  await generate(2)
  await client.ended()
  t.strictSame(
    client.answers.map(({ status }) => status),
    [201, 201, 409]
  )
  const [first, second] = client.answers
  t.not(first?.body.keyId, second?.body.keyId)
})

async function othersAreServedWithoutKeys(port: number): Promise<void> {
  const { status } = await send(port, 'POST', 'leases').answer
  if (status !== 404) throw new Error(`answered ${status}`)
}

t.test('a pipeline of thousands is answered in order, whole, while others are served', async t => {
  const { listen, generate } = await createService(t)
  const port = await listen()
  await generate(3)
  const COUNT = 5000
  const requests = Array.from({ length: COUNT }, (_, i) =>
    http(i % 2 === 0 ? 'GET /livez' : 'GET /v1/pools', [`X-Request-Id: n${i}`, ...(i === COUNT - 1 ? CLOSE : [])])
  )
  const client = new RudeClient(t, port).read().write(requests.join(''))
  await othersAreServed(t, port)
  await client.ended()
  t.strictSame(
    client.answers.map(({ status, headers }) => `${status} ${headers['x-request-id']}`),
    requests.map((_, i) => `200 n${i}`)
  )
})

t.test('who asks for the whole document again and again delays nobody', async t => {
  const { app, listen, generate } = await createService(t)
  const port = await listen()
  await generate()
  let written = 0
  const { swagger } = app
  Object.assign(app, { swagger: () => (written++, swagger()) })
  let made = 0
  app.server.on('request', ({ url }, response) => {
    if (url === '/docs/json') response.once('finish', () => made++)
  })
  const COUNT = 20_000
  const client = new RudeClient(t, port).write(http('GET /docs/json').repeat(COUNT))
  // Reads as fast as it can, and keeps nothing: it would be gigabytes.
  client.socket.resume()
  await until(() => made > 0)
  for (let i = 0; i < 30; i++) await othersAreServed(t, port)
  t.ok(made < COUNT / 10, `${made} of ${COUNT} came before 90 answers to others`)
  t.equal(written, 1, 'it is written once')
  const before = made
  await until(() => made > before)
})

t.test('answers that nobody reads are not made', async t => {
  const { app, listen, generate } = await createService(t)
  const port = await listen()
  await generate(1000)
  let made = 0
  const COUNT = 100
  app.server.on('request', ({ url = '' }, response) => {
    if (url.includes('?limit')) response.once('finish', () => made++)
  })
  const page = (headers: string[]) => http(`GET ${POOL}/keys?limit=1000`, headers)
  const client = new RudeClient(t, port).write(page([]).repeat(COUNT - 1) + page(CLOSE))
  await until(() => made > 0)
  let before = -1
  // Until nothing more is made: the connection is full.
  while (before !== made) {
    before = made
    for (let i = 0; i < 5; i++) await othersAreServed(t, port)
  }
  t.ok(made < COUNT / 2, `${made} of ${COUNT}`)

  await client.read().ended()
  t.equal(client.answers.length, COUNT, 'when they are read, they are')
  t.ok(client.answers.every(({ status, body }) => status === 200 && body.keys.length === 1000))
})

t.test('what is no HTTP behind requests is answered when these have been', async t => {
  const { listen, counts, generate } = await createService(t)
  const port = await listen()
  const garbage = 'garbage\r\n\r\n'
  for (const [sent, statuses] of [
    [WAIT + garbage, [201, 400]],
    [WAIT + http('GET /livez') + garbage + http('GET /livez'), [201, 200, 400]],
    // What did not arrive whole is not served.
    [WAIT + http(`POST ${POOL}/keys`, ['Transfer-Encoding: chunked'], 'zz\r\n'), [201, 400]],
    [WAIT + 'CONNECT example.org:443 HTTP/1.1\r\nHost: example.org\r\n\r\n', [201, 404]],
    [http('GET /livez', CLOSE) + garbage, [200]]
  ] as const) {
    const { total } = await counts()
    const client = new RudeClient(t, port).read().write(sent)
    if (statuses[0] === 201) {
      await until(async () => (await counts()).waiting === 1)
      t.equal(client.text, '', 'nothing comes before its turn')
      await generate()
    }
    await client.ended()
    t.strictSame(
      client.answers.map(({ status }) => status),
      statuses
    )
    t.equal((await counts()).total, total + (statuses[0] === 201 ? 1 : 0))
  }
})

t.test('who waits in a pipeline and leaves takes no key', async t => {
  const { app, listen, counts, generate } = await createService(t)
  const port = await listen()
  const client = new RudeClient(t, port).write(WAIT.repeat(3))
  await until(async () => (await counts()).waiting === 1)
  client.socket.destroy()
  await untilConnections(app, 0)
  await generate()
  t.match(await counts(), { free: 1, leased: 0, waiting: 0 })
})

t.test('of all that wait in pipelines there are at most so many: who brings more is cut off', async t => {
  const { listen } = await createService(t)
  const port = await listen()
  // As short as requests can be: as many as a chunk holds.
  const flood = WAIT + 'GET / HTTP/1.1\r\nHost:\r\n\r\n'.repeat(2500)
  const clients: RudeClient[] = []
  await until(async () => {
    clients.push(new RudeClient(t, port).read().write(flood))
    await send(port, 'GET', '/livez').answer
    return clients.some(({ closed }) => closed)
  })
  t.match(await send(port, 'GET', '/livez').answer, { status: 200 })
  const left = clients.filter(({ closed }) => !closed).length
  t.ok(left > 0, `${left} are left`)
})
