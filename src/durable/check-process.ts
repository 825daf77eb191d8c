import process from 'node:process'
import { setTimeout as sleep } from 'node:timers/promises'
import { openPatiently } from './open-patiently.ts'

// Reads the whole store of a directory, in a process of its own: LMDB maps the file into memory, and a damaged page can
// end the process that looks at it.
const [directory = ''] = process.argv.slice(2)

// Whoever started this and was killed must not be outlived: the directory would seem to be in use.
process.on('disconnect', () => process.exit(1))

try {
  const store = await openPatiently(directory, sleep)
  // The end of the parent is noticed in between.
  for (const _ of store.check()) await new Promise(resolve => setImmediate(resolve))
  process.send?.({ wrong: null })
  await store.close()
} catch (error) {
  process.send?.({ wrong: (error as Error).message })
}
process.disconnect?.()
