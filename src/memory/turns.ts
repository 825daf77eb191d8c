import type { Clock } from '../clock.ts'

/** What one turn of the event loop has to give: an answer to one who waits costs 1. Some 200 microseconds. */
const PER_TURN = 64

/**
 * HOW MANY ARE ANSWERED WITHOUT A PAUSE
 *
 * One event may set ten thousand callers free: a pool ends, a batch releases all of its keys. To answer them in one go would
 * hold up everybody else. So each turn of the event loop has a measure; who finds it used up goes on in a later turn, in
 * the order of asking, with other requests served in between.
 */
export class Turns {
  readonly #clock: Clock
  readonly #onFault: (error: unknown) => void
  readonly #waiting = new Set<() => void>()
  #left = PER_TURN
  #arranged = false

  constructor(clock: Clock, onFault: (error: unknown) => void) {
    this.#clock = clock
    this.#onFault = onFault
  }

  /** Whether this turn has nothing more to give. */
  get isOver(): boolean {
    return this.#left <= 0
  }

  /** Takes from this turn; the last may take more than is left. */
  take(cost: number): void {
    this.#left -= cost
    this.#arrange()
  }

  /** Calls `goOn` in a turn to come that has something to give, once however often this is asked. */
  next(goOn: () => void): void {
    this.#waiting.add(goOn)
    this.#arrange()
  }

  #arrange(): void {
    if (this.#arranged) return
    this.#arranged = true
    this.#clock.soon(() => this.#begin())
  }

  #begin(): void {
    this.#arranged = false
    this.#left = PER_TURN
    for (const goOn of this.#waiting) {
      if (this.isOver) break
      // It may ask again, for a place at the end.
      this.#waiting.delete(goOn)
      try {
        goOn()
      } catch (error) {
        this.#onFault(error)
      }
    }
    if (this.#waiting.size > 0) this.#arrange()
  }
}
