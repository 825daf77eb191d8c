import { conform } from './conform.ts'
import { late, provide } from './memory.ts'

conform('the memory engine after stalls', async t => provide(t, late))
