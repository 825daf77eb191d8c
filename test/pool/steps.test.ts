// Steps are counted, not time: what a verb compares in its heaps, looks up, stores and draws. Entries that move in a heap
// need a comparison each, so they are counted with it.

import t from 'tap'
import TinyQueue from 'tinyqueue'
import { createKeySpace } from '../../src/pool/key-space.ts'
import { KeyPool, type LeaseView, type Policy } from '../../src/pool/key-pool.ts'
import type { Random } from '../../src/pool/random.ts'
import { granted, KEEP_ALIVE_MS, LEASE_MS } from '../support/pool.ts'
import { ManualClock } from '../support/manual-clock.ts'
import { seededRandom } from '../support/seeded-random.ts'

const MILLION = 1_000_000

/** What one split of a shard may move, at most: a bit more than twice the mean load of 3,800. */
const SPLIT = 8192
/** Lookups, and the key or the place that is drawn. */
const FEW = 8
/** A verb arms or forgets two deadlines at most, and each of that may move eight entries on to a fresh queue. */
const OWN = 2 * (1 + 8)
/** Sixteen due deadlines of each kind are applied first: each is taken off a heap (two comparisons a level), and may go back. */
const APPLIED = 2 * 16 * (2 + 1)

let steps = 0
/** The most entries that any Map held: V8 moves them all when it grows. */
let largest = 0

function countSteps(): () => void {
  const maps = { get: Map.prototype.get, set: Map.prototype.set, delete: Map.prototype.delete }
  Map.prototype.get = function (key) {
    steps++
    return maps.get.call(this, key)
  }
  Map.prototype.set = function (key, value) {
    steps++
    maps.set.call(this, key, value)
    largest = Math.max(largest, this.size)
    return this
  }
  Map.prototype.delete = function (key) {
    steps++
    return maps.delete.call(this, key)
  }
  // Its declarations leave these three members out.
  const queues = TinyQueue.prototype as unknown as Record<'_up' | '_down', (this: Sifted, from: number) => void>
  interface Sifted {
    compare: (a: number, b: number) => number
  }
  const originals = { _up: queues._up, _down: queues._down }
  for (const name of ['_up', '_down'] as const) {
    queues[name] = function (from) {
      const { compare } = this
      this.compare = (a, b) => {
        steps++
        return compare(a, b)
      }
      originals[name].call(this, from)
      this.compare = compare
    }
  }
  return () => {
    Object.assign(Map.prototype, maps)
    Object.assign(queues, originals)
  }
}

/** Each number that is drawn is a step. */
function countedRandom(seed: number): Random {
  const { below, bytes } = seededRandom(seed)
  return {
    below(limit) {
      steps++
      return below(limit)
    },
    bytes(count) {
      steps++
      return bytes(count)
    }
  }
}

function stepsOf(call: () => unknown): number {
  steps = 0
  call()
  return steps
}

/** A pool under measure. */
class Measured {
  readonly clock = new ManualClock()
  readonly pool: KeyPool
  readonly ids: string[] = []
  readonly #random = seededRandom(2)
  /** Not a Map: looking into it would be slow, as each look is counted. */
  readonly #most: Record<string, number> = {}
  #imported = 0

  constructor(policy: Partial<Policy>) {
    this.pool = new KeyPool({ policy, clock: this.clock.now, random: countedRandom(1) })
  }

