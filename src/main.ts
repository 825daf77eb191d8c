import { setTimeout as sleep } from 'node:timers/promises'
import { buildApp, type Service } from './app.ts'
import { systemClock } from './clock.ts'
import { type Config, readConfig } from './config.ts'
import { MemoryEngine } from './memory/engine.ts'

/** After a signal, how long answers that are under way may take. The promise is ten seconds in all. */
const FINISH_MS = 8000

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
  const address = await service.app.listen({ host: config.host, port: config.port, listenTextResolver: () => '' })
  service.app.log.info(
    { docs: `${address}/docs` },
    `keypool listens on ${address}; keys are held in memory only: stopping the process forgets them`
  )
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.once(signal, () => void stop(service, config, signal))
  }
}

async function stop(service: Service, { drainMs }: Config, signal: string): Promise<void> {
  service.announceStop()
  await sleep(drainMs)
  service.drain()
  // Connections that never end must not hold up the end.
  const overdue = sleep(FINISH_MS).then(() => service.app.server.closeAllConnections())
  await Promise.race([service.app.close(), overdue])
  service.app.log.info(`keypool stopped on ${signal}`)
  process.exit(0)
}

main().catch((error: unknown) => {
  process.stderr.write(`keypool does not start: ${error instanceof Error ? error.message : String(error)}\n`)
  process.exit(1)
})
