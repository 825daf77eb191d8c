import type { Clock, Timer } from '../../src/clock.ts'

/** An ordinary instant: a clock that starts at 0 hides what is taken for "unset". */
const START = Date.UTC(2026, 2, 1, 12)

/** Time that passes only when a test says so. Timers that fall due on the way are called at their own instant, in order. */
export class ManualClock implements Clock {
  #now = START
  #timers: { at: number; callback: () => void }[] = []

  readonly now = (): number => this.#now

  after(delayMs: number, callback: () => void): Timer {
    const timer = { at: this.#now + delayMs, callback }
    this.#timers.push(timer)
    return { cancel: () => void (this.#timers = this.#timers.filter(other => other !== timer)) }
  }

  soon(callback: () => void): void {
    setImmediate(callback)
  }

  /** How many timers are set. */
  get timers(): number {
    return this.#timers.length
  }

  advance(ms: number): void {
    const end = this.#now + ms
    for (;;) {
      const due = this.#timers.filter(({ at }) => at <= end).sort((a, b) => a.at - b.at)[0]
      if (due === undefined) break
      this.#timers = this.#timers.filter(timer => timer !== due)
      this.#now = Math.max(this.#now, due.at)
      due.callback()
    }
    this.#now = end
  }

  /** Sets the clock back, as somebody may do with a machine's. */
  setBack(ms: number): void {
    this.#now -= ms
  }

  /** Lets time pass while the process was too busy to look: no timer is called on the way. */
  stall(ms: number): void {
    this.#now += ms
  }
}
