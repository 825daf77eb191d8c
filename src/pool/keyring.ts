import { type Column, Float64Column, ObjectColumn, StringColumn } from './column.ts'
import { GrowingMap } from './growing-map.ts'
import { idBits, keyId } from './key-id.ts'
import { CREATED_AT, PLACE, Records, SERIAL } from './records.ts'
import { Secrets } from './secrets.ts'
import { SlotSet } from './slot-set.ts'

export type KeyState = 'free' | 'leased' | 'cooling'
export const KEY_STATES: readonly KeyState[] = ['free', 'leased', 'cooling']

export type Metadata = Readonly<Record<string, string>>

/** What the index says of an id that is no living key's any more. Slots are 0 and up. */
const RETIRED = -1

/**
 * Who is in the pool: the living keys with their records, by id and by state, and the ids of the retired ones. Knows
 * nothing of time.
 *
 * A Map leads from an id to a slot, a small number under which everything about a key is found in columns; a record of
 * its own for each key would cost several times the memory. Each living key stands in the set of its state, so that
 * taking a random free one, and removing any one, is O(1).
 */
export class Keyring {
  readonly records = new Records()
  /** Rarely set, so each takes memory only where it is. */
  readonly metadata: Column<Metadata | undefined> = new ObjectColumn()
  readonly holders: Column<string | undefined> = new StringColumn()
  /** Of the present lease, or of the last one for as long as its fence is known. */
  readonly #owners: Column<string | undefined> = new StringColumn()
  /** 0: not activated. */
  readonly activatedAt: Column<number> = new Float64Column()
  readonly #index = new GrowingMap<string, number>(idBits)
  readonly #ids: Column<string | undefined> = new StringColumn()
  #secrets: Secrets
  readonly #members: readonly SlotSet[] = KEY_STATES.map(() => new SlotSet())
  /** The key that was asked about last: a generated one enters next, and hashing is half of what that costs. */
  #asked: { key: string; id: string } | undefined
  #retired = 0
  #serial = 0

  /** `keyLength` is that of the keys to expect, in characters. */
  constructor(keyLength: number) {
    this.#secrets = new Secrets(keyLength)
  }

  get living(): number {
    return this.#index.size - this.#retired
  }

  get retired(): number {
    return this.#retired
  }

  count(state: KeyState): number {
    return this.#membersOf(state).size
  }

  /** The slot of the key with this id, or undefined where none lives. */
  find(id: string): number | undefined {
    const slot = this.#index.get(id)
    return slot === RETIRED ? undefined : slot
  }

  isRetired(id: string): boolean {
    return this.#index.get(id) === RETIRED
  }

  /** Whether a key lives or is retired. */
  isUsed(key: string): boolean {
    this.#asked = { key, id: keyId(key) }
    return this.#index.get(this.#asked.id) !== undefined
  }

  /** The slot at a position, 0 … count - 1, among the keys in a state. */
  at(state: KeyState, position: number): number {
    return this.#membersOf(state).at(position)
  }

  idOf(slot: number): string {
    return this.#ids.get(slot) as string
  }

  keyOf(slot: number): string {
    return this.#secrets.get(slot)
  }

  stateOf(slot: number): KeyState {
    return KEY_STATES[this.records.get(slot, PLACE) % 4] as KeyState
  }

  /** A key that neither lives nor is retired enters, free. Returns its slot. */
  insert(key: string, now: number): number {
    const id = this.#asked?.key === key ? this.#asked.id : keyId(key)
    this.#asked = undefined
    const slot = this.records.open()
    this.#index.set(id, slot)
    this.#ids.set(slot, id)
    this.#secrets.set(slot, key)
    this.records.set(slot, CREATED_AT, now)
    this.records.set(slot, SERIAL, ++this.#serial)
    this.#enter(slot, 'free')
    return slot
  }

  move(slot: number, state: KeyState): void {
    this.#leave(slot)
    this.#enter(slot, state)
  }

  /** A key is gone. Nothing of it remains but, where it is retired, its id. */
  remove(slot: number, retire: boolean): void {
    const id = this.idOf(slot)
    if (retire) {
      this.#index.set(id, RETIRED)
      this.#retired++
    } else {
      this.#index.delete(id)
    }
    this.#leave(slot)
    this.#ids.set(slot, undefined)
    this.#secrets.erase(slot)
    this.forgetHolder(slot)
    this.setOwner(slot, undefined)
    if (this.metadata.get(slot) !== undefined) this.metadata.set(slot, undefined)
    if (this.activatedAt.get(slot) !== 0) this.activatedAt.set(slot, 0)
    this.records.close(slot)
  }

  forgetHolder(slot: number): void {
    if (this.holders.get(slot) !== undefined) this.holders.set(slot, undefined)
  }

  setOwner(slot: number, owner: string | undefined): void {
    if (this.#owners.get(slot) !== owner) this.#owners.set(slot, owner)
  }

  /** Whether somebody, or anybody where undefined, may act on the lease of a key: one without an owner is everybody's. */
  isOwnedBy(slot: number, owner: string | undefined): boolean {
    const its = this.#owners.get(slot)
    return owner === undefined || its === undefined || its === owner
  }

  /** From now on keys of another length are to be expected. None may live. */
  expectLength(keyLength: number): void {
    this.#secrets = new Secrets(keyLength)
  }

  #membersOf(state: KeyState): SlotSet {
    return this.#members[KEY_STATES.indexOf(state)] as SlotSet
  }

  #enter(slot: number, state: KeyState): void {
    this.records.set(slot, PLACE, this.#membersOf(state).add(slot) * 4 + KEY_STATES.indexOf(state))
  }

  #leave(slot: number): void {
    const place = this.records.get(slot, PLACE)
    const moved = (this.#members[place % 4] as SlotSet).removeAt(Math.floor(place / 4))
    if (moved !== -1) this.records.set(moved, PLACE, place)
  }
}
