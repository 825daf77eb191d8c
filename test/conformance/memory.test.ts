import { conform } from './conform.ts'
import { inTime, provide } from './memory.ts'

conform('the memory engine', async t => provide(t, inTime))
