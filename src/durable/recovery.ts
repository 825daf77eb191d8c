import { setImmediate as turn } from 'node:timers/promises'
import type { SavedEngine } from '../memory/engine-journal.ts'
import type { MemoryEngine } from '../memory/engine.ts'
import type { MemoryPool } from '../memory/memory-pool.ts'
import type { KeyRecord, RetiredRecord } from '../pool/key-record.ts'
import { RowCursor } from './entries.ts'
import { type EngineRow, Image, parse, type PoolRow, type ResultRow } from './image.ts'
import { placeOf } from './layout.ts'
import { RecordReader } from './record-codec.ts'
import type { RowStore, Scan } from './row-store.ts'

/** What an outage adds to each life besides its own length, at most: the time that owners need to call again. */
const GRACE_MS = 60_000
/** How many rows a transaction has at most. */
const ROWS_AT_ONCE = 10_000
/** How many due deadlines are applied between two turns of the event loop. */
const SWEPT_AT_ONCE = 1000

/** When the outage began, by the engine's time, and when it ended. */
export interface Outage {
  from: number
  to: number
}

/** A pool that is being restored, with its row, and the credit that it has now. */
interface Found {
  pool: MemoryPool
  row: PoolRow
  credit: number
}

/**
 * HOW AN ENGINE COMES BACK
 *
 * A lease keeps the end that it had: its holder's minute ran on. A life is credited the outage and a grace, since nobody
 * could keep a key alive; the credit is a number of the pool's, see Image. But a life that had ended before the outage
 * stays ended, and that must be written before the credit is, or the next start would take the key for one that lives.
 * So first the keys that were dead are written as retired, under the old time; then, in one transaction, the credits of all
 * pools and the new time. A crash in between repeats all of it.
 */
export class Recovery {
  readonly #scan: Scan
  readonly #outage: Outage
  readonly #saved: { engine: EngineRow; pools: PoolRow[] } = { engine: { fence: 0, incarnation: 0 }, pools: [] }
  readonly #pools = new Map<number, Found>()
  readonly #dead: { pool: MemoryPool; id: string }[] = []
  readonly #orphans = new Set<number>()
  #rows = 0

  constructor(scan: Scan, outage: Outage) {
    this.#scan = scan
    this.#outage = outage
    for (const row = new RowCursor(scan.pools); row.next();) {
      // A store without anything has no row of the engine.
      if (!row.hasValue) continue
      const value = parse(row.bytes.subarray(row.value, row.end))
      if (placeOf(row.bytes, row.key, row.value)?.kind === 'engine') this.#saved.engine = value as EngineRow
      else this.#saved.pools.push(value as PoolRow)
    }
  }

  /** How many rows there are, and how many have been read. */
  get progress(): { rows: number; of: number } {
    return { rows: this.#rows, of: this.#scan.head.count }
  }

  /** Pools that are gone, of which rows are left. */
  get orphans(): Iterable<number> {
    return this.#orphans
  }

  /** What a MemoryEngine is made with. */
  get saved(): SavedEngine {
    return { ...this.#saved.engine, pools: this.#saved.pools }
  }

  /** Puts keys and results into an engine that was made so. Rejected where not all that was written is there. */
  async restore(memory: MemoryEngine): Promise<void> {
    const { from, to } = this.#outage
    for (const row of this.#saved.pools) {
      const credit = row.credit + to - from + Math.min(row.policy.keepAliveMs ?? GRACE_MS, GRACE_MS)
      const pool = memory.find(row.name)
      if (pool !== undefined) this.#pools.set(row.incarnation, { pool, row, credit })
    }
    for await (const block of this.#scan.blocks) {
      this.#restoreBlock(block)
      // However many blocks have come, others are served in between.
      await turn()
    }
  }

  /**
   * Writes what the outage changes to the store, which was opened meanwhile, and wakes the engine's pools. `goOn` lets the
   * engine's time, which has stood still at the end of the outage, go on, and returns the present instant: until then the
   * outage has lasted. The number is that of the last transaction.
   */
  async settle(
    memory: MemoryEngine,
    store: RowStore,
    goOn: () => number
  ): Promise<{ image: Image; transaction: number }> {
    const credits = new Map([...this.#pools].map(([incarnation, { credit }]) => [incarnation, credit]))
    const image = new Image(memory, credits)
    await this.#retireDead(image, store)
    const now = goOn()
    for (const [incarnation, { pool, credit }] of this.#pools) {
      pool.postponeLives(now - this.#outage.to)
      credits.set(incarnation, credit + now - this.#outage.to)
    }
    // Also of those that the engine has made by itself: a pool without a row is one that was never made.
    const pools = [...memory.handles()].map(pool => image.poolEntry(pool))
    const transaction = await store.commit([image.engineEntry(), ...pools], now)
    for (const { pool } of this.#pools.values()) pool.resume()
    return { image, transaction }
  }

  #restoreBlock(block: Uint8Array): void {
    const row = new RowCursor(block)
    const records = new RecordReader(block)
    while (row.next()) {
      this.#rows++
      const place = placeOf(row.bytes, row.key, row.value)
      if (place?.kind !== 'key' && place?.kind !== 'result') continue
      const found = this.#pools.get(place.incarnation)
      if (found === undefined) {
        this.#orphans.add(place.incarnation)
      } else if (place.kind === 'key') {
        this.#restoreKey(found, place.id, records.read(row.value, found.row.credit))
      } else {
        const { call, scope, saved } = parse(row.bytes.subarray(row.value, row.end)) as ResultRow
        found.pool.restoreResult(call, scope, saved)
      }
    }
  }

  #restoreKey({ pool, row, credit }: Found, id: string, record: KeyRecord | RetiredRecord): void {
    if (!('place' in record)) {
      if (record.keepAliveBy <= this.#outage.from) this.#dead.push({ pool, id })
      else record.keepAliveBy += credit - row.credit
    }
    pool.restore(id, record)
  }

  async #retireDead(image: Image, store: RowStore): Promise<void> {
    // Their deadlines have passed: the sweep retires them.
    for (const { pool } of this.#pools.values()) while (pool.sweep(SWEPT_AT_ONCE)) await turn()
    for (let i = 0; i < this.#dead.length; i += ROWS_AT_ONCE) {
      const rows = this.#dead.slice(i, i + ROWS_AT_ONCE).map(({ pool, id }) => image.keyEntry(pool, id))
      await store.commit(rows, this.#outage.from)
    }
  }
}
