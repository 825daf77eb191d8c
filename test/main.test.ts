import { once } from 'node:events'
import { type AddressInfo, connect, createServer } from 'node:net'
import { performance } from 'node:perf_hooks'
import t from 'tap'
import { Connection, ServerProcess } from './support/server-process.ts'

const FREE_PORT = { KEYPOOL_PORT: '0' }
const KEYS = 'POST /v1/pools/default/keys'
const LEASES = 'POST /v1/pools/default/leases'
const DRAINING = { status: 503, body: { code: 'draining' } }

/** Resolves when that many callers wait for a key. */
async function untilWaiting(connection: Connection, callers: number): Promise<void> {
  for (let i = 0; i < 10_000; i++) {
    const { body } = await connection.ask('GET /v1/pools/default')
    if ((body['counts'] as { waiting: number }).waiting === callers) return
  }
  throw new Error('nobody waits')
}

/** Resolves when /readyz says no. */
async function untilNotReady(connection: Connection): Promise<void> {
  for (let i = 0; i < 10_000; i++) if ((await connection.ask('GET /readyz')).status !== 200) return
  throw new Error('it is ready all the time')
}

/** A connection on which nothing is asked; its end tells that the server lets nobody in any more. */
async function openSilent(t: { teardown(close: () => unknown): void }, port: number) {
  const socket = connect(port, '127.0.0.1').resume()
  t.teardown(() => socket.destroy())
  await once(socket, 'connect')
  return { closed: once(socket, 'close') }
}

// Most of a test is the start of a process, or waiting for its end.
t.jobs = 4
t.setTimeout(600_000)

t.test('the process says in one line where it listens and what it forgets, and in one that it stops', async t => {
  const server = new ServerProcess(t, FREE_PORT)
  const { docs, msg, port } = await server.listening()
  t.equal(docs, `http://127.0.0.1:${port}/docs`)
  t.equal(
    msg,
    `keypool listens on http://127.0.0.1:${port}; keys are held in memory only: stopping the process forgets them`
  )
  const page = await new Connection(t, port).ask('GET /docs')
  t.equal(page.status, 200)
  t.match(page.headers['content-type'], /^text\/html/)

  const { code, lines, errors } = await server.stop('SIGTERM')
  t.equal(code, 0)
  t.equal(lines.length, 2)
  t.match(JSON.parse(lines[1] as string), { level: 30, msg: /^keypool stopped on SIGTERM$/ })
  t.equal(errors, '')
})

t.test('the process has one line for each start also where its host has several addresses', async t => {
  const { 0: local, 1: open } = await Promise.all(
    [{ KEYPOOL_HOST: 'localhost' }, { KEYPOOL_HOST: '0.0.0.0', KEYPOOL_OPEN: '1' }].map(async environment => {
      const server = new ServerProcess(t, { ...FREE_PORT, ...environment })
      const { docs } = await server.listening()
      return { docs, ...(await server.stop('SIGINT')) }
    })
  )
  t.match(local, { docs: /^http:\/\/(127\.0\.0\.1|\[::1\]):\d+\/docs$/, code: 0, lines: { length: 2 }, errors: '' })
  t.match(open, { docs: /^http:\/\/0\.0\.0\.0:\d+\/docs$/, code: 0, lines: { length: 2 }, errors: '' })
})

t.test('a port that is taken ends the start with a line and exit code 1', async t => {
  const other = createServer().listen(0, '127.0.0.1')
  t.teardown(() => other.close())
  await once(other, 'listening')
  const { port } = other.address() as AddressInfo
  const { code, lines, errors } = await new ServerProcess(t, { KEYPOOL_PORT: String(port) }).ended
  t.equal(code, 1)
  t.strictSame(lines, [])
  t.equal(errors, `keypool does not start: listen EADDRINUSE: address already in use 127.0.0.1:${port}\n`)
})

t.test('a wrong configuration ends the start, with exit code 1 and a line for each variable', async t => {
  const environment = {
    KEYPOOL_HOST: '0.0.0.0',
    KEYPOOL_PORT: 'http',
    KEYPOOL_DIALECTS: 'x',
    KEYPOOL_TOKENAPI_ALPHABET: 'a',
    KEYPOOL_COLOUR: 'red'
  }
  const { code, lines, errors } = await new ServerProcess(t, environment).ended
  t.equal(code, 1)
  t.strictSame(lines, [])
  const [first, ...rest] = errors.trimEnd().split('\n')
  t.equal(first, 'keypool does not start: wrong configuration:')
  t.strictSame(rest.map(line => line.trim().split(' ', 1)[0]).sort(), Object.keys(environment).sort())
})

