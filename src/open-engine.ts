import type { Clock } from './clock.ts'
import type { Config } from './config.ts'
import type { Engine } from './engine.ts'
import type { Log } from './log.ts'

/** The engine that the configuration asks for. */
export interface OpenedEngine {
  engine: Engine
  /** Resolved when it can serve. Rejected, with a message for people, where it never will. */
  start(): Promise<void>
  /** What becomes of the keys, in words. */
  promise: string
}

/** Loads what the engine needs, and nothing of the others. */
export async function openEngine({ dataDir }: Config, clock: Clock, log: Log): Promise<OpenedEngine> {
  const onFault = (error: unknown): void => log.error({ err: error }, 'the sweep met a fault, and goes on')
  if (dataDir === undefined) {
    const { MemoryEngine } = await import('./memory/engine.ts')
    return {
      engine: new MemoryEngine({ clock, onFault }),
      start: async () => undefined,
      promise: 'keys are held in memory only: stopping the process forgets them'
    }
  }
  const { DurableEngine } = await import('./durable/engine.ts')
  const engine = new DurableEngine({ directory: dataDir, clock, log, onFault })
  return { engine, start: () => engine.start(), promise: `what it acknowledges is on disk, in ${dataDir}` }
}
