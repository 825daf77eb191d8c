import { Worker } from 'node:worker_threads'
import { type Entry, pack } from './entries.ts'

/** What a store knows of itself. */
export interface Head {
  /** How many rows there are. */
  count: number
  /** The sum of their checksums: a row that is lost, or comes back, is noticed. */
  sum: number
  /** How many transactions there have been. */
  transaction: number
  /** The engine's time at the last of them; 0 where there was none. */
  at: number
}

/** Rows on a disk, as the engine uses them. A promise is rejected where the disk fails; nothing has changed then. */
export interface RowStore {
  /** Opens what there is, or makes it. */
  open(): Promise<Head>
  /** Writes rows, all or none, with the engine's time. Resolved with the transaction's number when they are on disk. */
  commit(entries: readonly Entry[], at: number): Promise<number>
  /** Removes rows whose keys begin with a prefix, up to `limit`; tells whether more are left, and the last transaction. */
  purge(prefix: Uint8Array, limit: number): Promise<{ left: boolean; transaction: number }>
  /** The rows of these keys, in order. */
  read(keys: readonly Uint8Array[]): Promise<Entry[]>
  /** Some rows after a key, in order, packed, and the key of the last of them; undefined at the end. */
  block(after?: Uint8Array): Promise<{ rows: Uint8Array; last: Uint8Array } | undefined>
  /** Gives space back that nothing is written in, where that is much. Tells whether it did. */
  compact(): Promise<boolean>
  /** After a failure: forgets what was not written. */
  reopen(): Promise<Head>
  close(): Promise<void>
}

export type Call = { number: number } & (
  | { verb: 'open' | 'compact' | 'reopen' | 'close' }
  | { verb: 'commit'; rows: Uint8Array; at: number }
  | { verb: 'purge'; prefix: Uint8Array; limit: number }
  | { verb: 'read'; keys: readonly Uint8Array[] }
  | { verb: 'block'; after: Uint8Array | undefined }
)

export interface Reply {
  call: number
  value?: unknown
  error?: { name: string; message: string }
}

interface Waiting {
  resolve(value: unknown): void
  reject(error: Error): void
}

/** Thrown by whatever the store's thread refuses; `name` is that of the error there. */
export class StoreError extends Error {
  constructor({ name, message }: { name: string; message: string }) {
    super(message)
    this.name = name
  }
}

/** The same file, before and after compilation. */
const ENTRY = new URL(import.meta.url.replace(/threaded-store(\.[jt]s)$/, 'store-thread$1'))

/** A Store in a thread of its own, so that nobody waits for the disk but those whose changes it writes. */
export class ThreadedStore implements RowStore {
  readonly #worker: Worker
  readonly #waiting = new Map<number, Waiting>()
  #calls = 0
  #ended: Error | undefined

  /** `entry` is the file that the thread runs. */
  constructor(directory: string, entry = ENTRY) {
    this.#worker = new Worker(entry, { workerData: directory })
    this.#worker.on('message', ({ call, value, error }: Reply) => {
      const waiting = this.#waiting.get(call)
      this.#waiting.delete(call)
      if (error === undefined) waiting?.resolve(value)
      else waiting?.reject(new StoreError(error))
    })
    this.#worker.on('error', error => this.#end(error))
    this.#worker.on('exit', () => this.#end(new Error("the store's thread has ended")))
  }

  open(): Promise<Head> {
    return this.#call({ verb: 'open' })
  }

  commit(entries: readonly Entry[], at: number): Promise<number> {
    const rows = pack(entries)
    return this.#call({ verb: 'commit', rows, at }, [rows.buffer])
  }

  purge(prefix: Uint8Array, limit: number): Promise<{ left: boolean; transaction: number }> {
    return this.#call({ verb: 'purge', prefix, limit })
  }

  read(keys: readonly Uint8Array[]): Promise<Entry[]> {
    return this.#call({ verb: 'read', keys })
  }

  block(after?: Uint8Array): Promise<{ rows: Uint8Array; last: Uint8Array } | undefined> {
    return this.#call({ verb: 'block', after })
  }

  compact(): Promise<boolean> {
    return this.#call({ verb: 'compact' })
  }

  reopen(): Promise<Head> {
    return this.#call({ verb: 'reopen' })
  }

  async close(): Promise<void> {
    if (this.#ended === undefined) await this.#call({ verb: 'close' })
    await this.#worker.terminate()
  }

  /** What the thread answers with is what the verb says. */
  #call<T>(call: Unnumbered<Call>, transfer: ArrayBuffer[] = []): Promise<T> {
    if (this.#ended !== undefined) return Promise.reject(this.#ended)
    const number = ++this.#calls
    return new Promise<T>((resolve, reject) => {
      this.#waiting.set(number, { resolve: resolve as Waiting['resolve'], reject })
      this.#worker.postMessage({ ...call, number }, transfer)
    })
  }

  #end(error: Error): void {
    this.#ended ??= error
    for (const { reject } of this.#waiting.values()) reject(this.#ended)
    this.#waiting.clear()
  }
}

type Unnumbered<C> = C extends { number: number } ? Omit<C, 'number'> : never
