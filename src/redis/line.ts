import type { Clock, Timer } from '../clock.ts'
import type { Engine, Refusal, Retry } from '../engine.ts'
import type { AcquireRequest, Random } from '../pool/key-pool.ts'
import { Unavailable } from './connection.ts'
import { fraction, marksOf } from './key-factory.ts'
import type { PoolScripts } from './pool-scripts.ts'
import { readLease, readRefusal, type Reply } from './replies.ts'

export type AcquireAnswer = Awaited<ReturnType<Engine['acquire']>>

/** How many waiters one call serves at the most. */
const SERVED_AT_ONCE = 16
/** How often a node looks for free keys where it has heard of none, in milliseconds: messages may be lost. */
const LOOK_MS = 100

const UNAVAILABLE: Refusal<'storage-unavailable'> = { refusal: 'storage-unavailable' }

/** A caller that waits at this node. */
interface Waiter {
  readonly request: AcquireRequest
  readonly retry: Retry | undefined
  /** The number of its arrival in the line of all nodes, and the pool's birth: of an older pool it is not this one's. */
  readonly arrival: number
  readonly born: string
  timer?: Timer
  answer(answer: AcquireAnswer): void
}

type ServeRefusal = 'lease-too-long' | 'idempotency-key-reused' | 'unknown-pool'

export interface LineOptions {
  scripts: PoolScripts
  clock: Clock
  random: Random
  /** What the waiters of this node are called before their colon. */
  node: () => string
  onFault: (error: unknown) => void
  /** Why nobody may wait at this node, where that is so. */
  dismissed: () => Refusal<'draining'> | undefined
}

/**
 * The callers of one pool that wait at this node. The server knows the line of all nodes. A node that hears that keys are
 * free, or thinks that one might be, asks for those at the head of its own part of the line; the script gives as many
 * as are free beyond what callers of other nodes that came before may claim. A node that dies asks no more, so nothing is
 * given to it; the others drop its waiters when it has been silent for three seconds.
 */
export class NodeLine {
  readonly #options: LineOptions
  readonly #waiters = new Map<string, Waiter>()
  /** Those whose time is up: they leave unless the next look gives them a key. */
  readonly #late = new Set<string>()
  /** Those who have said so to the server, and not been answered. */
  readonly #leaving = new Set<string>()
  #arrivals = 0
  /** Callers whose place is being asked for. */
  #arriving = 0
  #isLooking = false
  #lookAgain = false
  #timer: Timer | undefined

  constructor(options: LineOptions) {
    this.#options = options
  }

  get size(): number {
    return this.#waiters.size + this.#arriving
  }

