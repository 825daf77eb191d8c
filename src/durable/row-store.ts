import type { Entry } from './entries.ts'

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

/** All that a store has, to be read from end to end, once. */
export interface Scan {
  head: Readonly<Head>
  /** The rows of the engine and its pools, packed. */
  pools: Uint8Array
  /** All rows in order, packed. Each block is good until the next. None counts before the last has come: see StoreScan. */
  blocks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>
}

/** Rows on a disk, as the engine uses them. A promise is rejected where the disk fails; nothing has changed then. */
export interface RowStore {
  /** Resolved, with why, where nothing can be read or written any more in this process. */
  readonly lost: Promise<Error>
  /** Checks what there is, before `open`. Rejected, as reading it is, with a message for people where it is damaged. */
  scan(): Promise<Scan>
  /** Opens what there is, or makes it. */
  open(): Promise<Head>
  /** Writes rows, all or none, with the engine's time. Resolved with the transaction's number when they are on disk. */
  commit(entries: readonly Entry[], at: number): Promise<number>
  /** Removes rows whose keys begin with a prefix, up to `limit`; tells whether more are left, and the last transaction. */
  purge(prefix: Uint8Array, limit: number): Promise<{ left: boolean; transaction: number }>
  /** The rows of these keys, in order. */
  read(keys: readonly Uint8Array[]): Promise<Entry[]>
  /** Gives space back that nothing is written in, where that is much. Tells whether it did. */
  compact(): Promise<boolean>
  /** After a failure: forgets what was not written. */
  reopen(): Promise<Head>
  close(): Promise<void>
}
