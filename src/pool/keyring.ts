import { type Column, Float64Column, ReferenceColumn } from './column.ts'
import { GrowingMap } from './growing-map.ts'
import { idBits, keyId } from './key-id.ts'
import { KEY_STATES, type KeyState, type Metadata, stateNumber } from './key-record.ts'
import { createKeySpace, type KeySpace, type Shape } from './key-space.ts'
import type { Random } from './random.ts'
import { CREATED_AT, PLACE, Records, SERIAL } from './records.ts'
import { Secrets } from './secrets.ts'
import { SlotSet } from './slot-set.ts'

/**
 * The index holds the slot of a living key, 0 and up, and for a retired one LAST_RETIRED minus its place: -1 for NOWHERE,
 * -2 for 0, -2^53 at the least. A small integer, which needs no memory of its own, but for a place beyond 2^31.
 */
const LAST_RETIRED = -2

/**
 * Who is in the pool: the living keys with their records, by id and by state, the ids of the retired ones, and the keys
 * that neither live nor are retired. Knows nothing of time.
 *
 * A Map leads from an id to a slot, a small number under which everything about a key is found in columns; a record of
 * its own for each key would cost several times the memory. Each living key stands in the set of its state, so that
 * taking a random free one, and removing any one, is O(1).
 */
export class Keyring {
  readonly records = new Records()
  /** Rarely set, so each takes memory only where it is. */
  readonly metadata: Column<Metadata | undefined> = new ReferenceColumn()
  readonly holders: Column<string | undefined> = new ReferenceColumn()
  /** Of the present lease, or of the last one for as long as its fence is known. */
  readonly #owners: Column<string | undefined> = new ReferenceColumn()
  /** 0: not activated. */
  readonly activatedAt: Column<number> = new Float64Column()
  readonly #index = new GrowingMap<string, number>(idBits)
  readonly #ids: Column<string | undefined> = new ReferenceColumn()
  readonly #random: Random
  #secrets: Secrets
  #space: KeySpace
  readonly #members: readonly SlotSet[] = KEY_STATES.map(() => new SlotSet())
  /** The key that was asked about last: a generated one enters next, and hashing is half of what that costs. */
  #asked: { key: string; id: string } | undefined
  #retired = 0
  #serial = 0

  /** `shape` is that of the keys to generate, and to expect; `serial` the largest that was given so far. */
  constructor(shape: Shape, random: Random, serial = 0) {
    this.#random = random
    this.#serial = serial
    this.#secrets = secretsOf(shape)
    this.#space = this.#makeSpace(shape)
  }

  /** The largest serial that was given. */
  get serial(): number {
    return this.#serial
  }

  /** How many keys there could be. */
  get spaceSize(): bigint {
    return this.#space.size
  }

  /** How many of them neither live nor are retired. */
  get unused(): bigint {
    return this.#space.size - BigInt(this.#space.used)
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
    return slot === undefined || slot < 0 ? undefined : slot
  }

  /** Whether a key with this id lives or is retired. */
  knows(id: string): boolean {
    return this.#index.get(id) !== undefined
  }

  isRetired(id: string): boolean {
    return this.retiredPlaceOf(id) !== undefined
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
    return KEY_STATES[this.records.getInteger(slot, PLACE) % 4] as KeyState
  }

  /** A random key that neither lives nor is retired enters, free; at least one must be left. Returns its slot. */
  generate(now: number): number {
    return this.#insert(this.#space.draw(), now)
  }

  /** A key that neither lives nor is retired enters, free. Returns its slot. */
  insert(key: string, now: number): number {
    this.#space.take(this.#space.placeOf(key))
    return this.#insert(key, now)
  }

  move(slot: number, state: KeyState): void {
    this.#leave(slot)
    this.#enter(slot, state)
  }

  /** A key is gone. Nothing of it remains but, where it is retired, its id and its place in the key space. */
  remove(slot: number, retire: boolean): void {
    const id = this.idOf(slot)
    const place = this.#space.placeOf(this.keyOf(slot))
    if (retire) {
      this.#index.set(id, LAST_RETIRED - place)
      this.#retired++
    } else {
      this.#index.delete(id)
      this.#space.giveBack(place)
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

  /** A key of which nothing is known enters under its id, which is not hashed again. Returns its slot. */
  admit(id: string, key: string, state: KeyState, serial: number): number {
    this.#space.take(this.#space.placeOf(key))
    this.#serial = Math.max(this.#serial, serial)
    const slot = this.#open(id, key, state)
    this.records.set(slot, SERIAL, serial)
    return slot
  }

  /** The place in the key space that the retired key with this id keeps; undefined where none is retired. */
  retiredPlaceOf(id: string): number | undefined {
    const held = this.#index.get(id)
    return held === undefined || held >= 0 ? undefined : LAST_RETIRED - held
  }

  /** A key of which nothing is known was retired. */
  admitRetired(id: string, place: number): void {
    this.#space.take(place)
    this.#index.set(id, LAST_RETIRED - place)
    this.#retired++
  }

  /** The id of a key that is retired is forgotten: it may be generated or imported again. */
  forgetRetired(id: string): void {
    this.#space.giveBack(this.retiredPlaceOf(id) as number)
    this.#index.delete(id)
    this.#retired--
  }

  forgetHolder(slot: number): void {
    if (this.holders.get(slot) !== undefined) this.holders.set(slot, undefined)
  }

  ownerOf(slot: number): string | undefined {
    return this.#owners.get(slot)
  }

  setOwner(slot: number, owner: string | undefined): void {
    if (this.#owners.get(slot) !== owner) this.#owners.set(slot, owner)
  }

  /** Whether somebody, or anybody where undefined, may act on the lease of a key: one without an owner is everybody's. */
  isOwnedBy(slot: number, owner: string | undefined): boolean {
    const its = this.#owners.get(slot)
    return owner === undefined || its === undefined || its === owner
  }

  /** From now on keys of another shape are generated. None may live or be retired. */
  reshape(shape: Shape): void {
    this.#secrets = secretsOf(shape)
    this.#space = this.#makeSpace(shape)
  }

  #makeSpace(shape: Shape): KeySpace {
    return createKeySpace(shape, this.#random, key => this.isUsed(key))
  }

  #insert(key: string, now: number): number {
    const id = this.#asked?.key === key ? this.#asked.id : keyId(key)
    this.#asked = undefined
    const slot = this.#open(id, key, 'free')
    this.records.set(slot, CREATED_AT, now)
    this.records.set(slot, SERIAL, ++this.#serial)
    return slot
  }

  #open(id: string, key: string, state: KeyState): number {
    const slot = this.records.open()
    this.#index.set(id, slot)
    this.#ids.set(slot, id)
    this.#secrets.set(slot, key)
    this.#enter(slot, state)
    return slot
  }

  #membersOf(state: KeyState): SlotSet {
    return this.#members[stateNumber(state)] as SlotSet
  }

  #enter(slot: number, state: KeyState): void {
    this.records.setInteger(slot, PLACE, this.#membersOf(state).add(slot) * 4 + stateNumber(state))
  }

  #leave(slot: number): void {
    const place = this.records.getInteger(slot, PLACE)
    const moved = (this.#members[place % 4] as SlotSet).removeAt(Math.floor(place / 4))
    if (moved !== -1) this.records.setInteger(moved, PLACE, place)
  }
}

function secretsOf({ prefix, length }: Shape): Secrets {
  return new Secrets(prefix.length + length)
}
