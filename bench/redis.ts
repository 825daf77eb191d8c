import { interleaved, pairs, type Run, start } from './load.ts'
import { check, fixed, heading, summarize, table, thousands } from './measure.ts'
import { BenchRedis } from './redis-server.ts'

// Nodes over one Redis: against the bare work as one script by redis-benchmark, one node beside two, and what a key takes.
const KEYS = 100_000
const CONNECTIONS = 50

const redis = await BenchRedis.start('Nodes over Redis')
const sha = redis.prepareBare(KEYS)
const before = usedBytes()
const one = await start('redis', KEYS, redis.url)
const bytesPerKey = (usedBytes() - before) / KEYS
const two = await start('redis', 0, redis.url)

function usedBytes(): number {
  return Number(/^used_memory:(\d+)/m.exec(redis.cli('INFO', 'memory'))?.[1])
}

/** Half of the connections at each node. */
async function shared(): Promise<Run> {
  const runs = await Promise.all([pairs(one, CONNECTIONS / 2), pairs(two, CONNECTIONS / 2)])
  return {
    perSecond: runs.reduce((sum, { perSecond }) => sum + perSecond, 0),
    p99: Math.max(...runs.map(({ p99 }) => p99))
  }
}

const runs = await interleaved({
  'bare EVALSHA by redis-benchmark': async () => ({ perSecond: redis.callsPerSecond(sha, 1), p99: NaN }),
  'one node': () => pairs(one, CONNECTIONS),
  'two nodes': shared
})
for (const { process } of [one, two]) process.disconnect()
const free = redis.cli('ZCARD', 'keypool:{default}:free')
check(Number(free) + Number(redis.cli('ZCARD', 'keypool:{default}:leased')) === KEYS, 'keys were lost')

heading(`Nodes over Redis: acquire + release of ${thousands(KEYS)} keys, ${CONNECTIONS} connections`)
const base = summarize((runs['bare EVALSHA by redis-benchmark'] ?? []).map(({ perSecond }) => perSecond)).median
table(
  ['what', 'pairs/s', 'p10', 'p90', 'of bare'],
  Object.entries(runs).map(([kind, each]) => {
    const { median, p10, p90 } = summarize(each.map(({ perSecond }) => perSecond))
    return [kind, thousands(median), thousands(p10), thousands(p90), fixed(median / base)]
  })
)
console.log(`\n- a free key of 20 characters takes ${thousands(bytesPerKey)} bytes of the server's memory`)
process.exit(0)
