import { Store } from '../../src/durable/store.ts'

// Has the store of a directory open until it is killed.
const store = new Store(process.argv[2] as string)
process.send?.('open')
process.once('disconnect', () => void store.close())
