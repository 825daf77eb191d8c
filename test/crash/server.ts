import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { Caller } from './caller.ts'

/** The service as it is built. */
export const MAIN = fileURLToPath(new URL('../../dist/main.js', import.meta.url))
/** A machine that many share may be slow. */
const START_MS = 120_000
const ASKED_EVERY_MS = 10

export interface ServerOptions {
  /** How long a file may become that it writes, in blocks of 1,024 bytes; it may be raised from outside. */
  limit?: number
  /** Its main file, of a build. */
  main?: string
  /** The number of the user that it runs as. */
  user?: number | undefined
}

/** The service as it is built, in a process of its own. */
export class Server {
  readonly #port: number
  readonly #child: ChildProcess
  readonly #ended: Promise<unknown>
  #errors = ''

  /** `engine`: the variables that choose it. */
  constructor(
    engine: Readonly<Record<string, string>>,
    port: number,
    { limit, main = MAIN, user }: ServerOptions = {}
  ) {
    this.#port = port
    this.#child = spawn(
      'bash',
      ['-c', `ulimit -S -f ${limit ?? 'unlimited'}; exec "$0" "$1"`, process.execPath, main],
      {
        env: {
          PATH: process.env['PATH'],
          ...engine,
          KEYPOOL_PORT: String(port),
          KEYPOOL_LOG_LEVEL: 'warn'
        },
        stdio: ['ignore', 'pipe', 'pipe'],
        ...(user !== undefined && { uid: user, gid: user })
      }
    )
    for (const output of [this.#child.stdout, this.#child.stderr]) {
      output?.setEncoding('utf8').on('data', (text: string) => (this.#errors += text))
    }
    this.#ended = once(this.#child, 'close')
  }

  /** Resolves with how long that took. Rejects where the process ends, or does not become ready. */
  async ready(): Promise<number> {
    const from = Date.now()
    const caller = new Caller(this.#port)
    try {
      while (Date.now() - from < START_MS) {
        if (this.#child.exitCode !== null) throw new Error(`the server has ended: ${this.#errors}`)
        const answer = await caller.ask('GET /readyz')
        if (answer?.status === 200) return Date.now() - from
        await sleep(ASKED_EVERY_MS)
      }
    } finally {
      caller.close()
    }
    throw new Error(`the server is not ready after ${START_MS} ms: ${this.#errors}`)
  }

  get pid(): number | undefined {
    return this.#child.pid
  }

  /** Resolves with its code when it ends by itself. */
  async ended(): Promise<number | null> {
    await this.#ended
    return this.#child.exitCode
  }

  /** What it has written so far: warnings and errors only. */
  get errors(): string {
    return this.#errors
  }

  /** Ends it, whatever it does; for the end of the run. */
  end(): void {
    this.#child.kill('SIGKILL')
  }

  /** As `kill -9` does. Resolves when it is gone. Rejects where it had ended by itself. */
  async kill(): Promise<void> {
    const before = this.#child.exitCode
    this.#child.kill('SIGKILL')
    await this.#ended
    if (before !== null) throw new Error(`the server has ended by itself: ${this.#errors}`)
  }
}
