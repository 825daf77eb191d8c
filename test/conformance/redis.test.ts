import t from 'tap'
import { createRedis } from '../support/create-redis.ts'
import { isSkipped, SERVERS, startRedis } from '../support/redis-server.ts'
import { conform } from './conform.ts'

/** Of a longer time, all but the end passes while nobody looks. */
const WATCHED_MS = 2000

isSkipped(t)
for (const command of SERVERS) {
  const server = await startRedis(t, command)
  conform(`the engine over ${command}`, async t => {
    await server.client.flushall()
    const { engine, clock, settled } = await createRedis(t, server.url)
    return {
      engine,
      now: clock.now,
      advance: async ms => {
        clock.stall(Math.max(0, ms - WATCHED_MS))
        clock.advance(Math.min(ms, WATCHED_MS))
        await settled()
      }
    }
  })
}
