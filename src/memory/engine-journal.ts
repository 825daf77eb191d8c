import type { KeyRecord, Policy, RetiredRecord } from '../pool/key-pool.ts'
import type { KeptOutcome } from './batch.ts'

/** A pool without its keys. */
export interface SavedPool {
  readonly name: string
  /** Tells it from others that had its name. */
  readonly incarnation: number
  readonly policy: Readonly<Policy>
  /** The fence of its latest lease, or where its fences began. */
  readonly fence: number
  /** The serial of its latest key. */
  readonly serial: number
}

/** What an engine begins with where a former process left something. */
export interface SavedEngine {
  readonly pools: readonly SavedPool[]
  /** The largest fence of any pool that was deleted, and the largest incarnation that was given: 0 where none was. */
  readonly fence: number
  readonly incarnation: number
}

/** The results of calls with an Idempotency-Key, as they are kept: plain data without secrets. */
export interface SavedResults {
  /** The lease's id. */
  acquire: { readonly fingerprint: string; readonly result: string }
  /** The keys' ids, of generation or import. */
  keys: { readonly fingerprint: string; readonly until: number; readonly result: readonly string[] }
  batch: { readonly fingerprint: string; readonly until: number; readonly result: readonly KeptOutcome[] }
}
export type KeptCall = keyof SavedResults

/** What a journal may ask of a pool, at any time after it was told of it. */
export interface JournaledPool {
  readonly name: string
  readonly incarnation: number
  /** As it is now. O(1). */
  readonly saved: SavedPool
  /** What lasts about a key as it is now; undefined where nothing does. O(1). */
  record(id: string): KeyRecord | RetiredRecord | undefined
}

/**
 * HOW A MEMORY ENGINE OUTLASTS ITS PROCESS
 *
 * The journal is told of all that a later engine needs, at the moment it changes, in the middle of a verb or of the sweep:
 * it notes what has changed, and asks the pool how it stands when it writes. It must neither throw nor call a verb. A
 * pool's fence and serial grow with its keys' changes without a word: its row is written along with its keys.
 *
 * A later engine is made with SavedEngine; then each of its pools gets `restore` for every key, `restoreResult` for every
 * result, and `resume` at the end. Until its `resume` a pool is not swept, and no verb may be called on it.
 *
 * What could not be written is taken back in the same way, in one turn of the event loop, before anybody is answered.
 */
export interface EngineJournal {
  /** A pool was made, or its policy changed. */
  poolChanged(pool: JournaledPool): void
  /** A pool has ended, with all its keys and results: of these nothing is told. That can't be taken back. */
  poolDeleted(pool: JournaledPool): void
  /** A verb changed what lasts about a key. */
  keyChanged(pool: JournaledPool, id: string): void
  /** A key's life ended at its deadline: it is retired, and nobody asked for it. */
  keyAged(pool: JournaledPool, id: string): void
  /** `scope` tells the caller and its Idempotency-Key. A result may come in the place of an older one. */
  resultKept<C extends KeptCall>(pool: JournaledPool, call: C, scope: string, result: SavedResults[C]): void
  /** A result has ended, or had to go for newer ones. Told while results are restored, too. */
  resultDropped(pool: JournaledPool, call: KeptCall, scope: string): void
}
