import { writeFileSync } from 'node:fs'
import { stringify } from 'yaml'
import { buildApp } from './src/app.ts'
import { systemClock } from './src/clock.ts'
import { MemoryEngine } from './src/memory/engine.ts'

// Writes openapi.yaml from the routes, as the service serves it.
const engine = new MemoryEngine({ clock: systemClock(), onFault: () => undefined })
const { app } = await buildApp({ engine })
await app.ready()
writeFileSync(new URL('openapi.yaml', import.meta.url), stringify(app.swagger(), { aliasDuplicateObjects: false }))
await app.close()
engine.close()
