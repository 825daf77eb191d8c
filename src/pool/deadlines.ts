import { DeadlineHeap } from './deadline-heap.ts'
import type { Journal } from './journal.ts'
import type { Keyring } from './keyring.ts'
import { FENCE, HOLD_ENTRY, KEEP_ALIVE_BY, LIFE_ENTRY, type Records, UNTIL } from './records.ts'

/** How many entries `nextFreeInMs` brings up to date at most. */
const LOOKED_AT = 16

/**
 * HOW THE POOL KEEPS TIME
 *
 * A key has two deadlines that never touch each other. Its hold (a lease, or the cooling after one) ends at UNTIL and
 * frees it; its life ends at KEEP_ALIVE_BY, unless it is kept alive, and retires it for ever. Each is exact on access:
 * `find` applies whichever of a key's deadlines has passed before anybody sees it. What nobody meets waits in two heaps,
 * of which each verb applies a bounded part before it looks at anything else; so no call is ever long, even when a
 * million deadlines pass at once. A verb that would say no, while due deadlines are left that might change its answer,
 * says 'behind' instead: sweep until that returns false, then ask again.
 */
export class Deadlines {
  readonly #ring: Keyring
  readonly #records: Records
  readonly #journal: Journal
  readonly #holds: DeadlineHeap
  readonly #lives: DeadlineHeap

  /** `journal` is told of each life that ends. */
  constructor(ring: Keyring, journal: Journal) {
    this.#ring = ring
    this.#records = ring.records
    this.#journal = journal
    this.#holds = new DeadlineHeap(ring.records.column(HOLD_ENTRY))
    this.#lives = new DeadlineHeap(ring.records.column(LIFE_ENTRY))
  }

  get heapSizes(): { holds: number; lives: number } {
    return { holds: this.#holds.size, lives: this.#lives.size }
  }

  /** When to apply next; no deadline is earlier. Infinity where there is none. O(1). */
  get next(): number {
    return Math.min(this.#holds.next, this.#lives.next)
  }

  isBehind(now: number): boolean {
    return this.next <= now
  }

  /** Applies up to `limit` deadlines that have passed, of each kind. O(limit · log n). */
  apply(now: number, limit: number): void {
    for (let applied = 0; applied < limit; applied++) {
      const slot = this.#lives.takeDue(now)
      if (slot === undefined) break
      this.#applyLife(slot, now)
    }
    for (let applied = 0; applied < limit; applied++) {
      const slot = this.#holds.takeDue(now)
      if (slot === undefined) break
      this.#applyHold(slot, now)
    }
  }

  /** The slot of a living key, whose own deadlines are applied first. O(log n). */
  find(id: string, now: number): number | undefined {
    const slot = this.#ring.find(id)
    if (slot === undefined) return undefined
    if (!this.isAlive(slot, now)) {
      this.retire(slot)
      return undefined
    }
    if (this.#records.get(slot, UNTIL) <= now && this.#ring.stateOf(slot) !== 'free') this.free(slot)
    return slot
  }

  isAlive(slot: number, now: number): boolean {
    return this.#records.get(slot, KEEP_ALIVE_BY) > now
  }

  /** A key lives until then; Infinity where it does not age. O(log n). */
  live(slot: number, until: number): void {
    this.#records.set(slot, KEEP_ALIVE_BY, until)
    if (until !== Infinity) this.#lives.arm(slot, until)
  }

  /** Every life ends so many milliseconds later. O(n). */
  postponeLives(ms: number): void {
    this.#records.addToAll(KEEP_ALIVE_BY, ms)
    this.#lives.postpone(ms)
  }

  /** A key that is leased or cools does so until then. O(log n). */
  hold(slot: number, until: number): void {
    this.#records.set(slot, UNTIL, until)
    this.#holds.arm(slot, until)
  }

  /** A lease or a cooling has ended, but not by its holder. */
  free(slot: number): void {
    if (this.#ring.stateOf(slot) === 'leased') {
      this.#records.set(slot, FENCE, 0)
      this.#ring.forgetHolder(slot)
      this.#ring.setOwner(slot, undefined)
    }
    this.#ring.move(slot, 'free')
  }

  /** A key's life has ended at its deadline. O(log n). */
  retire(slot: number): void {
    const id = this.#ring.idOf(slot)
    this.remove(slot, true)
    this.#journal.aged(id)
  }

  /** A key is gone, its deadlines with it. O(log n). */
  remove(slot: number, retire: boolean): void {
    this.#holds.forget(slot)
    this.#lives.forget(slot)
    this.#ring.remove(slot, retire)
  }

  /** A key has entered whose record says when its life and its hold end. O(log n). */
  arm(slot: number): void {
    this.live(slot, this.#records.get(slot, KEEP_ALIVE_BY))
    if (this.#ring.stateOf(slot) !== 'free') this.#holds.arm(slot, this.#records.get(slot, UNTIL))
  }

  /** How long until the earliest hold ends, in milliseconds; null where there is none. O(log n). */
  nextFreeInMs(now: number): number | null {
    for (let looked = 0; looked < LOOKED_AT; looked++) {
      const slot = this.#holds.first
      if (slot === undefined) return null
      // An entry older than the deadline is brought up to date, as the sweep would when it surfaces.
      if (slot !== -1 && this.#ring.stateOf(slot) !== 'free' && this.#records.get(slot, UNTIL) <= this.#holds.next)
        break
      this.#applyHold(this.#holds.takeDue(Infinity) as number, now)
    }
    // Entries of keys that are free may be left, or the last of them may just have been taken off.
    return this.#ring.count('free') === this.#ring.living ? null : Math.max(0, this.#holds.next - now)
  }

  /** An entry has surfaced: its key's life is over, or goes on until a later instant, or the entry was an orphan. */
  #applyLife(slot: number, now: number): void {
    if (slot === -1) return
    if (this.isAlive(slot, now)) this.live(slot, this.#records.get(slot, KEEP_ALIVE_BY))
    else this.retire(slot)
  }

  #applyHold(slot: number, now: number): void {
    if (slot === -1 || this.#ring.stateOf(slot) === 'free') return
    const until = this.#records.get(slot, UNTIL)
    if (until <= now) this.free(slot)
    else this.#holds.arm(slot, until)
  }
}
