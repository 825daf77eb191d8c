import { conform } from './conform.ts'
import { distant, inTime, provide } from './memory.ts'

// The suite itself is tried here: it must hold for engines whose answers take their time.
conform('the memory engine from afar', async t => {
  const provided = provide(t, inTime)
  return { ...provided, engine: distant(provided.engine) }
})
