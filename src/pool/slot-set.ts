import { type Column, Int32Column } from './column.ts'

/**
 * A set of slots as an array with index-swap removal: add, remove and a uniformly random pick are O(1).
 *
 * Each member's position is kept by the caller, who is told by `removeAt` which member has moved. Only the last member
 * ever moves, and only towards the start: a walk from the end towards the start therefore meets each member that stays
 * for the whole walk at least once, whatever else is added or removed meanwhile.
 */
export class SlotSet {
  readonly #slots: Column<number> = new Int32Column()
  #size = 0

  get size(): number {
    return this.#size
  }

  /** The member at a position, 0 … size - 1. */
  at(position: number): number {
    return this.#slots.get(position)
  }

  /** Adds a slot that is not a member, and returns its position. */
  add(slot: number): number {
    this.#slots.set(this.#size, slot)
    return this.#size++
  }

  /** Removes the member at a position. Returns the slot that now stands there, or -1 where the last member went. */
  removeAt(position: number): number {
    const last = --this.#size
    if (position === last) return -1
    // The last member moves into the hole: order means nothing here.
    const moved = this.#slots.get(last)
    this.#slots.set(position, moved)
    return moved
  }
}
