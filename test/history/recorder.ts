import { performance } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Random } from '../../src/pool/random.ts'
import { keySeen, leaseSeen } from '../crash/read-all.ts'
import type { Answer, Caller } from './caller.ts'
import type { Asked, Call, KeyTold, LeaseTold, Told } from './history.ts'

/** How long a caller stays away whom a node refuses, or who finds none. */
const PAUSE_MS = 20

/** By how much `performance.now` is behind the machine's clock. That one is cut to milliseconds, so the largest is nearest. */
export function clockOffset(): number {
  return Math.max(...Array.from({ length: 1000 }, () => Date.now() - performance.now()))
}

/** Makes calls and writes down each with its time and what it came to. */
export class Recorder {
  readonly calls: Call[] = []
  readonly pool: string
  /** Calls that did nothing, as their node was not there. */
  refused = 0
  readonly #ports: readonly number[]
  readonly #caller: Caller
  readonly #offset = clockOffset()

  constructor(pool: string, ports: readonly number[], caller: Caller) {
    this.pool = pool
    this.#ports = ports
    this.#caller = caller
  }

  /** Milliseconds since 1970. Setting the machine's clock does not move it. */
  now(): number {
    return performance.now() + this.#offset
  }

  /** By how much the machine's clock and the one of the recording have come apart, in milliseconds. */
  driftMs(): number {
    return Math.abs(clockOffset() - this.#offset)
  }

  /** Asks any node. For a lease, `began` is the start of the first attempt, or Infinity where this is it. */
  async record(
    random: Random,
    asked: Asked,
    what: string,
    request: { body?: object; headers?: Record<string, string> } = {}
  ): Promise<Told | 'refused' | 'unknown'> {
    const [method, path] = what.split(' ')
    const port = this.#ports[random.below(this.#ports.length)] as number
    const start = this.now()
    const timed = asked.verb === 'acquire' ? { ...asked, began: Math.min(asked.began, start) } : asked
    const answer = await this.#caller.ask(port, `${method} /v1/pools/${this.pool}/${path}`, request)
    if (answer === 'refused') {
      this.refused++
      await sleep(PAUSE_MS)
      return answer
    }
    const told = answer === 'unknown' ? answer : toldBy(asked, answer)
    this.calls.push({ start, end: this.now(), asked: timed, answer: told })
    return told
  }
}

function toldBy({ verb }: Asked, { status, body }: Answer): Told {
  if (status >= 204) return { status }
  if (verb === 'generate') return { status, keys: (body['keys'] as unknown[]).map(keyTold) }
  if (verb === 'look' || verb === 'keepAlive') return { status, keys: [keyTold(body)] }
  const { keyId, fence, acquiredAt, expiresAt, keepAliveBy } = leaseSeen(body)
  const lease: LeaseTold = { keyId, fence, acquiredAt, expiresAt, keepAliveBy: keepAliveBy ?? Infinity }
  return { status, lease }
}

function keyTold(body: unknown): KeyTold {
  const { id, keepAliveBy, lease } = keySeen(body)
  const { holder = null } = (body as { lease: { holder?: string | null } | null }).lease ?? {}
  return {
    id,
    keepAliveBy: keepAliveBy ?? Infinity,
    lease: lease && { fence: lease.fence, holder, expiresAt: lease.expiresAt }
  }
}
