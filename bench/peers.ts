import { KeyPool, type LeaseView } from '../src/pool/key-pool.ts'
import { check, fixed, heading, summarize, table, thousands } from './measure.ts'
import { BenchRedis } from './redis-server.ts'

// The same acquire + release as one Lua script per call on Redis, beside the pool without HTTP: what the work itself
// costs, with and without a server around it. Redis measures itself, with its own redis-benchmark.
const KEYS = 100_000
const CALLS = 200_000
const ROUNDS = 5

const redis = await BenchRedis.start('Peers')
const sha = redis.prepareBare(KEYS)
const pool = new KeyPool({ clock: Date.now })
for (let i = 0; i < KEYS; i += 1000) pool.generate(1000)

function poolPairs(): number {
  const started = performance.now()
  for (let i = 0; i < CALLS; i++) check(pool.release((pool.acquire() as LeaseView).id) === 'released', 'not released')
  return CALLS / ((performance.now() - started) / 1000)
}

const kinds = {
  'KeyPool, in process': poolPairs,
  'Redis, EVALSHA, 50 connections': () => redis.callsPerSecond(sha, 1),
  'Redis, EVALSHA, 50 connections, 16 pipelined': () => redis.callsPerSecond(sha, 16)
}
const samples = new Map<string, number[]>()
for (let round = -1; round < ROUNDS; round++) {
  for (const [kind, run] of Object.entries(kinds)) {
    const perSecond = run()
    if (round >= 0) samples.set(kind, [...(samples.get(kind) ?? []), perSecond])
  }
}
check(Number(redis.cli('GET', 'fence')) >= 2 * ROUNDS * CALLS, 'Redis did not run every call')
check(redis.cli('HLEN', 'free') === String(KEYS), 'Redis lost keys')

heading(`Peers: acquire + release of ${thousands(KEYS)} keys`)
const base = summarize(samples.get('Redis, EVALSHA, 50 connections') ?? []).median
table(
  ['peer', 'pairs/s', 'p10', 'p90', '× Redis'],
  [...samples].map(([kind, each]) => {
    const { median, p10, p90 } = summarize(each)
    return [kind, thousands(median), thousands(p10), thousands(p90), fixed(median / base)]
  })
)
process.exit(0)
