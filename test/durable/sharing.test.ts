import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { checkStore } from '../../src/durable/check.ts'
import { openPatiently } from '../../src/durable/open-patiently.ts'
import { createDirectory } from '../support/create-durable.ts'

const HOLDER = fileURLToPath(new URL('../support/store-holder.ts', import.meta.url))

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
  await t.rejects(checkStore(directory), {
    message: `${directory} is in use by process ${holder.pid}: two may not share a directory`
  })
})
