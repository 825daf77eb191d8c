import type { MemoryEngine } from '../../src/memory/engine.ts'
import type {
  EngineJournal,
  JournaledPool,
  KeptCall,
  SavedEngine,
  SavedPool,
  SavedResults
} from '../../src/memory/engine-journal.ts'

type Record = ReturnType<JournaledPool['record']>
type Result = SavedResults[KeptCall]

interface MirroredPool {
  saved: SavedPool
  keys: Map<string, Record>
  results: Map<string, { call: KeptCall; scope: string; result: Result }>
}

/** What an engine tells its journal, in plain Maps: a disk that never fails. */
export class Mirror implements EngineJournal {
  readonly told: string[] = []
  readonly pools = new Map<number, MirroredPool>()
  readonly #dirty = new Set<JournaledPool>()
  readonly #dirtyKeys = new Map<JournaledPool, Set<string>>()
  #fence = 0
  #incarnation = 0

  poolChanged(pool: JournaledPool): void {
    this.told.push(`pool ${pool.name}`)
    this.#incarnation = Math.max(this.#incarnation, pool.incarnation)
    this.#dirty.add(pool)
  }

  poolDeleted(pool: JournaledPool): void {
    this.told.push(`end ${pool.name}`)
    this.#fence = Math.max(this.#fence, pool.saved.fence)
    this.pools.delete(pool.incarnation)
    this.#dirty.delete(pool)
    this.#dirtyKeys.delete(pool)
  }

  keyChanged(pool: JournaledPool, id: string): void {
    this.told.push(`key ${id}`)
    this.#dirty.add(pool)
    const ids = this.#dirtyKeys.get(pool) ?? new Set()
    this.#dirtyKeys.set(pool, ids.add(id))
  }

  keyAged(pool: JournaledPool, id: string): void {
    this.keyChanged(pool, id)
    this.told[this.told.length - 1] = `aged ${id}`
  }

  resultKept<C extends KeptCall>(pool: JournaledPool, call: C, scope: string, result: SavedResults[C]): void {
    this.told.push(`kept ${call} ${scope}`)
    this.#of(pool).results.set(`${call} ${scope}`, {
      call,
      scope,
      result: JSON.parse(JSON.stringify(result)) as Result
    })
  }

  resultDropped(pool: JournaledPool, call: KeptCall, scope: string): void {
    this.told.push(`dropped ${call} ${scope}`)
    this.#of(pool).results.delete(`${call} ${scope}`)
  }

  /** Writes what has changed since. */
  flush(): void {
    for (const pool of this.#dirty) {
      const mirrored = this.#of(pool)
      mirrored.saved = structuredClone(pool.saved)
      for (const id of this.#dirtyKeys.get(pool) ?? []) {
        const record = structuredClone(pool.record(id))
        if (record === undefined) mirrored.keys.delete(id)
        else mirrored.keys.set(id, record)
      }
    }
    this.#dirty.clear()
    this.#dirtyKeys.clear()
  }

  get saved(): SavedEngine {
    const pools = [...this.pools.values()].map(({ saved }) => saved).sort((a, b) => a.incarnation - b.incarnation)
    return { pools, fence: this.#fence, incarnation: this.#incarnation }
  }

  /** Brings a new engine, made with `saved`, to where the former one was. */
  restoreInto(engine: MemoryEngine): void {
    for (const handle of engine.handles()) {
      const { keys, results } = this.pools.get(handle.incarnation) as MirroredPool
      for (const [id, record] of keys) handle.restore(id, record)
      for (const { call, scope, result } of results.values()) handle.restoreResult(call, scope, result as never)
      handle.resume()
    }
  }

  #of(pool: JournaledPool): MirroredPool {
    const present = this.pools.get(pool.incarnation)
    if (present !== undefined) return present
    const mirrored: MirroredPool = { saved: pool.saved, keys: new Map(), results: new Map() }
    this.pools.set(pool.incarnation, mirrored)
    return mirrored
  }
}
