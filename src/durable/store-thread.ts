import { parentPort, workerData } from 'node:worker_threads'
import { Store } from './store.ts'
import type { Call, Reply } from './threaded-store.ts'

// The store's own thread: what waits for the disk waits here.
const port = parentPort
if (port === null) throw new Error('this is the entry of a thread')

let opened: Store | undefined

async function answer(call: Call): Promise<Reply['value']> {
  if (call.verb === 'close') return opened?.close()
  if (call.verb === 'open') return (opened = new Store(workerData as string)).head
  const store = opened
  if (store === undefined) throw new Error('the store is not open')
  switch (call.verb) {
    case 'commit':
      return store.commit(call.rows, call.at)
    case 'purge':
      return store.purge(call.prefix, call.limit)
    case 'read':
      return store.read(call.keys)
    case 'compact':
      return store.compact()
    case 'reopen':
      await store.reopen()
      return store.head
  }
}

// One after another, in the order of the calls.
let last = Promise.resolve()
port.on('message', (call: Call) => {
  last = last.then(async () => {
    const reply: Reply = { call: call.number }
    try {
      reply.value = await answer(call)
    } catch (error) {
      reply.error = { name: (error as Error).constructor.name, message: (error as Error).message }
    }
    port.postMessage(reply)
  })
})
