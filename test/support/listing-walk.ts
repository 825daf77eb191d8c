import { deepStrictEqual as same, ok } from 'node:assert/strict'
import type { KeyState, KeyView, ListRequest } from '../../src/pool/key-pool.ts'
import type { NaivePool } from './naive-pool.ts'

type Keys = ReturnType<NaivePool['keys']>

/** A walk over the keys of one state or of all, under way: a key that stays as it is must be met. */
export class Walk {
  readonly state: KeyState | undefined
  #cursor: string | undefined
  /** By serial: a key may be deleted, and the same string come again. */
  readonly #began: ReadonlyMap<number, { state: KeyState; moves: number }>
  readonly #met = new Set<string>()

  /** `keys`: those that live as it begins. */
  constructor(state: KeyState | undefined, keys: Keys) {
    this.state = state
    this.#began = new Map(keys.map(({ serial, state, moves }) => [serial, { state, moves }] as const))
  }

  request(limit: number): ListRequest {
    return { state: this.state, limit, cursor: this.#cursor }
  }

  /** A page has come. At the end of the walk, which it tells, each key that stayed must have been met. */
  meet({ keys, nextCursor }: { keys: KeyView[]; nextCursor: string | null }, living: Keys): boolean {
    same(new Set(keys.map(({ id }) => id)).size, keys.length)
    for (const { id, state } of keys) {
      ok(this.state === undefined || state === this.state)
      this.#met.add(id)
    }
    this.#cursor = nextCursor ?? undefined
    if (nextCursor !== null) return false
    for (const { id, serial, moves } of living) {
      const before = this.#began.get(serial)
      const stayed = before?.moves === moves && (this.state === undefined || before.state === this.state)
      ok(!stayed || this.#met.has(id), `${id} stayed and was not listed`)
    }
    return true
  }
}
