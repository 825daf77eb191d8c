import t from 'tap'
import { turns, until } from '../support/create-engine.ts'
import { createService, POOL, send, type ServiceOfTest } from '../support/create-service.ts'
import { KEEP_ALIVE_MS, LEASE_MS } from '../support/pool.ts'

t.test('a caller who disconnects before the grant gets no key', async t => {
  const { generate, counts, listen } = await createService(t)
  const port = await listen()
  const leaving = send(port, 'POST', 'leases', { body: { waitMs: 60_000 } })
  const gone = t.rejects(leaving.answer)
  await until(async () => (await counts()).waiting === 1)
  const staying = send(port, 'POST', 'leases', { body: { waitMs: 60_000 } })
  await until(async () => (await counts()).waiting === 2)
  leaving.sent.destroy()
  await gone
  await until(async () => (await counts()).waiting === 1)
  const [key] = await generate()
  t.match(await staying.answer, { status: 201, body: { keyId: key?.id } })
  t.match(await counts(), { leased: 1 })
})

t.test('a caller with an Idempotency-Key who disconnects before the grant gets no key either', async t => {
  const { generate, counts, listen } = await createService(t)
  const port = await listen()
  const headers = { 'idempotency-key': 'r' }
  const leaving = send(port, 'POST', 'leases', { body: { waitMs: 60_000 }, headers })
  const gone = t.rejects(leaving.answer)
  await until(async () => (await counts()).waiting === 1)
  leaving.sent.destroy()
  await gone
  await until(async () => (await counts()).waiting === 0)
  await generate()
  t.match(await counts(), { free: 1 })
})

t.test('a retry that joined goes on waiting when the first caller has left', async t => {
  const { generate, counts, listen, app } = await createService(t)
  const port = await listen()
  const headers = { 'idempotency-key': 'r' }
  const seen = watch(app)
  const calls = [1, 2].map(() => send(port, 'POST', 'leases', { body: { waitMs: 60_000 }, headers }))
  const gone = t.rejects(calls[0]?.answer as Promise<unknown>)
  await until(() => seen.requests === 2)
  t.match(await counts(), { waiting: 1 })
  calls[0]?.sent.destroy()
  await gone
  await until(() => seen.closed === 1)
  await turns(5)
  await generate(2)
  t.match(await calls[1]?.answer, { status: 201 })
  t.match(await counts(), { leased: 1 })
})

/**
 * Leased keys of which all but one die when their leases end, and nobody has looked since: whatever a verb draws at
 * first is dead, and the answer must wait for the sweep. The survivor's lease is the last to end.
 */
async function fallBehind({ call, clock, engine, generate, acquire }: ServiceOfTest): Promise<string> {
  await call('PUT', POOL, { leaseMs: KEEP_ALIVE_MS })
  await generate(1000)
  for (let i = 1; i < 1000; i++) void engine.acquire('default', {})
  clock.advance(1)
  const { keyId } = await acquire()
  await call('PUT', POOL, { keepAliveMs: null })
  await call('PUT', `keys/${keyId}/keep-alive`)
  clock.stall(KEEP_ALIVE_MS)
  return keyId
}

/** How many requests have come and how many connections have gone, as the server sees it. */
function watch(app: ServiceOfTest['app']): { requests: number; closed: number } {
  const seen = { requests: 0, closed: 0 }
  app.server.on('request', () => seen.requests++)
  app.server.on('connection', socket => socket.on('close', () => seen.closed++))
  return seen
}

/** A caller that is gone, and was seen to go, while its answer waits for the sweep. */
async function leaveEarly(
  t: Parameters<typeof createService>[0],
  service: ServiceOfTest,
  path: string,
  body: object,
  headers = {}
) {
  const port = await service.listen()
  const seen = watch(service.app)
  const { sent, answer } = send(port, 'POST', path, { body, headers })
  const gone = t.rejects(answer)
  await until(() => seen.requests === 1)
  await turns(3)
  sent.destroy()
  await gone
  await until(() => seen.closed === 1)
  await turns(3)
}

