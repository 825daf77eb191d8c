/** A timer that was set and may be taken back. */
export interface Timer {
  cancel(): void
}

/** Where time comes from: the only source of instants and of timers. Tests pass a manual one. */
export interface Clock {
  /** Milliseconds since 1970 as a whole number, monotonic. */
  now(): number
  /** Calls back once, `delayMs` from now or a little later; at most 2^31 - 1 ms. */
  after(delayMs: number, callback: () => void): Timer
  /** Calls back as soon as input that waits has been served. */
  soon(callback: () => void): void
}

/**
 * The wall clock as it was when the process started, carried on by the monotonic clock: setting the machine's clock
 * moves no deadline.
 */
export function systemClock(): Clock {
  const start = Date.now() - performance.now()
  return {
    now: () => Math.floor(start + performance.now()),
    after(delayMs, callback) {
      const timer = setTimeout(callback, delayMs)
      return { cancel: () => clearTimeout(timer) }
    },
    soon(callback) {
      setImmediate(callback)
    }
  }
}

/** A clock that is ahead of another by so many milliseconds. */
export function laterBy(clock: Clock, ms: number): Clock {
  return {
    now: () => clock.now() + ms,
    after: (delayMs, callback) => clock.after(delayMs, callback),
    soon: callback => clock.soon(callback)
  }
}
