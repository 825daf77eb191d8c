import type { Clock } from '../clock.ts'
import { DEFAULT_POOL, type Engine, MAX_POOLS, type PoolView, type Refusal } from '../engine.ts'
import { cryptoRandom, DEFAULT_POLICY, type Policy, type Random } from '../pool/key-pool.ts'
import { admitted, type Dismissal, graver } from './dismissal.ts'
import type { EngineJournal, SavedEngine, SavedPool } from './engine-journal.ts'
import { KeptLimit } from './kept-limit.ts'
import type { KeyVerbs } from './key-verbs.ts'
import { MemoryPool } from './memory-pool.ts'
import { Sweeper } from './sweeper.ts'
import { Turns } from './turns.ts'

/** How many keys and outcomes are kept for retries, in all pools: some hundred megabytes at the most. */
const MAX_KEPT = 1_000_000
/** How far the sweep may be behind before the service counts as not ready. */
const MAX_LAG_MS = 2000
/** Fences that one millisecond of running time accounts for: see MemoryEngine. */
const FENCES_PER_MS = 1000

export interface MemoryEngineOptions {
  clock: Clock
  /** Node's cryptographic source by default. */
  random?: Random
  /** Told of faults in the sweep, or while callers are served, which go on. */
  onFault: (error: unknown) => void
  /** Told of what is to outlast the process. Nobody by default. */
  journal?: EngineJournal
  /** What a former process left. Each of its pools waits for its keys, and for `resume`. */
  saved?: SavedEngine
}

/**
 * The engine that holds everything in this process's memory, and forgets it with the process.
 *
 * Fences must grow under a pool's name for ever, also where the process forgets: a resource that has seen a fence would
 * refuse all later holders otherwise. So they start at the instant of the start, times FENCES_PER_MS, and are larger than
 * those of earlier processes unless a pool sustained a million leases per second, or the machine's clock was set back in
 * between. A pool that is made under the name of one that was deleted goes on from the largest fence of any deleted one.
 * Pools that were saved go on from their own.
 */
export class MemoryEngine implements Engine {
  readonly #clock: Clock
  readonly #random: Random
  readonly #pools = new Map<string, MemoryPool>()
  readonly #sweeper: Sweeper
  readonly #turns: Turns
  readonly #limit = new KeptLimit(MAX_KEPT)
  readonly #journal: EngineJournal | undefined
  #largestFence: number
  #incarnation: number
  #dismissed: Dismissal | undefined

