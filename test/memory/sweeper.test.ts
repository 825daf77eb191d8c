import t, { type Test } from 'tap'
import { type Sweepable, Sweeper } from '../../src/memory/sweeper.ts'
import { createEngine, generate, granted, turns } from '../support/create-engine.ts'
import { ManualClock } from '../support/manual-clock.ts'
import { KEEP_ALIVE_MS, LEASE_MS } from '../support/pool.ts'

const YEAR_MS = 31_536_000_000
const MAX_DELAY_MS = 2 ** 31 - 1

/** A pool of deadlines and nothing else. */
class Deadlines implements Sweepable {
  readonly #clock: ManualClock
  readonly #at: number[] = []
  /** At which instants how many were applied. */
  readonly applied: { at: number; count: number }[] = []
  sweeps = 0
  broken = false
  /** How long each sweep takes. */
  takesMs = 0

  constructor(clock: ManualClock) {
    this.#clock = clock
  }

  set(at: number, count = 1): void {
    for (let i = 0; i < count; i++) this.#at.push(at)
    this.#at.sort((a, b) => b - a)
  }

  get nextSweepAt(): number {
    return this.#at.at(-1) ?? Infinity
  }

  sweep(limit: number): boolean {
    this.sweeps++
    if (this.broken) throw new Error('broken')
    const now = this.#clock.now()
    let count = 0
    while (count < limit && this.nextSweepAt <= now) {
      this.#at.pop()
      count++
    }
    this.applied.push({ at: now, count })
    this.#clock.stall(this.takesMs)
    return this.nextSweepAt <= now
  }
}

/** A clock that counts its timers, and takes none that Node would not. */
class StrictClock extends ManualClock {
  set = 0

  override after(delayMs: number, callback: () => void): ReturnType<ManualClock['after']> {
    if (!(delayMs >= 0 && delayMs <= MAX_DELAY_MS)) throw new RangeError(`a timer of ${delayMs} ms`)
    this.set++
    return super.after(delayMs, callback)
  }
}

function createSweeper(t: Test, count: number) {
  const clock = new StrictClock()
  const pools = Array.from({ length: count }, () => new Deadlines(clock))
  const faults: unknown[] = []
  const sweeper = new Sweeper(
    clock,
    () => pools,
    error => void faults.push(error)
  )
  t.teardown(() => sweeper.close())
  const set = (pool: number, inMs: number, count?: number): void => {
    pools[pool]?.set(clock.now() + inMs, count)
    sweeper.wake(pools[pool] as Deadlines)
  }
  return { clock, pools, faults, sweeper, set, start: clock.now() }
}

t.test('a deadline is applied when it is due, not before', async t => {
  const { clock, pools, set, start } = createSweeper(t, 1)
  set(0, 1000)
  clock.advance(999)
  t.equal(pools[0]?.sweeps, 0)
  clock.advance(1)
  t.strictSame(pools[0]?.applied, [{ at: start + 1000, count: 1 }])
  t.equal(clock.timers, 0)
})

t.test('one timer serves all pools', async t => {
  const { clock, pools, set } = createSweeper(t, 20)
  for (let pool = 0; pool < 20; pool++) set(pool, 1000 * (20 - pool))
  t.equal(clock.timers, 1)
  for (let pool = 19; pool >= 0; pool--) {
    clock.advance(1000)
    t.equal(pools[pool]?.applied.length, 1)
    t.equal(clock.timers, pool > 0 ? 1 : 0)
  }
})

t.test('a later deadline leaves the timer alone', async t => {
  const { clock, set } = createSweeper(t, 2)
  set(0, 1000)
  for (let i = 0; i < 100; i++) set(1, 1000 + i)
  t.equal(clock.set, 1)
})

t.test('an earlier deadline moves the timer', async t => {
  const { clock, pools, set, start } = createSweeper(t, 2)
  set(0, 1000)
  set(1, 500)
  t.equal(clock.timers, 1)
  clock.advance(1000)
  t.strictSame(pools[1]?.applied, [{ at: start + 500, count: 1 }])
  t.strictSame(pools[0]?.applied, [{ at: start + 1000, count: 1 }])
})

