import type { JournaledPool, KeptCall, SavedEngine, SavedPool, SavedResults } from '../memory/engine-journal.ts'
import type { MemoryEngine } from '../memory/engine.ts'
import type { MemoryPool } from '../memory/memory-pool.ts'
import type { Changes } from './changes.ts'
import type { Entry } from './entries.ts'
import { enginePlace, keyPlace, poolPlace, resultPlace } from './layout.ts'
import { decodeRecord, encodeRecord } from './record-codec.ts'
import type { RowStore } from './row-store.ts'

/**
 * How far the fence and the serial in a pool's row are ahead of the pool's own: so that its row is written once in so many
 * leases, not with each. After a start they go on from there, which leaves a gap, and repeats nothing.
 */
const AHEAD = 10_000

/** A pool's row: `credit` is by how much the outages so far have moved the ends of its keys' lives, in milliseconds. */
export interface PoolRow extends SavedPool {
  credit: number
}

export interface ResultRow {
  call: KeptCall
  scope: string
  saved: SavedResults[KeptCall]
}

export type EngineRow = Pick<SavedEngine, 'fence' | 'incarnation'>

/**
 * What the memory of the engine looks like as rows, and back.
 *
 * The end of a key's life is written without the credit of its pool: so that one number in the pool's row moves the ends
 * of all its keys' lives after an outage, instead of a million rows.
 */
export class Image {
  readonly #memory: MemoryEngine
  readonly #credits: ReadonlyMap<number, number>
  /** What the pools' rows on disk, or on their way there, say. */
  readonly #written = new Map<JournaledPool, Pick<SavedPool, 'fence' | 'serial'>>()
  #engineWritten = ''
  /** Pools whose end is being written. They serve until it is. */
  readonly #ending = new Set<JournaledPool>()

  /** `credits` by incarnation; 0 where there is none. */
  constructor(memory: MemoryEngine, credits: ReadonlyMap<number, number> = new Map()) {
    this.#memory = memory
    this.#credits = credits
  }

  /** From now on, until `end` is false, a pool's row and all of its other rows are left out. */
  ending(pool: JournaledPool, end: boolean): void {
    if (end) this.#ending.add(pool)
    else this.#ending.delete(pool)
  }

  /** The rows of changed places as they are now. */
  entriesOf(...changes: Changes[]): Entry[] {
    const entries: Entry[] = []
    const engine = this.#engineRow()
    if (engine !== this.#engineWritten) entries.push(this.engineEntry())
    const pools = new Set<JournaledPool>()
    for (const each of changes) {
      for (const pool of each.pools) pools.add(pool)
      for (const pool of each.keys.keys()) if (this.#hasPassed(pool)) pools.add(pool)
    }
    for (const pool of pools) entries.push(this.poolEntry(pool))
    for (const each of changes) {
      for (const [pool, ids] of each.keys)
        if (this.#lasts(pool)) for (const id of ids) entries.push(this.keyEntry(pool, id))
      for (const [pool, { call, scope, saved }] of each.results()) {
        if (!this.#lasts(pool)) continue
        const row: ResultRow | null = saved === undefined ? null : { call, scope, saved }
        entries.push({ key: resultPlace(pool.incarnation, call, scope), value: row && json(row) })
      }
    }
    return entries
  }

  engineEntry(): Entry {
    this.#engineWritten = this.#engineRow()
    return { key: enginePlace, value: Buffer.from(this.#engineWritten) }
  }

  keyEntry(pool: JournaledPool, id: string): Entry {
    const record = pool.record(id)
    const value = record === undefined ? null : encodeRecord(record, this.#creditOf(pool))
    return { key: keyPlace(pool.incarnation, id), value }
  }

  /**
   * Makes memory agree with the store again wherever it has changed since; fences and serials excepted, which never go
   * back. Rejected, with nothing changed, where the store can't be read.
   */
  async takeBack(changes: Changes, store: RowStore): Promise<void> {
    // What was on its way did not arrive.
    this.#written.clear()
    this.#engineWritten = ''
    const pools = [...new Set([...changes.pools, ...changes.keys.keys()])]
    const ids = [...changes.keys].flatMap(([pool, ids]) => [...ids].map(id => ({ pool, id })))
    const results = [...changes.results()]
    const poolRows = await store.read(pools.map(pool => poolPlace(pool.incarnation)))
    const keyRows = await store.read(ids.map(({ pool, id }) => keyPlace(pool.incarnation, id)))
    const resultRows = await store.read(
      results.map(([pool, { call, scope }]) => resultPlace(pool.incarnation, call, scope))
    )

    // The policy can't go back while a key of the later shape lives: so all keys leave first.
    for (const { pool, id } of ids) this.#find(pool)?.restore(id, undefined)
    for (const [i, pool] of pools.entries()) {
      const row = poolRows[i]?.value ?? null
      const found = this.#find(pool)
      if (row !== null) found?.setPolicy((parse(row) as PoolRow).policy)
      else if (found !== undefined) this.#memory.remove(pool.name)
    }
    for (const [i, { pool, id }] of ids.entries()) {
      const row = keyRows[i]?.value ?? null
      if (row !== null) this.#find(pool)?.restore(id, decodeRecord(row, this.#creditOf(pool)))
    }
    for (const [i, [pool, { call, scope }]] of results.entries()) {
      const row = resultRows[i]?.value ?? null
      this.#find(pool)?.restoreResult(call, scope, row === null ? undefined : (parse(row) as ResultRow).saved)
    }
    for (const pool of pools) this.#find(pool)?.resume()
  }

  poolEntry(pool: JournaledPool): Entry {
    const key = poolPlace(pool.incarnation)
    if (!this.#lasts(pool)) {
      this.#written.delete(pool)
      return { key, value: null }
    }
    const { saved } = pool
    const row: PoolRow = {
      ...saved,
      fence: saved.fence + AHEAD,
      serial: saved.serial + AHEAD,
      credit: this.#creditOf(pool)
    }
    this.#written.set(pool, row)
    return { key, value: json(row) }
  }

  /** Whether a pool has given fences or serials beyond those of its row. */
  #hasPassed(pool: JournaledPool): boolean {
    const written = this.#written.get(pool)
    const { fence, serial } = pool.saved
    return written === undefined || fence > written.fence || serial > written.serial
  }

  #engineRow(): string {
    const { fence, incarnation } = this.#memory
    // Fences under the name of a pool go on after its end, too.
    const ending = [...this.#ending].map(pool => pool.saved.fence)
    return JSON.stringify({ fence: Math.max(fence, ...ending), incarnation } satisfies EngineRow)
  }

  #creditOf(pool: JournaledPool): number {
    return this.#credits.get(pool.incarnation) ?? 0
  }

  #lasts(pool: JournaledPool): boolean {
    return !this.#ending.has(pool) && this.#find(pool) !== undefined
  }

  #find(pool: JournaledPool): MemoryPool | undefined {
    const found = this.#memory.find(pool.name)
    return found?.incarnation === pool.incarnation ? found : undefined
  }
}

function json(value: object): Uint8Array {
  return Buffer.from(JSON.stringify(value))
}

/** The value of a row that is no key's. */
export function parse(row: Uint8Array): unknown {
  return JSON.parse(Buffer.from(row.buffer, row.byteOffset, row.length).toString())
}
