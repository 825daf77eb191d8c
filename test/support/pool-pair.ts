import { deepStrictEqual as same, ok } from 'node:assert/strict'
import { isDeepStrictEqual } from 'node:util'
import { keyId } from '../../src/pool/key-id.ts'
import {
  KeyPool,
  type KeyPoolOptions,
  type KeyRecord,
  type KeyState,
  type Metadata,
  type Policy,
  type Random,
  type RetiredRecord
} from '../../src/pool/key-pool.ts'
import { Walk } from './listing-walk.ts'
import { ManualClock } from './manual-clock.ts'
import { NaivePool } from './naive-pool.ts'
import type { Target, Verb } from './pool-verbs.ts'
import { seededRandom } from './seeded-random.ts'

/** A pool and its naive twin, whose answers to each verb must be the same. */
export class Pair {
  readonly #clock = new ManualClock()
  readonly #random: Random
  #pool: KeyPool
  #naive: NaivePool
  /** What a disk would hold, by id. */
  #records = new Map<string, Readonly<KeyRecord | RetiredRecord>>()
  /** What the disk held at the last commit, and the twin then. */
  #committed: { records: Map<string, Readonly<KeyRecord | RetiredRecord>>; naive: NaivePool }
  /** The ids of which the journal has told since. */
  readonly #touched = new Set<string>()
  /** Every key and every lease that ever was, the newest last. */
  readonly #keys: string[] = []
  readonly #leases: { id: string; keyId: string; fence: number }[] = []
  /** Whether to sweep where a verb says 'behind', and to ask again; otherwise it is left at that. */
  readonly #patient: boolean
  #walk: Walk | undefined
  /** Apart from what the pool draws, which may be biased. */
  readonly #shuffle = seededRandom(1)

  constructor(policy: Policy, random: Random, patient: boolean) {
    this.#random = random
    this.#pool = this.#makePool({ policy })
    this.#naive = new NaivePool(policy, this.#clock.now)
    this.#committed = { records: new Map(), naive: this.#naive.copy() }
    this.#patient = patient
  }

