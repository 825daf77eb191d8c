import { cpSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { pack, unpack } from '../../src/durable/entries.ts'
import { keyPlace, placeOf, poolPlace, prefixesOf, resultPlace } from '../../src/durable/layout.ts'
import { Store } from '../../src/durable/store.ts'
import { ThreadedStore } from '../../src/durable/threaded-store.ts'
import { createDirectory } from '../support/create-durable.ts'

/** tsx does not reach into threads by itself. */
const ENTRY = new URL('../support/store-thread.js', import.meta.url)
const ID = 'a'.repeat(22)
const bytes = (text: string): Buffer => Buffer.from(text)
const id = (i: number): string => String(i).padStart(22, '0')

t.test('rows in one block come out as they went in', async t => {
  const entries = [
    { key: bytes('a'), value: bytes('1') },
    { key: bytes('bb'), value: null },
    { key: bytes(''), value: bytes('') },
    { key: bytes('c'), value: bytes('x'.repeat(70_000)) }
  ]
  const out = [...unpack(pack(entries))].map(({ key, value }) => [
    Buffer.from(key).toString(),
    value && Buffer.from(value).toString()
  ])
  t.strictSame(
    out,
    entries.map(({ key, value }) => [key.toString(), value && value.toString()])
  )
  t.strictSame([...unpack(pack([]))], [])
})

t.test('a place is told from its bytes', async t => {
  t.strictSame(placeOf(keyPlace(7, ID)), { kind: 'key', incarnation: 7, id: ID })
  t.strictSame(placeOf(poolPlace(2 ** 32 - 1)), { kind: 'pool', incarnation: 2 ** 32 - 1 })
  t.strictSame(placeOf(resultPlace(3, 'acquire', 'scope')), { kind: 'result', incarnation: 3 })
  t.strictSame(placeOf(bytes('e')), { kind: 'engine' })
  t.equal(placeOf(bytes('zzzzzz')), undefined)
  t.equal(placeOf(bytes('k')), undefined)
  t.notSame(resultPlace(3, 'acquire', 'scope'), resultPlace(3, 'batch', 'scope'))
})

t.test('what is committed is there when it is opened again', async t => {
  const directory = createDirectory(t)
  const store = new Store(directory)
  t.strictSame(store.head, { count: 0, sum: 0, transaction: 0, at: 0 })
  t.equal(store.block(), undefined)
  store.commit(pack([{ key: keyPlace(1, ID), value: bytes('one') }]), 5)
  store.commit(pack([{ key: keyPlace(1, ID), value: bytes('two') }]), 6)
  store.check()
  await store.close()

  const again = new Store(directory)
  t.teardown(() => again.close())
  again.check()
  t.match(again.head, { count: 1, transaction: 2, at: 6 })
  t.strictSame(Buffer.from(again.read([keyPlace(1, ID)])[0]?.value ?? []).toString(), 'two')
  t.strictSame(again.read([keyPlace(2, ID)])[0]?.value, null)
})

t.test('rows are walked in blocks, each once', async t => {
  const store = new Store(createDirectory(t))
  t.teardown(() => store.close())
  const entries = Array.from({ length: 10_000 }, (_, i) => ({ key: keyPlace(1, id(i)), value: bytes(`${i}`) }))
  store.commit(pack(entries), 1)
  const seen: string[] = []
  for (let block = store.block(); block !== undefined; block = store.block(block.last)) {
    for (const { value } of unpack(block.rows)) seen.push(Buffer.from(value ?? []).toString())
  }
  t.strictSame(
    seen,
    entries.map(({ value }) => value.toString())
  )
})

t.test('rows of a pool that is gone leave in parts, and those of no other', async t => {
  const store = new Store(createDirectory(t))
  t.teardown(() => store.close())
  for (const incarnation of [1, 255, 256]) {
    store.commit(pack([0, 1, 2].map(i => ({ key: keyPlace(incarnation, id(i)), value: bytes('x') }))), 1)
  }
  const [keys] = prefixesOf(255)
  t.match(store.purge(keys as Uint8Array, 2), { left: true, transaction: 4 })
  t.equal(store.head.count, 7)
  t.match(store.purge(keys as Uint8Array, 2), { left: false, transaction: 5 })
  t.equal(store.head.count, 6)
  store.check()
})

t.test('a file that is mostly empty is written anew, with all that lives', async t => {
  const store = new Store(createDirectory(t))
  t.teardown(() => store.close())
  const entries = Array.from({ length: 20_000 }, (_, i) => ({ key: keyPlace(1, id(i)), value: Buffer.alloc(1000, i) }))
  for (let i = 0; i < entries.length; i += 1000) store.commit(pack(entries.slice(i, i + 1000)), 1)
  t.equal(await store.compact(), false)
  store.commit(pack(entries.slice(10).map(({ key }) => ({ key, value: null }))), 2)
  const { head } = store
  t.equal(await store.compact(), true)
  t.strictSame(store.head, head)
  store.check()
  t.same(store.read([keyPlace(1, id(9))])[0]?.value, entries[9]?.value)
  t.equal(await store.compact(), false)
})

t.test('a store in a thread of its own does the same', async t => {
  const directory = createDirectory(t)
  const store = new ThreadedStore(directory, ENTRY)
  t.teardown(() => store.close())
  t.match(await store.open(), { count: 0 })
  await store.commit([{ key: keyPlace(1, ID), value: bytes('one') }], 5)
  t.equal(Buffer.from((await store.read([keyPlace(1, ID)]))[0]?.value ?? []).toString(), 'one')
  t.match(await store.reopen(), { count: 1, at: 5 })
  t.equal([...unpack((await store.block())?.rows ?? new Uint8Array())].length, 1)
  t.match(await store.purge(prefixesOf(1)[0] as Uint8Array, 10), { left: false })
  t.equal(await store.compact(), false)
  t.equal(await store.block(), undefined)
  await store.close()
  await t.rejects(store.read([]), /ended/)
})

t.test("what the thread's store refuses is told with its name", async t => {
  const store = new ThreadedStore(`${createDirectory(t)}/nowhere/at/all\0`, ENTRY)
  t.teardown(() => store.close())
  await t.rejects(store.read([]), /not open/)
  await t.rejects(store.open(), { name: /Error/, message: /null bytes/ })
})

t.test('the file is readable for its user alone', async t => {
  const directory = createDirectory(t)
  const store = new Store(directory)
  t.teardown(() => store.close())
  t.equal(statSync(join(directory, 'data.mdb')).mode & 0o777, 0o600)
})

t.test('a store whose file is gone, or is another, is not opened again', async t => {
  const directory = createDirectory(t)
  const store = new Store(directory)
  t.teardown(() => store.close())
  store.commit(pack([{ key: keyPlace(1, ID), value: bytes('one') }]), 1)
  await store.reopen()
  t.equal(store.head.count, 1)
  rmSync(join(directory, 'data.mdb'))
  await t.rejects(store.reopen(), /data\.mdb is damaged: it is gone/)
  const other = new Store(createDirectory(t))
  await other.close()
  cpSync(join(other.directory, 'data.mdb'), join(directory, 'data.mdb'))
  await t.rejects(store.reopen(), /ends with transaction 0, not with 1/)
})
