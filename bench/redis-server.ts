import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import { check } from './measure.ts'

/** One round of what keypool does: a list of free keys as a hash by index, leases by deadline in a sorted set. */
export const BARE_SCRIPT = `
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

const CALLS = 200_000

/** A Redis of the bench's own, without persistence, ended with the process. Ends the process where there is none. */
export class BenchRedis {
  readonly #port: number

  private constructor(port: number) {
    this.#port = port
  }

  static async start(bench: string): Promise<BenchRedis> {
    if (spawnSync('redis-server', ['--version']).status !== 0) {
      console.log(`\n## ${bench}\n\nskipped: no redis-server on the PATH`)
      process.exit(0)
    }
    const port = await freePort()
    const redis = spawn(
      'redis-server',
      ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no'],
      { cwd: tmpdir(), stdio: 'ignore' }
    )
    process.on('exit', () => redis.kill())
    for (let tries = 0; !(await answers(port)); tries++) {
      check(tries < 100, 'redis-server did not start')
      await sleep(50)
    }
    return new BenchRedis(port)
  }

  get url(): string {
    return `redis://127.0.0.1:${this.#port}`
  }

  cli(...words: string[]): string {
    const { stdout, status } = spawnSync('redis-cli', ['-p', String(this.#port), ...words], { encoding: 'utf8' })
    check(status === 0, `redis-cli ${words[0]}`)
    return stdout.trim()
  }

  /** So many keys for BARE_SCRIPT. Returns its hash. */
  prepareBare(keys: number): string {
    const fill = `for i = 1, ${keys} do redis.call('HSET', 'free', i, 'key' .. i) end redis.call('SET', 'n', ${keys})`
    this.cli('EVAL', fill, '0')
    return this.cli('SCRIPT', 'LOAD', BARE_SCRIPT)
  }

  /** How many calls of a script per second redis-benchmark makes, over 50 connections. */
  callsPerSecond(sha: string, pipelined: number): number {
    const words = ['-p', String(this.#port), '-n', String(CALLS), '-c', '50', '-P', String(pipelined), '--csv']
    const { stdout } = spawnSync('redis-benchmark', [...words, 'EVALSHA', sha, '0'], { encoding: 'utf8' })
    const [, perSecond] = /^"EVALSHA[^,]*,"([\d.]+)"/m.exec(stdout) ?? []
    check(perSecond !== undefined, 'redis-benchmark printed no figure')
    return Number(perSecond)
  }
}

async function answers(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1')
  const isUp = await Promise.race([
    once(socket, 'connect').then(() => true),
    once(socket, 'error').then(() => false)
  ]).catch(() => false)
  socket.destroy()
  return isUp
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  server.close()
  return port
}
