import { checkBoolean, checkInteger, checkMetadata, checkString } from './arguments.ts'
import { keyId } from './key-id.ts'
import type { Metadata } from './key-record.ts'
import { isKey } from './policy.ts'
import type { PoolState } from './pool-state.ts'
import { viewKeyAt } from './slot-views.ts'
import type { KeyView } from './views.ts'

export interface KeyImport {
  /** 1 … 512 visible ASCII characters. */
  key: string
  metadata?: Metadata | null | undefined
}

/** The verbs of KeyPool that are about keys: how their lives begin, go on and end, and what is written on them. */
export class Lives {
  readonly #state: PoolState

  constructor(state: PoolState) {
    this.#state = state
  }

  generate(count: number, metadata: Metadata | null): KeyView[] | 'keyspace-exhausted' | 'pool-full' | 'behind' {
    checkInteger('count', count, 1)
    checkMetadata('metadata', metadata)
    const { ring } = this.#state
    const now = this.#state.begin()
    if (ring.unused < BigInt(count)) return 'keyspace-exhausted'
    const full = this.#isFullFor(count, now)
    if (full) return full
    const views: KeyView[] = []
    for (let i = 0; i < count; i++) views.push(this.#enter(ring.generate(now), metadata, now))
    return views
  }

  importKeys(
    imports: readonly KeyImport[]
  ): KeyView[] | { refusal: 'key-exists' | 'key-retired'; indexes: number[] } | 'pool-full' | 'behind' {
    if (!Array.isArray(imports)) throw new TypeError('imports must be an array')
    for (const [i, { key, metadata }] of imports.entries()) {
      if (!isKey(key)) throw new RangeError(`key ${i} must be 1 … 512 visible ASCII characters`)
      checkMetadata(`metadata of key ${i}`, metadata)
    }
    if (new Set(imports.map(({ key }) => key)).size < imports.length)
      throw new RangeError('a key stands twice in the import')
    const { ring, deadlines } = this.#state
    const now = this.#state.begin()
    const existing: number[] = []
    const retired: number[] = []
    for (const [i, { key }] of imports.entries()) {
      const id = keyId(key)
      if (deadlines.find(id, now) !== undefined) existing.push(i)
      else if (ring.isRetired(id)) retired.push(i)
    }
    if (existing.length > 0) return { refusal: 'key-exists', indexes: existing }
    if (retired.length > 0) return { refusal: 'key-retired', indexes: retired }
    const full = this.#isFullFor(imports.length, now)
    if (full) return full
    return imports.map(({ key, metadata }) => this.#enter(ring.insert(key, now), metadata, now))
  }

  get(id: string, reveal: boolean): KeyView | 'unknown-key' {
    checkBoolean('reveal', reveal)
    const now = this.#state.clock()
    const slot = this.#find(id, now)
    return slot === undefined ? 'unknown-key' : viewKeyAt(this.#state.ring, slot, now, reveal)
  }

  delete(id: string): 'deleted' | 'unknown-key' {
    const { deadlines, policy, journal } = this.#state
    const slot = this.#find(id, this.#state.begin())
    if (slot === undefined) return 'unknown-key'
    deadlines.remove(slot, !policy.reuseDeleted)
    journal.changed(id)
    return 'deleted'
  }

  keepAlive(id: string): KeyView | 'unknown-key' {
    const now = this.#state.begin()
    const slot = this.#find(id, now)
    if (slot === undefined) return 'unknown-key'
    if (this.#state.keepAlive(slot, now)) this.#state.journal.changed(id)
    return viewKeyAt(this.#state.ring, slot, now, false)
  }

  activate(id: string): { first: boolean; key: KeyView } | 'unknown-key' {
    const { ring, clock, journal } = this.#state
    const now = clock()
    const slot = this.#find(id, now)
    if (slot === undefined) return 'unknown-key'
    const first = ring.activatedAt.get(slot) === 0
    if (first) {
      ring.activatedAt.set(slot, now)
      journal.changed(id)
    }
    return { first, key: viewKeyAt(ring, slot, now, false) }
  }

  setMetadata(id: string, metadata: Metadata | null): KeyView | 'unknown-key' {
    checkMetadata('metadata', metadata)
    const { ring, clock, journal } = this.#state
    const now = clock()
    const slot = this.#find(id, now)
    if (slot === undefined) return 'unknown-key'
    if (metadata !== null || ring.metadata.get(slot) !== undefined) {
      this.#state.setMetadata(slot, metadata)
      journal.changed(id)
    }
    return viewKeyAt(ring, slot, now, false)
  }

  #find(id: string, now: number): number | undefined {
    checkString('id', id)
    return this.#state.deadlines.find(id, now)
  }

  #isFullFor(count: number, now: number): 'pool-full' | 'behind' | undefined {
    const { ring, deadlines, policy } = this.#state
    if (ring.living + count <= policy.maxKeys) return undefined
    return deadlines.isBehind(now) ? 'behind' : 'pool-full'
  }

  #enter(slot: number, metadata: Metadata | null | undefined, now: number): KeyView {
    if (metadata) this.#state.setMetadata(slot, metadata)
    this.#state.keepAlive(slot, now)
    const view = viewKeyAt(this.#state.ring, slot, now, true)
    this.#state.journal.changed(view.id)
    return view
  }
}
