import { once } from 'node:events'
import type { AddressInfo, Socket } from 'node:net'
import type { Server as TlsServer } from 'node:tls'
import { setTimeout as sleep } from 'node:timers/promises'
import { Access } from './access/access.ts'
import type { Certificate } from './access/certificate.ts'
import { buildApp, PRESSURE_LIMITS, type Service } from './app.ts'
import { systemClock } from './clock.ts'
import { type Config, readConfig } from './config.ts'
import type { Engine } from './engine.ts'
import type { Log } from './log.ts'
import { openEngine } from './open-engine.ts'

/** After a signal, how long answers that are under way may take. The promise is ten seconds in all. */
const FINISH_MS = 8000
/** Of these, how long connections stay open for their next request to learn that the server stops. */
const FAREWELL_MS = 1000
/** How often connections whose last answer has been written are looked for, to be closed. */
const IDLE_CHECK_MS = 100
/** How long what is left for the disk may take. */
const FINAL_MS = 1000

async function main(): Promise<void> {
  const config = readConfig(process.env)
  const clock = systemClock()
  // Until there is a logger, nothing happens that could be told.
  const told: { log?: Log } = {}
  const log: Log = {
    info: (members, message) => told.log?.info(members, message),
    warn: (members, message) => told.log?.warn(members, message),
    error: (members, message) => told.log?.error(members, message)
  }
  const access = await Access.open(config.access, clock, log)
  const { engine, start, lost, promise } = await openEngine(config, clock, log)
  const service = await buildApp({
    engine,
    logger: { level: config.logLevel },
    dialects: config.dialects,
    tokens: config.tokens,
    bearers: access.tokens,
    trail: access.trail,
    certificate: access.certificate,
    onlyThisMachine: config.onlyThisMachine,
    pressure: PRESSURE_LIMITS,
    ...(config.rateLimit > 0 && { rateLimit: config.rateLimit })
  })
  told.log = service.app.log
  const connections = new Set<Socket>()
  // Under TLS a connection comes twice, and what has been read of the second is what has been decrypted.
  for (const event of ['connection', 'secureConnection']) {
    service.app.server.on(event, (connection: Socket) => {
      connections.add(connection)
      connection.once('close', () => connections.delete(connection))
    })
  }
  const address = await listen(service, config)
  process.on('SIGHUP', () => void access.reload(certificate => serveCertificate(service, certificate)))
  let stopped: Promise<void> | undefined
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    // npm passes on a Ctrl-C that the terminal has sent already: a second signal changes nothing.
    process.on(signal, () => (stopped ??= stop(service, engine, access, connections, config, signal)))
  }
  service.app.log.info({ docs: `${address}/docs` }, `keypool listens on ${address}; ${promise}`)
  // Whoever supervises it starts it anew. What was acknowledged is on the disk.
  void lost?.then(error => end('ends', error))
  // It listens while it recovers: /livez answers, /readyz says how far it is.
  try {
    await start(() => service.prepare())
  } catch (error) {
    // A signal may end it before it has recovered.
    if (stopped === undefined) throw error
    await stopped
  }
}

/** Not by Fastify's own method, which logs a line for each address, and makes a second server for `localhost`. */
async function listen({ app }: Service, { host, port, access }: Config): Promise<string> {
  await app.ready()
  app.server.listen(port, host)
  await once(app.server, 'listening')
  const { address, family, port: bound } = app.server.address() as AddressInfo
  return `${access.tls === undefined ? 'http' : 'https'}://${family === 'IPv6' ? `[${address}]` : address}:${bound}`
}

function serveCertificate({ app }: Service, certificate: Certificate): void {
  // With a certificate the server is one of TLS, which Fastify's type does not tell.
  const server = app.server as unknown as TlsServer
  server.setSecureContext(certificate)
}

async function stop(
  service: Service,
  engine: Engine,
  access: Access,
  connections: ReadonlySet<Socket>,
  { drainMs }: Config,
  signal: string
): Promise<void> {
  const { app } = service
  service.announceStop()
  await sleep(drainMs)
  service.drain()
  await Promise.race([finish(app, connections), sleep(FINISH_MS)])
  await Promise.race([Promise.all([engine.close(), access.close()]), sleep(FINAL_MS)])
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

function end(how: string, error: unknown): never {
  process.stderr.write(`keypool ${how}: ${error instanceof Error ? error.message : String(error)}\n`)
  process.exit(1)
}

main().catch((error: unknown) => end('does not start', error))
