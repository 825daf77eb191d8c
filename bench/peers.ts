import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import { KeyPool, type LeaseView } from '../src/pool/key-pool.ts'
import { check, fixed, heading, summarize, table, thousands } from './measure.ts'

// The same acquire + release as one Lua script per call on Redis, beside the pool without HTTP: what the work itself
// costs, with and without a server around it. Redis measures itself, with its own redis-benchmark.
const KEYS = 100_000
const CALLS = 200_000
const ROUNDS = 5

// A list of free keys as a hash by index, the leases by deadline in a sorted set: one round of what keypool does.
const SCRIPT = `
local n = tonumber(redis.call('GET', 'n'))
local i = math.random(n)
local key = redis.call('HGET', 'free', i)
redis.call('HSET', 'free', i, redis.call('HGET', 'free', n))
redis.call('HDEL', 'free', n)
redis.call('ZADD', 'leases', 60000, key)
local fence = redis.call('INCR', 'fence')
redis.call('ZREM', 'leases', key)
redis.call('HSET', 'free', n, key)
return fence`

if (spawnSync('redis-server', ['--version']).status !== 0) {
  console.log('\n## Peers\n\nskipped: no redis-server on the PATH')
  process.exit(0)
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  server.close()
  return port
}

const port = await freePort()
const redis = spawn(
  'redis-server',
  ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no'],
  {
    cwd: tmpdir(),
    stdio: 'ignore'
  }
)
process.on('exit', () => redis.kill())

function call(...words: string[]): string {
  const { stdout, status } = spawnSync('redis-cli', ['-p', String(port), ...words], { encoding: 'utf8' })
  check(status === 0, `redis-cli ${words[0]}`)
  return stdout.trim()
}

for (let tries = 0; ; tries++) {
  const socket = connect(port, '127.0.0.1')
  const up = await Promise.race([
    once(socket, 'connect').then(() => true),
    once(socket, 'error').then(() => false)
  ]).catch(() => false)
  socket.destroy()
  if (up) break
  check(tries < 100, 'redis-server did not start')
  await sleep(50)
}
call('EVAL', `for i = 1, ${KEYS} do redis.call('HSET', 'free', i, 'key' .. i) end redis.call('SET', 'n', ${KEYS})`, '0')
const sha = call('SCRIPT', 'LOAD', SCRIPT)

function redisPairs(pipelined: number): number {
  const words = [
    '-p',
    String(port),
    '-n',
    String(CALLS),
    '-c',
    '50',
    '-P',
    String(pipelined),
    '--csv',
    'EVALSHA',
    sha,
    '0'
  ]
  const { stdout } = spawnSync('redis-benchmark', words, { encoding: 'utf8' })
  const [, perSecond] = /^"EVALSHA[^,]*,"([\d.]+)"/m.exec(stdout) ?? []
  check(perSecond !== undefined, 'redis-benchmark printed no figure')
  return Number(perSecond)
}

const pool = new KeyPool({ clock: Date.now })
for (let i = 0; i < KEYS; i += 1000) pool.generate(1000)

function poolPairs(): number {
  const started = performance.now()
  for (let i = 0; i < CALLS; i++) check(pool.release((pool.acquire() as LeaseView).id) === 'released', 'not released')
  return CALLS / ((performance.now() - started) / 1000)
}

const kinds = {
  'KeyPool, in process': poolPairs,
  'Redis, EVALSHA, 50 connections': () => redisPairs(1),
  'Redis, EVALSHA, 50 connections, 16 pipelined': () => redisPairs(16)
}
const samples = new Map<string, number[]>()
for (let round = -1; round < ROUNDS; round++) {
  for (const [kind, run] of Object.entries(kinds)) {
    const perSecond = run()
    if (round >= 0) samples.set(kind, [...(samples.get(kind) ?? []), perSecond])
  }
}
check(Number(call('GET', 'fence')) >= 2 * ROUNDS * CALLS, 'Redis did not run every call')
check(call('HLEN', 'free') === String(KEYS), 'Redis lost keys')

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
