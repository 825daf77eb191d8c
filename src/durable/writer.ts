import type { Clock } from '../clock.ts'
import type { EngineJournal, JournaledPool, KeptCall, SavedResults } from '../memory/engine-journal.ts'
import { Changes } from './changes.ts'
import type { Entry } from './entries.ts'
import type { Image } from './image.ts'
import { prefixesOf, trialPlace } from './layout.ts'
import type { RowStore } from './row-store.ts'

/** How many keys that aged, and results that ended, a group takes along at most. */
const LATER_PER_GROUP = 200
/** How many rows of a pool that is gone are removed at a time. */
const PURGED_AT_ONCE = 200
/** Of so many groups one has a part of what is to be removed after it, also where the next one waits. */
const PURGED_EACH = 8
/** How much is tried after a failure, at most: where that fits, most calls do, also beside one that is too large. */
const TRIAL_BYTES = 4096
/** After a failure, when to try again. */
const RETRY_MS = 1000
/** How long a write may take before the service counts as not ready. */
const SLOW_MS = 2000

export interface WriterOptions {
  store: RowStore
  clock: Clock
  /** Told when the store can't be written, before anything is taken back, and when it can again. */
  onFailure: (error: Error) => void
  onMended: () => void
  /** Told the number of each transaction once it is on disk. */
  onCommitted: (transaction: number) => void
  /** Told at once that keys have retired at their deadline. */
  onAged: () => void
}

/** Those who wait until a group is written: true once it is on disk, false where it was taken back. */
class Group {
  readonly changes = new Changes()
  readonly written: Promise<boolean>
  #settle: (written: boolean) => void = () => undefined

  constructor() {
    this.written = new Promise(settle => (this.#settle = settle))
  }

  settle(written: boolean): void {
    this.#settle(written)
  }
}

/**
 * HOW CHANGES REACH THE DISK
 *
 * Verbs change memory at once, and tell here what they touched. All that was touched in one turn of the event loop, or
 * while the last write was under way, is one group and shares one transaction and one sync (group commit). The answers of
 * a group leave when it is on disk.
 *
 * Where the disk refuses, everything since the last good group is taken back in memory from what the disk has, its
 * callers are refused, and so is whoever comes, until a write goes through again: once a second one is tried.
 *
 * Keys that retired at their deadline, and results that ended, are written without anybody waiting: after a crash they
 * would end again by themselves. A million of them at once are spread over many groups.
 */
export class Writer implements EngineJournal {
  readonly #store: RowStore
  readonly #clock: Clock
  readonly #onFailure: (error: Error) => void
  readonly #onMended: () => void
  readonly #onAged: () => void
  readonly #onCommitted: (transaction: number) => void
  #pending = new Group()
  #writing: Group | undefined
  #writingSince = 0
  #scheduled = false
  /** What nobody waits for. */
  readonly #later = new Changes()
  readonly #gone: Uint8Array[] = []
  #groups = 0
  /** The last that is on disk. */
  #transaction = 0
  /** Nothing is written before it is there. */
  #image: Image | undefined
  #failure: Error | undefined
  #closed = false

  constructor({ store, clock, onFailure, onMended, onAged, onCommitted }: WriterOptions) {
    this.#store = store
    this.#clock = clock
    this.#onFailure = onFailure
    this.#onMended = onMended
    this.#onAged = onAged
    this.#onCommitted = onCommitted
  }

  /** From now on changes are written, also those that were told before. */
  begin(image: Image, transaction: number): void {
    this.#image = image
    this.#transaction = transaction
    this.#schedule()
  }

  /** Why nothing can be written at present. */
  get failure(): Error | undefined {
    return this.#failure
  }

  /** How long the present write has taken so far, in milliseconds, where that is too long; else 0. */
  get slowMs(): number {
    const ms = this.#writing === undefined ? 0 : this.#clock.now() - this.#writingSince
    return ms < SLOW_MS ? 0 : ms
  }

  keyChanged(pool: JournaledPool, id: string): void {
    this.#pending.changes.key(pool, id)
    this.#schedule()
  }

  keyAged(pool: JournaledPool, id: string): void {
    this.#later.key(pool, id)
    this.#onAged()
    this.#schedule()
  }

  poolChanged(pool: JournaledPool): void {
    this.#pending.changes.pools.add(pool)
    this.#schedule()
  }

  poolDeleted(): void {
    // Its end was written before: see DurableEngine.
  }

  resultKept<C extends KeptCall>(pool: JournaledPool, call: C, scope: string, saved: SavedResults[C]): void {
    this.#later.forgetResult(pool, call, scope)
    this.#pending.changes.result(pool, { call, scope, saved })
    this.#schedule()
  }

  resultDropped(pool: JournaledPool, call: KeptCall, scope: string): void {
    this.#pending.changes.forgetResult(pool, call, scope)
    this.#later.result(pool, { call, scope, saved: undefined })
    this.#schedule()
  }

  /** The rows of a pool that is gone are removed by and by. */
  purge(incarnation: number): void {
    this.#gone.push(...prefixesOf(incarnation))
    this.#schedule()
  }

  /**
   * Resolved with true when all that has been told so far is on disk, with false when it was taken back; undefined where
   * there is nothing to wait for.
   */
  written(): Promise<boolean> | undefined {
    return this.#pending.changes.isEmpty ? this.#writing?.written : this.#pending.written
  }

  /** Writes what is left. */
  async close(): Promise<void> {
    while (this.#failure === undefined && this.written() !== undefined) await this.written()
    this.#closed = true
  }

  #schedule(): void {
    const image = this.#image
    if (image === undefined || this.#scheduled || this.#writing || this.#failure || this.#closed) return
    this.#scheduled = true
    this.#clock.soon(() => {
      this.#scheduled = false
      void this.#write(image)
    })
  }

  async #write(image: Image): Promise<void> {
    if (this.#closed || this.#isIdle()) return
    const group = this.#pending
    this.#pending = new Group()
    this.#writing = group
    this.#writingSince = this.#clock.now()
    const later = this.#later.take(LATER_PER_GROUP)
    const entries = image.entriesOf(later, group.changes)
    try {
      this.#committed(await this.#store.commit(entries, this.#clock.now()))
    } catch (error) {
      await this.#fail(error as Error, image, group, later, bytesOf(entries))
      return
    }
    group.settle(true)
    try {
      if (group.changes.isEmpty || ++this.#groups % PURGED_EACH === 0) await this.#purgeSome()
    } catch (error) {
      await this.#fail(error as Error, image, new Group(), new Changes(), 0)
      return
    }
    this.#writing = undefined
    this.#schedule()
  }

  #committed(transaction: number): void {
    this.#transaction = transaction
    this.#onCommitted(transaction)
  }

  #isIdle(): boolean {
    return this.#pending.changes.isEmpty && this.#later.isEmpty && this.#gone.length === 0
  }

