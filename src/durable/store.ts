import { chmodSync, closeSync, existsSync, fsyncSync, mkdirSync, openSync, renameSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { pid } from 'node:process'
import { ABORT, open, type RootDatabase } from 'lmdb'
import { CHECKSUM, checksumOf } from './checksum.ts'
import { type Entry, pack, unpack } from './entries.ts'
import { decodeHead, encodeHead, HEAD } from './head.ts'
import { enginePlace, FILE, POOLS } from './layout.ts'
import { Packer } from './packer.ts'
import type { Head } from './row-store.ts'

/** Addresses are reserved for so many bytes; the file takes what is in it. */
const MAP_BYTES = 2 ** 36
/** Where a compact copy is made. What is left of one that was interrupted is in nobody's way. */
const COPY = 'compacting'
/** A file smaller than this is not worth a copy. */
const COMPACTED_FROM_BYTES = 16 * 2 ** 20
const SUM_MODULUS = 2 ** 48
const ALTERED = 'a row is not what was written'

/** The data is not what was written. */
export class DamagedStore extends Error {}

/** Another process has the directory. */
export class StoreInUse extends Error {}

/**
 * A directory with one LMDB file of rows, the only place that knows LMDB. Synchronous: it lives in a thread of its own
 * (see ThreadedStore).
 *
 * Each row carries a checksum of its key and value, since LMDB has none, and the head knows how many rows there are and
 * what their checksums add up to.
 */
export class Store {
  readonly directory: string
  #database: RootDatabase<Buffer, Buffer>
  #head: Head

  /** Opens, or makes, the file of a directory. Throws StoreInUse or DamagedStore. */
  constructor(directory: string) {
    this.directory = directory
    this.#database = openDatabase(directory)
    const others = otherProcesses(this.#database)
    if (others.length > 0) {
      void this.#database.close()
      throw new StoreInUse(`${directory} is in use by process ${others.join(', ')}: two may not share a directory`)
    }
    this.#head = this.#readHead()
    // After a power failure, the file must still have its name.
    if (this.#head.transaction === 0) sync(directory)
  }

  get head(): Readonly<Head> {
    return this.#head
  }

  /** Writes rows, all or none. Returns the transaction's number when they are on disk. Throws where they could not be written. */
  commit(rows: Uint8Array, at: number): number {
    const head = { ...this.#head, at, transaction: this.#head.transaction + 1 }
    this.#database.transactionSync(() => {
      for (const { key, value } of unpack(rows)) this.#put(head, key, value)
      this.#database.putSync(asBuffer(HEAD), encodeHead(head))
    })
    this.#head = head
    return head.transaction
  }

  /** Removes rows whose keys begin with a prefix, up to `limit`; returns whether more are left, and the last transaction. */
  purge(prefix: Uint8Array, limit: number): { left: boolean; transaction: number } {
    const keys = [...this.#database.getKeys({ start: asBuffer(prefix), end: after(prefix), limit })]
    if (keys.length > 0) this.commit(pack(keys.map(key => ({ key, value: null }))), this.#head.at)
    return { left: keys.length === limit, transaction: this.#head.transaction }
  }

  /** The rows of these keys, in order; null where there is none. */
  read(keys: readonly Uint8Array[]): Entry[] {
    return keys.map(key => ({ key, value: this.#get(key) }))
  }

  /** What there is, to be read from end to end. */
  scan(): { head: Readonly<Head>; pools: Uint8Array; blocks: Generator<Buffer> } {
    return { head: this.#head, pools: pack(this.read(this.#firstWritten())), blocks: this.#blocks() }
  }

  /**
   * Does what the first commit of a start will, and drops it: of LMDB's own pages, as those that list the free ones, only
   * a writer looks at some, and a damaged one may end its process.
   */
  rehearse(): void {
    this.#database.transactionSync(() => {
      for (const key of [asBuffer(HEAD), ...this.#firstWritten()]) {
        const value = this.#database.getBinary(key)
        if (value !== undefined) this.#database.putSync(key, value)
      }
      return ABORT
    })
  }

  /** The places of the engine and its pools, which each start writes. */
  #firstWritten(): Buffer[] {
    const pools = this.#database.getKeys({ start: asBuffer(POOLS), end: after(POOLS) })
    return [asBuffer(enginePlace), ...pools]
  }

  /**
   * All rows in order, in blocks that are good until the next. Throws DamagedStore, at the latest when all have been
   * given: they are the ones that were written, all of them, only if it has not.
   */
  *#blocks(): Generator<Buffer> {
    let count = 0
    let sum = 0
    const packer = new Packer()
    for (const { key, value } of this.#database.getRange({ start: asBuffer(HEAD), exclusiveStart: true })) {
      if (value.length < CHECKSUM) this.#fail(ALTERED)
      const checksum = value.readUInt32LE(0)
      if (packer.add(key, value, CHECKSUM) !== checksum) this.#fail(ALTERED)
      count++
      sum = (sum + checksum) % SUM_MODULUS
      if (packer.isFull) yield packer.take()
    }
    yield packer.take()
    if (count !== this.#head.count || sum !== this.#head.sum) {
      this.#fail(`it has ${count} of ${this.#head.count} rows, or others than were written`)
    }
  }

  /**
   * Forgets what LMDB may hold of a transaction that failed. The head tells whether that is on disk all the same. Throws
   * where what was on disk before is not: a volume may be gone, and its empty mount point in its place.
   */
  async reopen(): Promise<void> {
    await this.#database.close()
    const { transaction } = this.#head
    if (transaction > 0 && !existsSync(join(this.directory, FILE))) throw this.#damaged('it is gone')
    this.#database = openDatabase(this.directory)
    const head = this.#readHead()
    if (head.transaction !== transaction && head.transaction !== transaction + 1) {
      throw this.#damaged(`it ends with transaction ${head.transaction}, not with ${transaction}`)
    }
    this.#head = head
  }

  /**
   * Writes the file anew without the pages that hold nothing, where these are most of it: LMDB itself never shrinks its
   * file, and what was deleted is in such pages still. Returns whether it did. Not for a store that others read.
   */
  async compact(): Promise<boolean> {
    const path = join(this.directory, FILE)
    const { pageSize, ...pages } = this.#database.getStats() as Statistics
    const used = (pages.treeBranchPageCount + pages.treeLeafPageCount + pages.overflowPages) * pageSize
    const { size } = statSync(path)
    if (size < COMPACTED_FROM_BYTES || used * 2 > size) return false
    const copy = join(this.directory, COPY)
    rmSync(copy, { recursive: true, force: true })
    mkdirSync(copy, { mode: 0o700 })
    try {
      await this.#database.backup(copy, true)
      sync(join(copy, FILE))
      await this.#database.close()
      renameSync(join(copy, FILE), path)
      sync(this.directory)
    } finally {
      rmSync(copy, { recursive: true, force: true })
      await this.reopen()
    }
    return true
  }

  async close(): Promise<void> {
    await this.#database.close()
  }

  #put(head: Head, key: Uint8Array, payload: Uint8Array | null): void {
    const place = asBuffer(key)
    const old = this.#database.getBinary(place)
    if (old !== undefined) {
      head.count--
      head.sum = (head.sum - old.readUInt32LE(0) + SUM_MODULUS) % SUM_MODULUS
    }
    if (payload === null) {
      if (old !== undefined) this.#database.removeSync(place)
      return
    }
    const value = Buffer.allocUnsafe(CHECKSUM + payload.length)
    value.set(payload, CHECKSUM)
    value.writeUInt32LE(checksumOf(key, payload), 0)
    this.#database.putSync(place, value)
    head.count++
    head.sum = (head.sum + value.readUInt32LE(0)) % SUM_MODULUS
  }

  #get(key: Uint8Array): Uint8Array | null {
    const value = this.#database.getBinary(asBuffer(key))
    return value === undefined ? null : this.#verified(key, value)
  }

  #verified(key: Uint8Array, value: Buffer): Uint8Array {
    const payload = value.subarray(CHECKSUM)
    if (value.length < CHECKSUM || value.readUInt32LE(0) !== checksumOf(key, payload)) {
      this.#fail(ALTERED)
    }
    return payload
  }

  #readHead(): Head {
    const bytes = this.#database.getBinary(asBuffer(HEAD))
    if (bytes !== undefined) return decodeHead(bytes) ?? this.#fail('its head is not what was written')
    // Without a head there must be nothing: the head comes with the first row.
    for (const _ of this.#database.getKeys({ limit: 1 })) this.#fail('it has no head')
    return { count: 0, sum: 0, transaction: 0, at: 0 }
  }

  #fail(why: string): never {
    throw this.#damaged(why)
  }

  #damaged(why: string): DamagedStore {
    return new DamagedStore(`${join(this.directory, FILE)} is damaged: ${why}`)
  }
}

/** Of what LMDB tells about a database, typed as a bare object. */
interface Statistics {
  pageSize: number
  treeBranchPageCount: number
  treeLeafPageCount: number
  overflowPages: number
}

/** When it returns, a file, or the names in a directory, are on disk. */
function sync(path: string): void {
  const descriptor = openSync(path, 'r')
  try {
    fsyncSync(descriptor)
  } finally {
    closeSync(descriptor)
  }
}

function openDatabase(directory: string): RootDatabase<Buffer, Buffer> {
  const database = open<Buffer, Buffer>({
    path: directory,
    noSubdir: false,
    encoding: 'binary',
    keyEncoding: 'binary',
    mapSize: MAP_BYTES,
    // A commit returns when it is on disk, not before.
    overlappingSync: false,
    cache: false
  })
  // There are secrets in it.
  chmodSync(join(directory, FILE), 0o600)
  return database
}

/**
 * The processes besides this one that have the database open. LMDB holds a lock of the kernel for each process in its
 * table of readers, so that one that was killed is not in it any more.
 */
function otherProcesses(database: RootDatabase<Buffer, Buffer>): number[] {
  // Enters this process into the table: the place stays its own when the reading is done.
  database.useReadTransaction().done()
  database.getBinary(asBuffer(HEAD))
  // In the types, both are missing.
  const readers = database as unknown as { readerCheck(): number; readerList(): string }
  readers.readerCheck()
  return [...readers.readerList().matchAll(/^\s*(\d+) /gm)]
    .map(match => Number(match[1]))
    .filter(reader => reader !== pid)
}

/** The first key that does not begin with a prefix. */
function after(prefix: Uint8Array): Buffer {
  const end = Buffer.from(prefix)
  for (let i = end.length - 1; i >= 0; i--) {
    const byte = end[i] as number
    end[i] = (byte + 1) & 255
    if (byte < 255) break
  }
  return end
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
}