t.test('a caller that has left while due deadlines were applied gets no key', async t => {
  const service = await createService(t)
  const { clock, acquire, counts } = service
  const keyId = await fallBehind(service)
  await leaveEarly(t, service, 'leases', {})
  clock.advance(0)
  await turns(20)
  t.match(await counts(), { total: 1, free: 1, leased: 0, waiting: 0 })
  const lease = await acquire()
  t.equal(lease.keyId, keyId)
  t.equal(lease.fence, (await firstFence(service)) + 1000, 'there was no lease in between')
})

/** The first fence of all pools that are as old as the engine. */
async function firstFence({ call }: ServiceOfTest): Promise<number> {
  await call('PUT', '/v1/pools/elsewhere')
  await call('POST', '/v1/pools/elsewhere/keys')
  return (await call('POST', '/v1/pools/elsewhere/leases')).body.fence
}

/** A caller whose lease is granted, but whose answer comes only when it is seen to be gone, as from an engine far away. */
async function leaveUnanswered(
  t: Parameters<typeof createService>[0],
  { app, engine, listen, counts }: ServiceOfTest,
  headers = {}
): Promise<void> {
  const port = await listen()
  const seen = watch(app)
  const acquire = engine.acquire.bind(engine)
  let letGo = (): void => undefined
  const held = new Promise<void>(resolve => (letGo = resolve))
  engine.acquire = async (...request) => {
    const answer = await acquire(...request)
    await held
    return answer
  }
  const { sent, answer } = send(port, 'POST', 'leases', { body: {}, headers })
  const gone = t.rejects(answer)
  await until(async () => (await counts()).leased === 1)
  sent.destroy()
  await gone
  await until(() => seen.closed === 1)
  letGo()
  await turns(3)
  engine.acquire = acquire
}

t.test('a lease that was granted to a caller who has left is released at once', async t => {
  const service = await createService(t)
  const { generate, counts } = service
  await generate()
  await leaveUnanswered(t, service)
  t.match(await counts(), { free: 1, leased: 0 })
})

t.test('a release that fails is logged, and the lease ends at its deadline', async t => {
  const lines: string[] = []
  const logger = { level: 'error', stream: { write: (line: string) => void lines.push(line) } }
  const service = await createService(t, { logger })
  const { engine, generate, counts, clock } = service
  const [key] = await generate()
  engine.release = () => Promise.reject(new Error('the engine is out of reach')) as never
  await leaveUnanswered(t, service)
  t.match(lines, [/out of reach/])
  t.notMatch(lines[0], key?.key)
  clock.advance(LEASE_MS)
  t.match(await counts(), { leased: 0, free: 1 })
})

t.test('with an Idempotency-Key the lease stays for the retry', async t => {
  const service = await createService(t)
  const { call, generate, counts } = service
  await generate()
  const headers = { 'idempotency-key': 'r' }
  await leaveUnanswered(t, service, headers)
  t.match(await counts(), { leased: 1 })
  t.match(await call('POST', 'leases', {}, headers), { status: 201, body: { key: String } })
  t.match(await counts(), { leased: 1 })
})

t.test('the leases of a batch whose answer can not be written are released, too', async t => {
  const service = await createService(t)
  const { clock, counts, acquire } = service
  await fallBehind(service)
  // Of two that acquire, the second is refused.
  await leaveEarly(t, service, 'batch', { operations: [{ op: 'acquire' }, { op: 'acquire' }] })
  clock.advance(0)
  await turns(20)
  t.match(await counts(), { total: 1, free: 1, leased: 0 })
  t.ok((await acquire()).fence > 1)
})

t.test('a lease whose answer was written stays', async t => {
  const { generate, counts, listen } = await createService(t)
  await generate()
  const port = await listen()
  const { sent, answer } = send(port, 'POST', 'leases', { body: { waitMs: 1000 } })
  t.match(await answer, { status: 201 })
  sent.destroy()
  await turns(10)
  t.match(await counts(), { leased: 1 })
})
