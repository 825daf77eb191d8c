import { cpSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'
import { DurableEngine } from '../../src/durable/engine.ts'
import { type Entry, pack } from '../../src/durable/entries.ts'
import { Store } from '../../src/durable/store.ts'
import type { Head, RowStore, Scan } from '../../src/durable/row-store.ts'
import { cryptoRandom } from '../../src/pool/random.ts'
import { turns } from './create-engine.ts'
import { ManualClock } from './manual-clock.ts'

/** A new directory, removed with the test. */
export function createDirectory(t: Pick<Test, 'teardown'>): string {
  const directory = mkdtempSync(join(tmpdir(), 'keypool-'))
  t.teardown(() => rmSync(directory, { recursive: true, force: true }))
  return directory
}

/** A Store on a real disk, in the test's own thread, that fails on demand. */
export class FaultyStore implements RowStore {
  readonly #directory: string
  #store: Store | undefined
  /** While set, nothing is written; `reads` also fail where asked for. */
  fault: { message: string; reads?: boolean } | undefined
  /** How many commits there were, and rows in them. */
  commits = 0
  rows = 0
  /** While set, commits do not end. */
  hold: Promise<void> | undefined

  /** The store is lost. */
  lose: (error: Error) => void = () => undefined
  readonly lost = new Promise<Error>(resolve => (this.lose = resolve))

  constructor(directory: string) {
    this.#directory = directory
  }

  get head(): Head | undefined {
    return this.#store?.head
  }

  async scan(): Promise<Scan> {
    this.#store = new Store(this.#directory)
    return this.#store.scan()
  }

  async open(): Promise<Head> {
    return this.#opened.head
  }

  async commit(entries: readonly Entry[], at: number): Promise<number> {
    // As from another thread: the answer takes turns of the event loop.
    await turns()
    await this.hold
    if (this.fault !== undefined) throw new Error(this.fault.message)
    const transaction = this.#opened.commit(pack(entries), at)
    this.commits++
    this.rows += entries.length
    await turns()
    return transaction
  }

  async purge(prefix: Uint8Array, limit: number): Promise<{ left: boolean; transaction: number }> {
    if (this.fault !== undefined) throw new Error(this.fault.message)
    return this.#opened.purge(prefix, limit)
  }

  async read(keys: readonly Uint8Array[]): Promise<Entry[]> {
    await turns()
    if (this.fault?.reads) throw new Error(this.fault.message)
    return this.#opened.read(keys)
  }

  async compact(): Promise<boolean> {
    return this.#opened.compact()
  }

  async reopen(): Promise<Head> {
    await this.#opened.reopen()
    return this.#opened.head
  }

  async close(): Promise<void> {
    await this.#store?.close()
    this.#store = undefined
  }

  get #opened(): Store {
    if (this.#store === undefined) throw new Error('the store is not open')
    return this.#store
  }
}

export interface Told {
  level: 'info' | 'warn' | 'error'
  message: string
}

/** A durable engine whose time is the test's own. */
export async function createDurable(
  t: Pick<Test, 'teardown' | 'error'>,
  {
    directory = createDirectory(t),
    clock = new ManualClock(),
    store = new FaultyStore(directory),
    random = cryptoRandom()
  } = {}
) {
  const told: Told[] = []
  const tell =
    (level: Told['level']) =>
    (_members: object, message: string): void =>
      void told.push({ level, message })
  const engine = new DurableEngine({
    directory,
    clock,
    store,
    random,
    log: { info: tell('info'), warn: tell('warn'), error: tell('error') },
    onFault: error => t.error(error)
  })
  t.teardown(() => engine.close())
  await engine.start()

  /** The engine as it comes back after it was killed now, `downMs` later by the machine's clock. */
  async function crash(downMs = 0) {
    const copy = createDirectory(t)
    cpSync(directory, copy, { recursive: true })
    const later = new ManualClock()
    later.advance(clock.now() - later.now() + Math.max(0, downMs))
    if (downMs < 0) later.setBack(-downMs)
    return createDurable(t, { directory: copy, clock: later })
  }

  return { engine, clock, store, told, crash, directory }
}

export type DurableOfTest = Awaited<ReturnType<typeof createDurable>>
