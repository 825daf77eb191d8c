import { StoreScan } from '../../src/durable/scan.ts'

// Begins to read the store of a directory, and gets no further, until it is killed.
const scan = new StoreScan(process.argv[2] as string)
await scan.read()
process.send?.('reading')
process.once('disconnect', () => void scan.close())
