import type { Clock } from './clock.ts'
import type { Config } from './config.ts'
import type { Engine } from './engine.ts'
import type { Log } from './log.ts'

/** The engine that the configuration asks for. */
export interface OpenedEngine {
  engine: Engine
  /**
   * Resolved when it can serve. Rejected, with a message for people, where it never will. `prepare` makes what the service
   * needs; it is called when the engine first can, and again where what it keeps may have been lost.
   */
  start(prepare: () => Promise<void>): Promise<void>
  /** Resolved, with why, where it can't go on: only a new process can. Absent where that does not happen. */
  lost?: Promise<Error>
  /** What becomes of the keys, in words. */
  promise: string
}

/** Loads what the engine needs, and nothing of the others. */
export async function openEngine({ dataDir, redis }: Config, clock: Clock, log: Log): Promise<OpenedEngine> {
  const onFault = (error: unknown): void => log.error({ err: error }, 'the sweep met a fault, and goes on')
  if (redis !== undefined) {
    const { Connection } = await import('./redis/connection.ts')
    const { RedisEngine } = await import('./redis/engine.ts')
    const engine = new RedisEngine({
      connect: told => new Connection({ address: redis, ...told }),
      clock,
      log,
      onFault
    })
    return {
      engine,
      start: prepare => engine.start(prepare),
      promise: 'what it acknowledges is what the Redis server keeps'
    }
  }
  if (dataDir === undefined) {
    const { MemoryEngine } = await import('./memory/engine.ts')
    return {
      engine: new MemoryEngine({ clock, onFault }),
      start: prepare => prepare(),
      promise: 'keys are held in memory only: stopping the process forgets them'
    }
  }
  const { DurableEngine } = await import('./durable/engine.ts')
  const engine = new DurableEngine({ directory: dataDir, clock, log, onFault })
  return {
    engine,
    start: async prepare => {
      await engine.start()
      await prepare()
    },
    lost: engine.lost,
    promise: `what it acknowledges is on disk, in ${dataDir}`
  }
}
