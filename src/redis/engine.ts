import type { Clock, Timer } from '../clock.ts'
import { DEFAULT_POOL, type Engine, MAX_POOLS, POOL_NAME_PATTERN, type PoolView, type Refusal } from '../engine.ts'
import type { Log } from '../log.ts'
import { assertPolicy, DEFAULT_POLICY } from '../pool/policy.ts'
import { cryptoRandom, type Policy, type Random } from '../pool/key-pool.ts'
import { type Server, Unavailable } from './connection.ts'
import { RedisPool } from './redis-pool.ts'

const POOL_NAME = new RegExp(POOL_NAME_PATTERN)
/** The hash of all pools' names, each with its entry: see register.lua. */
const POOLS = 'keypool:pools'
/** How often the sweep looks for pools that it does not know, and for deadlines that other nodes have set. */
const SWEEP_MS = 1000
/** How long a pool is left alone of which no deadline is known. */
const UNWATCHED_MS = 5000
/** How many pools are swept at once: one after the other they would take a thousand ways to the server and back. */
const SWEPT_AT_ONCE = 50
/** How long a pool may be in the list before it is there: no call takes as long. */
const MISSED_MS = 60_000
/** How far the sweep may be behind before the service counts as not ready. */
const MAX_LAG_MS = 2000

export interface RedisEngineOptions {
  /** Opens a connection; it is told what to do with what it hears. */
  connect: (told: {
    channel: string
    heard: (pool: string) => void
    changed: (trouble: string | undefined) => void
  }) => Server
  clock: Clock
  log: Log
  /** Node's cryptographic source by default. */
  random?: Random
  /** Told of faults in the sweep, or while callers are served, which go on. */
  onFault: (error: unknown) => void
  /** What scripts take for the present, in milliseconds since 1970: of tests. The server's clock where absent. */
  time?: () => number
}

/**
 * The engine over Redis or Valkey: any number of nodes, of which none knows anything that another needs. Each verb is one
 * script that the server runs as a whole, and the server's clock is the only one.
 *
 * The sweep of every node applies what is due, in slices; that it does so never changes an answer. Fences are the server's
 * microseconds, or one more than the last: a failover that loses the last writes repeats none, as its clock has gone on.
 */
export class RedisEngine implements Engine {
  readonly #options: RedisEngineOptions
  readonly #random: Random
  readonly #server: Server
  readonly #pools = new Map<string, RedisPool>()
  /** Entries of pools that were not found, since when. */
  readonly #missing = new Map<string, { entry: string; since: number }>()
  readonly #sweepAt = new Map<string, number>()
  readonly #id: string
  /** After a loss of the connection nobody waits under the old name. */
  #epoch = 0
  #entries = 0
  /** Waiters that are taken back as the engine drains. */
  readonly #farewells: Promise<unknown>[] = []
  #available = false
  #started = false
  #dismissed: Refusal<'draining'> | undefined
  #sweeping: Timer | undefined
  /** When all pools were last looked at. */
  #sweptAt = Infinity
  #closed = false
  #prepare = async (): Promise<void> => undefined

