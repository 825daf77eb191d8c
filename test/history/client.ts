import { setTimeout as sleep } from 'node:timers/promises'
import type { Random } from '../../src/pool/random.ts'
import type { LeaseTold, Told } from './history.ts'
import type { Recorder } from './recorder.ts'
import { TERMS } from './cluster.ts'

/** How many keys there are, about. */
const KEYS = 40
/** How often a call with an Idempotency-Key is made again at most where its answer was lost. */
const ATTEMPTS = 5
/** How many leases are remembered, so that others than their holders do something to them, and late. */
const LEASES_KNOWN = 60
/** For how long a key is used at most before its holder does anything, in milliseconds. */
const USE_MS = 20

/** What all clients know of each other's doing. */
export class Shared {
  readonly keys = new Set<string>()
  readonly leases: LeaseTold[] = []
  /** Keys that are being generated. */
  coming = 0
  grants = 0

  remember(lease: LeaseTold): void {
    this.leases.push(lease)
    if (this.leases.length > LEASES_KNOWN) this.leases.shift()
  }
}

/** Somebody who takes keys, uses them for a moment, and now and then does something to any key or lease. */
export class Client {
  readonly #name: string
  readonly #recorder: Recorder
  readonly #shared: Shared
  readonly #random: Random
  #asked = 0

  constructor(number: number, recorder: Recorder, shared: Shared, random: Random) {
    this.#name = `c${number}`
    this.#recorder = recorder
    this.#shared = shared
    this.#random = random
  }

  async load(isOver: () => boolean): Promise<void> {
    while (!isOver()) await this.#step()
  }

  async #step(): Promise<void> {
    if (this.#shared.keys.size + this.#shared.coming < KEYS) return this.#generate()
    const dice = this.#random.below(100)
    if (dice < 60) return this.#hold()
    const lease = this.#oneOf(this.#shared.leases)
    const keyId = this.#oneOf([...this.#shared.keys])
    if (!lease || !keyId) return this.#hold()
    if (dice < 68) return void (await this.#release(lease))
    if (dice < 73) return void (await this.#renew(lease))
    if (dice < 78) return void (await this.#read(lease))
    if (dice < 85) return this.#look(keyId)
    if (dice < 94) return this.#keepAlive(keyId)
    if (dice < 98) return this.#unblock(keyId, this.#random.below(2) === 0 ? lease : undefined)
    return this.#delete(keyId)
  }

  async #generate(): Promise<void> {
    const count = 1 + this.#random.below(4)
    this.#shared.coming += count
    const told = await this.#recorder.record(this.#random, { verb: 'generate', count }, 'POST keys', {
      body: { count }
    })
    this.#shared.coming -= count
    for (const { id } of membersOf(told).keys ?? []) this.#shared.keys.add(id)
  }

  /** Takes a key, and does with it what holders do, also what they should not. */
  async #hold(): Promise<void> {
    const lease = await this.#acquire()
    if (lease === undefined) return
    this.#shared.remember(lease)
    await sleep(this.#random.below(USE_MS))
    const dice = this.#random.below(100)
    if (dice < 10) return
    if (dice < 30) await this.#renew(lease)
    if (dice < 40) await this.#read(lease)
    if (dice < 48) await sleep(this.#random.below(400))
    await this.#release(lease)
    if (dice > 85) await this.#release(lease)
    if (dice > 95) await this.#renew(lease)
  }

  async #acquire(): Promise<LeaseTold | undefined> {
    const holder = `${this.#name}-${++this.#asked}`
    const leaseMs = this.#random.below(2) === 0 ? 100 + this.#random.below(401) : TERMS.leaseMs
    const waitMs = this.#random.below(2) * this.#random.below(1500)
    const isRepeatable = this.#random.below(3) === 0
    const headers: Record<string, string> = isRepeatable ? { 'idempotency-key': holder } : {}
    const first = this.#recorder.now()
    const attempt = (began: number): Promise<Told | 'refused' | 'unknown'> => {
      const asked = { verb: 'acquire', holder, began, leaseMs } as const
      return this.#recorder.record(this.#random, asked, 'POST leases', { body: { holder, leaseMs, waitMs }, headers })
    }
    let lease: LeaseTold | undefined
    // Also at once, at two nodes.
    const twin = isRepeatable && this.#random.below(3) === 0 ? attempt(first) : undefined
    for (let attempts = 1; attempts <= ATTEMPTS; attempts++) {
      const told = await attempt(attempts === 1 && twin === undefined ? Infinity : first)
      const given = membersOf(told).lease
      if (given && given.fence !== lease?.fence) this.#shared.grants++
      lease = given ?? lease
      // Now and then also one that was answered.
      const isAgain = isRepeatable && (typeof told === 'string' || this.#random.below(8) === 0)
      if (!isAgain) break
    }
    await twin
    return lease
  }

  #renew({ keyId, fence }: LeaseTold): Promise<unknown> {
    const leaseMs = 100 + this.#random.below(TERMS.leaseMs - 100)
    const what = `PUT leases/${keyId}.${fence}/renewal`
    return this.#recorder.record(this.#random, { verb: 'renew', keyId, fence, leaseMs }, what, { body: { leaseMs } })
  }

  #read({ keyId, fence }: LeaseTold): Promise<unknown> {
    return this.#recorder.record(this.#random, { verb: 'read', keyId, fence }, `GET leases/${keyId}.${fence}`)
  }

  #release({ keyId, fence }: LeaseTold): Promise<unknown> {
    return this.#recorder.record(this.#random, { verb: 'release', keyId, fence }, `DELETE leases/${keyId}.${fence}`)
  }

  async #look(keyId: string): Promise<void> {
    this.#forget(keyId, await this.#recorder.record(this.#random, { verb: 'look', keyId }, `GET keys/${keyId}`))
  }

  async #keepAlive(keyId: string): Promise<void> {
    const what = `PUT keys/${keyId}/keep-alive`
    this.#forget(keyId, await this.#recorder.record(this.#random, { verb: 'keepAlive', keyId }, what))
  }

  /** Any lease of a key; or only this one, which may be of another key. */
  async #unblock(anyKeyId: string, lease: LeaseTold | undefined): Promise<void> {
    const { keyId, fence } = lease ?? { keyId: anyKeyId, fence: undefined }
    const what = `DELETE keys/${keyId}/lease${fence === undefined ? '' : `?fence=${fence}`}`
    await this.#recorder.record(this.#random, { verb: 'unblock', keyId, fence }, what)
  }

  async #delete(keyId: string): Promise<void> {
    await this.#recorder.record(this.#random, { verb: 'delete', keyId }, `DELETE keys/${keyId}`)
    this.#shared.keys.delete(keyId)
  }

  #forget(keyId: string, told: Told | 'refused' | 'unknown'): void {
    if (membersOf(told).status === 404) this.#shared.keys.delete(keyId)
  }

  #oneOf<T>(list: readonly T[]): T | undefined {
    return list[this.#random.below(Math.max(1, list.length))]
  }
}

function membersOf(told: Told | 'refused' | 'unknown'): Partial<Told> {
  return typeof told === 'string' ? {} : told
}