  async #purgeSome(): Promise<void> {
    const [prefix] = this.#gone
    if (prefix === undefined) return
    const { left, transaction } = await this.#store.purge(prefix, PURGED_AT_ONCE)
    this.#committed(transaction)
    if (!left) this.#gone.shift()
  }

  async #fail(error: Error, image: Image, group: Group, later: Changes, bytes: number): Promise<void> {
    this.#failure = error
    this.#onFailure(error)
    // Nobody waits for these: they are written another time.
    this.#later.add(later, this.#pending.changes)
    const refused: Group[] = [group]
    const touched = new Changes()
    touched.add(group.changes)
    let isTakenBack = false
    // What verbs that were under way have changed since goes the same way.
    const refusePending = (): void => {
      if (this.#pending.changes.isEmpty) return
      refused.push(this.#pending)
      touched.add(this.#pending.changes)
      this.#pending = new Group()
      isTakenBack = false
    }
    const settle = (): void => {
      this.#writing = undefined
      for (const each of refused.splice(0)) each.settle(false)
    }
    for (;;) {
      try {
        const { transaction } = await this.#store.reopen()
        if (transaction > this.#transaction) {
          // It was on disk in spite of the error. What came since is taken back all the same.
          this.#committed(transaction)
          group.settle(true)
        }
        for (refusePending(); !isTakenBack; refusePending()) {
          await image.takeBack(touched, this.#store)
          isTakenBack = true
          settle()
        }
        // As much as was refused: what is smaller may still fit on a disk that is full.
        for (const value of [new Uint8Array(Math.min(bytes, TRIAL_BYTES)), null]) {
          this.#committed(await this.#store.commit([{ key: trialPlace, value }], this.#clock.now()))
        }
        break
      } catch (again) {
        this.#failure = again as Error
        // They need not wait for the disk to be read again: nothing is changed until it is.
        refusePending()
        settle()
        if (this.#closed) return
        await new Promise<void>(goOn => this.#clock.after(RETRY_MS, goOn))
      }
    }
    this.#failure = undefined
    this.#onMended()
    this.#schedule()
  }
}

/** What rows take in a transaction, about. */
function bytesOf(entries: readonly Entry[]): number {
  return entries.reduce((sum, { key, value }) => sum + key.length + (value?.length ?? 0), 0)
}
