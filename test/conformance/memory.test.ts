import type { Test } from 'tap'
import type { Engine } from '../../src/engine.ts'
import { MemoryEngine } from '../../src/memory/engine.ts'
import { turns } from '../support/create-engine.ts'
import { ManualClock } from '../support/manual-clock.ts'
import { seededRandom } from '../support/seeded-random.ts'
import { conform } from './conform.ts'
import type { Provided } from './provided.ts'

/** Knows whether a slice of the sweep is still to come. */
class SettlingClock extends ManualClock {
  #soon = 0

  override soon(callback: () => void): void {
    this.#soon++
    super.soon(() => {
      this.#soon--
      callback()
    })
  }

  async settled(): Promise<void> {
    do await turns()
    while (this.#soon > 0)
  }
}

function provide(t: Test, pass: (clock: SettlingClock, ms: number) => Promise<void> | void): Provided {
  const clock = new SettlingClock()
  const engine = new MemoryEngine({ clock, random: seededRandom(1), onFault: error => t.error(error) })
  t.teardown(() => engine.close())
  return { engine, now: clock.now, advance: async ms => pass(clock, ms) }
}

const inTime = (clock: SettlingClock, ms: number): Promise<void> => {
  clock.advance(ms)
  return clock.settled()
}

/** As after a stall of the process: the first call comes before any timer has been called. */
const late = (clock: SettlingClock, ms: number): void => {
  clock.stall(ms)
  setImmediate(() => clock.advance(0))
}

/** The same engine as if it were far away: a call arrives a while after it was made, its answer as well. */
function distant(engine: Engine): Engine {
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

conform('the memory engine', async t => provide(t, inTime))
conform('the memory engine after stalls', async t => provide(t, late))
// The suite itself is tried, too: it must hold for engines whose answers take their time.
conform('the memory engine from afar', async t => {
  const provided = provide(t, inTime)
  return { ...provided, engine: distant(provided.engine) }
})