t.test('the variables reach the service', async t => {
  const server = new ServerProcess(t, {
    ...FREE_PORT,
    KEYPOOL_LOG_LEVEL: 'debug',
    KEYPOOL_DIALECTS: 'tokenapi',
    KEYPOOL_TOKENAPI_ALPHABET: 'ab',
    KEYPOOL_TOKENAPI_LENGTH: '3'
  })
  const connection = new Connection(t, (await server.listening()).port)
  t.match(await connection.ask('GET /api/get_number_token'), { status: 200, body: { 'leftkeys:': 8 } })
  t.match(await connection.ask('GET /api/v1/start_scheduler/'), { status: 404, body: { code: 'not-found' } })
  const { lines } = await server.stop('SIGTERM')
  t.strictSame(
    lines.map(line => (JSON.parse(line) as { msg: string }).msg.split(' ', 2).join(' ')),
    ['keypool listens', 'tokenapi', 'request', 'request', 'keypool stopped']
  )
})

for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  t.test(`on ${signal} what is in flight is finished, and the rest is refused as draining`, async t => {
    const server = new ServerProcess(t, FREE_PORT)
    const { port } = await server.listening()
    const [ready, live, open] = [new Connection(t, port), new Connection(t, port), new Connection(t, port)]
    await Promise.all([ready.ask('GET /readyz'), live.ask('GET /livez')])
    const waiter = new Connection(t, port).ask(LEASES, { waitMs: 60_000 })
    await untilWaiting(open, 1)
    const begun = await new Connection(t, port).announce(KEYS, 2)
    const { closed } = await openSilent(t, port)

    const ended = server.stop(signal)
    const refused = await waiter
    t.match(refused, DRAINING, 'a caller that waits')
    t.equal(refused.headers['retry-after'], '1')
    // At once: connections on which nothing is asked are closed after a second.
    const answers = [ready.ask('GET /readyz'), live.ask('GET /livez'), open.ask(KEYS)] as const
    t.match(await answers[0], { status: 503, body: { code: 'draining', reasons: ['draining'] } })
    t.match(await answers[1], { status: 200 })
    const late = await answers[2]
    t.match(late, DRAINING, 'a new request on a connection that was open')
    t.equal(late.headers['connection'], 'close')
    await closed
    begun.request.end('{}')
    t.match(await begun.answer, { status: 201 }, 'a request that had begun before')

    const { code, lines, errors, ms } = await ended
    t.equal(code, 0)
    t.ok(ms < 7000, `not held up by connections that are kept alive: ${ms} ms`)
    t.equal(lines.length, 2)
    t.equal(errors, '')
  })
}

t.test('an idle connection does not hold up the end', async t => {
  const server = new ServerProcess(t, FREE_PORT)
  const { port } = await server.listening()
  await new Connection(t, port).ask('GET /livez')
  await openSilent(t, port)
  const { code, ms } = await server.stop('SIGTERM')
  t.equal(code, 0)
  t.ok(ms < 7000, `${ms} ms`)
})

t.test('a client that never finishes its request does not hold up the end for 10 seconds', async t => {
  const server = new ServerProcess(t, FREE_PORT)
  const { port } = await server.listening()
  const { request, answer } = await new Connection(t, port).announce(KEYS, 1000)
  request.write('{')
  const cut = t.rejects(answer, { code: 'ECONNRESET' })
  const { code, lines, ms } = await server.stop('SIGINT')
  t.equal(code, 0)
  // Nine, and whatever a busy machine adds. The request itself would be given up after thirty.
  t.ok(ms < 20_000, `${ms} ms`)
  t.equal(lines.length, 2)
  await cut
})

t.test('KEYPOOL_DRAIN_MS goes on accepting for that long, while /readyz says no', async t => {
  const server = new ServerProcess(t, { ...FREE_PORT, KEYPOOL_DRAIN_MS: '5000' })
  const { port } = await server.listening()
  const open = new Connection(t, port)
  const served = new Connection(t, port).ask(LEASES, { waitMs: 60_000 })
  await untilWaiting(open, 1)

  const start = performance.now()
  const ended = server.stop('SIGTERM')
  await untilNotReady(open)
  t.match(await open.ask('GET /readyz'), DRAINING)
  t.match(await new Connection(t, port).ask(KEYS), { status: 201 }, 'on a new connection')
  t.match(await served, { status: 201 }, 'a caller that waited')
  t.match(await new Connection(t, port).ask(LEASES, { waitMs: 60_000 }), DRAINING, 'a caller that waits to the end')
  const ms = performance.now() - start
  t.ok(ms >= 4990, `after ${ms} ms`)
  t.match(await ended, { code: 0, lines: { length: 2 } })
})

t.test('a second signal changes nothing', async t => {
  const server = new ServerProcess(t, { ...FREE_PORT, KEYPOOL_DRAIN_MS: '3000' })
  const { port } = await server.listening()
  const ended = server.stop('SIGINT')
  await untilNotReady(new Connection(t, port))
  server.signal('SIGINT')
  server.signal('SIGTERM')
  const { code, lines } = await ended
  t.equal(code, 0)
  t.equal(lines.length, 2)
})
