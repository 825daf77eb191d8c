import type { Test } from 'tap'
import type { Engine } from '../../src/engine.ts'
import { MemoryEngine } from '../../src/memory/engine.ts'
import { turns } from '../support/create-engine.ts'
import { seededRandom } from '../support/seeded-random.ts'
import { SettlingClock } from '../support/settling-clock.ts'
import type { Provided } from './provided.ts'

/** A memory engine whose time is the test's own. */
export function provide(t: Test, pass: (clock: SettlingClock, ms: number) => Promise<void> | void): Provided {
  const clock = new SettlingClock()
  const engine = new MemoryEngine({ clock, random: seededRandom(1), onFault: error => t.error(error) })
  t.teardown(() => engine.close())
  return { engine, now: clock.now, advance: async ms => pass(clock, ms) }
}

export const inTime = (clock: SettlingClock, ms: number): Promise<void> => {
  clock.advance(ms)
  return clock.settled()
}

/** As after a stall of the process: the first call comes before any timer has been called. */
export const late = (clock: SettlingClock, ms: number): void => {
  clock.stall(ms)
  setImmediate(() => clock.advance(0))
}

/** The same engine as if it were far away: a call arrives a while after it was made, its answer as well. */
export function distant(engine: Engine): Engine {
  const random = seededRandom(2)
  const far =
    (verb: (...args: unknown[]) => unknown) =>
    async (...args: unknown[]): Promise<unknown> => {
      await turns(random.below(3))
      const answer = await verb.apply(engine, args)
      await turns(random.below(3))
      return answer
    }
  return new Proxy(engine, {
    get(target, name) {
      const verb = Reflect.get(target, name) as (...args: unknown[]) => unknown
      return name === 'drain' || name === 'readiness' || name === 'close' ? verb.bind(target) : far(verb)
    }
  })
}
