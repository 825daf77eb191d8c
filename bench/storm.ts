import { monitorEventLoopDelay } from 'node:perf_hooks'
import { setImmediate as turn } from 'node:timers/promises'
import { type Clock, systemClock } from '../src/clock.ts'
import { type Counts, isRefusal, type KeyView, type LeaseView } from '../src/engine.ts'
import { MemoryEngine } from '../src/memory/engine.ts'
import { check, fixed, heading, table, thousands } from './measure.ts'

// A million deadlines in the same millisecond, first of leases, then of lives, while callers go on. The clock is the
// real one, but for a leap at the start of each storm: so all deadlines pass at once, however long the setting up took.
const KEYS = Number(process.env['BENCH_STORM_KEYS'] ?? 1_000_000)
const LEASE_MS = 86_400_000
const LIFE_MS = 31_536_000_000
const POOL = 'storm'

let leap = 0
const real = systemClock()
let wake: (() => void) | undefined
const clock: Clock = {
  now: () => real.now() + leap,
  after: (ms, callback) => {
    // The sweep's timer, armed for a day: called after the leap, as it would be after a stall of the process.
    if (ms > 60_000) wake = callback
    return real.after(Math.min(ms, 2 ** 31 - 1), callback)
  },
  soon: callback => real.soon(callback)
}

function counts(): Counts {
  const pool = engine.pool(POOL)
  if (pool instanceof Promise || isRefusal(pool)) throw new Error('the pool is gone')
  return pool.counts
}

interface Storm {
  worstDelayMs: number
  worstSliceMs: number
  tookMs: number
  calls: number
}

/** Callers go on until the engine has caught up: each turn of the event loop brings some calls, as sockets would. */
async function ride(call: (i: number) => void, isOver: (counts: Counts) => boolean): Promise<Storm> {
  const delay = monitorEventLoopDelay({ resolution: 1 })
  delay.enable()
  const started = performance.now()
  let worstTurn = 0
  let calls = 0
  wake?.()
  let last = performance.now()
  do {
    for (let i = 0; i < 10; i++) call(calls++)
    await turn()
    const now = performance.now()
    worstTurn = Math.max(worstTurn, now - last)
    last = now
  } while (!isOver(counts()))
  delay.disable()
  // The histogram counts its own resolution in.
  return { worstDelayMs: delay.max / 1e6 - 1, worstSliceMs: worstTurn, tookMs: performance.now() - started, calls }
}

const engine = new MemoryEngine({
  clock,
  onFault: error => {
    throw error
  }
})
await engine.putPool(POOL, { leaseMs: LEASE_MS, keepAliveMs: LIFE_MS, maxKeys: 16_000_000 })

// Everything is set within one instant of the clock.
const start = real.now()
const frozen = { ...clock }
clock.now = () => start
const ids: string[] = []
for (let left = KEYS; left > 0; left -= 1000) {
  const keys = engine.generate(POOL, { count: Math.min(left, 1000), metadata: null }) as KeyView[]
  for (const { id } of keys) ids.push(id)
}
const holders = new Map<string, string>()
for (let i = 0; i < KEYS; i++) {
  const lease = engine.acquire(POOL, {}) as LeaseView
  check(!holders.has(lease.keyId), 'a key was leased twice')
  holders.set(lease.keyId, lease.id)
}
const leaseIds = [...holders.values()]
clock.now = frozen.now
heading(`Storm: ${thousands(KEYS)} deadlines in one millisecond, under load`)

leap = LEASE_MS
const held = new Set<string>()
const leases = await ride(
  i => {
    const old = leaseIds[(i * 7919) % KEYS] as string
    check(isRefusal(engine.lease(POOL, old)), 'a lease outlived its deadline')
    const lease = engine.acquire(POOL, {})
    check(!(lease instanceof Promise) && !isRefusal(lease), 'no key though all leases have ended')
    const { keyId } = lease as LeaseView
    check(!held.has(keyId), 'a key was leased twice')
    held.add(keyId)
  },
  ({ leased }) => leased === held.size
)
check(counts().free + held.size === KEYS, 'wrong counts after the leases')

leap = LIFE_MS
const lives = await ride(
  i => {
    check(isRefusal(engine.key(POOL, ids[(i * 7919) % KEYS] as string)), 'a key outlived its life')
    // Refused at once, or once the sweep has caught up.
    void engine.acquire(POOL, {})
  },
  ({ total }) => total === 0
)
check(counts().retired === KEYS, 'wrong counts after the lives')

table(
  ['storm', 'worst event-loop delay, ms', 'worst turn, ms', 'worked off in, ms', 'calls meanwhile', 'wrong answers'],
  [['leases end', leases] as const, ['lives end', lives] as const].map(([name, storm]) => [
    name,
    fixed(storm.worstDelayMs, 1),
    fixed(storm.worstSliceMs, 1),
    thousands(storm.tookMs),
    thousands(storm.calls),
    0
  ])
)
console.log('\nAim: a delay of at most 10 ms, no wrong answer (one ends the bench).')
process.exit(0)
