import { once } from 'node:events'
import type { AddressInfo, Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { buildApp, type Service } from './app.ts'
import { systemClock } from './clock.ts'
import { type Config, readConfig } from './config.ts'
import { MemoryEngine } from './memory/engine.ts'

/** After a signal, how long answers that are under way may take. The promise is ten seconds in all. */
const FINISH_MS = 8000
/** Of these, how long connections stay open for their next request to learn that the server stops. */
const FAREWELL_MS = 1000
/** How often connections whose last answer has been written are looked for, to be closed. */
const IDLE_CHECK_MS = 100

async function main(): Promise<void> {
  const config = readConfig(process.env)
  const engine = new MemoryEngine({
    clock: systemClock(),
    onFault: error => service.app.log.error({ err: error }, 'the sweep met a fault, and goes on')
  })
  const service = await buildApp({
    engine,
    logger: { level: config.logLevel },
    dialects: config.dialects,
    tokens: config.tokens
  })
  const connections = new Set<Socket>()
  service.app.server.on('connection', connection => {
    connections.add(connection)
    connection.once('close', () => connections.delete(connection))
  })
  const address = await listen(service, config)
  await service.prepare()
  let stopped: Promise<void> | undefined
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    // npm passes on a Ctrl-C that the terminal has sent already: a second signal changes nothing.
    process.on(signal, () => (stopped ??= stop(service, engine, connections, config, signal)))
  }
  service.app.log.info(
    { docs: `${address}/docs` },
    `keypool listens on ${address}; keys are held in memory only: stopping the process forgets them`
  )
}

/** Not by Fastify's own method, which logs a line for each address, and makes a second server for `localhost`. */
async function listen({ app }: Service, { host, port }: Config): Promise<string> {
  await app.ready()
  app.server.listen(port, host)
  await once(app.server, 'listening')
  const { address, family, port: bound } = app.server.address() as AddressInfo
  return `http://${family === 'IPv6' ? `[${address}]` : address}:${bound}`
}

async function stop(
  service: Service,
  engine: MemoryEngine,
  connections: ReadonlySet<Socket>,
  { drainMs }: Config,
  signal: string
): Promise<void> {
  const { app } = service
  service.announceStop()
  await sleep(drainMs)
  service.drain()
  await Promise.race([finish(app, connections), sleep(FINISH_MS)])
  engine.close()
  app.log.info(`keypool stopped on ${signal}`)
  process.exit(0)
}

/** Resolves when the last connection has ended. */
async function finish(app: Service['app'], connections: ReadonlySet<Socket>): Promise<void> {
  if (connections.size > 0) await sleep(FAREWELL_MS)
  // From here on nobody is let in. A connection that is kept alive would stay for a minute after its last answer.
  setInterval(() => {
    app.server.closeIdleConnections()
    // Node does not call idle what was opened ahead of its first request.
    for (const connection of connections) if (connection.bytesRead === 0) connection.destroy()
  }, IDLE_CHECK_MS)
  await app.close()
}

main().catch((error: unknown) => {
  process.stderr.write(`keypool does not start: ${error instanceof Error ? error.message : String(error)}\n`)
  process.exit(1)
})