  /**
   * Asks for a key by `ask`, which is given a name to wait by, and waits where it answers 'waiting'. Any other answer is
   * given back.
   */
  async enter(
    ask: (waiter: string) => Promise<Reply>,
    request: AcquireRequest & { waitMs: number },
    { retry, signal }: { retry: Retry | undefined; signal: AbortSignal | undefined }
  ): Promise<Reply | { answer: AcquireAnswer }> {
    const { clock, node, scripts, dismissed } = this.#options
    const name = `${node()}:${++this.#arrivals}`
    this.#arriving++
    let reply: Reply
    try {
      reply = await ask(name)
    } finally {
      this.#arriving--
    }
    if (reply[0] !== 'waiting') return reply
    const [, arrival, born] = reply as [string, number, string]
    // All who wait here were refused while this one was on its way.
    const refusal = dismissed() ?? (name.startsWith(`${node()}:`) ? undefined : UNAVAILABLE)
    if (refusal !== undefined) {
      scripts.run('leave', name).catch(() => undefined)
      return { answer: refusal }
    }
    const answer = await new Promise<AcquireAnswer>(resolve => {
      const waiter: Waiter = { request, retry, arrival, born, answer: resolve }
      this.#waiters.set(name, waiter)
      waiter.timer = clock.after(request.waitMs, () => {
        this.#late.add(name)
        this.look()
      })
      if (signal?.aborted) this.#leave(name)
      else signal?.addEventListener('abort', () => this.#leave(name))
      // Also for a key that was freed while this one arrived, of which nobody may have been told.
      this.look()
    })
    return { answer }
  }

  /** Keys may be free. */
  look(): void {
    this.#lookAgain = true
    if (!this.#isLooking) void this.#lookOn()
  }

  /** Refuses all who wait here. Their places are given up by the caller. */
  dismiss(refusal: Exclude<AcquireAnswer, { fence: number }>): string[] {
    const names = [...this.#waiters.keys()]
    for (const name of names) this.#settle(name, refusal)
    return names
  }

  async #lookOn(): Promise<void> {
    this.#isLooking = true
    while (this.#lookAgain && this.#waiters.size > 0) {
      this.#lookAgain = false
      this.#timer?.cancel()
      try {
        await this.#serve()
      } catch (error) {
        this.#fail(error)
      }
    }
    // At once: a call that comes between the end of the loop and that of the promise must not be lost.
    this.#isLooking = false
  }

  async #serve(): Promise<void> {
    const { scripts, random, clock, node } = this.#options
    const first = [...this.#first(SERVED_AT_ONCE)]
    const late = [...this.#late]
    const asked = first.flatMap(([name, { request, retry, arrival, born }]) => [
      name,
      arrival,
      born,
      request.leaseMs ?? '',
      request.holder ?? '',
      request.owner ?? '',
      ...marksOf(retry),
      fraction(random)
    ])
    const reply = await scripts.run('serve', node(), ...asked)
    if (reply[0] === 'unknown-pool') {
      this.dismiss({ refusal: 'unknown-pool' })
      return
    }
    const [, isBehind, dueInMs, answers] = reply as [string, number, number | null, Reply[]]
    for (const [i, answer] of answers.entries()) {
      const [name] = first[i] as (typeof first)[0]
      this.#settle(name, answer[0] === 'granted' ? readLease(answer) : readRefusal<ServeRefusal>(answer))
    }
    if (isBehind === 1) await scripts.catchUp()
    if (isBehind === 1 || (answers.length === first.length && first.length > 0)) this.#lookAgain = true
    else for (const name of late) this.#leave(name)
    this.#timer = clock.after(Math.min(LOOK_MS, dueInMs ?? LOOK_MS), () => this.look())
  }

  *#first(count: number): Iterable<[string, Waiter]> {
    for (const entry of this.#waiters) {
      if (this.#leaving.has(entry[0])) continue
      if (count-- === 0) return
      yield entry
    }
  }

  /** A caller waits no longer: it is refused, unless a key that was given before is still on its way. */
  #leave(name: string): void {
    if (!this.#waiters.has(name) || this.#leaving.has(name)) return
    const { scripts } = this.#options
    this.#leaving.add(name)
    scripts
      .untilCaughtUp(() => scripts.run('leave', name))
      .then(reply => this.#settle(name, readRefusal<'no-free-key' | 'unknown-pool'>(reply)))
      .catch((error: unknown) => this.#fail(error))
  }

  #settle(name: string, answer: AcquireAnswer): void {
    const waiter = this.#waiters.get(name)
    if (waiter === undefined) return
    this.#waiters.delete(name)
    this.#late.delete(name)
    this.#leaving.delete(name)
    waiter.timer?.cancel()
    waiter.answer(answer)
  }

  #fail(error: unknown): void {
    // They may have been given keys that they will never hear of: their leases end by themselves.
    const names = this.dismiss({ ...UNAVAILABLE, unsure: true })
    if (error instanceof Unavailable) return
    const { onFault, scripts } = this.#options
    onFault(error)
    // The connection stands, and with it their places.
    for (const name of names) scripts.run('leave', name).catch(() => undefined)
  }
}
