import TinyQueue from 'tinyqueue'
import { type Column, Float64Column, Int32Column } from './column.ts'

/** How many entries of the outgoing queue each call moves over: with it, a compaction ends before it is due again. */
const MOVED_PER_CALL = 8

/**
 * HOW THE POOL KEEPS DEADLINES
 *
 * A binary min-heap of (instant, slot) with lazy deletion. A deadline that moves later, or away, leaves its entry where
 * it is: the entry surfaces at the old instant and the caller arms it anew, or lets it go. So a slot that is leased,
 * released and leased again a million times has one entry. Only a deadline that moves earlier pushes a second entry, and
 * the first becomes an orphan; so does the entry of a key that is gone.
 *
 * Orphans are dropped as they surface. Where they pass a quarter of the owned entries, the queue becomes the outgoing
 * one, and each following call moves a few of its entries to a fresh queue, leaving orphans behind. They are taken from
 * the array's end, where nothing hangs below them: what remains is still a heap. The heap so stays below twice the
 * number of slots that have an entry, without one long call.
 */
export class DeadlineHeap {
  /** By entry, counted from 1. A free entry holds the number of the next free one in #slotOf. */
  readonly #at: Column<number> = new Float64Column()
  readonly #slotOf: Column<number> = new Int32Column()
  /** By slot: its entry, or 0. */
  readonly #entryOf: Column<number>
  readonly #compare = (a: number, b: number): number => this.#at.get(a) - this.#at.get(b)
  #queue = new TinyQueue<number>([], this.#compare)
  #outgoing = new TinyQueue<number>([], this.#compare)
  #freeEntry = 0
  #entries = 0
  #owned = 0
  /** No entry is later. */
  #latest = -Infinity

  /** `entryOf` is where the heap keeps the number of each slot's entry: 0 at first. */
  constructor(entryOf: Column<number>) {
    this.#entryOf = entryOf
  }

  /** Entries, orphans included. */
  get size(): number {
    return this.#queue.length + this.#outgoing.length
  }

  /** The earliest instant at which an entry surfaces, Infinity where there is none. No deadline is earlier. O(1). */
  get next(): number {
    const top = this.#top().peek()
    return top === undefined ? Infinity : this.#at.get(top)
  }

  /** The slot of the entry that surfaces next, -1 for an orphan, undefined where there is none. O(1). */
  get first(): number | undefined {
    const entry = this.#top().peek()
    if (entry === undefined) return undefined
    const slot = this.#slotOf.get(entry)
    return this.#entryOf.get(slot) === entry ? slot : -1
  }

  /** Makes a slot surface at `at` or earlier. O(log n); O(1) where it would already. */
  arm(slot: number, at: number): void {
    const entry = this.#entryOf.get(slot)
    if (entry === 0) this.#owned++
    // The first comparison spares a cache miss, as where all holds are equally long.
    else if (this.#latest <= at || this.#at.get(entry) <= at) return
    if (at > this.#latest) this.#latest = at
    this.#queue.push(this.#makeEntry(slot, at))
    this.#compact()
  }

  /** Every deadline comes so many milliseconds later. O(n). */
  postpone(ms: number): void {
    this.#latest += ms
    // Their order stays.
    for (let entry = 1; entry <= this.#entries; entry++) this.#at.set(entry, this.#at.get(entry) + ms)
  }

  /** A slot has no deadline any more and may be given to another key. O(log n). */
  forget(slot: number): void {
    if (this.#entryOf.get(slot) === 0) return
    this.#entryOf.set(slot, 0)
    this.#owned--
    this.#compact()
  }

  /**
   * Takes the earliest entry off if its instant has come. Returns its slot, which then has no entry, -1 for an orphan, or
   * undefined where nothing is due. O(log n).
   */
  takeDue(now: number): number | undefined {
    const queue = this.#top()
    const entry = queue.peek()
    if (entry === undefined || this.#at.get(entry) > now) return undefined
    queue.pop()
    const slot = this.#slotOf.get(entry)
    const owned = this.#entryOf.get(slot) === entry
    this.#freeEntryUp(entry)
    if (owned) {
      this.#entryOf.set(slot, 0)
      this.#owned--
    }
    // Here too: orphans of late instants would otherwise outlive all that they were counted against.
    this.#compact()
    return owned ? slot : -1
  }

  #top(): TinyQueue<number> {
    if (this.#outgoing.length === 0) return this.#queue
    if (this.#queue.length === 0) return this.#outgoing
    return this.#compare(this.#outgoing.peek() as number, this.#queue.peek() as number) < 0
      ? this.#outgoing
      : this.#queue
  }

  #compact(): void {
    if (this.#outgoing.length === 0) {
      if ((this.size - this.#owned) * 4 <= this.#owned) return
      const empty = this.#outgoing
      this.#outgoing = this.#queue
      this.#queue = empty
    }
    for (let moved = 0; moved < MOVED_PER_CALL && this.#outgoing.length > 0; moved++) {
      const entry = this.#outgoing.data.pop() as number
      this.#outgoing.length--
      if (this.#entryOf.get(this.#slotOf.get(entry)) === entry) this.#queue.push(entry)
      else this.#freeEntryUp(entry)
    }
  }

  #makeEntry(slot: number, at: number): number {
    let entry = this.#freeEntry
    if (entry === 0) entry = ++this.#entries
    else this.#freeEntry = this.#slotOf.get(entry)
    this.#at.set(entry, at)
    this.#slotOf.set(entry, slot)
    this.#entryOf.set(slot, entry)
    return entry
  }

  #freeEntryUp(entry: number): void {
    this.#slotOf.set(entry, this.#freeEntry)
    this.#freeEntry = entry
  }
}
