import { KeyPool, type KeyPoolOptions, type Metadata, type Policy } from '../../src/pool/key-pool.ts'
import { ManualClock } from './manual-clock.ts'
import { seededRandom } from './seeded-random.ts'

/** The default policy's lengths. */
export const LEASE_MS = 60_000
export const KEEP_ALIVE_MS = 300_000

/** A pool whose time and randomness are the test's own. */
export function createPool({ random = seededRandom(1), ...options }: Omit<KeyPoolOptions, 'clock'> = {}) {
  const clock = new ManualClock()
  return { pool: new KeyPool({ ...options, random, clock: clock.now }), clock }
}

type Refusal = string | { refusal: string }

/** The answer of a verb that must not refuse here. */
export function granted<T>(answer: T): Exclude<T, Refusal> {
  const refusal = typeof answer === 'object' && answer !== null && 'refusal' in answer ? answer.refusal : answer
  if (typeof refusal === 'string') throw new Error(`refused: ${refusal}`)
  // What is neither a string nor has a refusal is what Exclude leaves.
  return answer as Exclude<T, Refusal>
}

/** A new key of a pool that has room. */
export function generateOne(pool: KeyPool, metadata: Metadata | null = null): { id: string; key: string } {
  const [view] = granted(pool.generate(1, metadata))
  if (view?.key === undefined) throw new Error('a generated key comes with its secret')
  return { id: view.id, key: view.key }
}

/** A pool with one key, leased. */
export function createLease(policy: Partial<Policy> = {}) {
  const { pool, clock } = createPool({ policy })
  const key = generateOne(pool)
  return { pool, clock, key, lease: granted(pool.acquire()) }
}
