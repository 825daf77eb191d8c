import type { Call, Terms } from './history.ts'
import type { SequentialModel, Timed } from './search.ts'

/** An instant that lies somewhere between two. */
export type Span = readonly [from: number, to: number]

/**
 * One key after the other things that happened to it. `unborn`: not generated yet; `gone`: deleted or retired. The end of a
 * lease or of a life is known only as a span where the call that set it was lost.
 */
export interface KeyState {
  phase: 'unborn' | 'living' | 'gone'
  life: Span
  /** The fence is null where nobody was told of it. */
  lease: { fence: number | null; end: Span } | null
  /** The fence of the last lease where its holder has released it, and nobody had the key since. */
  released: number | null
}

/** What an answer says about one key, and when that was so. */
export type KeyOp = Timed & { call: Call } & (
    | { says: 'generated'; keepAliveBy: number }
    | { says: 'granted'; fence: number; expiresAt: number; keepAliveBy: number | undefined }
    /** What a lease of the key is, from a holder's view; what is undefined is not told. */
    | { says: 'running'; fence: number; expiresAt: number | undefined; keepAliveBy: number | undefined }
    | { says: 'renewed'; fence: number; expiresAt: number; keepAliveBy: number; leaseMs: number }
    | { says: 'released' | 'lost' | 'release-lost'; fence: number }
    | { says: 'seen' | 'kept-alive'; keepAliveBy: number; lease: { fence: number; expiresAt: number } | null }
    /** With a fence, only the lease with this one. */
    | { says: 'unblocked' | 'unblock-lost'; fence: number | undefined }
    | { says: 'not-leased' | 'deleted' | 'unknown' }
  )

/** Since when lost calls may have done something to any key; Infinity where none was lost. */
export interface LostSince {
  acquire: number
  generate: number
}

const NEVER: Span = [Infinity, Infinity]
const UNBORN: KeyState = { phase: 'unborn', life: NEVER, lease: null, released: null }
const GONE: KeyState = { ...UNBORN, phase: 'gone' }

/**
 * One key of a pool. A deadline is exact on the server's clock, so a call that began later than `marginMs` after it has met it,
 * and one that ended earlier than `marginMs` before it has not.
 */
export class KeyModel implements SequentialModel<KeyOp, Call, KeyState> {
  readonly initial = UNBORN
  readonly #terms: Terms
  readonly #lost: LostSince
  readonly #marginMs: number

  constructor(terms: Terms, lost: LostSince, marginMs: number) {
    this.#terms = terms
    this.#lost = lost
    this.#marginMs = marginMs
  }

  nameOf({ phase, life, lease, released }: KeyState): string {
    return `${phase} ${life} ${lease && `${lease.fence} ${lease.end}`} ${released}`
  }

