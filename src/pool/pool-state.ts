import { Deadlines } from './deadlines.ts'
import type { Journal } from './journal.ts'
import type { Metadata } from './key-record.ts'
import { Keyring } from './keyring.ts'
import type { Policy } from './policy.ts'
import type { Random } from './random.ts'
import { KEEP_ALIVE_BY } from './records.ts'

/** How many due deadlines of each kind a verb applies before it does its own work. */
export const APPLIED_PER_VERB = 16

/** What the verbs of a pool share. */
export class PoolState {
  readonly clock: () => number
  readonly random: Random
  readonly journal: Journal
  readonly ring: Keyring
  readonly deadlines: Deadlines
  policy: Readonly<Policy>

  constructor(policy: Readonly<Policy>, clock: () => number, random: Random, journal: Journal, serial: number) {
    this.policy = policy
    this.clock = clock
    this.random = random
    this.journal = journal
    this.ring = new Keyring(policy, random, serial)
    this.deadlines = new Deadlines(this.ring, journal)
  }

  /** The present instant, once a bounded part of what is due has been applied: how a verb begins. */
  begin(): number {
    const now = this.clock()
    this.deadlines.apply(now, APPLIED_PER_VERB)
    return now
  }

  /** Keeps a key alive. Returns whether the end of its life has moved. O(log n). */
  keepAlive(slot: number, now: number): boolean {
    const { keepAliveMs } = this.policy
    const until = keepAliveMs === null ? Infinity : now + keepAliveMs
    if (this.ring.records.get(slot, KEEP_ALIVE_BY) === until) return false
    this.deadlines.live(slot, until)
    return true
  }

  /** Keeps a copy that nobody can change behind the pool's back. */
  setMetadata(slot: number, metadata: Metadata | null | undefined): void {
    this.ring.metadata.set(slot, metadata ? Object.freeze({ ...metadata }) : undefined)
  }
}