t.test('a deadline in the past is applied at once', async t => {
  const { clock, pools, set } = createSweeper(t, 1)
  set(0, -5000)
  clock.advance(0)
  t.equal(pools[0]?.applied.length, 1)
})

t.test('a pool without deadlines sets no timer', async t => {
  const { clock, sweeper, pools } = createSweeper(t, 1)
  sweeper.wake(pools[0] as Deadlines)
  t.equal(clock.timers, 0)
})

t.test('a deadline that is further away than a timer reaches is applied in time', async t => {
  const { clock, pools, set, start } = createSweeper(t, 2)
  set(0, YEAR_MS)
  set(1, MAX_DELAY_MS + 1)
  clock.advance(MAX_DELAY_MS)
  t.equal(pools[1]?.sweeps, 0)
  clock.advance(1)
  t.equal(pools[1]?.sweeps, 1)
  clock.advance(YEAR_MS - MAX_DELAY_MS - 2)
  t.equal(pools[0]?.sweeps, 0)
  clock.advance(1)
  t.strictSame(pools[0]?.applied, [{ at: start + YEAR_MS, count: 1 }])
})

t.test('a mass of due deadlines is applied in slices, with input served in between', async t => {
  const { clock, pools, set } = createSweeper(t, 1)
  const pool = pools[0] as Deadlines
  set(0, 1000, 10_000)
  clock.advance(1000)
  const applied = (): number => pool.applied.reduce((sum, { count }) => sum + count, 0)
  t.ok(applied() > 0 && applied() < 5000, 'a part at once')
  let slices = 1
  while (pool.nextSweepAt !== Infinity) {
    const before = applied()
    await turns()
    slices++
    t.ok(applied() > before && applied() - before < 5000)
  }
  t.ok(slices >= 3)
  await turns(2)
  t.equal(clock.timers, 0)
})

t.test('a slice ends after about two milliseconds', async t => {
  const { clock, pools, set } = createSweeper(t, 1)
  const pool = pools[0] as Deadlines
  pool.takesMs = 1
  set(0, 0, 1000)
  clock.advance(0)
  t.equal(pool.sweeps, 2)
  await turns()
  t.equal(pool.sweeps, 4)
})

t.test('a pool with an endless backlog does not hold up the others', async t => {
  const { clock, pools, set } = createSweeper(t, 3)
  set(0, 0, 1_000_000)
  set(1, 0, 10)
  set(2, 0, 10)
  clock.advance(0)
  await turns(3)
  t.equal(pools[1]?.nextSweepAt, Infinity)
  t.equal(pools[2]?.nextSweepAt, Infinity)
  t.not(pools[0]?.nextSweepAt, Infinity)

  // What becomes due while the slices go on is applied, too, without a timer.
  set(1, 0, 10)
  await turns(3)
  t.equal(pools[1]?.nextSweepAt, Infinity)
  t.equal(clock.timers, 0)
})

t.test('a fault is reported, and the others are swept in the same turn', async t => {
  const { clock, pools, faults, set } = createSweeper(t, 3)
  const broken = pools[1] as Deadlines
  broken.broken = true
  for (let pool = 0; pool < 3; pool++) set(pool, 1000)
  clock.advance(1000)
  t.match(faults, [{ message: 'broken' }])
  t.equal(faults.length, 1)
  t.equal(pools[0]?.applied.length, 1)
  t.equal(pools[2]?.applied.length, 1)

  clock.advance(999)
  t.equal(broken.sweeps, 1)
  broken.broken = false
  clock.advance(1)
  t.equal(broken.sweeps, 2)
  t.equal(broken.nextSweepAt, Infinity)
  t.equal(clock.timers, 0)
})

t.test('a lasting fault is met once a second, however many calls there are', async t => {
  const { clock, pools, faults, sweeper, set } = createSweeper(t, 2)
  const broken = pools[0] as Deadlines
  broken.broken = true
  set(0, 0)
  clock.advance(0)
  for (let i = 0; i < 50; i++) {
    sweeper.wake(broken)
    sweeper.wake(pools[1] as Deadlines)
    clock.advance(100)
  }
  t.equal(faults.length, 6)
  t.equal(clock.timers, 1)
})

