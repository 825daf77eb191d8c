import fc from 'fast-check'
import t from 'tap'
import { type Engine, isRefusal, type KeyView, type Operation, type Outcome, type Retry } from '../../src/engine.ts'
import { MemoryEngine } from '../../src/memory/engine.ts'
import { granted, turns } from '../support/create-engine.ts'
import { ManualClock } from '../support/manual-clock.ts'
import { Mirror } from '../support/mirror.ts'
import { seededRandom } from '../support/seeded-random.ts'

const POOLS = ['default', 'a']
const POLICY = { leaseMs: 1000, maxHoldMs: 3000, keepAliveMs: 700_000, alphabet: 'abcd', length: 3 }
const SCOPES = 4

type Act =
  'generate' | 'acquire' | 'release' | 'cool' | 'unblock' | 'delete' | 'keepAlive' | 'activate' | 'metadata' | 'renew'
interface Step {
  act: Act | 'batch' | 'policy' | 'remake' | 'pass' | 'restart'
  pool: number
  n: number
}

const retryOf = (n: number): Retry => ({ scope: `caller ${n % SCOPES}`, fingerprint: 'the same' })
const operationsOf = (n: number): Operation[] => [{ op: 'acquire', holder: `b${n % SCOPES}` }, { op: 'acquire' }]

async function keysOf(engine: Engine, pool: string): Promise<KeyView[]> {
  const { keys } = await granted(engine.list(pool, { limit: 1000 }))
  const revealed = await Promise.all(keys.map(({ id }) => granted(engine.key(pool, id, true))))
  return revealed.sort((a, b) => a.serial - b.serial)
}

/** All that can be seen of an engine without changing it. */
async function seen(engine: Engine): Promise<unknown> {
  const pools = await granted(engine.pools())
  return Promise.all(pools.map(async pool => [pool, await keysOf(engine, pool.name)]))
}

/** The lives of engines one after the other, each of which knows of the former one only what its journal was told. */
class Lives {
  readonly clock = new ManualClock()
  readonly #random = seededRandom(1)
  readonly #mirror = new Mirror()
  readonly #leases: { pool: string; id: string; keyId: string }[] = []
  /** The largest fence that anybody saw, by pool. */
  readonly #fences = new Map<string, number>()
  engine = this.#start()