  constructor({ clock, random = cryptoRandom(), onFault, journal, saved }: MemoryEngineOptions) {
    this.#clock = clock
    this.#random = random
    this.#journal = journal
    this.#turns = new Turns(clock, onFault)
    this.#sweeper = new Sweeper(clock, () => this.#pools.values(), onFault)
    const { pools, fence, incarnation } = saved ?? { pools: [], fence: 0, incarnation: 0 }
    this.#largestFence = Math.max(fence, clock.now() * FENCES_PER_MS)
    this.#incarnation = pools.reduce((largest, pool) => Math.max(largest, pool.incarnation), incarnation)
    for (const pool of pools) this.#pools.set(pool.name, this.#open(pool, true))
    if (!this.#pools.has(DEFAULT_POOL)) this.putPool(DEFAULT_POOL, {})
  }

  /** The largest fence of any pool that was deleted, and where new pools' fences begin. */
  get fence(): number {
    return this.#largestFence
  }

  /** The largest incarnation that was given. */
  get incarnation(): number {
    return this.#incarnation
  }

  find(name: string): MemoryPool | undefined {
    return this.#pools.get(name)
  }

  handles(): Iterable<MemoryPool> {
    return this.#pools.values()
  }

  pools(): PoolView[] {
    return [...this.#pools.values()].map(pool => pool.view())
  }

  pool(name: string): PoolView | Refusal<'unknown-pool'> {
    return this.#in(name, pool => pool.view())
  }

  putPool(name: string, policy: Partial<Policy>): ReturnType<Engine['putPool']> {
    const present = this.#pools.get(name)
    if (present === undefined && this.#pools.size >= MAX_POOLS) return { refusal: 'too-many-pools' }
    const pool = present ?? this.#make(name)
    const refusal = pool.setPolicy(policy)
    if (refusal !== undefined) return refusal
    this.#pools.set(name, pool)
    this.#journal?.poolChanged(pool)
    return { made: present === undefined, pool: pool.view() }
  }

  deletePool(name: string): 'deleted' | Refusal<'unknown-pool'> {
    return this.#in(name, pool => {
      this.remove(name)
      this.#journal?.poolDeleted(pool)
      return 'deleted'
    })
  }

  /** Takes back a pool that was made; the journal is not told. */
  remove(name: string): void {
    const pool = this.#pools.get(name)
    if (pool === undefined) return
    this.#largestFence = Math.max(this.#largestFence, pool.fence)
    this.#pools.delete(name)
    pool.end()
  }

  generate(name: string, ...rest: Rest<'generate'>): ReturnType<Engine['generate']> {
    return this.#in(name, pool => pool.generate(...rest))
  }

  importKeys(name: string, ...rest: Rest<'importKeys'>): ReturnType<Engine['importKeys']> {
    return this.#in(name, pool => pool.importKeys(...rest))
  }

  list(name: string, ...rest: Rest<'list'>): ReturnType<Engine['list']> {
    return this.#in(name, pool => pool.list(...rest))
  }

  key(name: string, ...rest: Rest<'key'>): ReturnType<Engine['key']> {
    return this.#ask(name, verbs => verbs.key(...rest))
  }

  delete(name: string, ...rest: Rest<'delete'>): ReturnType<Engine['delete']> {
    return this.#ask(name, verbs => verbs.delete(...rest))
  }

  keepAlive(name: string, ...rest: Rest<'keepAlive'>): ReturnType<Engine['keepAlive']> {
    return this.#ask(name, verbs => verbs.keepAlive(...rest))
  }

  activate(name: string, ...rest: Rest<'activate'>): ReturnType<Engine['activate']> {
    return this.#ask(name, verbs => verbs.activate(...rest))
  }

  setMetadata(name: string, ...rest: Rest<'setMetadata'>): ReturnType<Engine['setMetadata']> {
    return this.#ask(name, verbs => verbs.setMetadata(...rest))
  }

  unblock(name: string, ...rest: Rest<'unblock'>): ReturnType<Engine['unblock']> {
    return this.#ask(name, verbs => verbs.unblock(...rest))
  }

  acquire(name: string, ...rest: Rest<'acquire'>): ReturnType<Engine['acquire']> {
    return this.#in(name, pool => pool.acquire(...rest))
  }

  lease(name: string, ...rest: Rest<'lease'>): ReturnType<Engine['lease']> {
    return this.#ask(name, verbs => verbs.lease(...rest))
  }

  renew(name: string, ...rest: Rest<'renew'>): ReturnType<Engine['renew']> {
    return this.#ask(name, verbs => verbs.renew(...rest))
  }

  release(name: string, ...rest: Rest<'release'>): ReturnType<Engine['release']> {
    return this.#ask(name, verbs => verbs.release(...rest))
  }

  batch(name: string, ...rest: Rest<'batch'>): ReturnType<Engine['batch']> {
    return this.#in(name, pool => pool.batch(...rest))
  }

  readiness(): string[] {
    const lagMs = this.#sweeper.lagMs
    return lagMs < MAX_LAG_MS ? [] : [`the sweep is ${lagMs} ms behind`]
  }

  drain(): void {
    this.dismiss({ refusal: 'draining' })
  }

  /** Refuses all who wait, in pools to come too, and those who would; 'draining' for good. */
  dismiss(refusal: Dismissal): void {
    this.#dismissed = graver(this.#dismissed, refusal)
    for (const pool of this.#pools.values()) pool.dismiss(refusal)
  }

  /** Storage is available again: callers may wait, unless the engine drains. */
  admit(): void {
    this.#dismissed = admitted(this.#dismissed)
    for (const pool of this.#pools.values()) pool.admit()
  }

  close(): void {
    this.drain()
    this.#sweeper.close()
    for (const pool of this.#pools.values()) pool.close()
  }

  #in<T>(name: string, verb: (pool: MemoryPool) => T): T | Refusal<'unknown-pool'> {
    const pool = this.#pools.get(name)
    return pool === undefined ? { refusal: 'unknown-pool' } : verb(pool)
  }

  #ask<T>(name: string, verb: (verbs: KeyVerbs) => T): T | Refusal<'unknown-pool'> {
    return this.#in(name, pool => pool.ask(verb))
  }

  #make(name: string): MemoryPool {
    const incarnation = ++this.#incarnation
    return this.#open({ name, incarnation, policy: DEFAULT_POLICY, fence: this.#largestFence, serial: 0 }, false)
  }

  #open(saved: SavedPool, recovers: boolean): MemoryPool {
    const pool = new MemoryPool({
      saved,
      recovers,
      clock: this.#clock,
      random: this.#random,
      wake: pool => this.#sweeper.wake(pool),
      turns: this.#turns,
      limit: this.#limit,
      journal: this.#journal
    })
    if (this.#dismissed !== undefined) pool.dismiss(this.#dismissed)
    return pool
  }
}

/** The arguments of a verb that follow the pool's name. */
type Rest<V extends keyof Engine> = Engine[V] extends (pool: string, ...rest: infer R) => unknown ? R : never
