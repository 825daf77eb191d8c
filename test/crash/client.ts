import { createHash } from 'node:crypto'
import type { Random } from '../../src/pool/random.ts'
import type { Answer, Caller } from './caller.ts'
import type { KeyEntry, LeaseEntry } from './entries.ts'
import type { Ledger } from './ledger.ts'
import { keySeen, leaseSeen } from './read-all.ts'
import { SPENT } from './spender.ts'

/** Where most happens: keys that age, and keys that do not. */
const POOLS = ['default', 'ageless'] as const
/** Where keys retire in the run. */
const BRIEF = 'brief'
export const POLICIES: readonly [name: string, policy: { leaseMs: number } & Record<string, unknown>][] = [
  ['default', { leaseMs: 60_000, maxHoldMs: 3_600_000, keepAliveMs: 3_600_000 }],
  ['ageless', { leaseMs: 60_000, maxHoldMs: 3_600_000, keepAliveMs: null }],
  [SPENT, { leaseMs: 60_000, keepAliveMs: null }],
  [BRIEF, { leaseMs: 60_000, maxHoldMs: 60_000, keepAliveMs: 1000 }]
]
const KEYS_PER_POOL = 300
/** How many calls with an Idempotency-Key are made again after a restart, at most. */
const RETRIES = 100

/** A call with an Idempotency-Key, and what it came to. */
interface Retry {
  pool: string
  key: string
  body: object
  /** The largest fence when it was first made, for one that asks for a lease. */
  above: number | undefined
  /** Undefined while it was not answered. */
  keys?: readonly string[]
  lease?: LeaseEntry | undefined
}

/** A verb as an operation of a batch, and as a call of its own; and whom its answer is told. */
interface Verb {
  what: string
  body?: object
  operation: object
  told: (answer: Answer) => void
}

/** Somebody who calls whatever there is, without a pause. */
export class Client {
  readonly #number: number
  readonly #ledger: Ledger
  readonly #random: Random
  /** Calls with an Idempotency-Key, those of the last load. */
  #retries: Retry[] = []
  #calls = 0
  #answered = 0

  constructor(number: number, ledger: Ledger, random: Random) {
    this.#number = number
    this.#ledger = ledger
    this.#random = random
  }

  /** How many calls were answered. */
  get answered(): number {
    return this.#answered
  }

  /** Makes calls until one is not answered, or `over` says so. */
  async load(caller: Caller, over: () => boolean): Promise<void> {
    this.#retries = this.#retries.slice(-RETRIES / 2)
    while (!over()) {
      if (!(await this.#step(caller))) return
      this.#answered++
    }
  }

  /** Makes calls with an Idempotency-Key again: they come to what they came to before. */
  async retry(caller: Caller): Promise<void> {
    for (const retry of this.#retries) {
      if (retry.above === undefined) await this.#generate(caller, retry)
      else await this.#acquire(caller, retry)
    }
  }

  /** Whether the call was answered. */
  async #step(caller: Caller): Promise<boolean> {
    const pool = this.#oneOf(POOLS)
    const dice = this.#random.below(100)
    if (dice < 5) return this.#scratch(caller)
    if (dice < 13) return this.#brief(caller)
    if (dice < 21) return this.#generate(caller, this.#call(pool, { count: 1 + this.#random.below(5) }))
    if (dice < 25) return this.#import(caller, pool)
    if (dice < 48) return this.#acquire(caller, this.#call(pool, { leaseMs: 2000 + this.#random.below(58_000) }, true))
    if (dice < 56) return this.#batch(caller, pool)
    return this.#single(caller, this.#verb(pool))
  }

  #call(pool: string, body: object, acquires = false): Retry {
    const above = acquires ? this.#ledger.pool(pool).fence : undefined
    const retry = { pool, body, above, key: `${this.#number}-${++this.#calls}-${this.#random.below(2 ** 32)}` }
    if (this.#random.below(4) === 0) this.#retries.push(retry)
    return retry
  }

  async #generate(caller: Caller, call: Retry): Promise<boolean> {
    const { pool, body, key, keys: before } = call
    const told = this.#ledger.making(pool, (body as { count: number }).count, this.#retries.includes(call))
    const answer = await caller.ask(`POST /v1/pools/${pool}/keys`, body, { 'idempotency-key': key })
    if (answer === undefined) return false
    const keys = answer.status === 201 ? (answer.body['keys'] as unknown[]).map(keySeen) : []
    told(keys)
    this.#expect(answer, [201], 'generate')
    const ids = keys.map(({ id }) => id)
    for (const id of before ?? []) {
      const known = this.#ledger.keys.get(id)
      if (known && !known.endAttempted && !ids.includes(id))
        this.#ledger.wrong(pool, `a retry does not give ${id} again`)
    }
    if (before?.length && ids.some(id => !before.includes(id))) this.#ledger.wrong(pool, 'a retry gives other keys')
    call.keys ??= ids
    return true
  }

