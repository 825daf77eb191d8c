import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import type { Test } from 'tap'
import { freePort } from './free-port.ts'

/** Servers that fulfil what the engine needs, where they are installed. */
export const SERVERS = ['redis-server', 'valkey-server'].filter(name => spawnSync(name, ['--version']).status === 0)

/** Whether the tests of a file that needs a server are skipped, which is told. Where TEST_REDIS=1 they must not be. */
export function isSkipped(t: Pick<Test, 'comment'>): boolean {
  if (SERVERS.length > 0) return false
  if (process.env.TEST_REDIS === '1')
    throw new Error('TEST_REDIS=1, and neither redis-server nor valkey-server is there')
  t.comment('skipped, as neither redis-server nor valkey-server is installed: what is tested against a server')
  return true
}

const EPHEMERAL = ['--save', '', '--appendonly', 'no']

/**
 * A server of the test's own, on a free port and without persistence, ended with the test. `configure` may write a file
 * of its settings, and gives the arguments that come first.
 */
export async function startRedis(
  t: Pick<Test, 'teardown'>,
  command = SERVERS[0] as string,
  args: string[] = [],
  configure?: (directory: string) => string[]
) {
  const directory = mkdtempSync(join(tmpdir(), 'keypool-redis-'))
  const port = await freePort()
  const first = configure?.(directory) ?? EPHEMERAL
  const start = (): ChildProcess =>
    spawn(command, [...first, '--port', String(port), '--bind', '127.0.0.1', '--dir', directory, ...args], {
      stdio: 'ignore'
    })
  let server = start()
  const client = new Redis({ port, host: '127.0.0.1', retryStrategy: () => 20, maxRetriesPerRequest: null })
  client.on('error', () => undefined)
  t.teardown(async () => {
    client.disconnect()
    await end(server)
    rmSync(directory, { recursive: true, force: true })
  })
  await answered(client, server)
  return {
    port,
    url: `redis://127.0.0.1:${port}`,
    client,
    stop: () => end(server),
    /** It comes back with nothing. */
    async restart(): Promise<void> {
      server = start()
      await answered(client, server)
    }
  }
}

/** Resolves when the server answers, and rejects where it ends before. */
async function answered(client: Redis, server: ChildProcess): Promise<void> {
  const ended = new AbortController()
  const end = once(server, 'exit', { signal: ended.signal }).then(([code]) => {
    throw new Error(`the server has ended with code ${code}`)
  })
  await Promise.race([client.ping(), end])
  ended.abort()
  await end.catch(() => undefined)
}

async function end(server: ChildProcess): Promise<void> {
  if (server.exitCode !== null || server.signalCode !== null) return
  server.kill('SIGKILL')
  await once(server, 'exit')
}
