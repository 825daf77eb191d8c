import type { Counts, Refusal, Refusals } from '../engine.ts'
import type {
  AcquireRequest,
  KeyPool,
  KeyView,
  LeaseView,
  Metadata,
  ReleaseRequest,
  RenewRequest
} from '../pool/key-pool.ts'

/** The verbs on one key or lease with the refusals of the engine's contract; without regard to who waits for a key. */
export class KeyVerbs {
  readonly #keys: KeyPool
  readonly #waiting: () => number

  /** `waiting` tells how many callers wait. */
  constructor(keys: KeyPool, waiting: () => number) {
    this.#keys = keys
    this.#waiting = waiting
  }

  key(id: string, reveal?: boolean): KeyView | Refusal<'unknown-key'> {
    return named(this.#keys.get(id, reveal))
  }

  delete(id: string): 'deleted' | Refusal<'unknown-key'> {
    const outcome = this.#keys.delete(id)
    return outcome === 'deleted' ? outcome : named(outcome)
  }

  keepAlive(id: string): KeyView | Refusal<'unknown-key'> {
    return named(this.#keys.keepAlive(id))
  }

  activate(id: string): { first: boolean; key: KeyView } | Refusal<'unknown-key'> {
    return named(this.#keys.activate(id))
  }

  setMetadata(id: string, metadata: Metadata | null): KeyView | Refusal<'unknown-key'> {
    return named(this.#keys.setMetadata(id, metadata))
  }

  unblock(id: string, fence?: number): 'unblocked' | Refusal<'unknown-key' | 'key-not-leased' | 'lease-lost'> {
    const outcome = this.#keys.unblock(id, fence)
    return outcome === 'unblocked' ? outcome : named(outcome)
  }

  /** Also 'no-free-key' where due deadlines are left that might free one. */
  tryAcquire(request: AcquireRequest): LeaseView | Refusal<'no-free-key' | 'lease-too-long'> {
    const outcome = this.#keys.acquire(request)
    if (typeof outcome === 'object') return outcome
    return outcome === 'lease-too-long' ? { refusal: outcome } : this.noFreeKey()
  }

  lease(leaseId: string, owner?: string): LeaseView | Refusal<'lease-lost' | 'forbidden'> {
    return named(this.#keys.lease(leaseId, { owner }))
  }

  renew(
    leaseId: string,
    request: RenewRequest
  ): LeaseView | Refusal<'lease-lost' | 'forbidden' | 'lease-too-long' | 'max-hold-reached'> {
    return named(this.#keys.renew(leaseId, request))
  }

  release(leaseId: string, request?: ReleaseRequest): 'released' | Refusal<'lease-lost' | 'forbidden'> {
    const outcome = this.#keys.release(leaseId, request)
    return outcome === 'released' ? outcome : named(outcome)
  }

  counts(): Counts {
    return { ...this.#keys.counts(), waiting: this.#waiting() }
  }

  noFreeKey(): Refusal<'no-free-key'> {
    const counts = this.counts()
    return {
      refusal: 'no-free-key',
      reason: counts.total === 0 ? 'pool-empty' : 'all-held',
      retryAfterMs: this.#keys.nextFreeInMs(),
      counts
    }
  }
}

function named<A>(outcome: A): Exclude<A, string> | { refusal: Extract<A, keyof Refusals> } {
  return typeof outcome === 'string'
    ? { refusal: outcome as Extract<A, keyof Refusals> }
    : (outcome as Exclude<A, string>)
}
