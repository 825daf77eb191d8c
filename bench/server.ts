import { createServer } from 'node:http'
import Fastify from 'fastify'
import { buildApp } from '../src/app.ts'
import { type Clock, systemClock } from '../src/clock.ts'
import { DurableEngine } from '../src/durable/engine.ts'
import type { Engine } from '../src/engine.ts'
import { sharedSchemas } from '../src/http/schemas.ts'
import { Connection } from '../src/redis/connection.ts'
import { RedisEngine } from '../src/redis/engine.ts'
import { parseRedisUrl } from '../src/redis/redis-url.ts'
import { bytesInUse } from './measure.ts'
import { MemoryEngine } from '../src/memory/engine.ts'

// One server for the HTTP benches, in a process of its own: `keypool <keys> '' [<times as fast as time>]`, `durable <keys>
// <directory>`, `redis <keys> <url>`, or one of the baselines. Sends its port to the parent, and stops when the parent does.
const [kind, keys = '1000', place = '', speed = '1'] = process.argv.slice(2)

const LEASE = {
  id: 'BkCXifihbnFc1GqC2dgGHG.1795171934166001',
  fence: 1795171934166001,
  pool: 'default',
  keyId: 'BkCXifihbnFc1GqC2dgGHG',
  holder: null,
  acquiredAt: '2026-03-01T12:00:00.000Z',
  expiresAt: '2026-03-01T12:01:00.000Z',
  expiresInMs: 60_000,
  renewAfterMs: null,
  keepAliveBy: '2026-03-01T12:05:00.000Z',
  keepAliveInMs: 299_987,
  metadata: null,
  key: 'Ovv0Ufx8cdusMMVQS1PL'
}
const HEADERS = { 'x-request-id': 'eh0l5d6t-1', 'cache-control': 'no-store' }
const LOCATION = `/v1/pools/default/leases/${LEASE.id}`

/** A clock so many times as fast as another. */
function hurried(clock: Clock, speed: number): Clock {
  const start = clock.now()
  return {
    now: () => start + Math.floor((clock.now() - start) * speed),
    after: (delayMs, callback) => clock.after(delayMs / speed, callback),
    soon: callback => clock.soon(callback)
  }
}

function memory(): Promise<number> {
  return serve(
    new MemoryEngine({ clock: hurried(systemClock(), Number(speed)), onFault: error => console.error(error) })
  )
}

async function durable(): Promise<number> {
  const log = { info: () => undefined, warn: console.error, error: console.error }
  const engine = new DurableEngine({ directory: place, clock: systemClock(), log, onFault: console.error })
  await engine.start()
  return serve(engine)
}

async function redis(): Promise<number> {
  const address = parseRedisUrl(place)
  if (address === undefined) throw new Error(`${place} is no address of a Redis`)
  const engine = new RedisEngine({
    connect: told => new Connection({ address, ...told }),
    clock: systemClock(),
    log: { info: () => undefined, warn: console.error, error: console.error },
    onFault: console.error
  })
  await engine.start()
  return serve(engine)
}

async function serve(engine: Engine): Promise<number> {
  // Keys that do not age: the bench keeps none alive.
  await engine.putPool('default', { keepAliveMs: null, maxKeys: 16_000_000 })
  for (let left = Number(keys); left > 0; left -= 1000) {
    await engine.generate('default', { count: Math.min(left, 1000), metadata: null })
  }
  const { app } = await buildApp({ engine })
  await app.listen({ host: '127.0.0.1', port: 0 })
  return (app.server.address() as { port: number }).port
}

/** The same two routes with the same schemas and headers, and nothing behind them. */
async function bareFastify(): Promise<number> {
  const app = Fastify()
  for (const schema of sharedSchemas) app.addSchema(schema)
  const response = { 201: { $ref: 'Lease#' } }
  app.post('/v1/pools/:pool/leases', { schema: { response } }, (_request, reply) => {
    reply.code(201).headers(HEADERS).header('location', LOCATION).send(LEASE)
  })
  app.delete('/v1/pools/:pool/leases/:leaseId', (_request, reply) => {
    reply.code(204).headers(HEADERS).send()
  })
  await app.listen({ host: '127.0.0.1', port: 0 })
  return (app.server.address() as { port: number }).port
}

async function bareNode(): Promise<number> {
  const body = JSON.stringify(LEASE)
  const granted = {
    ...HEADERS,
    location: LOCATION,
    'content-type': 'application/json; charset=utf-8',
    'content-length': body.length
  }
  const server = createServer((request, response) => {
    if (request.method === 'POST') response.writeHead(201, granted).end(body)
    else response.writeHead(204, HEADERS).end()
  })
  await new Promise<void>(listening => server.listen(0, '127.0.0.1', listening))
  return (server.address() as { port: number }).port
}

const servers: Record<string, () => Promise<number>> = {
  keypool: memory,
  durable,
  redis,
  fastify: bareFastify,
  node: bareNode
}
const port = await servers[kind ?? '']?.()
process.send?.({ port })
// Asked by the soak, which runs it with --expose-gc.
process.on('message', () => process.send?.({ heapBytes: bytesInUse() }))
process.on('disconnect', () => process.exit(0))
