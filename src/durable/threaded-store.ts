import { Worker } from 'node:worker_threads'
import { type Entry, pack } from './entries.ts'
import type { Head, RowStore, Scan } from './row-store.ts'
import { StoreScan } from './scan.ts'

export type Call = { number: number } & (
  | { verb: 'open' | 'compact' | 'reopen' | 'close' }
  | { verb: 'commit'; rows: Uint8Array; at: number }
  | { verb: 'purge'; prefix: Uint8Array; limit: number }
  | { verb: 'read'; keys: readonly Uint8Array[] }
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
  /** Resolved where the thread has ended by itself: what LMDB has open in this process is in no known state then. */
  readonly lost: Promise<Error>
  readonly #directory: string
  readonly #worker: Worker
  readonly #waiting = new Map<number, Waiting>()
  #calls = 0
  #ended: Error | undefined
  #scan: StoreScan | undefined
  #closing = false

  /** `entry` is the file that the thread runs. */
  constructor(directory: string, entry = ENTRY) {
    this.#directory = directory
    this.#worker = new Worker(entry, { workerData: directory })
    this.#worker.on('message', ({ call, value, error }: Reply) => {
      const waiting = this.#waiting.get(call)
      this.#waiting.delete(call)
      if (error === undefined) waiting?.resolve(value)
      else waiting?.reject(new StoreError(error))
    })
    this.lost = new Promise(resolve => {
      const end = (error: Error): void => {
        this.#end(error)
        if (!this.#closing) resolve(error)
      }
      this.#worker.on('error', error => end(new Error(`the store's thread has ended: ${error.message}`)))
      this.#worker.on('exit', () => end(new Error("the store's thread has ended")))
    })
  }

  async scan(): Promise<Scan> {
    this.#scan = new StoreScan(this.#directory)
    return this.#scan.read()
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

  compact(): Promise<boolean> {
    return this.#call({ verb: 'compact' })
  }

  reopen(): Promise<Head> {
    return this.#call({ verb: 'reopen' })
  }

  async close(): Promise<void> {
    this.#closing = true
    await this.#scan?.close()
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
