import { DurableEngine } from '../../src/durable/engine.ts'
import { FaultyStore } from './create-durable.ts'
import { granted } from './create-engine.ts'
import { ManualClock } from './manual-clock.ts'

// Starts an engine on each directory that it is sent, and answers what is in it, or why it does not start. A damaged file
// may end the process.

/** What is in a directory. */
export type Found = { refused: string } | { content: string }

async function find(directory: string): Promise<Found> {
  const silent = { info: () => undefined, warn: () => undefined, error: () => undefined }
  const store = new FaultyStore(directory)
  const clock = new ManualClock()
  const engine = new DurableEngine({ directory, clock, store, log: silent, onFault: () => undefined })
  try {
    await engine.start()
    const content: unknown[] = [await granted(engine.pools())]
    for (let cursor: string | undefined | null; cursor !== null;) {
      const { keys, nextCursor } = await granted(engine.list('default', { limit: 1000, cursor }))
      content.push(keys)
      cursor = nextCursor
    }
    return { content: JSON.stringify(content) }
  } catch (error) {
    return { refused: (error as Error).message }
  } finally {
    await engine.close()
  }
}

process.on('message', (directory: string) => void find(directory).then(found => process.send?.(found)))
