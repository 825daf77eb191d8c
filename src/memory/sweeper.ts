import type { Clock, Timer } from '../clock.ts'

/** How many deadlines of each kind are applied between two looks at the clock. */
const STEP = 64
/** How many steps a slice has at most, and after how many milliseconds it ends early. */
const SLICE_STEPS = 32
const SLICE_MS = 2
/** After a fault, when to try again. */
const RETRY_MS = 1000
/** The longest delay of a timer; a later deadline takes several. */
const MAX_DELAY_MS = 2 ** 31 - 1

/** What has deadlines to apply. */
export interface Sweepable {
  readonly nextSweepAt: number
  /** Applies up to `limit` due deadlines of each kind; returns whether more are left. */
  sweep(limit: number): boolean
}

/**
 * HOW DEADLINES ARE APPLIED WHEN NOBODY CALLS
 *
 * One timer is armed at the earliest deadline of all pools. When it fires, what is due is applied in slices of about two
 * milliseconds, with requests served between them, each slice going on with the next pool in turn, so that no pool with
 * a million due deadlines holds up the others. A fault is reported, and the sweep goes on: at once with the other pools,
 * after a second with that one.
 */
export class Sweeper {
  readonly #clock: Clock
  readonly #pools: () => Iterable<Sweepable>
  readonly #onFault: (error: unknown) => void
  /** Pools in which the sweep met a fault, with the instant of its next try: a lasting one is not met at each call. */
  readonly #notBefore = new WeakMap<Sweepable, number>()
  #armedAt = Infinity
  #timer: Timer | undefined
  #sweeping = false
  #closed = false
  /** How many slices there have been: where the next one begins. */
  #turn = 0

  constructor(clock: Clock, pools: () => Iterable<Sweepable>, onFault: (error: unknown) => void) {
    this.#clock = clock
    this.#pools = pools
    this.#onFault = onFault
  }

  /** For how long the earliest deadline that is due has waited to be applied, in milliseconds. O(pools). */
  get lagMs(): number {
    return Math.max(0, this.#clock.now() - this.#earliest(pool => pool.nextSweepAt))
  }

  /** A pool may have set a deadline: sweep then, if not sooner. O(1). */
  wake(pool: Sweepable): void {
    if (pool.nextSweepAt < this.#armedAt && !this.#sweeping) this.#arm(this.#dueAt(pool))
  }

  close(): void {
    this.#closed = true
    this.#timer?.cancel()
  }

  #slice(): void {
    if (this.#closed) return
    this.#sweeping = true
    const started = this.#clock.now()
    const due = [...this.#pools()].filter(pool => this.#dueAt(pool) <= started)
    const turn = this.#turn++
    let steps = 0
    let behind = false
    for (let i = 0; i < due.length; i++) {
      const pool = due[(turn + i) % due.length] as Sweepable
      let more = true
      try {
        while (more && steps < SLICE_STEPS && this.#clock.now() - started < SLICE_MS) {
          steps++
          more = pool.sweep(STEP)
        }
        behind ||= more
      } catch (error) {
        this.#notBefore.set(pool, this.#clock.now() + RETRY_MS)
        this.#report(error)
      }
    }
    if (behind) {
      this.#clock.soon(() => this.#slice())
      return
    }
    this.#sweeping = false
    this.#arm(this.#earliest(pool => this.#dueAt(pool)))
  }

  #report(error: unknown): void {
    try {
      this.#onFault(error)
    } catch {
      // Whatever becomes of the report, the sweep goes on: there is nobody else to tell.
    }
  }

  #arm(at: number): void {
    if (at >= this.#armedAt || this.#closed) return
    this.#timer?.cancel()
    this.#armedAt = at
    const delay = Math.max(0, at - this.#clock.now())
    this.#timer = this.#clock.after(Math.min(delay, MAX_DELAY_MS), () => {
      this.#armedAt = Infinity
      this.#slice()
    })
  }

  #dueAt(pool: Sweepable): number {
    return Math.max(pool.nextSweepAt, this.#notBefore.get(pool) ?? -Infinity)
  }

  #earliest(of: (pool: Sweepable) => number): number {
    let earliest = Infinity
    for (const pool of this.#pools()) earliest = Math.min(earliest, of(pool))
    return earliest
  }
}
