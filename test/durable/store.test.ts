import { cpSync, readFileSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { crc32 } from 'node:zlib'
import fc from 'fast-check'
import t from 'tap'
import { checksumWithin } from '../../src/durable/checksum.ts'
import { pack, unpack } from '../../src/durable/entries.ts'
import { enginePlace, keyPlace, placeOf, poolPlace, prefixesOf, resultPlace } from '../../src/durable/layout.ts'
import { Store } from '../../src/durable/store.ts'
import type { Scan } from '../../src/durable/row-store.ts'
import { ThreadedStore } from '../../src/durable/threaded-store.ts'
import { createDirectory } from '../support/create-durable.ts'
import { turns } from '../support/create-engine.ts'

/** All rows of a store, read from end to end. */
async function rowsOf({ blocks }: Scan): Promise<[key: string, value: string][]> {
  const rows: [string, string][] = []
  for await (const block of blocks) {
    for (const { key, value } of unpack(block)) rows.push([text(key), text(value ?? bytes('none'))])
  }
  return rows
}

/** tsx does not reach into threads by itself. */
const ENTRY = new URL('../support/store-thread.js', import.meta.url)
const ID = 'a'.repeat(22)
const bytes = (text: string): Buffer => Buffer.from(text)
const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString('latin1')
const id = (i: number): string => String(i).padStart(22, '0')

t.test('the checksum of a part of a buffer is that of zlib', async () => {
  const parts = fc.tuple(fc.uint8Array({ maxLength: 300 }), fc.nat(10), fc.nat(10))
  fc.assert(
    fc.property(parts, ([bytes, before, after]) => {
      const padded = Buffer.concat([Buffer.alloc(before, 'x'), bytes, Buffer.alloc(after, 'y')])
      return checksumWithin(padded, before, before + bytes.length) === crc32(bytes)
    }),
    { seed: 3 }
  )
})

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
  t.strictSame(await rowsOf(store.scan()), [])
  store.commit(pack([{ key: keyPlace(1, ID), value: bytes('one') }]), 5)
  store.commit(pack([{ key: keyPlace(1, ID), value: bytes('two') }]), 6)
  await store.close()

  const again = new Store(directory)
  t.teardown(() => again.close())
  t.strictSame(await rowsOf(again.scan()), [[text(keyPlace(1, ID)), 'two']])
  t.match(again.head, { count: 1, transaction: 2, at: 6 })
  t.strictSame(Buffer.from(again.read([keyPlace(1, ID)])[0]?.value ?? []).toString(), 'two')
  t.strictSame(again.read([keyPlace(2, ID)])[0]?.value, null)
})

t.test('rows are scanned in blocks, in order, each once; those of pools can be had before', async t => {
  const store = new Store(createDirectory(t))
  t.teardown(() => store.close())
  const entries = Array.from({ length: 10_000 }, (_, i) => ({ key: keyPlace(1, id(i)), value: bytes(`${i}`) }))
  const others = [
    { key: poolPlace(1), value: bytes('a pool') },
    { key: resultPlace(1, 'batch', 'scope'), value: Buffer.alloc(200_000, 'x') }
  ]
  store.commit(pack([...entries, ...others, { key: enginePlace, value: bytes('the engine') }]), 1)
  const { pools, blocks } = store.scan()
  t.strictSame(
    [...unpack(pools)].map(({ value }) => text(value ?? bytes('none'))),
    ['the engine', 'a pool']
  )
  let count = 0
  const counted = (function* () {
    for (const block of blocks) {
      count++
      yield block
    }
  })()
  const rows = await rowsOf({ head: store.head, pools, blocks: counted })
  t.strictSame(
    rows.map(([, value]) => value),
    ['the engine', ...entries.map(({ value }) => text(value)), 'a pool', 'x'.repeat(200_000)]
  )
  t.ok(count > 2, `${count} blocks`)
})

t.test('a rehearsal changes nothing', async t => {
  const directory = createDirectory(t)
  const store = new Store(directory)
  t.teardown(() => store.close())
  store.rehearse()
  store.commit(pack([{ key: enginePlace, value: bytes('the engine') }]), 1)
  const file = readFileSync(join(directory, 'data.mdb'))
  const { head } = store
  store.rehearse()
  await store.reopen()
  t.strictSame(store.head, head)
  t.ok(readFileSync(join(directory, 'data.mdb')).equals(file))
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
  t.equal((await rowsOf(store.scan())).length, 6)
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
  t.equal((await rowsOf(store.scan())).length, 10)
  t.same(store.read([keyPlace(1, id(9))])[0]?.value, entries[9]?.value)
  t.equal(await store.compact(), false)
})

t.test('a store in a thread of its own does the same', async t => {
  const directory = createDirectory(t)
  const store = new ThreadedStore(directory, ENTRY)
  t.teardown(() => store.close())
  t.strictSame(await rowsOf(await store.scan()), [])
  t.match(await store.open(), { count: 0 })
  await store.commit([{ key: keyPlace(1, ID), value: bytes('one') }], 5)
  t.equal(Buffer.from((await store.read([keyPlace(1, ID)]))[0]?.value ?? []).toString(), 'one')
  t.match(await store.reopen(), { count: 1, at: 5 })
  t.match(await store.purge(prefixesOf(1)[0] as Uint8Array, 10), { left: false })
  t.equal(await store.compact(), false)
  t.match(await store.reopen(), { count: 0 })
  await store.close()
  await t.rejects(store.read([]), /ended/)
})

t.test("what the thread's store refuses is told with its name", async t => {
  const store = new ThreadedStore(`${createDirectory(t)}/nowhere/at/all\0`, ENTRY)
  t.teardown(() => store.close())
  await t.rejects(store.read([]), /not open/)
  await t.rejects(store.open(), { name: /Error/, message: /null bytes/ })
})

t.test('a thread that ends by itself is a loss, one that is closed is none', async t => {
  const dying = new URL(
    'data:text/javascript,import { parentPort } from "node:worker_threads"; parentPort.on("message", () => { throw new Error("no such luck") })'
  )
  const store = new ThreadedStore(createDirectory(t), dying)
  await t.rejects(store.open(), /thread has ended: no such luck/)
  t.match(await store.lost, { message: /no such luck/ })
  await t.rejects(store.reopen(), /no such luck/)
  await store.close()

  const other = new ThreadedStore(createDirectory(t), ENTRY)
  await other.open()
  await other.close()
  t.equal(await Promise.race([other.lost, turns(3).then(() => 'none')]), 'none')
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