  after(state: KeyState, op: KeyOp, latest: number): KeyState[] {
    const { phase, lease, life } = state
    if (phase === 'living' && op.start > life[1] + this.#marginMs) return []
    if (lease && op.start > lease.end[1] + this.#marginMs) return []
    if (phase === 'living') {
      const after = this.#afterLiving(state, op, latest)
      return after === undefined ? [] : [after]
    }
    switch (op.says) {
      case 'generated': {
        const life: Span = [op.keepAliveBy, op.keepAliveBy]
        return phase === 'unborn' ? [{ phase: 'living', life, lease: null, released: null }] : []
      }
      case 'lost':
      case 'release-lost':
      case 'unknown':
        return [state]
      default:
        return []
    }
  }

  byItself(state: KeyState, latest: number): KeyState[] {
    const { phase, life, lease } = state
    const found: KeyState[] = []
    if (phase === 'unborn' && this.#lost.generate <= latest) {
      found.push({ ...state, phase: 'living', life: this.#lifeFrom(this.#lost.generate, latest) })
    }
    if (phase !== 'living') return found
    if (lease && lease.end[0] - this.#marginMs <= latest) found.push({ ...state, lease: null, released: null })
    // A lease whose answer was lost may be taken back by the node at any time, when it sees that the caller is gone.
    if (lease?.fence === null) found.push({ ...state, lease: null })
    if (lease === null && this.#lost.acquire <= latest) {
      found.push({ ...state, lease: { fence: null, end: [0, latest + this.#terms.leaseMs] }, released: null })
    }
    if (life[0] - this.#marginMs <= latest) found.push(GONE)
    return found
  }

  afterLost(state: KeyState, { start, asked }: Call, latest: number): KeyState {
    const { lease, life } = state
    if (state.phase !== 'living') return state
    const isOfLease = 'fence' in asked && (asked.fence === undefined || lease?.fence === asked.fence)
    switch (asked.verb) {
      case 'release':
        return lease && isOfLease ? { ...state, lease: null, released: lease.fence } : state
      case 'unblock':
        return lease && isOfLease ? { ...state, lease: null, released: null } : state
      case 'renew': {
        if (!lease || !isOfLease) return state
        const end: Span = [lease.end[0], Math.max(lease.end[1], latest + asked.leaseMs)]
        return { ...state, lease: { ...lease, end } }
      }
      case 'keepAlive': {
        const [from, to] = this.#lifeFrom(start, latest)
        return { ...state, life: [Math.max(life[0], from), Math.max(life[1], to)] }
      }
      case 'delete':
        return GONE
      default:
        return state
    }
  }

  #afterLiving(state: KeyState, op: KeyOp, latest: number): KeyState | undefined {
    const { lease, released } = state
    switch (op.says) {
      case 'granted': {
        if (lease) return undefined
        const end: Span = [op.expiresAt, op.expiresAt]
        return this.#narrowed({ ...state, lease: { fence: op.fence, end }, released: null }, op)
      }
      case 'running':
        return lease?.fence === op.fence ? this.#narrowed(state, op) : undefined
      case 'renewed': {
        if (lease?.fence !== op.fence || op.expiresAt < lease.end[0]) return undefined
        const longest = Math.max(lease.end[1], latest + op.leaseMs + this.#marginMs)
        if (op.expiresAt > longest) return undefined
        return this.#narrowed({ ...state, lease: { ...lease, end: [op.expiresAt, op.expiresAt] } }, op)
      }
      case 'lost':
        return lease?.fence === op.fence ? undefined : state
      case 'released':
        if (lease === null) return released === op.fence ? state : undefined
        return lease.fence === op.fence ? { ...state, lease: null, released: op.fence } : undefined
      case 'release-lost':
        return lease?.fence === op.fence || released === op.fence ? undefined : state
      case 'seen':
        return this.#seen(state, op)
      case 'kept-alive': {
        const [from, to] = this.#lifeFrom(op.start, latest)
        if (op.keepAliveBy < from - this.#marginMs || op.keepAliveBy > to + this.#marginMs) return undefined
        return this.#seen({ ...state, life: [op.keepAliveBy, op.keepAliveBy] }, op)
      }
      case 'unblocked':
        if (lease === null || (op.fence !== undefined && lease.fence !== op.fence)) return undefined
        return { ...state, lease: null, released: null }
      case 'unblock-lost':
        return lease && lease.fence !== op.fence ? state : undefined
      case 'not-leased':
        return lease ? undefined : state
      case 'deleted':
        return GONE
      case 'generated':
      case 'unknown':
        return undefined
    }
  }

  #seen(state: KeyState, op: KeyOp & { says: 'seen' | 'kept-alive' }): KeyState | undefined {
    if (op.lease === null) return state.lease ? undefined : this.#narrowed(state, op)
    if (state.lease?.fence !== op.lease.fence) return undefined
    return this.#narrowed(state, { expiresAt: op.lease.expiresAt, keepAliveBy: op.keepAliveBy })
  }

  /** With the ends that were told, where they may be those. */
  #narrowed(
    { life, lease, ...state }: KeyState,
    { expiresAt, keepAliveBy }: { expiresAt?: number | undefined; keepAliveBy?: number | undefined }
  ): KeyState | undefined {
    const told = this.#told(life, keepAliveBy)
    if (told === undefined) return undefined
    if (lease === null) return { ...state, lease, life: told }
    const end = this.#told(lease.end, expiresAt)
    return end && { ...state, life: told, lease: { ...lease, end } }
  }

  #told(span: Span, instant: number | undefined): Span | undefined {
    if (instant === undefined) return span
    const slackMs = span[0] === span[1] ? 0 : this.#marginMs
    return instant >= span[0] - slackMs && instant <= span[1] + slackMs ? [instant, instant] : undefined
  }

  /** The end of a life that is kept on at an instant between these. */
  #lifeFrom(from: number, to: number): Span {
    return [from + this.#terms.keepAliveMs, to + this.#terms.keepAliveMs]
  }
}