  constructor(options: RedisEngineOptions) {
    const { random = cryptoRandom() } = options
    this.#options = options
    this.#random = random
    this.#id = Buffer.from(random.bytes(12)).toString('base64url')
    this.#server = options.connect({
      channel: `keypool:${this.#id}`,
      heard: pool => this.#pools.get(pool)?.line.look(),
      changed: trouble => this.#turn(trouble)
    })
  }

  /** Resolves once the server has been reached, and what must be there is: made by `prepare`, besides the first pool. */
  async start(prepare = async (): Promise<void> => undefined): Promise<void> {
    await this.#server.open()
    this.#prepare = async () => {
      await this.putPool(DEFAULT_POOL, {})
      await prepare()
    }
    const epoch = this.#epoch
    this.#started = true
    try {
      await this.#prepare()
      await this.#warn()
    } catch (error) {
      // Where the connection was lost in between, it is prepared once that is back, and callers are refused until then.
      if (epoch === this.#epoch) throw error
    }
    this.#sweptAt = this.#options.clock.now()
    this.#sweepLater()
  }

  async pools(): Promise<PoolView[] | Refusal<'storage-unavailable'>> {
    return this.#whileAvailable(async () => {
      const views = await Promise.all(
        Object.keys(await this.#server.fields(POOLS)).map(name => this.#pool(name).view())
      )
      return views.flatMap(view => ('refusal' in view ? [] : [view]))
    })
  }

  pool(name: string): ReturnType<Engine['pool']> {
    return this.#in(name, pool => pool.view())
  }

  putPool(name: string, policy: Partial<Policy>): ReturnType<Engine['putPool']> {
    assertPolicy({ ...DEFAULT_POLICY, ...policy })
    return this.#whileAvailable(async () => {
      // As a rule the entry comes first: what stands in the list and is not found is no pool.
      const present = await this.#pool(name).view()
      const entry = `${this.#id}.${++this.#entries}`
      const [listed] = await this.#server.run('register', POOLS, name, entry, MAX_POOLS)
      if (listed === 'too-many-pools') return { refusal: listed }
      const outcome = await this.#pool(name).put(entry, policy)
      if (typeof outcome === 'object') {
        if ('refusal' in present) await this.#server.run('unregister', POOLS, name, entry)
        return outcome
      }
      const view = await this.#pool(name).view()
      // Deleted in between: it is told as it would be of a pool that nobody has used.
      return 'refusal' in view ? this.putPool(name, policy) : { made: outcome === 'made', pool: view }
    })
  }

  deletePool(name: string): ReturnType<Engine['deletePool']> {
    return this.#in(name, async pool => {
      const [outcome, entry] = await pool.scripts.run('deletePool')
      if (outcome !== 'deleted') return { refusal: 'unknown-pool' }
      await this.#server.run('unregister', POOLS, name, entry as string)
      pool.line.look()
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
    const { trouble } = this.#server
    if (trouble !== undefined) return [`the storage can't be used: ${trouble}`]
    const lagMs = this.#options.clock.now() - this.#sweptAt - SWEEP_MS
    return lagMs < MAX_LAG_MS ? [] : [`the sweep is ${lagMs} ms behind`]
  }

  drain(): void {
    const refusal = (this.#dismissed ??= { refusal: 'draining' })
    for (const { line, scripts } of this.#pools.values()) {
      // What is not taken back leaves with the node, three seconds later.
      for (const waiter of line.dismiss(refusal)) {
        this.#farewells.push(scripts.run('leave', waiter).catch(() => undefined))
      }
    }
  }

  async close(): Promise<void> {
    this.#closed = true
    this.drain()
    this.#sweeping?.cancel()
    await Promise.all(this.#farewells)
    await this.#server.close()
  }

  async #in<T>(
    name: string,
    verb: (pool: RedisPool) => Promise<T> | T
  ): Promise<T | Refusal<'storage-unavailable' | 'unknown-pool'>> {
    if (!POOL_NAME.test(name)) return { refusal: 'unknown-pool' }
    return this.#whileAvailable(() => verb(this.#pool(name)))
  }

  /** Tells of settings of the server that lose what was acknowledged. */
  async #warn(): Promise<void> {
    const { log } = this.#options
    const info = await this.#server.info()
    const setting = (name: string): string | undefined => new RegExp(`^${name}:(\\S+)`, 'm').exec(info)?.[1]
    const policy = setting('maxmemory_policy')
    if (policy !== 'noeviction') {
      log.warn({ policy }, 'the Redis server may drop pools when its memory is full: set maxmemory-policy noeviction')
    }
    if (setting('aof_enabled') === '0') {
      log.warn({}, 'the Redis server has no append-only file: its restart may lose all keys; set appendonly yes')
    }
  }

  async #whileAvailable<T>(verb: () => Promise<T> | T): Promise<T | Refusal<'storage-unavailable'>> {
    try {
      return await verb()
    } catch (error) {
      if (error instanceof Unavailable) return { refusal: 'storage-unavailable', ...(error.unsure && { unsure: true }) }
      throw error
    }
  }

  #pool(name: string): RedisPool {
    let pool = this.#pools.get(name)
    if (pool === undefined) {
      const { clock, onFault, time } = this.#options
      pool = new RedisPool(name, {
        server: this.#server,
        time,
        clock,
        random: this.#random,
        node: () => `${this.#id}.${this.#epoch}`,
        onFault,
        dismissed: () => this.#dismissed
      })
      this.#pools.set(name, pool)
    }
    return pool
  }

  #turn(trouble: string | undefined): void {
    const { log } = this.#options
    const isNews = this.#available !== (trouble === undefined)
    this.#available = trouble === undefined
    // Also where it is no news: a call that was lost may have left a waiter, by the name that it had until now.
    if (trouble !== undefined) this.#epoch++
    if (!isNews) return
    if (trouble === undefined) {
      log.info({}, 'the Redis server answers')
      // It may have lost everything.
      if (this.#started) this.#prepare().catch(() => undefined)
      return
    }
    log.warn({ trouble }, 'the Redis server can not be used: callers are refused until it can')
    for (const { line } of this.#pools.values()) line.dismiss({ refusal: 'storage-unavailable', unsure: true })
  }

  #sweepLater(): void {
    if (this.#closed) return
    this.#sweeping = this.#options.clock.after(SWEEP_MS, () => {
      this.#sweep()
        .catch((error: unknown) => error instanceof Unavailable || this.#options.onFault(error))
        .finally(() => this.#sweepLater())
    })
  }

  async #sweep(): Promise<void> {
    const { clock } = this.#options
    const entries = await this.#server.fields(POOLS)
    for (const [name, pool] of this.#pools) {
      if (entries[name] === undefined && pool.line.size === 0) this.#pools.delete(name)
    }
    for (const name of this.#sweepAt.keys()) if (entries[name] === undefined) this.#sweepAt.delete(name)
    // The server has been emptied, and the connection stands.
    if (entries[DEFAULT_POOL] === undefined) await this.#prepare()
    const now = clock.now()
    const due = Object.entries(entries).filter(([name]) => (this.#sweepAt.get(name) ?? now) <= now)
    for (let from = 0; from < due.length; from += SWEPT_AT_ONCE) {
      const some = due.slice(from, from + SWEPT_AT_ONCE)
      await Promise.all(some.map(([name, entry]) => this.#sweepPool(name, entry)))
    }
    this.#sweptAt = clock.now()
  }

  async #sweepPool(name: string, entry: string): Promise<void> {
    const now = this.#options.clock.now()
    const result = await this.#pool(name).scripts.catchUp()
    if (result === undefined && name === DEFAULT_POOL) await this.#prepare()
    else if (result === undefined) await this.#miss(name, entry)
    this.#sweepAt.set(name, now + Math.min(result?.dueInMs ?? UNWATCHED_MS, UNWATCHED_MS))
  }

  /** A pool that is in the list and not there: it is being made at this moment, or whoever made or deleted it has died. */
  async #miss(name: string, entry: string): Promise<void> {
    const now = this.#options.clock.now()
    const missing = this.#missing.get(name)
    if (missing?.entry !== entry) {
      this.#missing.set(name, { entry, since: now })
    } else if (now - missing.since > MISSED_MS) {
      this.#missing.delete(name)
      await this.#server.run('unregister', POOLS, name, entry)
    }
  }
}

/** The arguments of a verb that follow the pool's name. */
type Rest<V extends keyof Engine> = Engine[V] extends (pool: string, ...rest: infer R) => unknown ? R : never