  apply(step: Verb): void {
    const pool = this.#pool
    const naive = this.#naive
    switch (step.verb) {
      case 'wait':
        return this.#clock.advance(step.ms)
      case 'wait for': {
        const key = this.#nth(naive.keys(), step.target)
        const hold = key === undefined || key.state === 'free' ? Infinity : key.until
        const life = key?.keepAliveBy ?? Infinity
        const deadline = step.deadline === 'hold' ? hold : step.deadline === 'life' ? life : naive.nextDeadline
        const ms = deadline - this.#clock.now() - (step.before ? 1 : 0)
        return ms === Infinity ? undefined : this.#clock.advance(ms)
      }
      case 'generate': {
        const answer = this.#unlessBehind(() => pool.generate(step.count, step.metadata))
        if (answer === 'behind') return
        const drawn = typeof answer === 'string' ? [] : answer.map(({ key }) => key as string)
        this.#keys.push(...drawn)
        return same(answer, naive.generate(step.count, step.metadata, drawn))
      }
      case 'import': {
        const keys = [...new Set(step.of.map(({ from, nth }) => this.#keyFrom(from, nth)))]
        const answer = this.#unlessBehind(() => pool.importKeys(keys.map(key => ({ key, metadata: step.metadata }))))
        if (answer === 'behind') return
        if (Array.isArray(answer)) this.#keys.push(...keys)
        return same(answer, naive.importKeys(keys, step.metadata))
      }
      case 'acquire':
        return void this.#acquire(step.leaseMs, step.holder ? 'somebody' : undefined, step.owner)
      case 'acquire many':
        for (let i = 0; i < step.count && this.#acquire(step.leaseMs); i++);
        return
      case 'renew':
        return this.#renew(this.#leaseAt(step.nth).id, step.leaseMs, step.keepAlive, step.owner)
      case 'renew many':
        for (let i = 0; i < step.count; i++) this.#renew(this.#leaseAt(step.from + i).id, undefined, false)
        return
      case 'release':
        for (let i = 0; i < step.times; i++) this.#release(this.#leaseAt(step.nth).id, step.cooldownMs, step.owner)
        return
      case 'release many':
        for (let i = 0; i < step.count; i++) this.#release(this.#leaseAt(step.from + i).id, step.cooldownMs)
        return
      case 'unblock': {
        const id = this.#idOf(step.target)
        const known = this.#leases.findLast(({ keyId }) => keyId === id)?.fence ?? 1
        const fence = step.fence === 'any' ? undefined : known + { right: 0, before: -1, after: 1 }[step.fence]
        return same(pool.unblock(id, fence), naive.unblock(id, fence))
      }
      case 'keep alive':
        return this.#keepAlive(this.#idOf(step.target))
      case 'keep alive many':
        for (let i = 0; i < step.count; i++) this.#keepAlive(this.#idOf({ nth: step.from + i, of: 'living' }))
        return
      case 'delete':
        return this.#delete(this.#idOf(step.target))
      case 'delete many':
        for (let i = 0; i < step.count; i++) this.#delete(this.#idOf({ nth: step.from + i, of: 'living' }))
        return
      case 'get': {
        const id = this.#idOf(step.target)
        return same(pool.get(id, step.reveal), naive.get(id, step.reveal))
      }
      case 'activate': {
        const id = this.#idOf(step.target)
        return same(pool.activate(id), naive.activate(id))
      }
      case 'metadata':
        return this.#setMetadata(this.#idOf(step.target), step.metadata)
      case 'lease': {
        const { keyId, fence } = this.#leaseAt(step.nth)
        const id = `${keyId}.${fence + { right: 0, before: -1, after: 1 }[step.fence]}`
        const { reveal, owner } = step
        return same(pool.lease(id, { reveal, owner }), naive.lease(id, reveal, owner))
      }
      case 'list':
        return this.#list(step.state, step.limit)
      case 'next free':
        return this.#nextFree()
      case 'sweep': {
        const left = pool.sweep(step.limit)
        return same(left, pool.nextSweepAt <= this.#clock.now())
      }
      case 'policy':
        // A longest hold or a lease alone may not fit the other: both say so.
        return same(pool.setPolicy(step.changes), naive.setPolicy(step.changes))
      case 'restart':
        return this.#restart()
      case 'commit':
        this.#touched.clear()
        this.#committed = { records: new Map(this.#records), naive: naive.copy() }
        return
      case 'take back':
        return this.#takeBack()
    }
  }

  /** What holds after each step. Looking applies what has passed, so it is left out now and then. */
  check(look: boolean): void {
    const pool = this.#pool
    const now = this.#clock.now()
    const { nextDeadline } = this.#naive
    ok(pool.nextSweepAt <= nextDeadline, `sweep at ${pool.nextSweepAt}, too late for ${nextDeadline}`)
    same(pool.fence, this.#naive.fence)
    same(pool.serial, this.#naive.serial)
    same(pool.policy, this.#naive.policy)
    same(pool.keyspace(), this.#naive.keyspace())
    if (!look) return
    const counts = pool.counts()
    const behind = pool.nextSweepAt <= now
    const expected = this.#naive.counts()
    if (behind) same(counts.total + counts.retired, expected.total + expected.retired)
    else same(counts, expected)
    same(counts.free + counts.leased + counts.cooling, counts.total)
    const { holds, lives } = pool.heapSizes
    ok(holds <= 2 * counts.total, `${holds} entries for holds, ${counts.total} keys`)
    ok(lives <= 2 * counts.total, `${lives} entries for lives, ${counts.total} keys`)
  }

  /** Everything about every key and every lease that ever was. */
  checkAll(): void {
    for (const key of this.#keys) same(this.#pool.get(keyId(key), true), this.#naive.get(keyId(key), true))
    const holders = new Map<string, string>()
    for (const { id, keyId } of this.#leases) {
      const lease = this.#pool.lease(id, { reveal: true })
      same(lease, this.#naive.lease(id, true))
      if (lease === 'lease-lost') continue
      ok(!holders.has(keyId), `${id} and ${holders.get(keyId)} both run`)
      holders.set(keyId, id)
    }
    this.#sweepAll()
    this.check(true)
  }

  /** No key that ages lives for ever. */
  end(): void {
    this.checkAll()
    this.#clock.advance(1_000_000_000)
    this.checkAll()
  }

  #makePool(options: Omit<KeyPoolOptions, 'clock'>): KeyPool {
    const told = (id: string): void => {
      const before = this.#records.get(id)
      const record = pool.record(id)
      ok(!isDeepStrictEqual(record, before) || (record && 'metadata' in record && record.metadata), 'nothing changed')
      if (record === undefined) this.#records.delete(id)
      else this.#records.set(id, { ...record })
      this.#touched.add(id)
    }
    const pool: KeyPool = new KeyPool({
      ...options,
      clock: this.#clock.now,
      random: this.#random,
      journal: {
        changed: told,
        aged(id) {
          told(id)
          same(Object.keys(pool.record(id) ?? {}), ['place'])
        }
      }
    })
    return pool
  }

  /** Another pool that knows what the disk held: in no particular order, and some of it twice. */
  #restart(): void {
    const { policy, fence, serial } = this.#pool
    const records = [...this.#records]
    for (let i = records.length - 1; i > 0; i--) {
      const j = this.#shuffle.below(i + 1)
      ;[records[i], records[j]] = [records[j] as (typeof records)[0], records[i] as (typeof records)[0]]
    }
    this.#pool = this.#makePool({ policy, fence, serial })
    for (const [id, record] of [...records, ...records.slice(0, 3)]) this.#pool.restore(id, record)
    this.#walk = undefined
  }

  /** What came after the last commit could not be written: it never was, but that fences and serials are used up. */
  #takeBack(): void {
    const { records, naive } = this.#committed
    for (const id of this.#touched) this.#pool.restore(id, undefined)
    same(this.#pool.setPolicy(naive.policy), naive.policy)
    for (const id of this.#touched) this.#pool.restore(id, records.get(id))
    this.#touched.clear()
    this.#records = new Map(records)
    naive.fence = this.#pool.fence
    naive.serial = this.#pool.serial
    this.#naive = naive
    this.#committed = { records, naive: naive.copy() }
    this.#walk = undefined
  }

  #acquire(leaseMs: number | undefined, holder?: string, owner?: string): boolean {
    const answer = this.#unlessBehind(() => this.#pool.acquire({ leaseMs, holder, owner }))
    if (answer === 'behind') return false
    const picked = typeof answer === 'string' ? undefined : answer.keyId
    if (typeof answer !== 'string') {
      const before = this.#leases.at(-1)
      ok(before === undefined || before.fence < answer.fence, 'fences grow')
      this.#leases.push(answer)
    }
    same(answer, this.#naive.acquire(leaseMs, holder ?? null, owner, picked))
    return picked !== undefined
  }

  #renew(leaseId: string, leaseMs: number | undefined, keepAlive: boolean, owner?: string): void {
    same(
      this.#pool.renew(leaseId, { leaseMs, keepAlive, owner }),
      this.#naive.renew(leaseId, leaseMs, keepAlive, owner)
    )
  }

  #release(leaseId: string, cooldownMs: number, owner?: string): void {
    same(this.#pool.release(leaseId, { cooldownMs, owner }), this.#naive.release(leaseId, cooldownMs, owner))
  }

  #keepAlive(id: string): void {
    same(this.#pool.keepAlive(id), this.#naive.keepAlive(id))
  }

  #delete(id: string): void {
    same(this.#pool.delete(id), this.#naive.delete(id))
  }

  #setMetadata(id: string, metadata: Metadata | null): void {
    same(this.#pool.setMetadata(id, metadata), this.#naive.setMetadata(id, metadata))
  }

  #nextFree(): void {
    const { holds } = this.#pool.heapSizes
    const behind = this.#pool.nextSweepAt <= this.#clock.now()
    const answer = this.#pool.nextFreeInMs()
    const truth = this.#naive.nextFreeInMs()
    // Of more than 16 outdated entries, and of dead keys, it may give an instant that is too early.
    if (!behind && (holds <= 16 || truth === null)) return same(answer, truth)
    ok(answer === null ? truth === null : answer >= 0 && answer <= (truth ?? Infinity), `${answer} for ${truth}`)
  }

  #list(state: KeyState | undefined, limit: number): void {
    if (this.#walk === undefined || this.#walk.state !== state) this.#walk = new Walk(state, this.#naive.keys())
    const walk = this.#walk
    const answer = this.#unlessBehind(() => this.#pool.list(walk.request(limit)))
    if (answer === 'behind') return
    if (answer === 'bad-cursor') throw new Error("the cursor is the pool's own")
    ok(answer.keys.length <= limit)
    for (const key of answer.keys) same(key, this.#naive.get(key.id))
    if (walk.meet(answer, this.#naive.keys())) this.#walk = undefined
  }

  #unlessBehind<T>(ask: () => T): T | 'behind' {
    const { holds, lives } = this.#pool.heapSizes
    const answer = ask()
    if (answer !== 'behind') return answer
    ok(holds > 16 || lives > 16, 'so few deadlines are applied by the verb itself')
    ok(this.#pool.nextSweepAt <= this.#clock.now(), 'behind means that something is due')
    if (!this.#patient) return 'behind'
    this.#sweepAll()
    const again = ask()
    ok(again !== 'behind', 'behind, although all is swept')
    return again
  }

  #sweepAll(): void {
    let sweeps = 0
    while (this.#pool.sweep(5)) ok(++sweeps < 100, 'a sweep ends')
    ok(this.#pool.nextSweepAt > this.#clock.now())
  }

  #nth<T>(list: readonly T[], nth: number): T | undefined {
    return list[list.length - 1 - (nth % list.length)]
  }

  #idOf({ nth, of }: Target): string {
    const id = {
      living: () => this.#nth(this.#naive.keys(), nth)?.id,
      leased: () => this.#nth(this.#leases, nth)?.keyId,
      ever: () => keyId(this.#nth(this.#keys, nth) ?? 'none')
    }[of]()
    return id ?? keyId('none')
  }

  #leaseAt(nth: number): { id: string; keyId: string; fence: number } {
    return this.#nth(this.#leases, nth) ?? { id: `${keyId('none')}.1`, keyId: keyId('none'), fence: 1 }
  }

  #keyFrom(from: string, nth: number): string {
    const { alphabet, length, prefix } = this.#naive.policy
    if (from === 'elsewhere') return `elsewhere-${nth}`
    if (from === 'ever') return this.#nth(this.#keys, nth) ?? 'never'
    return prefix + Array.from({ length }, (_, i) => alphabet[(nth >> i) % alphabet.length]).join('')
  }
}
