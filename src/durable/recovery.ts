import type { SavedPool } from '../memory/engine-journal.ts'
import type { MemoryEngine } from '../memory/engine.ts'
import type { MemoryPool } from '../memory/memory-pool.ts'
import { type Entry, unpack } from './entries.ts'
import { type EngineRow, Image, parse, type PoolRow, type ResultRow } from './image.ts'
import { enginePlace, KEYS, placeOf, POOLS, RESULTS } from './layout.ts'
import { decodeRecord } from './record-codec.ts'
import type { RowStore } from './threaded-store.ts'

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
  readonly #store: RowStore
  readonly #outage: Outage
  readonly #dead: { pool: MemoryPool; id: string }[] = []
  readonly #orphans = new Set<number>()
  readonly #pools = new Map<number, { pool: MemoryPool; row: PoolRow; credit: number }>()
  #saved: { engine: EngineRow; pools: PoolRow[] } = { engine: { fence: 0, incarnation: 0 }, pools: [] }
  #rows = 0

  constructor(store: RowStore, outage: Outage) {
    this.#store = store
    this.#outage = outage
  }

  /** How many rows have been read. */
  get rows(): number {
    return this.#rows
  }

  /** Pools that are gone, of which rows are left. */
  get orphans(): Iterable<number> {
    return this.#orphans
  }

  /** What a MemoryEngine is made with. */
  async readPools(): Promise<EngineRow & { pools: SavedPool[] }> {
    const [engine] = await this.#store.read([enginePlace])
    if (engine?.value) this.#saved.engine = parse(engine.value) as EngineRow
    await this.#each(POOLS, ({ value }) => void (value && this.#saved.pools.push(parse(value) as PoolRow)))
    return { ...this.#saved.engine, pools: this.#saved.pools }
  }

  /**
   * Puts keys and results into an engine that was made so, writes what the outage changes, and wakes its pools. `goOn` lets
   * the engine's time, which has stood still at the end of the outage, go on, and returns the present instant: until then
   * the outage has lasted. The number is that of the last transaction.
   */
  async restore(memory: MemoryEngine, goOn: () => number): Promise<{ image: Image; transaction: number }> {
    const credits = new Map<number, number>()
    for (const row of this.#saved.pools) {
      const { from, to } = this.#outage
      const credit = row.credit + to - from + Math.min(row.policy.keepAliveMs ?? GRACE_MS, GRACE_MS)
      const pool = memory.find(row.name)
      if (pool !== undefined) this.#pools.set(row.incarnation, { pool, row, credit })
      credits.set(row.incarnation, credit)
    }
    await this.#each(KEYS, entry => this.#restoreKey(entry))
    await this.#each(RESULTS, entry => this.#restoreResult(entry))
    const image = new Image(memory, credits)
    await this.#retireDead(image)
    const now = goOn()
    for (const [incarnation, { pool, credit }] of this.#pools) {
      pool.postponeLives(now - this.#outage.to)
      credits.set(incarnation, credit + now - this.#outage.to)
    }
    // Also of those that the engine has made by itself: a pool without a row is one that was never made.
    const pools = [...memory.handles()].map(pool => image.poolEntry(pool))
    const transaction = await this.#store.commit([image.engineEntry(), ...pools], now)
    for (const { pool } of this.#pools.values()) pool.resume()
    return { image, transaction }
  }

  #restoreKey({ key, value }: Entry): void {
    const place = placeOf(key)
    if (place?.kind !== 'key' || value === null) return
    const found = this.#pools.get(place.incarnation)
    if (found === undefined) {
      this.#orphans.add(place.incarnation)
      return
    }
    const { pool, row, credit } = found
    const record = decodeRecord(value, row.credit)
    if (!('place' in record)) {
      if (record.keepAliveBy <= this.#outage.from) this.#dead.push({ pool, id: place.id })
      else record.keepAliveBy += credit - row.credit
    }
    pool.restore(place.id, record)
  }

  #restoreResult({ key, value }: Entry): void {
    const place = placeOf(key)
    if (place?.kind !== 'result' || value === null) return
    const found = this.#pools.get(place.incarnation)
    if (found === undefined) {
      this.#orphans.add(place.incarnation)
      return
    }
    const { call, scope, saved } = parse(value) as ResultRow
    found.pool.restoreResult(call, scope, saved)
  }

  async #retireDead(image: Image): Promise<void> {
    // Their deadlines have passed: the sweep retires them.
    for (const { pool } of this.#pools.values()) {
      while (pool.sweep(SWEPT_AT_ONCE)) await new Promise(resolve => setImmediate(resolve))
    }
    for (let i = 0; i < this.#dead.length; i += ROWS_AT_ONCE) {
      const rows = this.#dead.slice(i, i + ROWS_AT_ONCE).map(({ pool, id }) => image.keyEntry(pool, id))
      await this.#store.commit(rows, this.#outage.from)
    }
  }

  /** All rows of a kind, read ahead by a block. */
  async #each(kind: Uint8Array, visit: (entry: Entry) => void): Promise<void> {
    let next = this.#store.block(kind)
    for (;;) {
      const block = await next
      if (block === undefined || block.last[0] !== kind[0]) next = Promise.resolve(undefined)
      else next = this.#store.block(block.last)
      // Whatever becomes of it is told by the one that waits for it.
      next.catch(() => undefined)
      for (const entry of block === undefined ? [] : unpack(block.rows)) {
        if (entry.key[0] !== kind[0]) return
        this.#rows++
        visit(entry)
      }
      if (block === undefined) return
    }
  }
}
