import type { Clock } from '../clock.ts'
import { DEFAULT_POOL, type Engine, MAX_POOLS, type PoolView, type Refusal } from '../engine.ts'
import { cryptoRandom, type Policy, type Random } from '../pool/key-pool.ts'
import { type KeptResult, MemoryPool } from './memory-pool.ts'
import { Retries } from './retries.ts'
import { Sweeper } from './sweeper.ts'

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
  /** Told of faults in the sweep, which goes on. */
  onFault: (error: unknown) => void
}

/**
 * The engine that holds everything in this process's memory, and forgets it with the process.
 *
 * Fences must grow under a pool's name for ever, also where the process forgets: a resource that has seen a fence would
 * refuse all later holders otherwise. So they start at the instant of the start, times FENCES_PER_MS, and are larger than
 * those of earlier processes unless a pool sustained a million leases per second, or the machine's clock was set back in
 * between. A pool that is made under the name of one that was deleted goes on from the largest fence of any deleted one.
 */
export class MemoryEngine implements Engine {
  readonly #clock: Clock
  readonly #random: Random
  readonly #pools = new Map<string, MemoryPool>()
  readonly #sweeper: Sweeper
  readonly #results: Retries<KeptResult>
  #largestFence: number
  #incarnations = 0
  #draining = false

  constructor({ clock, random = cryptoRandom(), onFault }: MemoryEngineOptions) {
    this.#clock = clock
    this.#random = random
    this.#sweeper = new Sweeper(clock, () => this.#pools.values(), onFault)
    this.#results = new Retries(({ until }) => until <= clock.now(), MAX_KEPT)
    this.#largestFence = clock.now() * FENCES_PER_MS
    this.#pools.set(DEFAULT_POOL, this.#make(DEFAULT_POOL))
  }

  pools(): PoolView[] {
    return [...this.#pools.values()].map(pool => pool.view())
  }

  pool(name: string): PoolView | Refusal<'unknown-pool'> {
    return this.#in(name, pool => pool.view())
  }

  putPool(name: string, policy: Partial<Policy>): ReturnType<Engine['putPool']> {
    const pool = this.#pools.get(name)
    if (pool !== undefined) return pool.setPolicy(policy) ?? { made: false, pool: pool.view() }
    if (this.#pools.size >= MAX_POOLS) return { refusal: 'too-many-pools' }
    const made = this.#make(name)
    const refusal = made.setPolicy(policy)
    if (refusal !== undefined) return refusal
    this.#pools.set(name, made)
    return { made: true, pool: made.view() }
  }

  deletePool(name: string): 'deleted' | Refusal<'unknown-pool'> {
    return this.#in(name, pool => {
      this.#largestFence = Math.max(this.#largestFence, pool.fence)
      this.#pools.delete(name)
      pool.dismiss({ refusal: 'unknown-pool' })
      return 'deleted'
    })
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
    return this.#in(name, pool => pool.key(...rest))
  }

  delete(name: string, ...rest: Rest<'delete'>): ReturnType<Engine['delete']> {
    return this.#in(name, pool => pool.delete(...rest))
  }

  keepAlive(name: string, ...rest: Rest<'keepAlive'>): ReturnType<Engine['keepAlive']> {
    return this.#in(name, pool => pool.keepAlive(...rest))
  }

  activate(name: string, ...rest: Rest<'activate'>): ReturnType<Engine['activate']> {
    return this.#in(name, pool => pool.activate(...rest))
  }

  setMetadata(name: string, ...rest: Rest<'setMetadata'>): ReturnType<Engine['setMetadata']> {
    return this.#in(name, pool => pool.setMetadata(...rest))
  }

  unblock(name: string, ...rest: Rest<'unblock'>): ReturnType<Engine['unblock']> {
    return this.#in(name, pool => pool.unblock(...rest))
  }

  acquire(name: string, ...rest: Rest<'acquire'>): ReturnType<Engine['acquire']> {
    return this.#in(name, pool => pool.acquire(...rest))
  }

  lease(name: string, ...rest: Rest<'lease'>): ReturnType<Engine['lease']> {
    return this.#in(name, pool => pool.lease(...rest))
  }

  renew(name: string, ...rest: Rest<'renew'>): ReturnType<Engine['renew']> {
    return this.#in(name, pool => pool.renew(...rest))
  }

  release(name: string, ...rest: Rest<'release'>): ReturnType<Engine['release']> {
    return this.#in(name, pool => pool.release(...rest))
  }

  batch(name: string, ...rest: Rest<'batch'>): ReturnType<Engine['batch']> {
    return this.#in(name, pool => pool.batch(...rest))
  }

  readiness(): string[] {
    const lagMs = this.#sweeper.lagMs
    return lagMs < MAX_LAG_MS ? [] : [`the sweep is ${lagMs} ms behind`]
  }

  drain(): void {
    this.#draining = true
    for (const pool of this.#pools.values()) pool.dismiss({ refusal: 'draining' })
  }

  close(): void {
    this.#draining = true
    this.#sweeper.close()
    for (const pool of this.#pools.values()) pool.close()
  }

  #in<T>(name: string, verb: (pool: MemoryPool) => T): T | Refusal<'unknown-pool'> {
    const pool = this.#pools.get(name)
    return pool === undefined ? { refusal: 'unknown-pool' } : verb(pool)
  }

  #make(name: string): MemoryPool {
    const pool = new MemoryPool({
      name,
      fence: this.#largestFence,
      clock: this.#clock,
      random: this.#random,
      wake: pool => this.#sweeper.wake(pool),
      results: this.#results,
      incarnation: ++this.#incarnations
    })
    if (this.#draining) pool.dismiss({ refusal: 'draining' })
    return pool
  }
}

/** The arguments of a verb that follow the pool's name. */
type Rest<V extends keyof Engine> = Engine[V] extends (pool: string, ...rest: infer R) => unknown ? R : never
