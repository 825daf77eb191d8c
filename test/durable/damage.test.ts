import { cpSync, rmSync, statSync, truncateSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { pack } from '../../src/durable/entries.ts'
import { FILE } from '../../src/durable/layout.ts'
import { StoreScan } from '../../src/durable/scan.ts'
import { Store } from '../../src/durable/store.ts'
import { createDirectory, createDurable } from '../support/create-durable.ts'
import { generate } from '../support/create-engine.ts'

/** Reads a store from end to end, as a start does. */
async function scan(directory: string): Promise<void> {
  const { blocks } = await new StoreScan(directory).read()
  for await (const _ of blocks);
}

/** What an engine has left, with some hundred keys. */
async function createUsed(t: Parameters<typeof createDurable>[0]) {
  const { engine, directory } = await createDurable(t)
  await generate(engine, 400)
  for (let i = 0; i < 50; i++) await engine.acquire('default', {})
  const { size } = statSync(join(directory, FILE))

  /** A copy whose file is cut to a length. */
  function cut(left: number): string {
    const copy = createDirectory(t)
    cpSync(directory, copy, { recursive: true })
    truncateSync(join(copy, FILE), left)
    return copy
  }

  return { size, cut }
}

t.test('a file that is cut short is refused by its name', async t => {
  const { size, cut } = await createUsed(t)
  for (const left of [0, 4096, size / 2]) {
    await t.rejects(scan(cut(left)), { message: /data\.mdb/ }, `${left} of ${size} bytes`)
  }
})

t.test('a file without its last page is refused, or has lost nothing', async t => {
  const { size, cut } = await createUsed(t)
  const whole = new Store(cut(size))
  const { head } = whole
  await whole.close()
  for (const lost of [1, 4096]) {
    const directory = cut(size - lost)
    const wrong = await scan(directory).catch((error: Error) => error.message)
    if (wrong !== undefined) {
      t.match(wrong, /data\.mdb/)
      continue
    }
    const store = new Store(directory)
    t.strictSame(store.head, head, 'as it was')
    const rows = Array.from({ length: 200 }, (_, i) => ({ key: Buffer.from(`x${i}`), value: Buffer.alloc(100) }))
    store.commit(pack(rows), head.at)
    for (const _ of store.scan().blocks);
    await store.close()
    await t.resolves(scan(directory))
  }
})

t.test('a file that is gone is refused, a directory that was never used is not', async t => {
  const { size, cut } = await createUsed(t)
  const directory = cut(size)
  rmSync(join(directory, FILE))
  await t.rejects(scan(directory), { message: /data\.mdb is damaged: it is missing/ })
  await t.resolves(scan(createDirectory(t)))
})
