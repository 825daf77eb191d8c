import { Writable } from 'node:stream'
import t from 'tap'
import { MemoryEngine } from '../../src/memory/engine.ts'
import { turns } from '../support/create-engine.ts'
import { createService, exchange } from '../support/create-service.ts'
import { ManualClock } from '../support/manual-clock.ts'
import { refused } from '../support/problems.ts'

/** An engine that is broken, and says so with a secret. */
class BrokenEngine extends MemoryEngine {
  override pools(): never {
    throw new Error('broken at sk-secret')
  }

  override async acquire(): Promise<never> {
    throw new Error('broken at sk-secret')
  }
}

/** What a logger writes, line by line. */
function lines(): { stream: Writable; lines: Record<string, unknown>[] } {
  const found: Record<string, unknown>[] = []
  const stream = new Writable({
    write(chunk: Buffer, _encoding, done) {
      for (const line of chunk.toString().trim().split('\n')) found.push(JSON.parse(line))
      done()
    }
  })
  return { stream, lines: found }
}

t.test('a fault of ours is told in the log, not to the caller', async t => {
  const engine = new BrokenEngine({ clock: new ManualClock(), onFault: error => t.error(error) })
  t.teardown(() => engine.close())
  const log = lines()
  const { call } = await createService(t, { engine, logger: { level: 'info', stream: log.stream } })
  for (const [method, path] of [
    ['GET', '/v1/pools'],
    ['POST', 'leases']
  ] as const) {
    const answer = await call(method, path)
    refused(t, answer, 'internal')
    t.notMatch(answer.text, 'secret')
    t.match(log.lines.pop(), {
      level: 50,
      requestId: answer.headers['x-request-id'],
      err: { message: 'broken at sk-secret' }
    })
  }
  await call('GET', '/v1/pools/default')
  t.strictSame(log.lines, [], 'a request in order leaves no line')
})

t.test('the log names routes and ids, never an address', async t => {
  const log = lines()
  const { call, listen } = await createService(t, { logger: { level: 'debug', stream: log.stream } })
  const secret = 'sk-secret'
  await call('GET', `keys/${secret}?x=${secret}`)
  await call('GET', `/${secret}`)
  await call('GET', `/%zz${secret}`)
  await call('GET', `/v1/pools/${secret}${'x'.repeat(12_000)}`)
  await call('PATCH', `keys/${secret}`)
  await call('POST', 'keys/lookup', { key: secret })
  await call('POST', 'keys/lookup', `{"key":"${secret}`, { 'content-type': 'application/json' })
  await call('PUT', `/v1/pools/${secret}_`, {})
  const port = await listen()
  await exchange(t, port, `${secret} /${secret} HTTP/1.1\r\n${secret}\r\n\r\n`)
  await exchange(t, port, `GET /${secret} HTTP/1.1\r\nExpect: ${secret}\r\nConnection: close\r\n\r\n`)
  t.ok(log.lines.length > 5)
  t.notMatch(JSON.stringify(log.lines), secret)
  t.match(
    log.lines.find(({ route }) => route === '/v1/pools/:pool/keys/:id'),
    { level: 20, method: 'GET', status: 404, ms: Number, requestId: String }
  )
})

t.test('at level trace each request has a line, at info none', async t => {
  for (const [level, count] of [
    ['trace', 1],
    ['info', 0]
  ] as const) {
    const log = lines()
    const { call } = await createService(t, { logger: { level, stream: log.stream } })
    await call('GET', '/livez')
    await turns(2)
    t.equal(log.lines.filter(({ msg }) => msg === 'request').length, count)
  }
})
