import { largestFenceOf, type Reply } from './replies.ts'
import type { Verb } from './scripts.ts'
import type { Server } from './connection.ts'

/** Verbs whose answers may hold new leases. */
const GRANTING: readonly Verb[] = ['acquire', 'batch', 'serve']
/** How many of each kind of deadline one call of the sweep applies. */
const SLICE = 200

export interface ScriptsOptions {
  server: Server
  /** The instant that scripts take for the present, of tests; the server's own where absent. */
  time?: (() => number) | undefined
  /** What this node's waiters are called before their colon. */
  node: () => string
}

/** What can be asked of one pool: its scripts, and that what is due be applied. */
export class PoolScripts {
  readonly #options: ScriptsOptions
  readonly #key: string
  /** The largest that was seen here. */
  #fence = 0
  /** Whether callers wait at this node. */
  isWaiting = (): boolean => false
  #catchingUp: Promise<SweepResult | undefined> | undefined

  constructor(name: string, options: ScriptsOptions) {
    this.#options = options
    this.#key = `keypool:{${name}}`
  }

  async run(verb: Verb, ...rest: readonly (string | number)[]): Promise<Reply> {
    const { server, time } = this.#options
    const reply = await server.run(verb, this.#key, time?.() ?? '', this.#fence, ...rest)
    if (GRANTING.includes(verb)) this.#fence = Math.max(this.#fence, largestFenceOf(reply))
    return reply
  }

  /** Runs a script, as often as it takes until what was due has been applied. */
  async untilCaughtUp(ask: () => Promise<Reply>): Promise<Reply> {
    for (;;) {
      const reply = await ask()
      if (reply[0] !== 'behind') return reply
      await this.catchUp()
    }
  }

  /** Applies what is due, all of it; undefined where there is no such pool. Those who ask at once share the work. */
  catchUp(): Promise<SweepResult | undefined> {
    this.#catchingUp ??= this.#sweep().finally(() => (this.#catchingUp = undefined))
    return this.#catchingUp
  }

  async #sweep(): Promise<SweepResult | undefined> {
    for (;;) {
      const [status, more, dueInMs] = await this.run('sweep', SLICE, this.isWaiting() ? this.#options.node() : '')
      if (status === 'unknown-pool') return undefined
      if (more === 0) return { dueInMs: dueInMs as number | null }
    }
  }
}

export interface SweepResult {
  /** When the next deadline is due; null where there is none. */
  dueInMs: number | null
}
