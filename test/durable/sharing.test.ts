import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { pack } from '../../src/durable/entries.ts'
import { openPatiently } from '../../src/durable/open-patiently.ts'
import { StoreScan } from '../../src/durable/scan.ts'
import { Store, StoreInUse } from '../../src/durable/store.ts'
import { createDirectory } from '../support/create-durable.ts'

const HOLDER = fileURLToPath(new URL('../support/store-holder.ts', import.meta.url))

const SCAN_HOLDER = fileURLToPath(new URL('../support/scan-holder.ts', import.meta.url))

/** Another process that has the store of a directory open. */
async function hold(t: { teardown(end: () => unknown): void }, directory: string) {
  const child = fork(HOLDER, [directory])
  t.teardown(() => child.kill('SIGKILL'))
  await once(child, 'message')
  return child
}

t.test('who lets the directory go in time is waited for', async t => {
  const directory = createDirectory(t)
  const holder = await hold(t, directory)
  const waits: number[] = []
  const store = await openPatiently(directory, async ms => {
    waits.push(ms)
    holder.kill('SIGKILL')
    await once(holder, 'exit')
  })
  t.strictSame(waits, [50])
  await store.close()
})

t.test('for two seconds', async t => {
  const directory = createDirectory(t)
  await hold(t, directory)
  let waitedMs = 0
  await t.rejects(
    openPatiently(directory, async ms => (waitedMs += ms)),
    { message: /in use by process/ }
  )
  t.equal(waitedMs, 2000)
})

t.test('who stays is told of', async t => {
  const directory = createDirectory(t)
  const holder = await hold(t, directory)
  await t.rejects(new StoreScan(directory).read(), {
    message: `${directory} is in use by process ${holder.pid}: two may not share a directory`
  })
})

/** More than a pipe holds. */
function createLarge(t: Pick<Test, 'teardown'>): Promise<string> {
  const directory = createDirectory(t)
  const store = new Store(directory)
  const rows = Array.from({ length: 100 }, (_, i) => ({ key: Buffer.from(`x${i}`), value: Buffer.alloc(50_000, i) }))
  store.commit(pack(rows), 1)
  return store.close().then(() => directory)
}

t.test('a scan that is ended lets the directory go', async t => {
  const directory = await createLarge(t)
  const scan = new StoreScan(directory)
  const { head, blocks } = await scan.read()
  t.equal(head.count, 100)
  t.throws(() => new Store(directory), /in use by process/)
  await scan.close()
  await new Store(directory).close()
  await t.rejects(async () => {
    for await (const _ of blocks);
  }, /was killed/)
})

t.test('a scan ends with the process that asked for it', async t => {
  const directory = await createLarge(t)
  const holder = fork(SCAN_HOLDER, [directory])
  t.teardown(() => holder.kill('SIGKILL'))
  await once(holder, 'message')
  t.throws(() => new Store(directory), /in use by process/)
  holder.kill('SIGKILL')
  for (;;) {
    try {
      await new Store(directory).close()
      break
    } catch (error) {
      if (!(error instanceof StoreInUse)) throw error
      await new Promise(resolve => setImmediate(resolve))
    }
  }
  t.pass('the directory is free')
})
