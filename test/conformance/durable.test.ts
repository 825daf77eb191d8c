import { createDurable } from '../support/create-durable.ts'
import { SettlingClock } from '../support/settling-clock.ts'
import { conform } from './conform.ts'

/** The heart of the engine beats ten times a second: of a longer time, all but the end passes while nobody looks. */
const WATCHED_MS = 600_000

conform('the durable engine', async t => {
  const clock = new SettlingClock()
  const { engine } = await createDurable(t, { clock })
  return {
    engine,
    now: clock.now,
    advance: async ms => {
      clock.stall(Math.max(0, ms - WATCHED_MS))
      clock.advance(Math.min(ms, WATCHED_MS))
      await clock.settled()
    }
  }
})