t.test('a fault in one pool does not delay the deadlines of another', async t => {
  const { clock, pools, set, start } = createSweeper(t, 2)
  const broken = pools[0] as Deadlines
  broken.broken = true
  set(0, 0)
  clock.advance(0)
  set(1, 100)
  clock.advance(100)
  t.strictSame(pools[1]?.applied, [{ at: start + 100, count: 1 }])
  set(1, 50)
  set(1, 5000)
  clock.advance(5000)
  t.strictSame(pools[1]?.applied, [
    { at: start + 100, count: 1 },
    { at: start + 150, count: 1 },
    { at: start + 5100, count: 1 }
  ])
})

t.test('a fault is not met again in each slice of a backlog', async t => {
  const { clock, pools, faults, set } = createSweeper(t, 2)
  const broken = pools[0] as Deadlines
  broken.broken = true
  set(0, 0)
  set(1, 0, 20_000)
  clock.advance(0)
  while (pools[1]?.nextSweepAt !== Infinity) await turns()
  t.equal(faults.length, 1)
})

t.test('the lag is how long the earliest due deadline has waited', async t => {
  const { clock, pools, sweeper, set } = createSweeper(t, 2)
  t.equal(sweeper.lagMs, 0)
  set(0, 1000)
  set(1, 2000)
  t.equal(sweeper.lagMs, 0)
  clock.stall(1000)
  t.equal(sweeper.lagMs, 0)
  clock.stall(5000)
  t.equal(sweeper.lagMs, 5000)
  ;(pools[0] as Deadlines).broken = true
  clock.advance(0)
  t.equal(sweeper.lagMs, 5000, 'a pool that can not be swept counts')
  ;(pools[0] as Deadlines).broken = false
  clock.advance(1000)
  t.equal(sweeper.lagMs, 0)
})

t.test('nothing happens after the end', async t => {
  const { clock, pools, sweeper, set } = createSweeper(t, 1)
  set(0, 1000)
  sweeper.close()
  t.equal(clock.timers, 0)
  set(0, 500)
  t.equal(clock.timers, 0)
  clock.advance(2000)
  t.equal(pools[0]?.sweeps, 0)
})

t.test('the end comes between two slices, too', async t => {
  const { clock, pools, sweeper, set } = createSweeper(t, 1)
  set(0, 0, 10_000)
  clock.advance(0)
  const sweeps = pools[0]?.sweeps
  sweeper.close()
  await turns(3)
  t.equal(pools[0]?.sweeps, sweeps)
  t.equal(clock.timers, 0)
})

t.test('an engine has one timer, however many pools and keys it has', async t => {
  const { engine, clock } = createEngine(t)
  for (let i = 0; i < 50; i++) {
    await granted(engine.putPool(`pool-${i}`, {}))
    await generate(engine, 20, `pool-${i}`)
    await granted(engine.acquire(`pool-${i}`, { leaseMs: 1000 + i }))
  }
  t.equal(clock.timers, 1)
  clock.advance(LEASE_MS)
  t.equal(clock.timers, 1)
  clock.advance(KEEP_ALIVE_MS)
  await turns(3)
  t.equal(clock.timers, 0, 'no key is left')
})

t.test('an engine that is closed has no timer', async t => {
  const { engine, clock } = createEngine(t)
  await generate(engine, 1)
  await granted(engine.acquire('default', {}))
  const waiting = engine.acquire('default', { waitMs: 1000 })
  engine.close()
  t.equal(clock.timers, 0)
  t.match(await waiting, { refusal: 'draining' })
})

t.test('a report of a fault that fails does not end the sweep', async t => {
  const clock = new ManualClock()
  const pools = [new Deadlines(clock), new Deadlines(clock)] as const
  const sweeper = new Sweeper(
    clock,
    () => pools,
    () => {
      throw new Error('nobody listens')
    }
  )
  t.teardown(() => sweeper.close())
  pools[0].broken = true
  for (const pool of pools) {
    pool.set(clock.now() + 10)
    pool.set(clock.now() + 20)
    sweeper.wake(pool)
  }
  clock.advance(10)
  clock.advance(10)
  t.equal(pools[1].nextSweepAt, Infinity)
  pools[0].broken = false
  clock.advance(1000)
  t.equal(pools[0].nextSweepAt, Infinity)
})