  #start(): MemoryEngine {
    const { clock } = this
    const onFault = (error: unknown): void => {
      throw error
    }
    const saved = this.#mirror.saved
    const engine = new MemoryEngine({
      clock,
      random: this.#random,
      journal: this.#mirror,
      onFault,
      ...(saved.pools.length > 0 && { saved })
    })
    if (saved.pools.length > 0) this.#mirror.restoreInto(engine)
    return engine
  }

  /** A crash: what the former engine answers is what the later one answers, retries included. */
  async restart(): Promise<void> {
    const former = this.engine
    this.#mirror.flush()
    const kept = [...this.#mirror.pools.values()].flatMap(({ saved, results }) =>
      [...results.values()].map(({ call, scope }) => ({ pool: saved.name, call, scope }))
    )
    // What has ended is run anew, and may change what others answer: the third time, all is settled.
    let answers: unknown[] = []
    for (let round = 0; round < 3; round++) {
      answers = []
      for (const result of kept) answers.push(await this.#repeat(former, result))
    }
    this.#mirror.flush()
    const after = await seen(former)
    former.close()
    this.engine = this.#start()
    same(await seen(this.engine), after, 'what is seen')
    for (const [i, result] of kept.entries()) {
      same(await this.#repeat(this.engine, result), answers[i], JSON.stringify(result))
    }
    same(await seen(this.engine), after, `what is seen after ${kept.length} retries`)
  }

  async #repeat(
    engine: Engine,
    { pool, call, scope }: { pool: string; call: string; scope: string }
  ): Promise<unknown> {
    const retry = { scope, fingerprint: 'the same' }
    const n = Number(scope.split(' ')[1])
    if (call === 'acquire') return this.#seen(pool, await engine.acquire(pool, {}, { retry }))
    if (call === 'keys') return engine.generate(pool, { count: 2, metadata: null }, retry)
    return this.#seenAll(pool, await engine.batch(pool, operationsOf(n), { retry }))
  }

  async take({ act, pool: place, n }: Step): Promise<void> {
    const { engine } = this
    const pool = POOLS[place % POOLS.length] as string
    const lease = this.#leases.at(-1 - (n % 6))
    if (act === 'generate') await engine.generate(pool, { count: 2, metadata: null }, n % 2 ? retryOf(n) : undefined)
    if (act === 'acquire') this.#seen(pool, await engine.acquire(pool, {}, n % 3 ? { retry: retryOf(n) } : {}))
    if (act === 'batch')
      this.#seenAll(pool, await engine.batch(pool, operationsOf(n), n % 2 ? { retry: retryOf(n) } : {}))
    if (act === 'policy')
      await engine.putPool(pool, { ...POLICY, leaseMs: 500 + (n % 3) * 500, reuseDeleted: n % 2 === 0 })
    if (act === 'pass') this.clock.advance([1, 499, 1000, 100_000, 600_000, 700_000][n % 6] as number)
    if (act === 'restart') await this.restart()
    if (act === 'remake') {
      await engine.deletePool('a')
      await engine.putPool('a', POLICY)
    }
    if (lease === undefined) return
    if (act === 'release') await engine.release(lease.pool, lease.id)
    if (act === 'cool') await engine.release(lease.pool, lease.id, { cooldownMs: 1500 })
    if (act === 'unblock') await engine.unblock(lease.pool, lease.keyId)
    if (act === 'delete') await engine.delete(lease.pool, lease.keyId)
    if (act === 'keepAlive') await engine.keepAlive(lease.pool, lease.keyId)
    if (act === 'activate') await engine.activate(lease.pool, lease.keyId)
    if (act === 'metadata') await engine.setMetadata(lease.pool, lease.keyId, n % 2 ? { n: String(n) } : null)
    if (act === 'renew') await engine.renew(lease.pool, lease.id, { keepAlive: n % 2 === 0 })
  }

  #seen<A>(pool: string, answer: A | Outcome['value']): A | Outcome['value'] {
    if (typeof answer !== 'object' || answer === null || !('fence' in answer)) return answer
    const { id, keyId, fence } = answer as { id: string; keyId: string; fence: number }
    const known = this.#leases.some(lease => lease.pool === pool && lease.id === id)
    if (known) return answer
    if (fence <= (this.#fences.get(pool) ?? 0)) throw new Error(`the fence ${fence} comes too late`)
    this.#fences.set(pool, fence)
    this.#leases.push({ pool, id, keyId })
    return answer
  }

  #seenAll(pool: string, answer: Awaited<ReturnType<Engine['batch']>>): typeof answer {
    if (!isRefusal(answer)) for (const { value } of answer) this.#seen(pool, value)
    return answer
  }
}

function same(found: unknown, wanted: unknown, what: string): void {
  const [a, b] = [found, wanted].map(value => JSON.stringify(value))
  if (a !== b) throw new Error(`${what}:\n${String(a)}\nis not\n${String(b)}`)
}

t.test('whatever happened, an engine goes on where the former one was', async t => {
  const acts: Step['act'][] = ['generate', 'generate', 'acquire', 'acquire', 'acquire', 'release', 'cool', 'unblock']
  const more: Step['act'][] = ['delete', 'keepAlive', 'activate', 'metadata', 'renew', 'batch', 'policy', 'remake']
  const step = fc.record({
    act: fc.constantFrom(...acts, ...more, 'pass', 'pass', 'restart'),
    pool: fc.nat(1),
    n: fc.nat(23)
  })
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 10, maxLength: 60, size: 'max' }), async steps => {
      const lives = new Lives()
      for (const pool of POOLS) await granted(lives.engine.putPool(pool, POLICY))
      for (const step of steps) {
        await lives.take(step)
        await turns()
      }
      await lives.restart()
      lives.engine.close()
    }),
    { numRuns: 200 }
  )
  t.pass('in 200 runs')
})
