import { type Engine, isRefusal } from '../../src/engine.ts'
import { generate, granted } from '../support/create-engine.ts'
import { seededRandom } from '../support/seeded-random.ts'
import { type Facts, LEASE_MS, POOL } from './provided.ts'

const CALLERS = 64
const KEYS = 20
const CALLS = 20_000

/** Who holds what, as the callers have been told. */
class Ledger {
  readonly #holders = new Map<string, string>()
  readonly #fences = new Map<string, number>()
  calls = 0
  grants = 0
  refusals = 0
  /** The largest fence of any answer so far. */
  largest = 0

  /** A lease was granted to a call that was made when `before` was the largest fence. */
  grant({ id, keyId, fence }: { id: string; keyId: string; fence: number }, before: number): void {
    const holder = this.#holders.get(keyId)
    if (holder !== undefined) throw new Error(`${keyId} has two holders: ${holder} and ${id}`)
    if (fence <= before) throw new Error(`fence ${fence} was granted after ${before}`)
    if (fence <= (this.#fences.get(keyId) ?? 0)) throw new Error(`the fence of ${keyId} went back`)
    this.#holders.set(keyId, id)
    this.#fences.set(keyId, fence)
    this.largest = Math.max(this.largest, fence)
    this.grants++
  }

  /** Said before the call that ends the lease: from then on somebody else may have the key. */
  end(keyId: string): void {
    this.#holders.delete(keyId)
  }

  get held(): number {
    return this.#holders.size
  }
}

/** Acquires and lets go, again and again; asks for what it lost, and is refused. */
async function work(engine: Engine, ledger: Ledger, seed: number): Promise<void> {
  const random = seededRandom(seed)
  const lost: string[] = []
  while (ledger.calls < CALLS) {
    const before = ledger.largest
    ledger.calls++
    const lease = await engine.acquire(POOL, random.below(2) === 0 ? {} : { waitMs: LEASE_MS })
    if (isRefusal(lease)) {
      if (lease.refusal !== 'no-free-key') throw new Error(lease.refusal)
      ledger.refusals++
      continue
    }
    ledger.grant(lease, before)
    for (let i = random.below(3); i > 0; i--) {
      ledger.calls++
      await granted(engine.lease(POOL, lease.id))
      // Too late: it must not disturb whoever has the key now.
      const old = lost.at(-1)
      if (old !== undefined && !isRefusal(await engine.renew(POOL, old, {}))) throw new Error(`${old} was renewed`)
    }
    ledger.end(lease.keyId)
    ledger.calls++
    if (random.below(4) === 0) await granted(engine.unblock(POOL, lease.keyId, lease.fence))
    else await granted(engine.release(POOL, lease.id))
    if (lost.push(lease.id) > 8) {
      ledger.calls++
      // A second release is either idle or refused.
      await engine.release(POOL, lost.shift() as string)
    }
  }
}

export const concurrency: Facts = {
  '64 callers on 20 keys: no key has two holders, and fences grow': async (t, { engine }) => {
    await generate(engine, KEYS)
    const ledger = new Ledger()
    await Promise.all(Array.from({ length: CALLERS }, (_, i) => work(engine, ledger, i + 1)))
    t.ok(ledger.calls >= CALLS && ledger.grants > CALLS / 10, `${ledger.grants} grants, ${ledger.refusals} refusals`)
    t.equal(ledger.held, 0)
    t.match(await engine.pool(POOL), { counts: { total: KEYS, free: KEYS, leased: 0, waiting: 0 } })
  },

  'of many who ask at once each gets a key of its own, and the rest none': async (t, { engine }) => {
    await generate(engine, KEYS)
    const answers = await Promise.all(Array.from({ length: 500 }, () => engine.acquire(POOL, {})))
    const leases = answers.flatMap(answer => (isRefusal(answer) ? [] : [answer]))
    t.equal(leases.length, KEYS)
    t.equal(new Set(leases.map(({ keyId }) => keyId)).size, KEYS)
    t.equal(new Set(leases.map(({ fence }) => fence)).size, KEYS)
  },

  'of many who make the last keys of a space at once none makes another’s': async (t, { engine }) => {
    await granted(engine.putPool('small', { alphabet: '0123456789', length: 2, maxKeys: 90 }))
    const answers = await Promise.all(
      Array.from({ length: 50 }, () => engine.generate('small', { count: 3, metadata: null }))
    )
    const made = answers.flatMap(answer => (isRefusal(answer) ? [] : answer.map(({ key }) => key)))
    t.equal(made.length, 90)
    t.equal(new Set(made).size, 90)
    t.match(await engine.pool('small'), { counts: { total: 90 }, keyspace: { remaining: 10 } })
  },

  'of many who import the same key at once one does': async (t, { engine }) => {
    const answers = await Promise.all(Array.from({ length: 50 }, () => engine.importKeys(POOL, [{ key: 'mine' }])))
    const refused = answers.filter(isRefusal)
    t.equal(refused.length, 49)
    t.match(refused[0], { refusal: 'key-exists', indexes: [0] })
  },

  'of many who make the same pool at once one does': async (t, { engine }) => {
    const answers = await Promise.all(Array.from({ length: 50 }, () => granted(engine.putPool('a', {}))))
    t.equal(answers.filter(({ made }) => made).length, 1)
  },

  'of many who activate a key at once one is the first': async (t, { engine }) => {
    const [key] = await generate(engine, 1)
    const answers = await Promise.all(Array.from({ length: 50 }, () => granted(engine.activate(POOL, key?.id ?? ''))))
    t.equal(answers.filter(({ first }) => first).length, 1)
  },

  'of many who delete a key at once one does': async (t, { engine }) => {
    const [key] = await generate(engine, 1)
    const answers = await Promise.all(Array.from({ length: 50 }, () => engine.delete(POOL, key?.id ?? '')))
    t.equal(answers.filter(answer => answer === 'deleted').length, 1)
    t.equal(answers.filter(isRefusal).length, 49)
  }
}
