/** Entries per shard, on average. Shards reach twice that, just under 8,192, where V8 would double a Map's table. */
const LOAD = 3800

/**
 * A Map that grows by O(1) steps and without an upper limit.
 *
 * V8's own Map holds at most 2^24 entries and moves all of them each time it doubles: a pause of about a second at eight
 * million. This one spreads the entries over many small Maps by linear hashing (W. Litwin, "Linear hashing: a new tool
 * for file and table addressing", VLDB 1980): whenever the average load passes LOAD, the next shard in turn is split in
 * two, which moves some eight thousand entries: about a millisecond, whatever the size. It never shrinks its number of shards.
 */
export class GrowingMap<K, V> {
  readonly #hash: (key: K) => number
  readonly #shards: Map<K, V>[] = [new Map()]
  #size = 0
  /** The shards of this round are addressed by `hash & #mask`, those split already by one bit more. */
  #mask = 0
  #nextToSplit = 0

  /** `hash` maps a key to a well-mixed integer of 0 … 2^30 - 1. */
  constructor(hash: (key: K) => number) {
    this.#hash = hash
  }

  get size(): number {
    return this.#size
  }

  get(key: K): V | undefined {
    return this.#shardOf(key).get(key)
  }

  set(key: K, value: V): void {
    const shard = this.#shardOf(key)
    const before = shard.size
    shard.set(key, value)
    if (shard.size === before) return
    if (++this.#size > this.#shards.length * LOAD) this.#split()
  }

  delete(key: K): boolean {
    const deleted = this.#shardOf(key).delete(key)
    if (deleted) this.#size--
    return deleted
  }

  #shardOf(key: K): Map<K, V> {
    const hash = this.#hash(key)
    let number = hash & this.#mask
    if (number < this.#nextToSplit) number = hash & ((this.#mask << 1) | 1)
    return this.#shards[number] as Map<K, V>
  }

  #split(): void {
    const number = this.#nextToSplit
    const newBit = this.#mask + 1
    const stays = new Map<K, V>()
    const moves = new Map<K, V>()
    for (const [key, value] of this.#shards[number] as Map<K, V>) {
      if ((this.#hash(key) & newBit) === 0) stays.set(key, value)
      else moves.set(key, value)
    }
    this.#shards[number] = stays
    this.#shards.push(moves)
    if (++this.#nextToSplit === newBit) {
      this.#nextToSplit = 0
      this.#mask = (this.#mask << 1) | 1
    }
  }
}