  /** The verbs whose dearest call since the last time took more steps than allowed, with that many. */
  dearer(allowed: number, verbs = Object.keys(this.#most)): Record<string, number> {
    const dear = verbs.map(verb => [verb, this.#most[verb] ?? NaN] as const).filter(([, most]) => !(most <= allowed))
    for (const verb of verbs) delete this.#most[verb]
    return Object.fromEntries(dear)
  }

  call<T>(verb: string, call: () => T): T {
    steps = 0
    const answer = call()
    this.#most[verb] = Math.max(steps, this.#most[verb] ?? 0)
    return answer
  }

  /** Each verb, on keys and leases from anywhere in the pool. */
  round(): void {
    const { pool } = this
    const id = this.ids[this.#random.below(this.ids.length)] as string
    this.call('get', () => pool.get(id))
    this.call('activate', () => pool.activate(id))
    this.call('setMetadata', () => pool.setMetadata(id, null))
    this.call('keepAlive', () => pool.keepAlive(id))
    this.call('unblock', () => pool.unblock(id))
    this.call('counts', () => pool.counts())
    this.call('keyspace', () => pool.keyspace())
    this.call('list', () => pool.list({ limit: 1 }))
    this.call('setPolicy', () => pool.setPolicy({}))
    this.call('nextSweepAt', () => pool.nextSweepAt)
    this.call('nextFreeInMs', () => pool.nextFreeInMs())
    this.call('sweep', () => pool.sweep(16))
    this.#acquire(({ id }) => this.call('release', () => pool.release(id)))
    this.#acquire(({ id }) => this.call('release', () => pool.release(id, { cooldownMs: 1000 })))
    this.#acquire(({ keyId }) => this.call('unblock', () => pool.unblock(keyId)))
    this.#acquire(({ keyId }) => this.call('delete', () => pool.delete(keyId)))
    this.call('generate', () => pool.generate(1))
    this.call('importKeys', () => pool.importKeys([{ key: `import-${this.#imported++}` }]))
  }

  #acquire(end: (lease: LeaseView) => void): void {
    const lease = this.call('acquire', () => this.pool.acquire())
    if (typeof lease === 'string') return
    this.call('lease', () => this.pool.lease(lease.id))
    this.call('renew', () => this.pool.renew(lease.id))
    end(lease)
  }
}

/** What never depends on how many keys there are, while nothing is due. */
const CONSTANT = [
  'get',
  'activate',
  'setMetadata',
  'keepAlive',
  'counts',
  'keyspace',
  'list',
  'lease',
  'renew',
  'setPolicy',
  'nextSweepAt',
  'sweep',
  'unblock'
]

// Some 15 s, or longer where others share the processor.
t.setTimeout(1_800_000)
t.teardown(countSteps())

for (const n of [1000, MILLION]) {
  t.test(`with ${n} keys`, async t => {
    const levels = Math.log2(n)
    const m = new Measured({ maxHoldMs: KEEP_ALIVE_MS })
    const { pool, clock, ids } = m
    const leases: string[] = []
    const rounds = (count: number): void => {
      for (let round = 0; round < count; round++) m.round()
    }
    // Each round takes some keys away from those that are counted on below.
    const many = n === MILLION ? 300 : 20
    const some = n === MILLION ? 30 : 5
    const sweepAll = (): void => {
      while (pool.sweep(1000));
    }

    t.test('a key enters in a few steps, and a shard now and then is split beside it', async t => {
      let sum = 0
      for (let i = 0; i < n; i++) {
        const [view] = granted(m.call('generate', () => pool.generate(1)))
        ids.push(view?.id as string)
        sum += steps
      }
      t.strictSame(m.dearer(SPLIT + FEW), {})
      t.ok(sum / n <= FEW, 'on average')
      t.ok(largest <= SPLIT, `a Map of ${largest} entries`)
    })

    t.test('each verb takes a few steps or as many as a heap has levels', async t => {
      rounds(many)
      t.strictSame(m.dearer(2, CONSTANT), {})
      t.strictSame(m.dearer(FEW + OWN * levels), {})
    })

    t.test('so it is while all keys are leased, and when the last ones are', async t => {
      clock.advance(1)
      for (;;) {
        const lease = m.call('acquire', () => pool.acquire())
        if (typeof lease === 'string') break
        leases.push(lease.id)
      }
      rounds(many)
      t.strictSame(m.dearer(2, CONSTANT), {})
      t.strictSame(m.dearer(FEW + OWN * levels), {})
    })

    t.test('so it is right after as many deadlines of leases have passed that were renewed meanwhile', async t => {
      clock.advance(LEASE_MS - 2)
      for (const id of leases) m.call('renew', () => pool.renew(id))
      clock.advance(2)
      t.ok(pool.nextSweepAt <= clock.now())
      rounds(some)
      t.strictSame(m.dearer(FEW + (OWN + APPLIED) * levels), {})
      sweepAll()
      t.ok(pool.counts().leased > 0.8 * n)
    })

    t.test('so it is right after as many leases have ended', async t => {
      clock.advance(LEASE_MS)
      rounds(1)
      t.ok(pool.sweep(0), 'there is a backlog')
      rounds(some)
      t.strictSame(m.dearer(FEW + (OWN + APPLIED) * levels), {})
      sweepAll()
      t.equal(pool.counts().leased, 0)
    })

    t.test('so it is right after as many deadlines of lives have passed that were kept alive meanwhile', async t => {
      for (const id of ids) m.call('keepAlive', () => pool.keepAlive(id))
      clock.advance(KEEP_ALIVE_MS - 2 * LEASE_MS)
      t.ok(pool.nextSweepAt <= clock.now())
      rounds(some)
      t.strictSame(m.dearer(FEW + (OWN + APPLIED) * levels), {})
      sweepAll()
      t.ok(pool.counts().total > 0.8 * n)
    })

    t.test('so it is right after as many lives have ended', async t => {
      clock.advance(KEEP_ALIVE_MS - 1)
      granted(pool.generate(10))
      clock.advance(1)
      rounds(1)
      t.ok(pool.sweep(0), 'there is a backlog')
      rounds(some)
      t.strictSame(m.dearer(FEW + (OWN + APPLIED) * levels), {})
      sweepAll()
      t.ok(pool.counts().total < 100)
      t.ok(pool.counts().retired > 0.8 * n)
      t.strictSame(m.dearer(FEW + (OWN + APPLIED) * levels), {})
    })

    t.test('its heaps are empty when its keys are gone', async t => {
      clock.advance(KEEP_ALIVE_MS)
      sweepAll()
      t.strictSame(pool.heapSizes, { holds: 0, lives: 0 })
    })
  })
}

t.test('a key is generated in a few steps from a space of 2^20 keys, also the last', async t => {
  const space = createKeySpace({ alphabet: '0123456789abcdef', length: 5, prefix: '' }, countedRandom(3), () => false)
  let most = 0
  let sum = 0
  for (let i = 0; i < 2 ** 20; i++) {
    const taken = stepsOf(() => space.draw())
    most = Math.max(most, taken)
    sum += taken
  }
  t.ok(most <= 2 * SPLIT + FEW, `${most}`)
  t.ok(sum / 2 ** 20 <= 2 * FEW, `${sum / 2 ** 20}`)
  space.giveBack(space.placeOf('abcde'))
  let last = ''
  t.ok(stepsOf(() => (last = space.draw())) <= FEW)
  t.equal(last, 'abcde')
})

t.test('keys that have much in common are taken in a few steps too', async t => {
  for (const [name, keyOf] of Object.entries({
    end: (i: number) => i.toString(16).padStart(9, '0') + '0000',
    beginning: (i: number) => '00000000' + i.toString(16).padStart(5, '0'),
    middle: (i: number) =>
      i
        .toString(16)
        .padStart(8, '0')
        .replace(/^(....)/, '$1fffff')
  })) {
    const space = createKeySpace(
      { alphabet: '0123456789abcdef', length: 13, prefix: '' },
      countedRandom(4),
      () => false
    )
    let most = 0
    for (let i = 0; i < 150_000; i++)
      most = Math.max(
        most,
        stepsOf(() => space.take(space.placeOf(keyOf(i))))
      )
    t.ok(most <= 2 * SPLIT + 2 * FEW, `the same ${name}: ${most}`)
  }
})
