import { createHash } from 'node:crypto'
import type { Test } from 'tap'
import type { Engine, KeyView, LeaseView } from '../../src/engine.ts'
import { granted, until } from '../support/create-engine.ts'

/** What an engine's room gives to the suite: an empty engine, and its time. */
export interface Provided {
  engine: Engine
  /** The engine's present instant, in milliseconds since 1970. */
  now(): number
  /**
   * Lets time pass, for callers that wait too. What becomes due may also happen a little later: nobody must be able to
   * tell, but by how many are counted while a mass is due.
   */
  advance(ms: number): Promise<void>
}

/** Makes a new engine for each test, with the pool `default` and nothing else, and closes it with the test. */
export type Provide = (t: Test) => Promise<Provided>

/** Facts of the contract by name: each is checked on an engine of its own. */
export type Facts = Record<string, (t: Test, provided: Provided) => Promise<void>>

export const POOL = 'default'
export const LEASE_MS = 60_000
export const KEEP_ALIVE_MS = 300_000
/** Of results of generation, import and batch. */
export const KEPT_MS = 600_000
/** Of no key. */
export const NO_ID = 'aaaaaaaaaaaaaaaaaaaaaa'

/** As the contract defines it, not as the code does. */
export function idOf(key: string): string {
  return createHash('sha256').update(key).digest('base64url').slice(0, 22)
}

/** A new key of the pool. */
export async function generateOne(engine: Engine, pool = POOL): Promise<KeyView & { key: string }> {
  const [view] = await granted(engine.generate(pool, { count: 1, metadata: null }))
  if (view?.key === undefined) throw new Error('a generated key comes with its secret')
  return { ...view, key: view.key }
}

/** So many leases of free keys. */
export async function acquireAll(engine: Engine, count: number, pool = POOL): Promise<LeaseView[]> {
  const leases: LeaseView[] = []
  for (let i = 0; i < count; i++) leases.push(await granted(engine.acquire(pool, {})))
  return leases
}

/** Returns once so many callers wait: an engine may take them in a while after they called. */
export async function waiting(engine: Engine, count: number, pool = POOL): Promise<void> {
  let looks = 0
  await until(async () => {
    const { counts } = await granted(engine.pool(pool))
    if (counts.waiting !== count && ++looks > 10_000) throw new Error(`${counts.waiting} wait, not ${count}`)
    return counts.waiting === count
  })
}

/** Callers that wait for a key, one after the other, so that their order is certain. */
export async function queueUp(
  engine: Engine,
  holders: readonly string[],
  waitMs: number,
  pool = POOL
): Promise<ReturnType<Engine['acquire']>[]> {
  const { counts } = await granted(engine.pool(pool))
  const answers = []
  for (const [i, holder] of holders.entries()) {
    answers.push(engine.acquire(pool, { holder, waitMs }))
    await waiting(engine, counts.waiting + i + 1, pool)
  }
  return answers
}