  async #import(caller: Caller, pool: string): Promise<boolean> {
    const key = Buffer.from(this.#random.bytes(24)).toString('hex')
    const told = this.#ledger.making(pool, 1)
    const answer = await caller.ask(`POST /v1/pools/${pool}/keys`, { keys: [{ key }] })
    if (answer === undefined) return false
    const keys = answer.status === 201 ? (answer.body['keys'] as unknown[]).map(keySeen) : []
    told(keys)
    this.#expect(answer, [201], 'import')
    if (keys[0]?.id !== idOf(key)) this.#ledger.wrong(pool, `an imported key has the id ${keys[0]?.id}`)
    return true
  }

  async #acquire(caller: Caller, call: Retry): Promise<boolean> {
    const { pool, body, key, above = 0, lease: before } = call
    const again = this.#retries.includes(call)
    const told = this.#ledger.acquiring(pool, { above, again })
    const answer = await caller.ask(`POST /v1/pools/${pool}/leases`, body, { 'idempotency-key': key })
    if (answer === undefined) return false
    this.#expect(answer, [201, 404], 'acquire')
    if (answer.status !== 201) {
      told()
      return true
    }
    const seen = leaseSeen(answer.body)
    if (idOf(String(answer.body['key'])) !== seen.keyId) this.#ledger.wrong(pool, `another key than ${seen.keyId}`)
    told(seen)
    const lives = before?.end === 'none' && before.expiresAt > Date.now() + 1000
    if (lives && before.id !== seen.id) this.#ledger.wrong(pool, `a retry gives ${seen.id}, not ${before.id}`)
    call.lease = this.#ledger.leases.get(seen.id)
    return true
  }

  async #single(caller: Caller, verb: Verb | undefined): Promise<boolean> {
    if (verb === undefined) return true
    const answer = await caller.ask(verb.what, verb.body)
    if (answer !== undefined) verb.told(answer)
    return answer !== undefined
  }

  async #batch(caller: Caller, pool: string): Promise<boolean> {
    const verbs: Verb[] = []
    for (let i = 1 + this.#random.below(8); i > 0; i--) {
      const verb = this.#random.below(3) === 0 ? this.#acquireVerb(pool) : this.#verb(pool)
      if (verb) verbs.push(verb)
    }
    if (verbs.length === 0) return true
    const answer = await caller.ask(`POST /v1/pools/${pool}/batch`, { operations: verbs.map(verb => verb.operation) })
    if (answer === undefined) return false
    this.#expect(answer, [200], 'batch')
    const results = (answer.body['results'] ?? verbs.map(() => answer)) as Answer[]
    for (const [i, verb] of verbs.entries()) {
      verb.told({ status: results[i]?.status ?? 0, body: results[i]?.body ?? {} })
    }
    return true
  }

  #acquireVerb(pool: string): Verb {
    const told = this.#ledger.acquiring(pool)
    return {
      what: `POST /v1/pools/${pool}/leases`,
      operation: { op: 'acquire', leaseMs: 30_000 },
      told: answer => told(answer.status === 201 ? leaseSeen(answer.body) : undefined)
    }
  }

  /** Something to do with a key or a lease of a pool; undefined where there is none. */
  #verb(pool: string): Verb | undefined {
    const keys = this.#ledger.alive(pool)
    const [key] = keys.length === 0 ? [] : [this.#oneOf(keys)]
    const leases = key?.leases.filter(({ end, expiresAt }) => end === 'none' && expiresAt > Date.now()) ?? []
    const lease = leases.at(-1)
    if (key === undefined) return undefined
    const dice = this.#random.below(100)
    if (lease !== undefined && dice < 45) return this.#release(lease)
    if (lease !== undefined && dice < 65) return this.#renew(lease, key)
    if (dice < 75) return this.#keepAlive(key)
    if (dice < 85) return this.#activate(key)
    if (dice < 90) return this.#unblock(key)
    return keys.length > KEYS_PER_POOL / 2 && (keys.length > KEYS_PER_POOL || dice < 95) ? this.#delete(key) : undefined
  }

  #release(lease: LeaseEntry): Verb {
    const cooldownMs = this.#random.below(3) === 0 ? 1 + this.#random.below(10_000) : 0
    const told = this.#ledger.releasing(lease, cooldownMs)
    return {
      what: `DELETE /v1/pools/${lease.pool}/leases/${lease.id}?cooldownMs=${cooldownMs}`,
      operation: { op: 'release', lease: lease.id, cooldownMs },
      told: answer => {
        this.#expect(answer, [204, 410], 'release')
        told(answer.status === 204 ? 'released' : answer.status === 410 ? 'lease-lost' : 'refused')
      }
    }
  }

  #renew(lease: LeaseEntry, key: KeyEntry): Verb {
    const keepAlive = this.#random.below(2) === 0
    const body = { leaseMs: 2000 + this.#random.below(58_000), ...(keepAlive && { keepAlive: true as const }) }
    const told = this.#ledger.renewing(lease)
    const alive = keepAlive ? this.#ledger.keepingAlive(key) : () => undefined
    const certain = lease.end === 'none' && key.unblocking === 0
    const { unblockedAt } = key
    return {
      what: `PUT /v1/pools/${lease.pool}/leases/${lease.id}/renewal`,
      body,
      operation: { op: 'renew', lease: lease.id, ...body },
      told: answer => {
        this.#expect(answer, [200, 410], 'renew')
        const seen = answer.status === 200 ? leaseSeen(answer.body) : undefined
        told(seen?.expiresAt)
        alive(seen?.keepAliveBy)
        if (answer.status !== 410) return
        this.#ledger.lost(lease, certain && lease.end === 'none' && !key.unblockedSince(unblockedAt))
      }
    }
  }

  #keepAlive(key: KeyEntry): Verb {
    const told = this.#ledger.keepingAlive(key)
    const certain = !key.endAttempted
    return {
      what: `PUT /v1/pools/${key.pool}/keys/${key.id}/keep-alive`,
      operation: { op: 'keepAlive', id: key.id },
      told: answer => {
        this.#expect(answer, [200, 404], 'keep alive')
        told(answer.status === 200 ? keySeen(answer.body).keepAliveBy : undefined)
        if (answer.status === 404) this.#ledger.unknown(key, certain)
      }
    }
  }

  #activate(key: KeyEntry): Verb {
    const told = this.#ledger.activating(key)
    const certain = !key.endAttempted
    return {
      what: `PUT /v1/pools/${key.pool}/keys/${key.id}/activation`,
      operation: { op: 'activate', id: key.id },
      told: answer => {
        this.#expect(answer, [200, 201, 404], 'activate')
        told(answer.status < 300 ? (keySeen(answer.body).activatedAt ?? undefined) : undefined)
        if (answer.status === 404) this.#ledger.unknown(key, certain)
      }
    }
  }

  #unblock(key: KeyEntry): Verb {
    const told = this.#ledger.unblocking(key)
    return {
      what: `DELETE /v1/pools/${key.pool}/keys/${key.id}/lease`,
      operation: { op: 'unblock', id: key.id },
      told: answer => {
        this.#expect(answer, [204, 404, 409], 'unblock')
        told(answer.status === 204 ? 'unblocked' : 'refused')
      }
    }
  }

  #delete(key: KeyEntry): Verb {
    const told = this.#ledger.deleting(key)
    return {
      what: `DELETE /v1/pools/${key.pool}/keys/${key.id}`,
      operation: { op: 'delete', id: key.id },
      told: answer => {
        this.#expect(answer, [204, 404], 'delete')
        told(answer.status === 204 ? 'deleted' : answer.status === 404 ? 'unknown-key' : 'refused')
      }
    }
  }

  /** A pool of its own, made, used and deleted by nobody else, again and again under the same name. */
  async #scratch(caller: Caller): Promise<boolean> {
    const name = `scratch-${this.#number}`
    const pool = this.#ledger.pool(name)
    const dice = this.#random.below(10)
    if (!pool.exists || dice < 3) {
      const leaseMs = 1000 * (2 + this.#random.below(50))
      return this.#putPool(caller, name, { leaseMs, maxHoldMs: 3_600_000 })
    }
    if (dice < 5) return this.#generate(caller, this.#call(name, { count: 1 + this.#random.below(5) }))
    if (dice < 8) return this.#acquire(caller, this.#call(name, {}, true))
    // The key with the largest fence is gone, the fence is not.
    const last = this.#ledger.alive(name).find(key => key.leases.some(({ fence }) => fence === pool.fence))
    if (dice === 8) return this.#single(caller, last && this.#delete(last))
    const told = this.#ledger.deletingPool(name)
    const answer = await caller.ask(`DELETE /v1/pools/${name}`)
    if (answer === undefined) return false
    this.#expect(answer, [204], 'delete a pool')
    told(answer.status === 204 ? 'deleted' : 'refused')
    // What was generated there is gone with it.
    this.#retries = this.#retries.filter(retry => retry.pool !== name)
    return true
  }

  async #putPool(caller: Caller, name: string, policy: { leaseMs: number; maxHoldMs: number }): Promise<boolean> {
    const told = this.#ledger.puttingPool(name)
    const answer = await caller.ask(`PUT /v1/pools/${name}`, policy)
    if (answer === undefined) return false
    this.#expect(answer, [200, 201], 'put a pool')
    told(answer.status < 300 ? 'put' : 'refused', policy.leaseMs)
    return true
  }

  /** Where keys retire: new ones, and looks at old ones, of which some are kept alive. */
  async #brief(caller: Caller): Promise<boolean> {
    const keys = this.#ledger.alive(BRIEF)
    const dice = this.#random.below(10)
    if (keys.length === 0 || (keys.length < KEYS_PER_POOL && dice < 3)) {
      return this.#generate(caller, {
        pool: BRIEF,
        key: `${this.#number}-${++this.#calls}-brief-${this.#random.below(2 ** 32)}`,
        body: { count: 2 },
        above: undefined
      })
    }
    const key = this.#oneOf(keys)
    if (dice < 5) return this.#single(caller, this.#keepAlive(key))
    const answer = await caller.ask(`GET /v1/pools/${BRIEF}/keys/${key.id}`)
    if (answer?.status === 404) this.#ledger.unknown(key)
    return answer !== undefined
  }

  #expect(answer: Answer, statuses: readonly number[], what: string): void {
    if (!statuses.includes(answer.status)) {
      this.#ledger.wrong(what, `was answered with ${answer.status} ${JSON.stringify(answer.body)}`)
    }
  }

  #oneOf<T>(list: readonly T[]): T {
    return list[this.#random.below(list.length)] as T
  }
}

function idOf(key: string): string {
  return createHash('sha256').update(key).digest('base64url').slice(0, 22)
}
