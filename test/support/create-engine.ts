import type { Test } from 'tap'
import type { Answer, Engine } from '../../src/engine.ts'
import { MemoryEngine, type MemoryEngineOptions } from '../../src/memory/engine.ts'
import { ManualClock } from './manual-clock.ts'

/** An engine whose time is the test's own. */
export function createEngine(
  t: Pick<Test, 'teardown'>,
  { clock = new ManualClock(), ...options }: Partial<MemoryEngineOptions> & { clock?: ManualClock } = {}
) {
  const faults: unknown[] = []
  const engine = new MemoryEngine({ ...options, clock, onFault: error => void faults.push(error) })
  t.teardown(() => engine.close())
  return { engine, clock, faults }
}

/** The answer of a verb that must not refuse here. */
export async function granted<T>(answer: Answer<T>): Promise<Exclude<T, { refusal: unknown }>> {
  const value = await answer
  if (typeof value === 'object' && value !== null && 'refusal' in value) throw new Error(`refused: ${value.refusal}`)
  // What has no refusal is what Exclude leaves.
  return value as Exclude<T, { refusal: unknown }>
}

/** The name of the refusal that a verb answers with, or 'granted'. */
export async function refusalOf(answer: Answer<unknown>): Promise<string> {
  const value = await answer
  return typeof value === 'object' && value !== null && 'refusal' in value ? String(value.refusal) : 'granted'
}

/** New keys, each with its secret. */
export async function generate(
  engine: Engine,
  count: number,
  pool = 'default'
): Promise<{ id: string; key: string }[]> {
  if (count === 0) return []
  const keys = await granted(engine.generate(pool, { count, metadata: null }))
  return keys.map(({ id, key }) => ({ id, key: String(key) }))
}

/** What an answer has come to once all that is under way without time passing is done. */
export async function byNow<T>(answer: Answer<T>): Promise<T | 'pending'> {
  return Promise.race([answer, turns(3).then(() => 'pending' as const)])
}

/** Lets the event loop turn. */
export async function turns(count = 1): Promise<void> {
  for (let i = 0; i < count; i++) await new Promise(resolve => setImmediate(resolve))
}

/** Lets the event loop turn until something is so: for what another process or a socket decides. */
export async function until(condition: () => unknown): Promise<void> {
  while (!(await condition())) await turns()
}
