import process from 'node:process'
import { Store } from './store.ts'

// Reads the whole store of a directory, in a process of its own: LMDB maps the file into memory, and a damaged page can
// end the process that looks at it.
const [directory = ''] = process.argv.slice(2)

// Whoever started this and was killed must not be outlived: the directory would seem to be in use.
process.on('disconnect', () => process.exit(1))

try {
  const store = new Store(directory)
  store.check()
  process.send?.({ wrong: null })
  await store.close()
} catch (error) {
  process.send?.({ wrong: (error as Error).message })
}
process.disconnect?.()
