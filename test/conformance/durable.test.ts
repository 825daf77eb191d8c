import { createDurable } from '../support/create-durable.ts'
import { SettlingClock } from '../support/settling-clock.ts'
import { conform } from './conform.ts'

conform('the durable engine', async t => {
  const clock = new SettlingClock()
  const { engine } = await createDurable(t, { clock })
  return {
    engine,
    now: clock.now,
    advance: async ms => {
      clock.advance(ms)
      await clock.settled()
    }
  }
})
